"""Changing the resolution of feature maps, flows and masks by whole factors."""

import keras
from keras import ops


def upsample_bilinear(x, factor):
    """Enlarge by a whole factor, bilinear with half-pixel centres (`align_corners=False`).

    Values are not rescaled: a flow keeps its unit.

    Args:
        x: Tensor (B, H, W, C).
        factor: Integer of at least 1.

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Raises:
        ValueError: The factor is below 1.

    Example:
        >>> import numpy as np
        >>> up = upsample_bilinear(np.array([0.0, 4.0], "float32").reshape(1, 1, 2, 1), 2)
        >>> [float(v) for v in np.asarray(up)[0, 0, :, 0]]
        [0.0, 1.0, 3.0, 4.0]
    """
    if factor < 1:
        raise ValueError(f"factor must be at least 1. Received: {factor}")
    x = ops.convert_to_tensor(x)
    if factor == 1:
        return x
    for axis in (1, 2):
        x = _enlarge(x, factor, axis)
    return x


def _enlarge(x, factor, axis):
    """Bilinear enlargement along one axis, one phase of output pixels at a time.

    `ops.image.resize` computes the same, but on TensorFlow not for a size known only at run time.
    """
    shape = list(ops.shape(x))
    index = ops.arange(shape[axis], dtype="int32")
    before = ops.take(x, ops.maximum(index - 1, 0), axis=axis)
    after = ops.take(x, ops.minimum(index + 1, shape[axis] - 1), axis=axis)
    phases = []
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5  # of the output's centre from the input pixel's
        neighbour = before if offset < 0 else after
        phases.append(x * (1.0 - abs(offset)) + neighbour * abs(offset))
    shape[axis] = shape[axis] * factor
    return ops.reshape(ops.stack(phases, axis=axis + 1), shape)


def average_pool(x, factor):
    """Shrink by a whole factor: the mean of each `factor` x `factor` cell.

    Args:
        x: Tensor (B, H, W, C), H and W multiples of `factor`.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, H / factor, W / factor, C).

    Example:
        >>> import numpy as np
        >>> float(average_pool(np.arange(4, dtype="float32").reshape(1, 2, 2, 1), 2)[0, 0, 0, 0])
        1.5
    """
    return ops.average_pool(x, factor, factor, padding="valid", data_format="channels_last")


def max_pool(x, factor):
    """Shrink by a whole factor: the maximum of each `factor` x `factor` cell.

    Args:
        x: Tensor (B, H, W, C), H and W multiples of `factor`.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, H / factor, W / factor, C).

    Example:
        >>> import numpy as np
        >>> float(max_pool(np.arange(4, dtype="float32").reshape(1, 2, 2, 1), 2)[0, 0, 0, 0])
        3.0
    """
    return ops.max_pool(x, factor, factor, padding="valid", data_format="channels_last")


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Upsampling(keras.layers.Layer):
    """`upsample_bilinear` as a layer.

    Args:
        factor: Integer of at least 1.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C).

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Example:
        >>> import numpy as np
        >>> tuple(Upsampling(4)(np.ones((1, 3, 5, 2), "float32")).shape)
        (1, 12, 20, 2)
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return upsample_bilinear(x, self.factor)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
