"""Checks of a file before it is read."""

from pathlib import Path


def regular_file(path, kind="a file"):
    """Return the `Path` of a regular file, `~` expanded; reading a pipe would wait for ever."""
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise IsADirectoryError(f"Expected {kind}, found a folder. Received: {path}")
    if path.exists():
        raise ValueError(f"Expected {kind}, not a pipe or a device. Received: {path}")
    raise FileNotFoundError(f"Expected {kind}, found nothing of this name. Received: {path}")


def check_length(path, found, expected, contents):
    """Raise a `ValueError` unless a file is as long, in bytes, as its header promises."""
    if found != expected:
        state = "truncated" if found < expected else "too long"
        needed = f"{contents} takes {expected} bytes"
        raise ValueError(f"{path}: the file is {state}: {needed}. Received: {found} bytes")
