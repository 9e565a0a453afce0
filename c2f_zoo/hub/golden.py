"""Golden outputs: a few numbers of what a preset computes, stored with it, to be reproduced.

sha256 tells that a file is the one that was published. A golden output tells that this version of
the library, on this backend, still computes from it what its author saw.
"""

import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from c2f_zoo.hub.building import dtype_policy
from c2f_zoo.hub.card import render_card
from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.loading import load
from c2f_zoo.hub.metadata import CARD, METADATA, read_json, to_text

INPUT = "c2f-waves-1"  # names `waves`, and how `_APPLY` uses it
_SIZE = (64, 96)
# Of the largest number. The three backends differ by less than 1e-6 of it on the shipped presets.
_TOLERANCE = 1e-4


def waves(shift: float = 0.0, size: tuple[int, int] = _SIZE) -> np.ndarray:
    """Return an image of overlaid waves, moved to the left by `shift` pixels.

    Args:
        shift: Pixels.
        size: Height and width.

    Returns:
        numpy float32 (H, W, 3) in [0, 1].

    Example:
        >>> waves().shape
        (64, 96, 3)
    """
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    x = (x + shift)[..., None]
    y, channel = y[..., None], np.arange(3.0)
    coarse = np.sin(0.11 * x + 0.07 * y + channel)
    fine = np.sin(0.53 * x - 0.41 * y + 2 * channel) * np.cos(0.29 * y + 0.17 * x)
    return (0.5 + 0.25 * coarse + 0.25 * fine).astype("float32")


def _mask() -> np.ndarray:
    mask = np.ones(_SIZE, bool)
    mask[20:40, 30:60] = False
    return mask


def _time(model: Any) -> dict[str, float]:
    return {"time": 0.5} if getattr(model, "time_embedding", False) else {}


# How a model of each task is applied: by its own method for images.
_APPLY: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "optical_flow": ("flow", lambda model: model.flow(waves(), waves(3.0))),
    "stereo_matching": ("disparity", lambda model: model.disparity(waves(), waves(3.0))),
    "depth_estimation": ("depth", lambda model: model.depth(waves())),
    "image_restoration": ("restore", lambda model: model.restore(waves(), **_time(model))),
    "super_resolution": ("upscale", lambda model: model.upscale(waves(), **_time(model))),
    "image_inpainting": ("inpaint", lambda model: model.inpaint(waves(), _mask())),
    "image_generation": ("generate", lambda model: model.generate(1, seed=0)),
}


def golden_output(model: Any, task: str) -> dict[str, Any] | None:
    """Apply a model to the fixed input of its task and return some numbers of the output.

    Args:
        model: A built model.
        task: Key of `TASKS`.

    Returns:
        dict: `input`, the name of the input; `shape` of the output; `values`, its mean, standard
        deviation, least and largest number and six numbers spread over it; `tolerance`, the
        largest difference of any of them on another backend or version. None if the model has no
        method of its task.
    """
    method, apply = _APPLY.get(task, ("", None))
    if apply is None or not hasattr(model, method):
        return None
    output = np.asarray(apply(model), "float64")
    flat = output.ravel()
    places = np.linspace(0, flat.size - 1, 8).round().astype(int)[1:-1]
    values = [flat.mean(), flat.std(), flat.min(), flat.max(), *flat[places]]
    return {
        "input": INPUT,
        "shape": list(output.shape),
        "values": [float(f"{value:.7g}") for value in values],
        "tolerance": float(f"{_TOLERANCE * max(1.0, np.abs(values).max()):.3g}"),
    }


def check_golden(model: Any, metadata: Mapping[str, Any], label: str) -> None:
    """Raise PresetError unless a model reproduces the golden output of its preset.

    Args:
        model: The model, as it was loaded, in float32.
        metadata: Content of the preset's `metadata.json`.
        label: Name of the preset, for the message.

    Raises:
        PresetError: The preset has no golden output, or the model computes something else.
    """
    expected = metadata.get("golden")
    if not expected or expected.get("input") != INPUT:
        raise PresetError(
            f"{label}: {METADATA} must hold the golden output of {INPUT}: save the preset with "
            "golden=True, or add it by c2f_zoo.hub.golden.record_golden(folder). "
            f"Received: {(expected or {}).get('input')!r}"
        )
    found = golden_output(model, metadata["task"])
    if found is None or found["shape"] != expected.get("shape"):
        raise PresetError(
            f"{label}: the output must be of shape {expected.get('shape')}. "
            f"Received: {found and found['shape']}"
        )
    values, wanted = np.array(found["values"]), np.array(expected.get("values") or ())
    tolerance = expected.get("tolerance") or 0.0
    if values.shape != wanted.shape or not np.abs(values - wanted).max() <= tolerance:
        raise PresetError(
            f"{label}: the model does not reproduce the golden output of {METADATA} to "
            f"{tolerance:g}. Expected {expected.get('values')}. Received: {found['values']}"
        )


def record_golden(folder: str | os.PathLike) -> dict[str, Any]:
    """Add the golden output to a preset that was saved without; no other file changes.

    Args:
        folder: Folder of the preset.

    Returns:
        dict: The golden output.

    Raises:
        PresetError: The preset is damaged, or its model has no method of its task.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.models import PWCNetLite
        >>> record_golden(PWCNetLite().save_pretrained(tempfile.mkdtemp()))["shape"]
        [64, 96, 2]
    """
    folder = pathlib.Path(folder)
    label = str(folder)
    with dtype_policy("float32"):
        model = load(folder)
        metadata = read_json(folder / METADATA, label)
        output = golden_output(model, metadata["task"])
    if output is None:
        raise PresetError(
            f"{label}: a golden output needs a model with the method of its task. "
            f"Received: {type(model).__name__}, {metadata['task']}"
        )
    record = {}
    for key, value in metadata.items():
        if key == "versions":
            record["golden"] = output  # where save_pretrained puts it
        record[key] = value
    record["golden"] = output
    new = folder / f".{METADATA}.new"
    new.write_text(to_text(record), "utf-8")
    os.replace(new, folder / METADATA)
    (folder / CARD).write_text(render_card(record), "utf-8")
    return output
