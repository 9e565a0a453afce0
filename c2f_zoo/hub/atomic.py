"""Replacing a folder as a whole or not at all."""

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Collection, Iterator

from c2f_zoo.data.files.atomic import remove_abandoned, temporary_beside
from c2f_zoo.hub.errors import PresetSaveError


@contextlib.contextmanager
def replaced_folder(target: pathlib.Path, replaceable: Collection[str]) -> Iterator[pathlib.Path]:
    """Create a new folder that replaces `target` when the block ends without an error.

    The new folder lies beside `target`, and its files are flushed to the disk before it is renamed:
    whatever goes wrong (a full disk, an exception, ctrl-C, a power cut), `target` keeps what it
    held and the new folder is removed. What a killed process left is removed, or put back in the
    place of `target`, by the next call. Raises PresetSaveError if `target` holds other files than
    those named in `replaceable`, or cannot be written.
    """
    target = pathlib.Path(os.path.realpath(target.expanduser()))
    new = temporary_beside(target)
    try:
        remove_abandoned(target.parent)
        _finish_swap(target)
        _check_target(target, replaceable)
        target.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
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
            errno.EEXIST, f"it holds files that do not belong to a preset ({', '.join(others[:5])})"
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
        errno.EEXIST: "Choose a new or empty folder: your own files are never replaced.",
    }.get(error.errno or 0, "")
    kept = " What was there is unchanged." if target.exists() else ""
    return PresetSaveError(
        error.errno,
        f"The preset was not saved to {target}.{kept} {advice} Received: {error.strerror or error}",
    )


def _sync(path: pathlib.Path) -> None:
    """Flush a file, or the list of names of a folder, to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders, and writes their entries through
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(new: pathlib.Path, target: pathlib.Path) -> None:
    """Rename `new` to `target`; what `target` held is put back if that fails, else removed."""
    try:
        if target.exists():
            os.rename(target, _replaced(target))
        os.rename(new, target)
    finally:
        _finish_swap(target)


def _finish_swap(target: pathlib.Path) -> None:
    # Decided by what is there, not by what was done: ctrl-C may strike between any two lines.
    old = _replaced(target)
    if old.exists():
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, target)


def _replaced(target: pathlib.Path) -> pathlib.Path:
    return target.with_name(f".{target.name}.replaced")
