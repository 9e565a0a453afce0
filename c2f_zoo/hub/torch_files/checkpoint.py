"""Reads PyTorch checkpoints into NumPy arrays, without PyTorch and without running anything.

Since PyTorch 1.6 a checkpoint is an uncompressed zip archive: one pickle, `data.pkl`, that
describes the tensors, and one file `data/<key>` of raw numbers per storage. Before, it was a
stream: the pickles of a magic number, a protocol number, facts about the machine, the object and
the list of its storages' keys, then each storage's element count and numbers.

Source: the layouts are those of `torch/serialization.py` (`save`, `_legacy_save`).
"""

import os
import struct
from typing import Any

import numpy as np

from c2f_zoo.data.files.checks import regular_file
from c2f_zoo.hub.torch_files.pickle_reader import (
    ByteSource,
    PickleError,
    PickleReader,
    UnsafePickleError,
)
from c2f_zoo.hub.torch_files.tensors import (
    TENSOR_SYMBOLS,
    Storages,
    TensorView,
    as_array,
    as_numbers,
    read_archive,
)

__all__ = ["PickleError", "UnsafePickleError", "read_torch_checkpoint", "read_torch_content"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read_torch_checkpoint(path: str | os.PathLike, key: str | None = None) -> dict[str, np.ndarray]:
    """Read the tensors of a PyTorch checkpoint as NumPy arrays.

    Needs no PyTorch and executes nothing that the file contains.

    Args:
        path: File that `torch.save` wrote (`.pth`, `.pt`, `.pth.tar`, `.ckpt`), in the zip format
            of PyTorch 1.6 and later or in the older stream.
        key: Entry of the checkpoint that holds the tensors, such as `"state_dict"` or
            `"optimizer.ema"`; dots enter nested dictionaries. Default: the checkpoint's own
            tensors, else its `"state_dict"`, else its only dictionary of tensors.

    Returns:
        dict: Each tensor's name and its array, of the tensor's shape and type; bfloat16, which
        NumPy lacks, becomes float32. Arrays are read-only views of what was read; copy one to
        change it.

    Raises:
        FileNotFoundError, IsADirectoryError: There is no such file.
        ValueError: It is a pipe, a socket or a device.
        KeyError: The checkpoint has no entry `key`.
        UnsafePickleError: The file's pickles ask for something other than tensors; the message
            names it, and nothing was run.
        PickleError: The file is truncated, damaged, or not a PyTorch checkpoint. (Both errors are
            `ValueError`.)

    Example:
        >>> import pathlib, tempfile
        >>> text = pathlib.Path(tempfile.mkdtemp()) / "notes.pth"
        >>> _ = text.write_text("no checkpoint")
        >>> read_torch_checkpoint(text)
        Traceback (most recent call last):
            ...
        c2f_zoo.hub.torch_files.pickle_reader.PickleError: notes.pth is not a PyTorch checkpoint...
    """
    content, storages, size, name = _read(path)
    return _arrays(_select(content, key, name), storages, size, name)


def read_torch_content(path: str | os.PathLike, record_prefix: str | None = None) -> dict[str, Any]:
    """Read all dictionaries of a PyTorch checkpoint, with their tensors as NumPy arrays.

    For a checkpoint of several networks, or one that states how they were built.

    Args:
        path: As for `read_torch_checkpoint`.
        record_prefix: Prefix of the names of classes whose objects become plain dictionaries of
            their fields, such as a training code's class of settings. Default: an object of any
            class is refused.

    Returns:
        dict: What was saved. Dictionaries within dictionaries, to a depth of three, hold for each
        tensor an array of its shape; lists are left out.

    Raises:
        FileNotFoundError, IsADirectoryError, ValueError, UnsafePickleError, PickleError: As
            `read_torch_checkpoint` does.

    Example:
        ```python
        content = read_torch_content("550000.pt")
        content["g_ema"]["conv1.conv.weight"].shape
        ```
    """
    content, storages, size, name = _read(path, record_prefix)
    if not isinstance(content, dict):
        raise PickleError(f"{name} holds no dictionary. {_entries(content)}")
    return _plain(content, storages, size, name, depth=3)


def _plain(content: dict, storages: Any, size: int, name: str, depth: int) -> dict[str, Any]:
    tensors = {key: value for key, value in content.items() if isinstance(value, TensorView)}
    plain: dict[str, Any] = dict(_arrays(tensors, storages, size, name))
    for key, value in content.items():
        if isinstance(value, dict) and depth:
            plain[key] = _plain(value, storages, size, name, depth - 1)
        elif value is None or isinstance(value, (str, int, float)):
            plain[key] = value
    return plain


def _read(
    path: str | os.PathLike, record_prefix: str | None = None
) -> tuple[Any, dict[str, np.ndarray], int, str]:
    """The object of a checkpoint, its storages, and the file's size and name."""
    path = regular_file(path)
    with open(path, "rb") as file:
        start = file.read(265)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        if start[:4] == b"PK\x03\x04":
            content, storages = read_archive(file, size, path.name, record_prefix=record_prefix)
        elif start[:1] == b"\x80":
            content, storages = _read_stream(ByteSource(file, size, path.name), record_prefix)
        else:
            raise PickleError(
                f"{path.name} is not a PyTorch checkpoint{_guess(start)}. It must begin as a zip "
                f"archive or a pickle does. Received: {start[:16]!r}"
            )
    return content, storages, size, path.name


def _arrays(
    tensors: dict[str, TensorView], storages: dict[str, np.ndarray], size: int, name: str
) -> dict[str, np.ndarray]:
    arrays = {}
    for key, tensor in tensors.items():
        try:
            arrays[key] = as_array(tensor, storages, size)
        except PickleError as error:
            raise PickleError(f"{name}: tensor {key!r}: {error}") from error
    return arrays


def _guess(start: bytes) -> str:
    if start.startswith(b"version https://git-lfs"):
        return " (it is a Git LFS pointer: fetch the real file)"
    if start.lstrip()[:1] == b"<":
        return " (it looks like a web page: the download failed)"
    if start[257:262] == b"ustar":
        return " of a format that is read here (it is a tar archive, from PyTorch 0.1)"
    return " (it is empty)" if not start else ""


def _read_stream(
    source: ByteSource, record_prefix: str | None
) -> tuple[Any, dict[str, np.ndarray]]:
    magic = PickleReader(source).read()
    if magic != _LEGACY_MAGIC:
        raise PickleError(
            f"{source.name} is a pickle but not a PyTorch checkpoint: it does not begin with "
            f"PyTorch's magic number. Received: a pickled {type(magic).__name__}"
        )
    if PickleReader(source).read() != _LEGACY_PROTOCOL:
        raise PickleError(f"{source.name}: the stream's protocol must be {_LEGACY_PROTOCOL}.")
    PickleReader(source).read()  # facts about the machine; the numbers are little-endian anyway
    storages = Storages(source.name)
    content = PickleReader(source, TENSOR_SYMBOLS, storages, record_prefix).read()
    keys = PickleReader(source).read()
    listed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not listed or len(set(keys)) != len(keys) or set(keys) != set(storages.found):
        raise PickleError(
            f"{source.name} is damaged: the list of its storages does not fit its tensors."
        )
    arrays = {}
    for key in keys:
        storage = storages.found[key]
        (count,) = struct.unpack("<q", source.read(8))
        if count != storage.total:
            raise PickleError(
                f"{source.name} is damaged: storage {key!r} must hold {storage.total} elements. "
                f"Received: {count}"
            )
        arrays[key] = as_numbers(source.read(count * storage.kind.itemsize), storage.kind, "<")
    return content, arrays


def _select(content: Any, key: str | None, name: str) -> dict[str, TensorView]:
    if key is not None:
        for part in key.split("."):
            if not isinstance(content, dict) or part not in content:
                raise KeyError(f"{name} has no entry {key!r}. {_entries(content)}")
            content = content[part]
        return _tensors(content, name)
    if isinstance(content, dict) and not _has_tensors(content):
        nested = [entry for entry, value in content.items() if _has_tensors(value)]
        if "state_dict" in nested:
            return _tensors(content["state_dict"], name)
        if len(nested) == 1:
            return _tensors(content[nested[0]], name)
        if nested:
            raise PickleError(
                f"{name} holds tensors in several entries: choose one by key=. Received: {nested}"
            )
    return _tensors(content, name)


def _has_tensors(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(item, TensorView) for item in value.values())


def _tensors(content: Any, name: str) -> dict[str, TensorView]:
    if not _has_tensors(content):
        raise PickleError(f"{name} holds no dictionary of tensors. {_entries(content)}")
    tensors = {entry: value for entry, value in content.items() if isinstance(value, TensorView)}
    unnamed = [entry for entry in tensors if not isinstance(entry, str)]
    if unnamed:
        raise PickleError(f"{name}: tensors are named by strings. Received: {unnamed[0]!r}")
    return tensors


def _entries(content: Any) -> str:
    if isinstance(content, dict):
        return f"Received: entries {[str(entry)[:40] for entry in list(content)[:10]]}"
    return f"Received: a {type(content).__name__.strip('_')}"
