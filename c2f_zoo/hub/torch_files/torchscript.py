"""Reads the weights of a TorchScript program; the program itself is neither loaded nor run.

`torch.jit.save` writes a zip archive: one pickle, `data.pkl`, of the modules' fields, one file
`data/<key>` of raw numbers per storage, and the modules' code under `code/`, which is not opened
here. The pickle makes objects of classes `__torch__.*`, which exist in that code only; the
restricted reader takes each for a record of its fields.

Source: the layout is that of PyTorch's `torch/csrc/jit/docs/serialization.md`.
"""

import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from c2f_zoo.data.files.checks import regular_file
from c2f_zoo.hub.torch_files.pickle_reader import PickleError, Record
from c2f_zoo.hub.torch_files.tensors import TENSOR_SYMBOLS, TensorView, as_array, read_archive

_CLASS_PREFIX = "__torch__."
_DEEPEST_MODULE = 64


def _list(items: Any) -> list:
    if not isinstance(items, list):
        raise TypeError("a typed list is made of a list")
    return items


_SYMBOLS: Mapping[str, Any] = {
    **TENSOR_SYMBOLS,
    **{
        f"torch.jit._pickle.build_{kind}list": _list for kind in ("int", "double", "bool", "tensor")
    },
}


def read_torchscript(
    source: str | os.PathLike | BinaryIO, name: str | None = None
) -> dict[str, np.ndarray]:
    """Read the tensors of a TorchScript program as NumPy arrays.

    Needs no PyTorch and executes nothing that the file contains.

    Args:
        source: File that `torch.jit.save` wrote, or one that is open and seekable.
        name: Name of the file for messages. Default: its own.

    Returns:
        dict: Each tensor's name, as in `state_dict()`, and its array, of the tensor's shape, in
        the order of the modules; a module that is used in several places comes once. Arrays are
        read-only; copy one to change it.

    Raises:
        FileNotFoundError, IsADirectoryError, ValueError, UnsafePickleError, PickleError: As in
            `read_torch_checkpoint`.

    Example:
        >>> import io
        >>> read_torchscript(io.BytesIO(b"no archive"), "notes.pt")
        Traceback (most recent call last):
            ...
        c2f_zoo.hub.torch_files.pickle_reader.PickleError: notes.pt is truncated or damaged...
    """
    if isinstance(source, (str, os.PathLike)):
        path = regular_file(source)
        with open(path, "rb") as file:
            return read_torchscript(file, name or path.name)
    name = name or str(getattr(source, "name", "the file"))
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    content, storages = read_archive(source, size, name, _SYMBOLS, _CLASS_PREFIX, True)
    if not isinstance(content, Record):
        raise PickleError(
            f"{name} holds no module. Received: a {type(content).__name__.strip('_')}"
        )
    arrays = {}
    for place, tensor in _tensors(content, name, size).items():
        try:
            arrays[place] = as_array(tensor, storages, size)
        except PickleError as error:
            raise PickleError(f"{name}: tensor {place!r}: {error}") from error
    return arrays


def _tensors(module: Record, name: str, size: int) -> dict[str, TensorView]:
    """Returns the tensors that are fields of a module or of modules within it, by name."""
    found: dict[str, TensorView] = {}
    letters = 0
    # A forged pickle can hold a module within itself, or twice in each of many: each is entered
    # once. It can also nest long names, which would grow with every tensor.
    seen = {id(module)}
    waiting: list[tuple[str, int, Any]] = [("", 0, module)]
    while waiting:
        place, depth, value = waiting.pop()
        if isinstance(value, TensorView):
            found[place] = value
            letters += len(place)
            if letters > size:
                raise PickleError(f"{name}: the names of its tensors are longer than the file.")
            continue
        if depth > _DEEPEST_MODULE:
            raise PickleError(f"{name}: modules lie deeper than {_DEEPEST_MODULE} in each other.")
        inside = []
        for field, item in value.items():
            is_new_module = isinstance(item, Record) and id(item) not in seen
            if is_new_module:
                seen.add(id(item))
            if is_new_module or isinstance(item, TensorView):
                inside.append((f"{place}.{field}" if place else str(field), depth + 1, item))
        waiting.extend(reversed(inside))  # the last one in is the next one out
    return found
