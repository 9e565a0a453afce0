"""Tensors in PyTorch's files: how the pickles describe them, and the zip archives that hold them.

A pickle names each tensor's storage by a persistent id and states the view of it; the archive
holds one file `data/<key>` of raw numbers per storage.

Source: `torch/serialization.py` and `torch/_utils.py`.
"""

import collections
import dataclasses
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from c2f_zoo.hub.torch_files.pickle_reader import (
    ByteSource,
    PickleError,
    PickleReader,
    Symbol,
    UnsafePickleError,
    checked_key,
)

# What zipfile raises beside BadZipFile, where a field of the archive is wrong.
_ZIP_ERRORS = (EOFError, LookupError, NotImplementedError, OSError, OverflowError, RuntimeError)
_ZIP_ERRORS += (ValueError, struct.error, zlib.error)
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
class TensorView:
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


# What the globals of a checkpoint stand for.


def _ordered_dict(pairs: Any = ()) -> collections.OrderedDict:
    if not isinstance(pairs, (list, tuple)):
        raise TypeError("an OrderedDict is made of a list of pairs")
    return collections.OrderedDict((checked_key(name), value) for name, value in pairs)


def _rebuild_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, *_ignored: Any
) -> TensorView:
    # v2 adds requires_grad, backward_hooks and metadata: nothing that an array keeps.
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor needs a storage")
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
        raise TypeError("a tensor needs as many strides as dimensions")
    return TensorView(storage, _count(offset), tuple(map(_count, size)), tuple(map(_count, stride)))


def _rebuild_parameter(data: Any, *_ignored: Any) -> TensorView:
    if not isinstance(data, TensorView):
        raise TypeError("a parameter needs a tensor")
    return data


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError("sizes, strides and offsets are integers of at least 0")
    return value


TENSOR_SYMBOLS: Mapping[str, Any] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    **{f"torch.{name}": kind for name, kind in _STORAGE_TYPES.items()},
    **{f"torch.cuda.{name}": kind for name, kind in _STORAGE_TYPES.items()},
}


class Storages:
    """Collects the storages that a pickle refers to in `found`, by key.

    They are `("storage", type, key, device, count)`; the older stream adds `(view key, first,
    count)` for a view of a storage, or None.
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


def read_archive(
    file: BinaryIO,
    size: int,
    name: str,
    symbols: Mapping[str, Any] = TENSOR_SYMBOLS,
    record_prefix: str | None = None,
    is_program: bool = False,
) -> tuple[Any, dict[str, np.ndarray]]:
    """Read the object of a zip archive, of a checkpoint or of a TorchScript program.

    `record_prefix` is the prefix of the names of classes whose objects are read as records; those
    of a TorchScript program (`is_program`) are its modules. Returns the object, with tensors as
    `TensorView`, and the storages' elements (arrays of one axis) by key.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            root = _archive_root(archive, name, is_program)
            data = _record(archive, f"{root}data.pkl", size, name)
            storages = Storages(name)
            source = ByteSource(io.BytesIO(data), len(data), name)
            content = PickleReader(source, symbols, storages, record_prefix).read()
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
                arrays[key] = as_numbers(data[:expected], storage.kind, order)
            return content, arrays
    except PickleError:
        raise
    except (zipfile.BadZipFile, *_ZIP_ERRORS) as error:
        raise PickleError(
            f"{name} is truncated or damaged. Received: {type(error).__name__}: {error}"
        ) from error


def _archive_root(archive: zipfile.ZipFile, name: str, is_program: bool) -> str:
    names = archive.namelist()
    roots = [entry[: -len("data.pkl")] for entry in names if entry.endswith("data.pkl")]
    found = "another kind of zip archive"
    if len(roots) == 1:
        has_constants = any(entry.endswith("constants.pkl") for entry in names)
        if has_constants == is_program:
            return roots[0]
        found = "a TorchScript program" if has_constants else "a checkpoint of torch.save"
    if is_program:
        wanted, advice = "TorchScript program", ""
    else:
        wanted, advice = "checkpoint of torch.save", ": save `model.state_dict()`"
    raise PickleError(
        f"{name} is not a {wanted} but {found}{advice}. "
        f"Received: {', '.join(names[:5]) or 'an empty archive'}"
    )


def _record(archive: zipfile.ZipFile, record: str, most: int, name: str) -> bytes:
    try:
        entry = archive.getinfo(record)
    except KeyError:
        raise PickleError(f"{name} is damaged: {record} is missing from it.") from None
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise PickleError(f"{name}: {record} is compressed or encrypted, which torch never does.")
    claimed = max(entry.file_size, entry.compress_size)  # zipfile takes memory for the second
    if claimed > most:
        raise PickleError(
            f"{name} is damaged: {record} claims more bytes than the file has. Received: {claimed}"
        )
    return archive.read(entry)


def as_numbers(data: bytes, kind: _StorageType, order: str) -> np.ndarray:
    """Return the bytes of a storage, of order `"<"` or `">"`, as a read-only array (elements,)."""
    numbers = np.frombuffer(data, np.dtype(kind.dtype).newbyteorder(order))
    if kind.bfloat16:  # the upper half of a float32
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    elif order == ">":
        numbers = numbers.astype(numbers.dtype.newbyteorder("="))
    numbers.flags.writeable = False
    return numbers


def as_array(tensor: TensorView, storages: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Return a tensor, no larger than the file's `size` in bytes, as a read-only array."""
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
