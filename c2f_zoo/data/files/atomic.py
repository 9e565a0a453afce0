"""Writing a file whole or not at all."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends without it


@contextlib.contextmanager
def atomic_write(path):
    """Open a temporary file beside `path` that takes its place only once it is complete.

    If anything fails (a full disk, an exception, ctrl-C) the temporary file is removed and
    whatever `path` held before is untouched. A symbolic link is followed, and a file that is
    replaced passes its permissions on.

    Args:
        path: File to create or replace. Its folder must exist.

    Yields:
        A binary file object open for writing.

    Raises:
        OSError: The folder is missing or not writable, the disk is full, or `path` is a folder
            or a device; a subclass where Python has one (`PermissionError`, ...). The message
            names the path.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "greeting.txt"
        >>> with atomic_write(path) as file:
        ...     _ = file.write(b"hello")
        >>> path.read_bytes()
        b'hello'
    """
    target = Path(os.path.realpath(os.path.expanduser(path)))
    if target.is_dir():
        raise IsADirectoryError(f"Cannot write a file where a folder is. Received: {target}")
    if target.exists() and not target.is_file():
        raise OSError(f"Cannot replace what is not a regular file. Received: {target}")
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # Not tempfile: its files are private (0600), while a new file should follow the umask.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    except OSError as error:
        reason = f"Cannot write into the folder {target.parent} ({error.strerror}). Received"
        raise OSError(error.errno, reason, str(target)) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            # Some file systems report a full disk only now, and without it a crash right after
            # the rename could leave an empty file.
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            reason = f"Writing failed and left nothing changed ({error.strerror}). Received"
            raise OSError(error.errno, reason, str(target)) from error
        raise
