"""Looks at a file of weights before anything of it is read into memory."""

import os
import pathlib

import h5py

from c2f_zoo.hub.errors import PresetError, first_line

_KINDS = "fiub"  # of numbers; bfloat16 is of kind V, two bytes
_SLACK = 4096  # bytes: HDF5 keeps small arrays in its headers


def check_weights(path: pathlib.Path, label: str) -> int:
    """Raise PresetError unless a `.h5` file holds plain arrays, all of them within itself.

    HDF5 can also name other files of this machine, as links, external storage or virtual data
    sets, and declare arrays of any size that it does not hold.

    Args:
        path: The file.
        label: Name of the preset, for messages.

    Returns:
        int: Numbers that its arrays hold.

    Raises:
        PresetError: The file is damaged, or is none of the files that Keras writes.
    """
    try:
        size = os.path.getsize(path)
        with h5py.File(path, "r") as file:
            claimed = numbers = 0
            for group, name in _entries(file):
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise _refused(path, label, f"{name}, a link to somewhere else")
                item = group[name]
                if isinstance(item, h5py.Dataset):
                    _check_dataset(item, path, label)
                    claimed += item.nbytes
                    numbers += item.size or 0
                elif not isinstance(item, h5py.Group):
                    raise _refused(path, label, f"{name}, neither array nor group")
                if claimed > size + _SLACK:
                    raise PresetError(
                        f"{label}: {path.name} claims more numbers than it holds, so none was "
                        f"read. Received: {claimed} bytes or more in a file of {size}"
                    )
        return numbers
    except PresetError:
        raise
    except OSError as error:
        if not path.is_file():
            raise PresetError(f"{label}: there is no such file. Received: {path}") from error
        raise _damaged(path, label, error) from error
    except Exception as error:  # of a damaged file HDF5 raises anything
        raise _damaged(path, label, error) from error


def _entries(file: h5py.File):
    """Yield every group of a file and the names in it, each group once."""
    seen, pending = set(), [file["/"]]
    while pending:
        group = pending.pop()
        place = h5py.h5o.get_info(group.id).addr
        if place in seen:  # a group within itself
            continue
        seen.add(place)
        for name in group:
            yield group, name
            item = group[name]  # a hard link: the caller has looked
            if isinstance(item, h5py.Group):
                pending.append(item)


def _check_dataset(item: h5py.Dataset, path: pathlib.Path, label: str) -> None:
    is_number = item.dtype.kind in _KINDS or (item.dtype.kind == "V" and item.dtype.itemsize == 2)
    if not is_number or item.dtype.names or item.dtype.subdtype:
        raise _refused(path, label, f"{item.name} of {item.dtype}")
    if item.is_virtual or item.external:
        raise _refused(path, label, f"{item.name}, whose numbers are in another file")
    if item.compression or item.chunks or item.id.get_create_plist().get_nfilters():
        raise _refused(path, label, f"{item.name}, compressed or in chunks")


def _refused(path: pathlib.Path, label: str, what: str) -> PresetError:
    return PresetError(
        f"{label}: {path.name} may hold plain arrays alone, as Keras writes them. Received: {what}"
    )


def _damaged(path: pathlib.Path, label: str, error: Exception) -> PresetError:
    return PresetError(
        f"{label}: {path.name} is damaged or no HDF5 file, and the weights do not fit the model. "
        f"Received: {type(error).__name__}: {first_line(error)[:200]}"
    )
