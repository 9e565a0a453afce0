"""Reads PyTorch checkpoints into NumPy arrays, without PyTorch and without running anything.

Two formats exist. Since PyTorch 1.6 a checkpoint is an uncompressed zip archive: one pickle,
`data.pkl`, that describes the tensors, and one file `data/<key>` of raw numbers per storage.
Before, it was a stream: the pickles of a magic number, a protocol number, facts about the
machine, the object and the list of its storages' keys, then each storage's element count and
numbers. Both are read here. The pickles go through `PickleReader`, which can build plain data
only; a file that asks for anything else is refused with the name of what it asked for.

Source: the layouts are those of `torch/serialization.py` (`save`, `_legacy_save`).
"""

import collections
import dataclasses
import io
import math
import os
import pathlib
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from c2f_zoo.hub.pickle_reader import (
    ByteSource,
    PickleError,
    PickleReader,
    Symbol,
    UnsafePickleError,
    checked_key,
)

__all__ = ["PickleError", "UnsafePickleError", "read_torch_checkpoint"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MOST_DIMENSIONS = 32  # what NumPy 1 can hold; no network comes near


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _StorageType:
    """How NumPy reads the elements of a storage."""

    dtype: str
    bfloat16: bool = False

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    """A run of elements in the file; `first` and `count` pick a view of it."""

    key: str
    kind: _StorageType
    total: int
    first: int
    count: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """A tensor as the pickle describes it: a strided view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_STORAGE_TYPES = {
    "FloatStorage": _StorageType("<f4"),
    "DoubleStorage": _StorageType("<f8"),
    "HalfStorage": _StorageType("<f2"),
    "BFloat16Storage": _StorageType("<u2", bfloat16=True),
    "LongStorage": _StorageType("<i8"),
    "IntStorage": _StorageType("<i4"),
    "ShortStorage": _StorageType("<i2"),
    "CharStorage": _StorageType("<i1"),
    "ByteStorage": _StorageType("<u1"),
    "BoolStorage": _StorageType("|b1"),
    "ComplexFloatStorage": _StorageType("<c8"),
    "ComplexDoubleStorage": _StorageType("<c16"),
}


def read_torch_checkpoint(path: str | os.PathLike, key: str | None = None) -> dict[str, np.ndarray]:
    """Reads the tensors of a PyTorch checkpoint as NumPy arrays.

    Needs no PyTorch and executes nothing that the file contains.

    Args:
        path: A file written by `torch.save` (`.pth`, `.pt`, `.pth.tar`, `.ckpt`), of either the
            zip format (PyTorch 1.6 and later) or the older stream.
        key: Which entry of the checkpoint holds the tensors, such as `"state_dict"` or
            `"optimizer.ema"` (dots enter nested dictionaries). By default the checkpoint's own
            tensors, else its `"state_dict"`, else its only dictionary of tensors.

    Returns:
        A dictionary from each tensor's name, as written, to its array with the tensor's shape.
        Half, double and integer tensors keep their type; bfloat16, which NumPy lacks, becomes
        float32 (exactly). Arrays are read-only views of what was read, so that a file's tensors
        never take more memory than its size (twice that for bfloat16); copy one to change it.

    Raises:
        FileNotFoundError: There is no such file.
        UnsafePickleError: The file's pickles ask for something other than tensors; the message
            names it, and nothing was run.
        PickleError: The file is truncated, damaged, or no PyTorch checkpoint. (Both errors are
            `ValueError`.)

    Example:
        >>> import numpy as np, pathlib, tempfile
        >>> text = pathlib.Path(tempfile.mkdtemp()) / "notes.pth"
        >>> _ = text.write_text("no checkpoint")
        >>> read_torch_checkpoint(text)
        Traceback (most recent call last):
            ...
        c2f_zoo.hub.pickle_reader.PickleError: notes.pth is no PyTorch checkpoint...
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        start = file.read(265)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        if start[:4] == b"PK\x03\x04":
            content, storages = _read_zip(file, size, path.name)
        elif start[:1] == b"\x80":
            content, storages = _read_stream(ByteSource(file, size, path.name))
        else:
            raise PickleError(
                f"{path.name} is no PyTorch checkpoint{_guess(start)}. It must begin as a zip "
                f"archive or a pickle does. Received: {start[:16]!r}"
            )
    tensors = _select(content, key, path.name)
    arrays = {}
    for name, tensor in tensors.items():
        try:
            arrays[name] = _as_array(tensor, storages, size)
        except PickleError as error:
            raise PickleError(f"{path.name}: tensor {name!r}: {error}") from error
    return arrays


def _guess(start: bytes) -> str:
    if start.startswith(b"version https://git-lfs"):
        return " (it is a Git LFS pointer: fetch the real file)"
    if start.lstrip()[:1] == b"<":
        return " (it looks like a web page: the download failed)"
    if start[257:262] == b"ustar":
        return " of a format that is read here (it is a tar archive, from PyTorch 0.1)"
    return " (it is empty)" if not start else ""


# What the globals of a checkpoint stand for.


def _ordered_dict(pairs: Any = ()) -> collections.OrderedDict:
    if not isinstance(pairs, (list, tuple)):
        raise TypeError("an OrderedDict is made of a list of pairs")
    return collections.OrderedDict((checked_key(name), value) for name, value in pairs)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_ignored: Any) -> _Tensor:
    # v2 adds requires_grad, backward_hooks and metadata: nothing that an array keeps.
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor needs a storage")
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
        raise TypeError("a tensor needs as many strides as dimensions")
    return _Tensor(storage, _count(offset), tuple(map(_count, size)), tuple(map(_count, stride)))


def _rebuild_parameter(data: Any, *_ignored: Any) -> _Tensor:
    if not isinstance(data, _Tensor):
        raise TypeError("a parameter needs a tensor")
    return data


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError("sizes, strides and offsets are integers of at least 0")
    return value


_SYMBOLS: dict[str, Any] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    **{f"torch.{name}": kind for name, kind in _STORAGE_TYPES.items()},
    **{f"torch.cuda.{name}": kind for name, kind in _STORAGE_TYPES.items()},
}


class _Storages:
    """Collects the storages that a pickle refers to: `("storage", type, key, device, count)`.

    The older stream adds `(view key, first, count)` for a view of a storage, or None.
    """

    def __init__(self, name: str):
        self._name = name
        self.found: dict[str, _Storage] = {}

    def __call__(self, identity: tuple) -> _Storage:
        try:
            tag, symbol, key, _device, total, *view = identity
            if tag != "storage" or not isinstance(key, str) or len(view) > 1:
                raise ValueError("a storage was expected")
            if not isinstance(symbol, Symbol) or not isinstance(symbol.meaning, _StorageType):
                raise ValueError("a storage type was expected")
            total = _count(total)
            first, count = 0, total
            if view and view[0] is not None:
                _view_key, first, count = view[0]
                first, count = _count(first), _count(count)
        except (TypeError, ValueError) as error:
            raise UnsafePickleError(
                f"{self._name} was refused, and nothing in it was run: a persistent id must "
                f"describe a tensor's storage. Received: {error}"
            ) from error
        if first + count > total:
            raise PickleError(
                f"{self._name}: storage {key!r} holds {total} elements, and a view of it was to "
                f"end at element {first + count}."
            )
        storage = _Storage(key, symbol.meaning, total, first, count)
        known = self.found.setdefault(key, storage)
        if (known.kind, known.total) != (storage.kind, total):
            raise PickleError(f"{self._name}: storage {key!r} is described in two ways.")
        return storage


def _read_zip(file: io.BufferedReader, size: int, name: str) -> tuple[Any, dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(file) as archive:
            root = _archive_root(archive, name)
            data = _record(archive, f"{root}data.pkl", size, name)
            storages = _Storages(name)
            source = ByteSource(io.BytesIO(data), len(data), name)
            content = PickleReader(source, _SYMBOLS, storages).read()
            stated = f"{root}byteorder" in archive.namelist()
            big = stated and _record(archive, f"{root}byteorder", size, name) == b"big"
            order = ">" if big else "<"
            arrays, left = {}, size
            for key, storage in storages.found.items():
                record = f"{root}data/{key}"
                expected = storage.total * storage.kind.itemsize
                # Records may overlap in a forged archive: together they must fit in the file.
                data = _record(archive, record, left, name)
                left -= len(data)
                if len(data) < expected:
                    raise PickleError(
                        f"{name}: {record} must hold {expected} bytes. Received: {len(data)}"
                    )
                arrays[key] = _numbers(data[:expected], storage.kind, order)
            return content, arrays
    except zipfile.BadZipFile as error:
        raise PickleError(f"{name} is truncated or damaged. Received: {error}") from error


def _archive_root(archive: zipfile.ZipFile, name: str) -> str:
    names = archive.namelist()
    roots = [entry[: -len("data.pkl")] for entry in names if entry.endswith("data.pkl")]
    if len(roots) != 1 or any(entry.endswith("constants.pkl") for entry in names):
        what = "a TorchScript program" if len(roots) == 1 else "another kind of zip archive"
        raise PickleError(
            f"{name} is no checkpoint of torch.save but {what}: save `model.state_dict()`. "
            f"Received: {', '.join(names[:5]) or 'an empty archive'}"
        )
    return roots[0]


def _record(archive: zipfile.ZipFile, record: str, most: int, name: str) -> bytes:
    try:
        entry = archive.getinfo(record)
    except KeyError:
        raise PickleError(f"{name} is damaged: {record} is missing from it.") from None
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise PickleError(f"{name}: {record} is compressed or encrypted, which torch never does.")
    if entry.file_size > most:
        raise PickleError(
            f"{name} is damaged: {record} claims more bytes than the file has. "
            f"Received: {entry.file_size}"
        )
    return archive.read(entry)


def _read_stream(source: ByteSource) -> tuple[Any, dict[str, np.ndarray]]:
    magic = PickleReader(source).read()
    if magic != _LEGACY_MAGIC:
        raise PickleError(
            f"{source.name} is a pickle but no PyTorch checkpoint: it does not begin with "
            f"PyTorch's magic number. Received: a pickled {type(magic).__name__}"
        )
    if PickleReader(source).read() != _LEGACY_PROTOCOL:
        raise PickleError(f"{source.name}: the stream's protocol must be {_LEGACY_PROTOCOL}.")
    PickleReader(source).read()  # facts about the machine; the numbers are little-endian anyway
    storages = _Storages(source.name)
    content = PickleReader(source, _SYMBOLS, storages).read()
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
        arrays[key] = _numbers(source.read(count * storage.kind.itemsize), storage.kind, "<")
    return content, arrays


def _numbers(data: bytes, kind: _StorageType, order: str) -> np.ndarray:
    numbers = np.frombuffer(data, np.dtype(kind.dtype).newbyteorder(order))
    if kind.bfloat16:  # the upper half of a float32
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    elif order == ">":
        numbers = numbers.astype(numbers.dtype.newbyteorder("="))
    numbers.flags.writeable = False
    return numbers


def _as_array(tensor: _Tensor, storages: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    storage = tensor.storage
    numbers = storages[storage.key][storage.first : storage.first + storage.count]
    if len(tensor.shape) > _MOST_DIMENSIONS:
        raise PickleError(
            f"at most {_MOST_DIMENSIONS} dimensions were expected. Received: {len(tensor.shape)}"
        )
    elements = math.prod(tensor.shape)
    if elements == 0:
        if math.prod(filter(None, tensor.shape)) > size:
            raise PickleError(f"its shape fits no file of this size. Received: {tensor.shape}")
        return np.zeros(tensor.shape, numbers.dtype)
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((length - 1) * stride for length, stride in steps)
    if last >= len(numbers):
        raise PickleError(
            f"its storage holds {len(numbers)} elements. Received: one that reaches element {last}"
        )
    # A stride of 0 repeats elements: a file of a few bytes could describe a tensor of petabytes.
    if elements * numbers.itemsize > max(size, numbers.nbytes):
        raise PickleError(f"it is larger than the whole file. Received: shape {tensor.shape}")
    # The stride of a dimension of length 1 is never used, and may be any number.
    strides = tuple(
        stride * numbers.itemsize if length > 1 else 0
        for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )


def _select(content: Any, key: str | None, name: str) -> dict[str, _Tensor]:
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
    return isinstance(value, dict) and any(isinstance(item, _Tensor) for item in value.values())


def _tensors(content: Any, name: str) -> dict[str, _Tensor]:
    if not _has_tensors(content):
        raise PickleError(f"{name} holds no dictionary of tensors. {_entries(content)}")
    tensors = {entry: value for entry, value in content.items() if isinstance(value, _Tensor)}
    unnamed = [entry for entry in tensors if not isinstance(entry, str)]
    if unnamed:
        raise PickleError(f"{name}: tensors are named by strings. Received: {unnamed[0]!r}")
    return tensors


def _entries(content: Any) -> str:
    if isinstance(content, dict):
        return f"Received: entries {[str(entry)[:40] for entry in list(content)[:10]]}"
    return f"Received: a {type(content).__name__.strip('_')}"
