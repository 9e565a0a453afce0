"""Building the model that a preset describes."""

import contextlib
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from c2f_zoo.checks import suggestion
from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.metadata import as_shapes

# A GAN's preset holds one of its networks: it also has a critic, and the average of the generator.
_LARGEST_SHARE = 16
_SMALL = 2**22  # numbers, 16 MiB


def stored(model: keras.Model) -> keras.Model:
    """Return the part of a model whose weights a preset holds."""
    return model.preset_network() if hasattr(model, "preset_network") else model


def check_arguments(model_class: type, arguments: Mapping[str, Any], where: str) -> None:
    """Raise PresetError, which begins with `where`, for an argument that a class does not take."""
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


def check_size(
    model_class: type, config: Mapping[str, Any], shapes: Any, found: int, label: str
) -> None:
    """Raise PresetError for a config that asks for far more weights than a preset holds.

    The model is built once without memory for its variables: Keras does not create their values
    within a stateless scope.

    Args:
        model_class: Class of the model.
        config: Its arguments.
        shapes: As of `build`.
        found: Numbers that the preset's weights hold.
        label: Name of the preset, for messages.
    """
    most = _LARGEST_SHARE * found + _SMALL
    with _without_values():
        model = model_class(**config)
        build(model, shapes, label)
        asked = sum(math.prod(variable.shape) for variable in model.variables)
    if asked > most:
        raise PresetError(
            f"{label}: the config asks for {asked} numbers, and the weights are {found}, so the "
            f"model was not built. Received: {model_class.__name__}"
        )


@contextlib.contextmanager
def _without_values() -> Iterator[None]:
    """Variables that are created in the block never get values."""
    # Keras lists them, and would give them values at the end of the next scope that does.
    from keras.src.backend.common import global_state

    name = "uninitialized_variables"
    waiting = list(global_state.get_global_attribute(name) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(name, waiting)


@contextlib.contextmanager
def dtype_policy(dtype: Any) -> Iterator[None]:
    """Make `dtype` the policy of every layer that is created in the block."""
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build(model: keras.Model, shapes: Any, label: str) -> None:
    """Create a model's variables from the shapes that Keras recorded, if it has none yet."""
    if not model.built and shapes is not None:
        model.build_from_config(as_shapes(shapes))
        model.built = True  # as Keras does when it loads a model
    if not model.built:
        raise PresetError(
            f"{label}: the variables of {type(model).__name__} cannot be created. A preset's class "
            "creates them in its constructor (and sets `self.built = True`) or is built by Keras "
            f"from a recorded input shape. Received: {shapes!r}"
        )
