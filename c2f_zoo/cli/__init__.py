"""The `c2f` command: `main.py` finds the verb, and each verb has a file of its own.

A verb's module offers `add_parser(verbs)`, which is cheap, and `run(arguments)`, which imports
what it needs and returns the exit status.
"""
