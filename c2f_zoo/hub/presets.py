"""Loading a model from a preset's name, and saving one as a preset."""

import contextlib
import inspect
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import keras

from c2f_zoo.checks import number, one_of, suggestion
from c2f_zoo.hub.atomic import replaced_folder
from c2f_zoo.hub.card import render_card
from c2f_zoo.hub.download import PresetFiles, fetch
from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.metadata import (
    CARD,
    CONFIG,
    FIELDS,
    FORMAT,
    METADATA,
    WEIGHTS,
    WEIGHTS_INDEX,
    as_shapes,
    check_fields,
    check_format,
    fingerprint,
    is_preset_file,
    plain_json,
    read_json,
    to_text,
    versions,
)
from c2f_zoo.hub.registry import find_model, registered_name, task_of
from c2f_zoo.hub.weights import PRECISIONS, load_weights, save_weights

# What every Keras model's config holds beside its own arguments. They belong to a session, not
# to a checkpoint: an automatic name, the precision to compute in.
_SESSION_KEYS = ("name", "trainable", "dtype", "autocast")


class PresetMixin:
    """Adds `from_pretrained` and `save_pretrained` to a registered `keras.Model`.

    `get_config()` must return the constructor's arguments as plain data, and the variables must
    exist after construction, or Keras must be able to build the model from the input shape.
    `preset_defaults` may hold metadata that every preset of the class shares, such as `paper`,
    `input` and `output` (keys of `c2f_zoo.hub.metadata.FIELDS`).

    Example:
        >>> from c2f_zoo.hub import register_model
        >>> @register_model(task="optical_flow")
        ... class Constant(PresetMixin, keras.Model):
        ...     def __init__(self, value=0.0, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.value = value
        ...         self.built = True
        ...     def get_config(self):
        ...         return {**super().get_config(), "value": self.value}
        >>> import tempfile
        >>> folder = Constant(2.0).save_pretrained(tempfile.mkdtemp())
        >>> Constant.from_pretrained(folder).value
        2.0
    """

    preset_defaults: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def preset_class(cls, config: Mapping[str, Any]) -> tuple[type, Mapping[str, Any]]:
        """Return the class of a preset that names this class, and its constructor arguments.

        A class overrides this if presets were saved under its name that belong to another now.

        Args:
            config: Constructor arguments from the preset.

        Returns:
            The class to construct, and its arguments.
        """
        return cls, config

    @classmethod
    def preset_base(cls) -> type:
        """Return the class of which `from_pretrained` loads presets; by default this class.

        Returns:
            This class, or a base class, to load presets of the other subclasses too.
        """
        return cls

    def preset_network(self) -> keras.Model:
        """Return the part of the model that a preset stores; by default the model itself.

        Returns:
            A `keras.Model` over layers of this one.
        """
        return self

    def preset_loaded(self) -> None:
        """Called once a preset's weights are in `preset_network()`; does nothing by default."""

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike,
        /,
        *,
        dtype: Any = None,
        offline: bool | None = None,
        cache_dir: str | os.PathLike | None = None,
        **overrides: Any,
    ) -> Self:
        """Load a trained model.

        Args:
            name: A folder, a name shipped with the package, `hf://owner/repo[@revision]`, or a
                name published under the zoo's Hub organisation.
            dtype: Precision to compute in, such as `"mixed_bfloat16"`, or a `keras.DTypePolicy`.
                Default: Keras' current policy.
            offline: Whether to use the Hub's cache alone. Default: as `HF_HUB_OFFLINE` says.
            cache_dir: Folder of the Hub's cache. Default: its usual place.
            **overrides: Constructor arguments that replace the preset's.

        Returns:
            Self: A built model with the preset's weights, not compiled.

        Raises:
            PresetNotFoundError: There is no preset of this name; the message lists those there are.
            PresetError: The preset is of another class, damaged or does not fit the overrides, or
                the Hub is out of reach.

        Example:
            >>> from c2f_zoo.models import PWCNetLite
            >>> PWCNetLite.from_pretrained("pwcnet_lite.scenes").built
            True
        """
        wanted = None if cls is PresetMixin else cls.preset_base()
        return _load(wanted, fetch(name, offline, cache_dir), dtype, overrides)

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        metadata: Mapping[str, Any] | None = None,
        precision: str = "float32",
        max_shard_size: float | None = None,
        pictures: Mapping[str, Any] | None = None,
    ) -> pathlib.Path:
        """Save the model as a preset: config, weights, metadata and model card.

        The folder is replaced as a whole: if anything goes wrong, it keeps what it held.

        Args:
            folder: New or empty folder, or one that holds a preset to replace.
            metadata: What to say about the preset: keys of `c2f_zoo.hub.metadata.FIELDS`.
            precision: `"float32"`, or `"float16"` for files of half the size.
            max_shard_size: Largest size of a weights file in gigabytes. Default: one file.
            pictures: For the card: a caption and an image (H, W, 3), uint8 or float in [0, 1], by
                file name, such as `{"samples.png": ("16 samples", grid)}`.

        Returns:
            pathlib.Path: The folder.

        Raises:
            ValueError: `precision` or `max_shard_size` is not allowed.
            PresetError: The model cannot be rebuilt from its config, or its weights do not fit.
            PresetSaveError: The folder cannot be written, or the disk is full.

        Example:
            >>> import tempfile
            >>> from c2f_zoo.models import PWCNetLite
            >>> folder = PWCNetLite().save_pretrained(tempfile.mkdtemp(), {"licence": "MIT"})
        """
        return save_preset(self, folder, metadata, precision, max_shard_size, pictures)


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
    return _load(None, fetch(name, offline, cache_dir), dtype, overrides)


def _load(wanted: type | None, files: PresetFiles, dtype: Any, overrides: Mapping[str, Any]) -> Any:
    label = files.label
    content = read_json(files.folder / CONFIG, label)
    check_format(content, CONFIG, label)
    config = content.get("config")
    if not isinstance(content.get("class"), str) or not isinstance(config, dict):
        raise PresetError(f"{label}: {CONFIG} must name a class and its config.")
    found = find_model(content["class"])
    if issubclass(found, PresetMixin):
        found, config = found.preset_class(config)
    model_class = _choose_class(wanted, found, label)
    _check_arguments(model_class, config, f"{label}: {CONFIG}")
    _check_arguments(model_class, overrides, f"from_pretrained({label!r})")
    with _dtype_policy(dtype):
        try:
            model = model_class(**{**config, **overrides})
            _build(model, content.get("build"), label)
        except Exception as error:
            if overrides or isinstance(error, PresetError):  # the caller's own argument, perhaps
                raise
            raise PresetError(
                f"{label}: {CONFIG} is damaged or of another version: no {model_class.__name__} "
                f"can be built from it. Received: {type(error).__name__}: {error}"
            ) from error
    index = WEIGHTS_INDEX in files.metadata["files"]
    path = files.folder / (WEIGHTS_INDEX if index else WEIGHTS)
    load_weights(_stored(model), path, label)
    if isinstance(model, PresetMixin):
        model.preset_loaded()
    return model


def _stored(model: keras.Model) -> keras.Model:
    return model.preset_network() if isinstance(model, PresetMixin) else model


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


def _check_arguments(model_class: type, arguments: Mapping[str, Any], where: str) -> None:
    parameters = list(inspect.signature(model_class.__init__).parameters.values())[1:]
    accepted = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        accepted += ["name", "trainable"]
    for name in arguments:
        if name not in accepted:
            raise PresetError(
                f"{where} has an argument that {model_class.__name__} does not take."
                f"{suggestion(name, accepted)} It takes: {', '.join(accepted)}. "
                f"Received: {name!r}"
            )


@contextlib.contextmanager
def _dtype_policy(dtype: Any) -> Iterator[None]:
    """Make `dtype` the policy of every layer that is created in the block."""
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build(model: keras.Model, shapes: Any, label: str) -> None:
    if not model.built and shapes is not None:
        model.build_from_config(as_shapes(shapes))
        model.built = True  # as Keras does when it loads a model
    if not model.built:
        raise PresetError(
            f"{label}: the variables of {type(model).__name__} cannot be created. A preset's class "
            "creates them in its constructor (and sets `self.built = True`) or is built by Keras "
            f"from a recorded input shape. Received: {shapes!r}"
        )


def save_preset(
    model: keras.Model,
    folder: str | os.PathLike,
    metadata: Mapping[str, Any] | None = None,
    precision: str = "float32",
    max_shard_size: float | None = None,
    pictures: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Save a registered model as a preset, as `PresetMixin.save_pretrained` does.

    A copy is built from the config, which proves that the preset can be loaded. An optimizer's
    state is not written.

    Args:
        model: Built model of a registered class.
        folder, metadata, precision, max_shard_size, pictures: As in `PresetMixin.save_pretrained`.

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
        stored = _stored(copy)
        rounding = save_weights(stored, new, precision, max_shard_size)
        (new / CONFIG).write_text(to_text(content), "utf-8")
        if pictures:
            said["pictures"] = list(_save_pictures(pictures, new))
        record = {
            "format": FORMAT,
            "class": content["class"],
            "task": getattr(model, "preset_task", None) or task_of(type(model)),
            **{key: said[key] for key in FIELDS if key in said},
            "parameters": stored.count_params(),
            "precision": precision,
            "largest_rounding_error": rounding,
            "versions": versions(),
            "files": {path.name: fingerprint(path) for path in sorted(new.iterdir())},
        }
        (new / METADATA).write_text(to_text(record), "utf-8")
        (new / CARD).write_text(render_card(record), "utf-8")
    return folder


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
    config = {k: v for k, v in model.get_config().items() if k not in _SESSION_KEYS}
    config = plain_json(config, f"get_config() of {name}")
    model_class = find_model(name)
    _check_arguments(model_class, config, f"get_config() of {name}")
    content = {"class": name, "config": config, "format": FORMAT}
    with _dtype_policy("float32"):
        copy = model_class(**config)
        if not copy.built:
            content["build"] = plain_json(model.get_build_config(), f"input shape of {name}")
            _build(copy, content["build"], name)
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
