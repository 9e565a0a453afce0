"""`c2f completion`: verbs, options, choices and names of presets complete on a tab."""

import argparse

from c2f_zoo.cli.common import say

EXAMPLES = """\
The line for ~/.bashrc, and with zsh for ~/.zshrc, there after compinit:
  eval "$(c2f completion bash)"

examples:
  c2f completion bash
  c2f completion zsh"""

SHELLS = ("bash", "zsh")

# Arguments that a preset's name may stand for, by their `dest`.
_OF_PRESETS = ("preset", "presets")


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "completion",
        help="complete c2f on a tab in bash or zsh",
        description="Print the lines of shell that complete c2f's verbs, options and presets.",
        epilog=EXAMPLES,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash or zsh")
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    import argcomplete

    say(argcomplete.shellcode(["c2f"], shell=arguments.shell).strip())


def complete(parser):
    """Answer a shell that asks how a command line goes on, and end the process."""
    import argcomplete

    for verb in _verbs(parser):
        # Options between positional arguments are for a whole line; here there is a part of one.
        verb._is_inside = True
        for action in verb._actions:
            if action.dest in _OF_PRESETS:
                action.completer = _presets
    argcomplete.autocomplete(parser, always_complete_options="long")


def _verbs(parser):
    actions = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return {id(verb): verb for action in actions for verb in action.choices.values()}.values()


def _presets(prefix, **_):
    """Names of shipped presets, and folders that may hold one; no network and no Keras."""
    from argcomplete.completers import DirectoriesCompleter

    from c2f_zoo.hub.resolving import shipped_folders

    names = [name for name in shipped_folders() if name.startswith(prefix)]
    return [*names, *DirectoriesCompleter()(prefix)]
