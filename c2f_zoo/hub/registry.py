"""The models that a preset may name, and the tasks they solve.

A preset's `config.json` names a class. Only classes registered here can be built from one, so a
downloaded file cannot choose what code runs.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from c2f_zoo.checks import suggestion
from c2f_zoo.hub.errors import PresetError

_Model = TypeVar("_Model", bound=type)


@dataclasses.dataclass(frozen=True)
class Task:
    """A task: its name in prose, the Hub's category and tag, and a line that applies a `model`."""

    title: str
    pipeline_tag: str
    tag: str
    use: str


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "optical_flow": Task(
            "optical flow",
            "image-to-image",
            "optical-flow-estimation",
            'flow = model.flow("frame1.png", "frame2.png")  # (H, W, 2), pixels',
        ),
        "stereo_matching": Task(
            "stereo matching",
            "depth-estimation",
            "stereo-matching",
            'disparity = model.disparity("left.png", "right.png")  # (H, W, 1), pixels',
        ),
        "depth_estimation": Task(
            "depth estimation",
            "depth-estimation",
            "depth-estimation",
            'depth = model.depth("photo.jpg")  # (H, W, 1), metres',
        ),
        "image_restoration": Task(
            "image restoration",
            "image-to-image",
            "image-restoration",
            'image = model.restore("photo.jpg")  # (H, W, 3), RGB in [0, 1]',
        ),
        "super_resolution": Task(
            "super-resolution",
            "image-to-image",
            "super-resolution",
            'image = model.upscale("photo.jpg")  # (s H, s W, 3), RGB in [0, 1]',
        ),
        "image_inpainting": Task(
            "image inpainting",
            "image-to-image",
            "image-inpainting",
            'image = model.inpaint("photo.jpg", "mask.png")  # (H, W, 3); the mask: white is known',
        ),
        "image_generation": Task(
            "image generation",
            "unconditional-image-generation",
            "gan",
            "images = model.generate(4, seed=0)  # (4, H, W, 3), RGB in [0, 1]",
        ),
        "image_classification": Task(
            "image classification",
            "image-classification",
            "image-classification",
            "scores = model.predict(images)  # (B, classes)",
        ),
    }
)


# Shorter names of the tasks, for those who ask.
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("flow", "motion"), "optical_flow"),
        **dict.fromkeys(("stereo", "disparity"), "stereo_matching"),
        "depth": "depth_estimation",
        **dict.fromkeys(("restoration", "restore"), "image_restoration"),
        **dict.fromkeys(("denoising", "denoise", "deblurring", "deblur"), "image_restoration"),
        **dict.fromkeys(("superresolution", "upscaling", "upscale"), "super_resolution"),
        **dict.fromkeys(("inpainting", "inpaint"), "image_inpainting"),
        **dict.fromkeys(("generation", "generate"), "image_generation"),
        "classification": "image_classification",
    }
)


_entries: dict[str, tuple[type, str]] = {}  # model and task by the model's name

# Packages that register models when one of their names (`__all__`) is taken from them. The hub
# stands on a lower floor than the models: it knows their package by name only, and imports it
# when a preset asks for a class that is not registered yet.
_model_packages = ["c2f_zoo.models"]


def check_task(task: str) -> str:
    """Return the key of `TASKS` that a name means, such as `"optical-flow"` or `"flow"`."""
    key = str(task).replace("-", "_").replace(" ", "_").lower()
    key = _ALIASES.get(key, key)
    if key not in TASKS:
        near = suggestion(key, [*TASKS, *_ALIASES])
        raise ValueError(f"Unknown task.{near} Tasks: {', '.join(TASKS)}. Received: {task!r}")
    return key


def register_model(task: str) -> Callable[[_Model], _Model]:
    """Decorate a model class so that presets and `.keras` files may name it.

    Keras knows it as `c2f_zoo>Name`.

    Args:
        task: Its task, a key of `TASKS`.

    Returns:
        A decorator that returns the class.

    Raises:
        ValueError: The task is unknown, or another class is registered under this name.
        TypeError: The class is not a `keras.Model`.

    Example:
        >>> import keras
        >>> from c2f_zoo.hub import PresetMixin
        >>> @register_model(task="optical_flow")
        ... class NoMotion(PresetMixin, keras.Model):
        ...     def call(self, images):
        ...         return 0 * images[0][..., :2]
    """
    task = check_task(task)

    def register(model: _Model) -> _Model:
        import keras

        if not (isinstance(model, type) and issubclass(model, keras.Model)):
            raise TypeError(f"Only a keras.Model can be registered. Received: {model!r}")
        name = model.__name__
        known, _ = _entries.get(name, (model, task))
        # A module that is imported again (a notebook, a reload) registers its classes again.
        if _origin(known) != _origin(model):
            raise ValueError(
                f"A model named {name} is registered already, from {_origin(known)}. "
                f"Received: {_origin(model)}"
            )
        if keras.saving.get_registered_name(model) == name:
            model = keras.saving.register_keras_serializable(package="c2f_zoo")(model)
        _entries[name] = model, task
        return model

    return register


def _origin(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"


def add_model_package(name: str) -> None:
    """Name a package whose `__all__` lists models; a preset of an unknown class imports it."""
    if name not in _model_packages:
        _model_packages.append(name)


def registered_models() -> dict[str, type]:
    """Return every model class that a preset may name.

    Returns:
        dict: Classes by name, sorted.

    Example:
        >>> "PWCNet" in registered_models()
        True
    """
    for package in _model_packages:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            getattr(module, name)
    return {name: model for name, (model, _) in sorted(_entries.items())}


def find_model(name: str) -> type:
    """Return the registered class of this name, or raise PresetError."""
    for package in _model_packages:
        if name in _entries:
            break
        module = importlib.import_module(package)
        if name in getattr(module, "__all__", ()):
            getattr(module, name)
    if name not in _entries:
        models = registered_models()
        raise PresetError(
            f"The preset is of a class that this version of c2f_zoo does not have."
            f"{suggestion(name, models)} Registered: {', '.join(models) or 'none'}. "
            f"Received: {name!r}"
        )
    return _entries[name][0]


def task_of(model: type) -> str:
    """Return the task that a class, or its nearest registered base, was registered for."""
    return _entries[registered_name(model)][1]


def registered_name(model: type) -> str:
    """Return the name of a class, or of its nearest registered base; else raise PresetError."""
    for base in model.__mro__:
        if _entries.get(base.__name__, (None,))[0] is base:
            return base.__name__
    raise PresetError(
        "A preset needs a class decorated by @register_model(task=...) (from c2f_zoo.hub). "
        f"Received: {_origin(model)}"
    )
