"""Publishes the checkpoints of models/ on the Hugging Face Hub; see README.md beside this file."""
