"""Normalisation of a whole feature map, over channels, rows and columns."""

from keras import ops

from c2f_zoo import backend, checks


def image_norm(x, epsilon=1e-5):
    """Bring each feature map to zero mean and unit variance over channels, rows and columns.

    PyTorch's `layer_norm` over (C, H, W) without weights, computed in float32. A crop normalises
    differently from the whole image.

    Args:
        x: Tensor (B, H, W, C).
        epsilon: Added to the variance.

    Returns:
        Tensor (B, H, W, C) of the dtype of `x`.

    Raises:
        ValueError: If `x` is not of rank 4.

    Source: Ba et al., arXiv 1607.06450.

    Example:
        >>> x = np.array([1.0, 3.0], "float32").reshape(1, 1, 2, 1)
        >>> np.asarray(image_norm(x)).ravel().round(3).tolist()
        [-1.0, 1.0]
    """
    x = ops.convert_to_tensor(x)
    checks.shape("x", x, "(B, H, W, C)", (None,) * 4)
    values = backend.at_least_float32(x)
    values = values - ops.mean(values, axis=(1, 2, 3), keepdims=True)
    variance = ops.mean(ops.square(values), axis=(1, 2, 3), keepdims=True)
    return ops.cast(values * ops.rsqrt(variance + epsilon), x.dtype)
