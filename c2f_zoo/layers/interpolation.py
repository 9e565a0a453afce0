"""Linear interpolation to any size, with either convention of where the pixels lie."""

from keras import ops

from c2f_zoo import checks


def linear_taps(index, size, new_size, align_corners=False):
    """Find the two pixels between which each new pixel lies.

    With half-pixel centres new pixel i lies at `(i + 0.5) * size / new_size - 0.5`; with
    `align_corners` at `i * (size - 1) / (new_size - 1)`, so that the corner pixels stay in place.

    Args:
        index: Integer tensor (N,), the new pixels, each in [0, new_size).
        size: Number of pixels; an integer, or a scalar tensor.
        new_size: Number of new pixels; an integer, or a scalar tensor.
        align_corners: Which convention. Default: half-pixel centres.

    Returns:
        Three tensors (N,): the indices of both pixels, int32, and the weight of the second,
        float32 in [0, 1].

    Example:
        >>> import numpy as np
        >>> low, high, weight = linear_taps(np.arange(4, dtype="int32"), 2, 4)
        >>> [np.asarray(tap).tolist() for tap in (low, high, weight)]
        [[0, 0, 0, 1], [1, 1, 1, 1], [0.0, 0.25, 0.75, 0.0]]
    """
    place = ops.cast(index, "float32")
    size, new_size = (ops.cast(length, "float32") for length in (size, new_size))
    if align_corners:
        place = place * ((size - 1) / ops.maximum(new_size - 1, 1.0))
    else:
        place = (place + 0.5) * (size / new_size) - 0.5
    place = ops.clip(place, 0.0, size - 1)
    low = ops.floor(place)
    high = ops.minimum(low + 1, size - 1)
    return ops.cast(low, "int32"), ops.cast(high, "int32"), place - low


def interpolate_at(x, taps, axis):
    """Interpolate along one axis between the pixels that `linear_taps` found.

    Args:
        x: Tensor of any shape.
        taps: What `linear_taps` returned, three tensors (N,).
        axis: The axis, not negative.

    Returns:
        Tensor of the shape of `x`, whose axis has N pixels.

    Example:
        >>> import numpy as np
        >>> taps = linear_taps(np.arange(3, dtype="int32"), 2, 3, align_corners=True)
        >>> np.asarray(interpolate_at(np.array([0.0, 1.0], "float32"), taps, 0)).tolist()
        [0.0, 0.5, 1.0]
    """
    x = ops.convert_to_tensor(x)
    low, high, weight = taps
    before, after = ops.take(x, low, axis=axis), ops.take(x, high, axis=axis)
    weight = ops.reshape(ops.cast(weight, x.dtype), (-1,) + (1,) * (len(x.shape) - axis - 1))
    return before + (after - before) * weight


def resize_linear(x, size, axis, align_corners=False):
    """Resize one axis by linear interpolation; nothing is smoothed when it shrinks.

    Args:
        x: Tensor of any shape.
        size: New length of the axis; an integer of at least 1, or a scalar tensor.
        axis: The axis, not negative.
        align_corners: As for `linear_taps`.

    Returns:
        Tensor of the shape of `x`, whose axis has `size` pixels.

    Example:
        >>> import numpy as np
        >>> x = np.array([0.0, 4.0], "float32")
        >>> np.asarray(resize_linear(x, 4, 0)).tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    x = ops.convert_to_tensor(x)
    index = ops.arange(size, dtype="int32")
    return interpolate_at(x, linear_taps(index, ops.shape(x)[axis], size, align_corners), axis)


def resize_bilinear(x, height, width, align_corners=False):
    """Resize feature maps to any size, as `torch.nn.functional.interpolate` does.

    Args:
        x: Tensor (B, h, w, C).
        height: New height; an integer of at least 1, or a scalar tensor.
        width: New width; likewise.
        align_corners: As for `linear_taps`.

    Returns:
        Tensor (B, height, width, C).

    Raises:
        ValueError: If `x` is not of rank 4.

    Example:
        >>> import numpy as np
        >>> tuple(resize_bilinear(np.ones((1, 2, 3, 4), "float32"), 5, 7).shape)
        (1, 5, 7, 4)
    """
    x = ops.convert_to_tensor(x)
    checks.shape("x", x, "(B, h, w, C)", (None,) * 4)
    return resize_linear(resize_linear(x, height, 1, align_corners), width, 2, align_corners)
