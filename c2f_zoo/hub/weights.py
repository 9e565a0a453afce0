"""Keras weights on disk: in half precision, in shards, and compared with a model's."""

import errno
import io
import json
import math
import os
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator

import h5py
import keras
import numpy as np

from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.hdf5 import check_weights
from c2f_zoo.hub.metadata import WEIGHTS, WEIGHTS_INDEX, read_json, to_text

PRECISIONS = ("float32", "float16")
_MOST_LISTED = 4  # variables in an error about weights that do not fit


def save_weights(
    model: keras.Model,
    folder: pathlib.Path,
    precision: str = "float32",
    max_shard_size: float | None = None,
) -> float:
    """Write a model's weights as Keras does; return the largest rounding error of any.

    Args:
        model: Built model, not compiled: an optimizer would be written too.
        folder: Folder for `model.weights.h5`, or for `model.weights.json` and its shards.
        precision: `"float32"` keeps every bit; `"float16"` rounds floating point variables.
        max_shard_size: Largest size of a file in gigabytes. Default: one file.
    """
    numbers = 4 * sum(math.prod(variable.shape) for variable in model.weights)
    # HDF5 takes 1 to 4 kB a variable.
    reserve_space(folder, numbers + 8192 * (len(model.variables) + 8))
    if max_shard_size is None:
        model.save_weights(folder / WEIGHTS)
    else:
        # Keras counts what it writes, in float32; halving comes after.
        scale = 2 if precision == "float16" else 1
        model.save_weights(folder / WEIGHTS_INDEX, max_shard_size=max_shard_size * scale)
    largest, total = 0.0, 0
    for path in sorted(folder.glob("*.weights.h5")):
        _check_finite(path)
        largest = max(largest, _rewrite(path, precision == "float16"))
        total += sum(dataset.nbytes for dataset in _datasets(path))
    if max_shard_size is not None:
        index = json.loads((folder / WEIGHTS_INDEX).read_text("utf-8"))
        index["metadata"]["total_size"] = total
        (folder / WEIGHTS_INDEX).write_text(to_text(index), "utf-8")
    return largest


def reserve_space(folder: pathlib.Path, size: int) -> None:
    """Raise OSError (ENOSPC or EDQUOT) unless a folder's disk has room for `size` more bytes.

    HDF5 cannot close its open files on a full disk, and the process may crash when it ends.
    """
    if not hasattr(os, "posix_fallocate"):
        if shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _datasets(path: pathlib.Path) -> Iterator[h5py.Dataset]:
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visit(names.append)  # follows no links to other files
        for name in names:
            if isinstance(file[name], h5py.Dataset):
                yield file[name]


def _check_finite(path: pathlib.Path) -> None:
    for dataset in _datasets(path):
        if dataset.dtype.kind == "f" and not np.isfinite(dataset[()]).all():
            raise PresetError(
                "Every weight must be a finite number. Received: NaN or infinity in "
                f"{dataset.name.strip('/')} of shape {dataset.shape}"
            )


def _rewrite(path: pathlib.Path, halve: bool) -> float:
    """Write a file anew, its floating point variables as float16 if asked; return the error.

    Keras also writes the names of the layers, which nobody reads and which count the layers of a
    session: without them one model always gives the same file.
    """
    largest = 0.0
    rewritten = io.BytesIO()  # plain bytes reach the disk by a plain write: see reserve_space
    with h5py.File(path, "r") as source, h5py.File(rewritten, "w") as target:
        names: list[str] = []
        source.visit(names.append)
        for name in names:
            item = source[name]
            if isinstance(item, h5py.Group):
                copy = target.require_group(name)
            else:
                values = item[()]
                if halve and item.dtype.kind == "f" and item.dtype.itemsize > 2:
                    values, error = _to_half(values, name)
                    largest = max(largest, error)
                copy = target.create_dataset(name, data=values)
            for key, value in item.attrs.items():
                if key != "name":
                    copy.attrs[key] = value
    path.write_bytes(rewritten.getbuffer())
    return largest


def _to_half(values: np.ndarray, name: str) -> tuple[np.ndarray, float]:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise PresetError(
            f"{name} does not fit float16, whose largest number is 65504: save with "
            f"precision='float32'. Received: {np.abs(values).max():g}"
        )
    error = np.abs(half.astype(np.float64) - values)
    return half, float(error.max(initial=0.0))


def load_weights(model: keras.Model, path: str | pathlib.Path, label: str | None = None) -> None:
    """Load a preset's weights into a model, all of them or none.

    Weights of any floating point type load into variables of any other.

    Args:
        model: Built model. If the weights do not fit, it keeps its own.
        path: A `model.weights.h5`, a `model.weights.json` with its shards beside it, or the
            folder that holds either.
        label: Name of the preset for messages. Default: the path.

    Raises:
        PresetError: The file is damaged, or variables are missing, of other shapes, or without a
            place in the model; the message lists them.

    Example:
        >>> import keras, pathlib, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.weights.h5"
        >>> model.save_weights(path)
        >>> load_weights(model, path)
    """
    path = pathlib.Path(path)
    if path.is_dir():
        path = path / (WEIGHTS_INDEX if (path / WEIGHTS_INDEX).is_file() else WEIGHTS)
    label = label or str(path)
    files = shards(path, label)
    for shard in files:
        check_weights(shard, label)
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    failure, complaint = None, ""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.load_weights(path)
        # Keras only warns of a list of layers that the file lacks, and passes over variables of
        # the file that the model lacks, and over a truncated file.
        skipped = [warning for warning in caught if "Skipping nested" in str(warning.message)]
        found = sum(map(math.prod, _shapes(files).values()))
        # A preset holds the weights; a file of Keras' own also the states of random generators.
        counts = {
            sum(math.prod(variable.shape) for variable in variables)
            for variables in (model.weights, model.variables)
        }
        if skipped or found not in counts:
            complaint = explain_mismatch(model, files) or "Their number is another one."
    except Exception as error:
        failure, complaint = error, str(error)
    if failure or complaint:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        reason = explain_mismatch(model, files) if failure else complaint
        name = f"{type(model).__name__} ({model.count_params():,} parameters)"
        raise PresetError(
            f"{label}: the weights do not fit the model. {reason or complaint} Received: {name}"
        ) from failure
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def shards(path: pathlib.Path, label: str) -> list[pathlib.Path]:
    """Return the files that hold weights: that of `path`, or those that an index names."""
    if path.suffix != ".json":
        return [path]
    weight_map = read_json(path, label).get("weight_map")
    if not isinstance(weight_map, dict):
        raise PresetError(f"{label}: {path.name} must hold a weight_map.")
    entries = (entry if isinstance(entry, list) else [entry] for entry in weight_map.values())
    names = [name for entry in entries for name in entry]
    # A name of its own choice could lead anywhere on this machine.
    for name in names:
        is_shard = isinstance(name, str) and name.startswith("model_")
        if not (is_shard and (path.parent / name).is_file()):
            raise PresetError(f"{label}: {path.name} names a missing shard. Received: {name!r}")
    return [path.parent / name for name in sorted(set(names))]


def explain_mismatch(model: keras.Model, files: list[pathlib.Path]) -> str:
    """List how the variables in `.h5` files differ from a model's, or return an empty string."""
    try:
        found = _shapes(files)
        with tempfile.TemporaryDirectory() as folder:
            # The paths in a file are Keras's own, so the model's are learnt by writing one.
            model.save_weights(pathlib.Path(folder) / WEIGHTS)
            expected = _shapes([pathlib.Path(folder) / WEIGHTS])
    except Exception:  # of a damaged file HDF5 raises anything
        return ""
    shared = expected.keys() & found.keys()
    reshaped = [
        f"{name} (the model has {expected[name]}, the preset {found[name]})"
        for name in sorted(shared)
        if expected[name] != found[name]
    ]
    parts = [
        ("Missing from the preset", sorted(f"{n} {expected[n]}" for n in expected.keys() - shared)),
        ("Of another shape", reshaped),
        ("Without a place in the model", sorted(f"{n} {found[n]}" for n in found.keys() - shared)),
    ]
    return " ".join(f"{title}: {_listing(items)}." for title, items in parts if items)


def _listing(items: list[str]) -> str:
    rest = len(items) - _MOST_LISTED
    return ", ".join(items[:_MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _shapes(files: list[pathlib.Path]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for path in files:
        for dataset in _datasets(path):
            name = dataset.name.strip("/")
            if "optimizer" not in name.partition("/")[0]:  # of a model that was compiled
                shapes[name] = dataset.shape or ()  # None where HDF5 holds no data
    return shapes
