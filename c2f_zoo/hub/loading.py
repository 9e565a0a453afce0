"""Loading a model from a preset's name, or making one by its class's name."""

import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import keras

from c2f_zoo.hub.building import build, check_arguments, check_size, dtype_policy, stored
from c2f_zoo.hub.download import PresetFiles, fetch
from c2f_zoo.hub.errors import PresetError, PresetNotFoundError
from c2f_zoo.hub.hdf5 import check_weights
from c2f_zoo.hub.keras_files import preset_content, unpack
from c2f_zoo.hub.metadata import CONFIG, WEIGHTS, WEIGHTS_INDEX, check_format, read_json
from c2f_zoo.hub.registry import find_model, registered_models, task_of
from c2f_zoo.hub.resolving import list_presets, resolve
from c2f_zoo.hub.weights import load_weights, shards


def load(
    name: str | os.PathLike,
    /,
    *,
    dtype: Any = None,
    offline: bool | None = None,
    cache_dir: str | os.PathLike | None = None,
    **overrides: Any,
) -> keras.Model:
    """Load a trained model of whatever class the preset names.

    Args:
        name, dtype, offline, cache_dir, **overrides: As in `PresetMixin.from_pretrained`.

    Returns:
        keras.Model: A built model with the preset's weights, not compiled.

    Raises:
        PresetNotFoundError, PresetError: As in `PresetMixin.from_pretrained`.

    Example:
        >>> load("pwcnet_lite.scenes").built
        True
    """
    return load_as(None, name, offline, cache_dir, dtype, overrides)


def create_model(name: str | os.PathLike, pretrained: bool = True, **kwargs: Any) -> keras.Model:
    """Make a model by name, as timm spells it.

    Args:
        name: A preset's name, as `PresetMixin.from_pretrained` takes it; or, if `pretrained` is
            False, the name of a class, such as `"PWCNetLite"` or `"pwcnet_lite"`.
        pretrained: Whether to load the preset's weights, or to leave the network untrained. Unlike
            timm's, true by default.
        **kwargs: Constructor arguments, of a preset those that differ; `dtype`; of a preset also
            `offline` and `cache_dir`.

    Returns:
        keras.Model: A model, not compiled.

    Raises:
        PresetNotFoundError: There is no preset of this name, or it is the name of a class and
            `pretrained` is True; the message lists the presets there are.
        PresetError: As in `PresetMixin.from_pretrained`, or the class does not take an argument.

    Example:
        >>> create_model("pwcnet_lite.scenes").built
        True
        >>> type(create_model("depth_unet", pretrained=False, variant="lite")).__name__
        'DepthUNet'
    """
    model_class = _class_named(name)
    if model_class is None:
        return load_as(None, name, **split_options(kwargs), has_weights=pretrained)
    if pretrained:
        presets = [preset.name for preset in list_presets(task_of(model_class))]
        raise PresetNotFoundError(
            f"{model_class.__name__} is a class; a trained model is named by a preset, of this "
            f"task {', '.join(presets) or 'none here'}. pretrained=False makes it untrained. "
            f"Received: {name!r}"
        )
    dtype = kwargs.pop("dtype", None)
    check_arguments(model_class, kwargs, f"create_model({name!r})")
    with dtype_policy(dtype):
        return model_class(**kwargs)


def _class_named(name: str | os.PathLike) -> type | None:
    """The registered class that a name stands for, unless it is that of a preset's folder."""
    if not isinstance(name, str) or not name.replace("_", "").isalnum():
        return None
    if resolve(name).kind != "published":
        return None
    classes = {key.lower(): found for key, found in registered_models().items()}
    return classes.get(name.replace("_", "").lower())


def split_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `_load` among those of a function that takes any."""
    names = ("offline", "cache_dir", "dtype")
    rest = {name: value for name, value in kwargs.items() if name not in names}
    return {**{name: kwargs.get(name) for name in names}, "overrides": rest}


def load_as(
    wanted: type | None,
    name: str | os.PathLike,
    offline: bool | None,
    cache_dir: str | os.PathLike | None,
    dtype: Any,
    overrides: Mapping[str, Any],
    has_weights: bool = True,
) -> Any:
    """Load a preset of the class `wanted`, of any if it is None; see `PresetMixin`."""
    source = resolve(name)
    if source.kind == "file":
        with tempfile.TemporaryDirectory() as home:
            folder = pathlib.Path(home)
            content = unpack(source.folder, folder, source.label)
            files = PresetFiles(source.label, folder, {"files": {WEIGHTS: None}}, is_keras=True)
            return _load_files(wanted, files, content, dtype, overrides, has_weights)
    files = fetch(name, offline, cache_dir)
    content = read_json(files.folder / CONFIG, files.label)
    if files.is_keras:
        content = preset_content(content, files.label)
    else:
        check_format(content, CONFIG, files.label)
    return _load_files(wanted, files, content, dtype, overrides, has_weights)


def _load_files(
    wanted: type | None,
    files: PresetFiles,
    content: Mapping[str, Any],
    dtype: Any,
    overrides: Mapping[str, Any],
    has_weights: bool,
) -> Any:
    label = files.label
    config = content.get("config")
    if not isinstance(content.get("class"), str) or not isinstance(config, dict):
        raise PresetError(f"{label}: {CONFIG} must name a class and its config.")
    found = find_model(content["class"])
    if hasattr(found, "preset_class"):
        found, config = found.preset_class(config)
    model_class = _choose_class(wanted, found, label)
    check_arguments(model_class, config, f"{label}: {CONFIG}")
    check_arguments(model_class, overrides, f"from_pretrained({label!r})")
    index = WEIGHTS_INDEX in files.metadata["files"]
    path = files.folder / (WEIGHTS_INDEX if index else WEIGHTS)
    numbers = sum(check_weights(shard, label) for shard in shards(path, label))
    with dtype_policy(dtype):
        try:
            if not overrides:
                check_size(model_class, config, content.get("build"), numbers, label)
            model = model_class(**{**config, **overrides})
            build(model, content.get("build"), label)
        except Exception as error:
            if overrides or isinstance(error, PresetError):  # the caller's own argument, perhaps
                raise
            raise PresetError(
                f"{label}: {CONFIG} is damaged or of another version: no {model_class.__name__} "
                f"can be built from it. Received: {type(error).__name__}: {error}"
            ) from error
    if not has_weights:
        return model
    if files.is_keras:
        load_weights(model, path, label)  # all of them, whatever a preset of the class stores
        return model
    load_weights(stored(model), path, label)
    if hasattr(model, "preset_loaded"):
        model.preset_loaded()
    return model


def _choose_class(wanted: type | None, found: type, label: str) -> type:
    if wanted is None or issubclass(found, wanted):
        return found
    if issubclass(wanted, found):  # a user's own subclass, with another train step perhaps
        return wanted
    raise PresetError(
        f"The preset {label!r} holds a {found.__name__}, not a {wanted.__name__}. Load it by "
        f"{found.__name__}.from_pretrained({label!r}) or c2f_zoo.hub.load({label!r}). "
        f"Received: {wanted.__name__}.from_pretrained"
    )
