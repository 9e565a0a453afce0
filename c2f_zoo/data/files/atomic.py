"""Writing a file whole or not at all."""

import contextlib
import functools
import hashlib
import itertools
import os
import re
import secrets
import shutil
import socket
import time
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends without it
_TEMPORARY = re.compile(  # machine, process
    r"\.c2f-([0-9a-f]{8})-(\d{1,9})-[0-9a-f]{8}\.tmp(?:\.(?:avi|m4v|mkv|mov|mp4))?"
)
_OLD = 24 * 3600  # seconds
_tidied = set()  # folders whose abandoned temporaries this process has removed
# In the names of this process: a container restarts with the same process numbers.
_TOKEN, _numbers = secrets.token_hex(2), itertools.count()


@contextlib.contextmanager
def atomic_write(path):
    """Open a temporary file beside `path` that takes its place only once it is complete.

    If anything fails (a full disk, an exception, ctrl-C) the temporary file is removed and
    whatever `path` held before is untouched. What a killed process left is removed by the next
    process that writes into the folder. A symbolic link is followed, and a file that is replaced
    passes its permissions on.

    Args:
        path: File to create or replace. Its folder must exist.

    Yields:
        A binary file object open for writing.

    Raises:
        OSError: The folder is missing or not writable, the disk is full, or `path` is a folder
            or a device; a subclass where Python has one. The message names the path.

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
    if target.parent not in _tidied:  # once, since a folder may hold many files
        _tidied.add(target.parent)
        remove_abandoned(target.parent)
    temporary = temporary_beside(target)
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


def temporary_beside(target, suffix=""):
    """Make up a hidden name beside a file or folder, which tells `remove_abandoned` its owner."""
    owner = f"{_machine()}-{os.getpid()}-{_TOKEN}{next(_numbers) % 65536:04x}"
    return Path(target).with_name(f".c2f-{owner}.tmp{suffix}")


def sync_folder(folder):
    """Wait until the names of the files in a folder are on the disk, where a system can tell."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # some network file systems refuse
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_abandoned(folder):
    """Remove temporary files and folders that killed processes left in a folder.

    Only names of `temporary_beside` are looked at. They are removed where their process ran on this
    machine and has ended, or where nothing was written to them for a day.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = _TEMPORARY.fullmatch(name)
            path = Path(folder, name)
            if match and _is_abandoned(path, match[1], int(match[2])):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        path.unlink()


def _is_abandoned(path, machine, process):
    if machine == _machine() and not _is_running(process):
        return True
    is_namesake = machine == _machine() and process == os.getpid()
    if is_namesake and f"-{process}-{_TOKEN}" not in path.name:
        return True
    try:
        inside = path.iterdir() if path.is_dir() else ()
        newest = max(each.lstat().st_mtime for each in (path, *inside))
    except OSError:  # its owner has just finished
        return False
    return time.time() - newest > _OLD


def _is_running(process):
    if os.name == "nt":
        return True  # unknown: signal 0 would end the process there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


@functools.cache
def _machine():
    """Eight digits for this host and, since containers may share its name, its process numbers."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]
