"""Embedding of the time that a network is told: its sines and cosines."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks


def sinusoid(time, width, sine_first=False):
    """Sines and cosines of a time at the frequencies 10000^(-i / n), i < n = width / 2.

    Args:
        time: Tensor (B,).
        width: Number of features, even.
        sine_first: Put the sines before the cosines.

    Returns:
        float32 tensor (B, width).

    Raises:
        ValueError: If the width is not a positive even integer or `time` is not of rank 1.

    Source: Vaswani et al., arXiv 1706.03762, section 3.5; Ho et al., arXiv 2006.11239, for times.

    Example:
        >>> np.asarray(sinusoid(np.zeros(1, "float32"), 4)).tolist()
        [[1.0, 1.0, 0.0, 0.0]]
    """
    if checks.whole("width", width, least=2) % 2:
        raise ValueError(f"width must be even. Received: {width}")
    half = int(width) // 2
    frequency = np.exp(-math.log(10000.0) * np.arange(half) / half).astype("float32")
    time = ops.convert_to_tensor(time)
    checks.shape("time", time, "(B,)", (None,))
    phase = ops.cast(time, "float32")[:, None] * ops.convert_to_tensor(frequency)
    parts = [ops.cos(phase), ops.sin(phase)]
    return ops.concatenate(parts[::-1] if sine_first else parts, axis=-1)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class TimeFeatures(keras.layers.Layer):
    """Features of a time: half sines and cosines, half a small network's output.

    The network has the widths 1, hidden, hidden, width / 2 and ReLU between.

    Args:
        width: Number of features, a multiple of 4.
        hidden: Width of the hidden layers. Defaults to 32.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        time: Tensor (B,).

    Returns:
        Tensor (B, width).

    Raises:
        ValueError: If `width` is not a positive multiple of 4 or `hidden` not positive.

    Source: Ahamed et al., arXiv 2501.12739, released code.

    Example:
        >>> layer = TimeFeatures(128)
        >>> tuple(layer(np.array([0.0, 0.5], "float32")).shape), layer.count_params()
        ((2, 128), 3232)
    """

    def __init__(self, width, hidden=32, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.width = checks.whole("width", width, least=4)
        self.hidden = checks.whole("hidden", hidden, least=1)
        if width % 4:
            raise ValueError(f"width must be a multiple of 4. Received: {width}")
        widths = (1, self.hidden, self.hidden, self.width // 2)
        self.dense = []
        for index, (inputs, size) in enumerate(itertools.pairwise(widths)):
            layer = keras.layers.Dense(
                size,
                activation="relu" if index < 2 else None,
                kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
                dtype=self.dtype_policy,
                name=f"dense_{index}",
            )
            layer.build((None, inputs))
            self.dense.append(layer)
        self.built = True

    def call(self, time):
        learned = ops.cast(time, self.compute_dtype)[:, None]
        for layer in self.dense:
            learned = layer(learned)
        fixed = sinusoid(time, self.width // 2, sine_first=True)
        return ops.concatenate([ops.cast(fixed, self.compute_dtype), learned], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width)

    def get_config(self):
        return {**super().get_config(), "width": self.width, "hidden": self.hidden}
