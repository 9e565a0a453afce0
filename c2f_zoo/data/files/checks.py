"""Checks of a file before it is read."""

from pathlib import Path


def regular_file(path, kind="a file"):
    """Check that a path leads to a regular file: reading a pipe would wait for ever.

    Args:
        path: str or `pathlib.Path`; `~` stands for the home folder.
        kind: What is expected there, for the message.

    Returns:
        `pathlib.Path`, with `~` expanded.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        IsADirectoryError: It is a folder.
        ValueError: It is a pipe, a socket or a device.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".flo") as file:
        ...     regular_file(file.name).suffix
        '.flo'
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise IsADirectoryError(f"Expected {kind}, found a folder. Received: {path}")
    if path.exists():
        raise ValueError(f"Expected {kind}, not a pipe or a device. Received: {path}")
    raise FileNotFoundError(f"Expected {kind}, found nothing of this name. Received: {path}")


def check_length(path, found, expected, contents):
    """Check the length of a file against what its header promises.

    Args:
        path: Path of the file, for the message.
        found: Its length in bytes.
        expected: The length that the header promises.
        contents: What the header promises, such as `"7x5"`.

    Raises:
        ValueError: The lengths differ.

    Example:
        >>> check_length("a.flo", found=28, expected=28, contents="2x1")
    """
    if found != expected:
        state = "truncated" if found < expected else "too long"
        raise ValueError(
            f"{path}: the file is {state}: {contents} takes {expected} bytes. "
            f"Received: {found} bytes"
        )
