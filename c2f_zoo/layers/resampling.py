"""Changing the resolution of feature maps, flows and masks by whole factors."""

import keras
from keras import ops

from c2f_zoo import checks


def upsample_bilinear(x, factor):
    """Enlarge by a whole factor, bilinearly; values are not rescaled: a flow keeps its unit.

    Pixels have half-pixel centres; `resize_bilinear` has the other convention too.

    Args:
        x: Tensor (B, H, W, C).
        factor: Integer of at least 1.

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Raises:
        ValueError: If `x` is not of rank 4 or `factor` not a positive integer.

    Example:
        >>> up = upsample_bilinear(np.array([0.0, 4.0], "float32").reshape(1, 1, 2, 1), 2)
        >>> [float(v) for v in np.asarray(up)[0, 0, :, 0]]
        [0.0, 1.0, 3.0, 4.0]
    """
    factor = checks.whole("factor", factor, least=1)
    x = ops.convert_to_tensor(x)
    checks.shape("x", x, "(B, H, W, C)", (None,) * 4)
    for axis in (1, 2) if factor > 1 else ():
        x = _enlarge(x, factor, axis)
    return x


def _enlarge(x, factor, axis):
    """Bilinear enlargement along one axis, one phase of output pixels at a time."""
    # On TensorFlow `ops.image.resize` does not take a size known only at run time.
    size = ops.shape(x)[axis]
    index = ops.arange(size, dtype="int32")
    before = ops.take(x, ops.maximum(index - 1, 0), axis=axis)
    after = ops.take(x, ops.minimum(index + 1, size - 1), axis=axis)
    phases = []
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5  # of the output's centre from the input pixel's
        neighbour = before if offset < 0 else after
        phases.append(x * (1.0 - abs(offset)) + neighbour * abs(offset))
    return interleave(phases, axis)


def interleave(phases, axis):
    """Weave n tensors (B, H, W, C) into one that is n times larger along the axis, 1 or 2."""
    shape = list(ops.shape(phases[0]))
    shape[axis] = shape[axis] * len(phases)
    return ops.reshape(ops.stack(phases, axis=axis + 1), shape)


def space_to_depth(x, size):
    """Turn each square of pixels into one pixel; `depth_to_space` is the inverse.

    Args:
        x: Tensor (B, H, W, C), H and W multiples of `size`.
        size: Side of the square, an integer of at least 1.

    Returns:
        Tensor (B, H / size, W / size, size * size * C), the last axis ordered by the square's
        row, its column and the channel.

    Raises:
        ValueError: If `x` is not of rank 4 or `size` does not divide its sides.

    Example:
        >>> np.asarray(space_to_depth(np.arange(8, dtype="float32").reshape(1, 2, 4, 1), 2))[0, 0]
        array([[0., 1., 4., 5.],
               [2., 3., 6., 7.]], dtype=float32)
    """
    sides = range(0, 2**31, checks.whole("size", size, least=1))
    checks.shape("x", x, f"(B, H, W, C), H and W divisible by {size}", (None, sides, sides, None))
    if size == 1:
        return x
    _, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (-1, height // size, size, width // size, size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height // size, width // size, size * size * channels))


def depth_to_space(x, size):
    """Spread the channels of each pixel over a square of pixels (sub-pixel convolution).

    Args:
        x: Tensor (B, h, w, size * size * C), in the order of `space_to_depth`.
        size: Side of the square, an integer of at least 1.

    Returns:
        Tensor (B, size * h, size * w, C).

    Raises:
        ValueError: If `x` is not of rank 4 or `size` squared does not divide its channels.

    Source: Shi et al., arXiv 1609.05158.

    Example:
        >>> spread = depth_to_space(np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), 2)
        >>> np.asarray(spread)[0, :, :, 0].tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    channels = range(0, 2**31, checks.whole("size", size, least=1) ** 2)
    checks.shape("x", x, f"(B, h, w, {size**2} * C)", (None, None, None, channels))
    if size == 1:
        return x
    _, height, width, _ = ops.shape(x)
    channels = x.shape[-1] // size**2
    x = ops.reshape(x, (-1, height, width, size, size, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height * size, width * size, channels))


def average_pool(x, factor):
    """Shrink by a whole factor: the mean of each `factor` x `factor` cell.

    Args:
        x: Tensor (B, H, W, C), H and W multiples of `factor`.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, H / factor, W / factor, C).

    Example:
        >>> float(average_pool(np.arange(4, dtype="float32").reshape(1, 2, 2, 1), 2)[0, 0, 0, 0])
        1.5
    """
    return ops.average_pool(x, factor, factor, padding="valid", data_format="channels_last")


def max_pool(x, factor):
    """Shrink by a whole factor: the maximum of each cell; otherwise as `average_pool`.

    Args:
        x: Tensor (B, H, W, C), H and W multiples of `factor`.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, H / factor, W / factor, C).
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
        >>> tuple(Upsampling(4)(np.ones((1, 3, 5, 2), "float32")).shape)
        (1, 12, 20, 2)
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = checks.whole("factor", factor, least=1)

    def call(self, x):
        return upsample_bilinear(x, self.factor)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
