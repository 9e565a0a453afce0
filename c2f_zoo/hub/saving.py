"""Saving a model as a preset."""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from c2f_zoo.checks import number, one_of
from c2f_zoo.hub.atomic import replaced_folder
from c2f_zoo.hub.building import build, check_arguments, dtype_policy, stored
from c2f_zoo.hub.card import render_card
from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.golden import golden_output
from c2f_zoo.hub.metadata import (
    CARD,
    CONFIG,
    FIELDS,
    FORMAT,
    METADATA,
    SESSION_KEYS,
    check_fields,
    fingerprint,
    is_preset_file,
    plain_json,
    to_text,
    versions,
)
from c2f_zoo.hub.registry import find_model, registered_name, task_of
from c2f_zoo.hub.weights import PRECISIONS, load_weights, save_weights


def save_preset(
    model: keras.Model,
    folder: str | os.PathLike,
    metadata: Mapping[str, Any] | None = None,
    precision: str = "float32",
    max_shard_size: float | None = None,
    pictures: Mapping[str, Any] | None = None,
    golden: bool = False,
) -> pathlib.Path:
    """Save a registered model as a preset, as `PresetMixin.save_pretrained` does.

    A copy is built from the config, which proves that the preset can be loaded. An optimizer's
    state is not written.

    Args:
        model: Built model of a registered class.
        folder, metadata, precision, max_shard_size, pictures, golden: As in
            `PresetMixin.save_pretrained`.

    Returns:
        pathlib.Path: The folder.

    Raises:
        ValueError, PresetError, PresetSaveError: As in `PresetMixin.save_pretrained`.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.models import PWCNetLite
        >>> sorted(path.name for path in save_preset(PWCNetLite(), tempfile.mkdtemp()).iterdir())
        ['README.md', 'config.json', 'metadata.json', 'model.weights.h5']
    """
    folder = pathlib.Path(folder)
    one_of("precision", precision, PRECISIONS)
    if max_shard_size is not None:
        number("max_shard_size", max_shard_size, above=0)
    said = check_fields({**getattr(model, "preset_defaults", {}), **(metadata or {})})
    said.setdefault("name", folder.resolve().name)
    copy, content = _copy(model)
    present = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    replaceable = [name for name in present if is_preset_file(name)]
    with replaced_folder(folder, replaceable) as new:
        network = stored(copy)
        rounding = save_weights(network, new, precision, max_shard_size)
        (new / CONFIG).write_text(to_text(content), "utf-8")
        if pictures:
            said["pictures"] = list(_save_pictures(pictures, new))
        task = getattr(model, "preset_task", None) or task_of(type(model))
        output = _golden_output(copy, new, task) if golden else None
        record = {
            "format": FORMAT,
            "class": content["class"],
            "task": task,
            **{key: said[key] for key in FIELDS if key in said},
            "parameters": network.count_params(),
            "precision": precision,
            "largest_rounding_error": rounding,
            **({} if output is None else {"golden": output}),
            "versions": versions(),
            "files": {path.name: fingerprint(path) for path in sorted(new.iterdir())},
        }
        (new / METADATA).write_text(to_text(record), "utf-8")
        (new / CARD).write_text(render_card(record), "utf-8")
    return folder


def _golden_output(copy: keras.Model, folder: pathlib.Path, task: str) -> dict[str, Any] | None:
    """Apply the model as it will be loaded: with rounded weights, where they were rounded."""
    load_weights(stored(copy), folder)
    if hasattr(copy, "preset_loaded"):
        copy.preset_loaded()
    return golden_output(copy, task)


def _save_pictures(pictures: Mapping[str, Any], folder: pathlib.Path) -> Iterator[dict[str, str]]:
    from c2f_zoo.data import save_image

    for name, (caption, image) in pictures.items():
        if not name.endswith(".png") or not is_preset_file(name):
            raise PresetError(
                f"A picture's file is named in small letters and ends with .png. Received: {name!r}"
            )
        save_image(folder / name, image)
        yield {"file": name, "caption": caption}


def _copy(model: keras.Model) -> tuple[keras.Model, dict[str, Any]]:
    """Build the model again from what `config.json` will hold, with the same weights."""
    name = registered_name(type(model))
    if not model.built:
        raise PresetError(
            f"Only a built model has weights to save: call it on some data first. Received: {name}"
        )
    config = {k: v for k, v in model.get_config().items() if k not in SESSION_KEYS}
    config = plain_json(config, f"get_config() of {name}")
    model_class = find_model(name)
    check_arguments(model_class, config, f"get_config() of {name}")
    content = {"class": name, "config": config, "format": FORMAT}
    with dtype_policy("float32"):
        copy = model_class(**config)
        if not copy.built:
            content["build"] = plain_json(model.get_build_config(), f"input shape of {name}")
            build(copy, content["build"], name)
    shapes = [tuple(weight.shape) for weight in model.weights]
    copied = [tuple(weight.shape) for weight in copy.weights]
    if shapes != copied:
        raise PresetError(
            f"{name}(**get_config()) must have the model's weights, or a preset of it cannot be "
            f"loaded: {len(shapes)}, {shapes[:4]}, ... Received: {len(copied)}, {copied[:4]}, ..."
        )
    for weight, target in zip(model.weights, copy.weights, strict=True):
        target.assign(keras.ops.convert_to_numpy(weight))
    return copy, content
