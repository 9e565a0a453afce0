"""Replaces a folder all at once, or not at all."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile
from collections.abc import Collection, Iterator

from c2f_zoo.hub.errors import PresetSaveError


@contextlib.contextmanager
def replaced_folder(target: pathlib.Path, replaceable: Collection[str]) -> Iterator[pathlib.Path]:
    """Gives a new folder that takes the place of `target` when the block ends well.

    The new folder lies beside `target`. Its files reach the disk before it is renamed, so that
    neither a full disk, an exception, ctrl-C nor a power cut leaves half a preset: `target`
    keeps what it held, and the new folder is removed.

    Args:
        target: The folder to replace or create; its parents are created.
        replaceable: Names of files that may be in `target` now. Any other file there is someone
            else's, and nothing is replaced.

    Yields:
        The new, empty folder.

    Raises:
        PresetSaveError: `target` is a file, holds other files, cannot be written, or the disk
            is full.

    Example:
        >>> target = pathlib.Path(tempfile.mkdtemp()) / "demo"
        >>> with replaced_folder(target, ()) as folder:
        ...     _ = (folder / "a.txt").write_text("whole")
        >>> (target / "a.txt").read_text()
        'whole'
    """
    target = pathlib.Path(os.path.realpath(target.expanduser()))
    new = None
    try:
        _check_target(target, replaceable)
        target.parent.mkdir(parents=True, exist_ok=True)
        new = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        os.chmod(new, 0o777 & ~_umask())  # mkdtemp makes folders that only their owner can read
        yield new
        for path in new.iterdir():
            _sync(path)
        _sync(new)
        _swap(new, target)
        _sync(target.parent)
    except PresetSaveError:
        raise
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _check_target(target: pathlib.Path, replaceable: Collection[str]) -> None:
    nearest = next(path for path in (target, *target.parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{nearest} is a file")
    if nearest != target:
        return
    others = sorted({path.name for path in target.iterdir()} - set(replaceable))
    if others:
        raise FileExistsError(
            errno.EEXIST, f"it holds files that are no preset's ({', '.join(others[:5])})"
        )
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the folder is read-only", str(target))


def _explain(error: OSError, target: pathlib.Path) -> PresetSaveError:
    advice = {
        errno.ENOSPC: "The disk is full: free some space, or save elsewhere.",
        errno.EDQUOT: "Your disk quota is used up: free some space, or save elsewhere.",
        errno.EACCES: "You may not write there: choose another folder.",
        errno.EPERM: "You may not write there: choose another folder.",
        errno.EROFS: "That file system is read-only: choose another folder.",
        errno.ENOTDIR: "A folder was expected: choose another name.",
        errno.EEXIST: "Choose a new or empty folder: nothing of yours is replaced.",
    }.get(error.errno, "")
    kept = " What was there is unchanged." if target.exists() else ""
    return PresetSaveError(
        error.errno,
        f"The preset was not saved to {target}.{kept} {advice} Received: {error.strerror or error}",
    )


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync(path: pathlib.Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders, and writes their entries through
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(new: pathlib.Path, target: pathlib.Path) -> None:
    """Renames `new` to `target`; what `target` held is put back if that fails, else removed."""
    old = new.with_name(f"{new.name}.old")
    try:
        if target.exists():
            os.rename(target, old)
        os.rename(new, target)
    finally:
        # Decided by what is there, not by what was done: ctrl-C may strike between any two lines.
        if old.exists():
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.rename(old, target)
