"""Exponential moving averages of generator weights and of optimizer weights."""

import contextlib

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.training.batch_statistics import batch_normalizations, update_batch_statistics


def half_life_decay(images, half_life):
    """Decay `0.5^(images / half_life)` of a step of `images`, after which a half-life counts half.

    As in the released code of Karras et al., arXiv 1812.04948, whose half-life is 10,000 images.
    """
    return ops.power(0.5, ops.cast(images, "float32") / half_life)


def averaged_copy(network):
    """Make a second network with the same weights, not trainable; `update_average` moves it.

    `network` is a built `keras.Model` or layer; a ValueError if `get_config()` does not rebuild it.
    """
    try:
        copy = type(network).from_config(network.get_config())
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"get_config() of a generator must rebuild it. Received: {network.name}, {error}"
        ) from error
    if not copy.built:
        copy.build(getattr(network, "input_shape", None))
    shapes = [tuple(weight.shape) for weight in network.weights]
    if shapes != [tuple(weight.shape) for weight in copy.weights]:
        raise ValueError(
            "get_config() of a generator must rebuild it with the same variables, created in "
            f"its constructor. Received: {network.name}, whose copy has "
            f"{len(copy.weights)} variables, not {len(shapes)}"
        )
    copy.trainable = False
    for ours, theirs in zip(copy.weights, network.weights, strict=True):
        # A copy: JAX refuses to donate one buffer under two names.
        ours.assign(ops.copy(theirs.value))
    return copy


def update_average(average, network, decay):
    """Move an averaged copy one step towards its network: `a <- w + decay * (a - w)`.

    What is not trained (a tracked mean of styles, a growing network's alpha) is copied.
    """
    trained = {id(weight) for weight in network.trainable_weights}
    for ours, theirs in zip(average.weights, network.weights, strict=True):
        if id(theirs) in trained:
            past = ops.cast(decay, ours.dtype) * (ours.value - theirs.value)
            ours.assign(theirs.value + past)
        else:
            ours.assign(theirs.value)


def take_average(model):
    """Give a compiled model the average of its weights that its optimizer keeps, for good."""
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for variable in model.trainable_variables:
        # A copy: on JAX both would be one buffer, and be lost where the model's is donated.
        variable.assign(ops.copy(ops.convert_to_tensor(variable)))


@contextlib.contextmanager
def averaged_weights(model, batches=()):
    """Put the optimizer's average of the weights into a model for the length of a block.

    The average is that of `keras.optimizers.Optimizer(use_ema=True, ema_momentum=decay)`: after
    every step `a <- decay * a + (1 - decay) * w`. It is one of the optimizer's variables, so
    `TrainingState` keeps it. Before the first step the model's own weights stay.

    The moving statistics of batch normalization are those of the raw weights; with `batches` they
    are estimated anew for the average, by `update_batch_statistics`, and put back after the block.

    Keras leaves the average in the model when `fit` ends. To train on, put the raw weights back:
    `TrainingState.restore` does.

    Args:
        model: A compiled model.
        batches: Sequence of what the model is called with, such as pairs of images; empty: the
            statistics stay.

    Yields:
        None: within the block the model itself has the average for its trainable weights.

    Raises:
        ValueError: If the optimizer keeps no average.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.Adam(use_ema=True, ema_momentum=0.999), "mse")
        >>> with averaged_weights(model):
        ...     answer = model.predict(np.zeros((1, 2)), verbose=0)
    """
    if not model.optimizer.use_ema:
        raise ValueError(
            "averaged_weights needs an optimizer made with use_ema=True and a decay ema_momentum. "
            f"Received: {type(model.optimizer).__name__} without"
        )
    if not model.optimizer.built or backend.to_numpy(model.optimizer.iterations) == 0:
        yield
        return
    # Copies: an array of PyTorch on the host shares the memory of its variable.
    changed = list(model.trainable_variables)
    for layer in batch_normalizations(model) if len(batches) else ():
        changed += [layer.moving_mean, layer.moving_variance]
    raw = [np.array(backend.to_numpy(variable)) for variable in changed]
    take_average(model)
    try:
        if len(batches):
            update_batch_statistics(model, batches)
        yield
    finally:
        for variable, value in zip(changed, raw, strict=True):
            variable.assign(value)


class OnAverage(keras.callbacks.Callback):
    """Lets other callbacks see the averaged weights at the end of an epoch.

    Args:
        *callbacks: Callbacks that measure, show or save the model in `on_epoch_end`.
        batches: As of `averaged_weights`.

    Example:
        ```python
        model.compile(keras.optimizers.Adam(use_ema=True, ema_momentum=0.999))
        model.fit(data, callbacks=[OnAverage(FlowPictures("run/pictures", samples)), state])
        ```
    """

    def __init__(self, *callbacks, batches=()):
        super().__init__()
        self.callbacks, self.batches = callbacks, batches

    def set_model(self, model):
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params):
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def on_epoch_end(self, epoch, logs=None):
        with averaged_weights(self.model, self.batches):
            for callback in self.callbacks:
                callback.on_epoch_end(epoch, logs)
