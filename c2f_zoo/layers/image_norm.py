"""Normalisation of a whole feature map, over channels, rows and columns."""

import keras
from keras import ops


def image_norm(x, epsilon=1e-5):
    """Bring each feature map to zero mean and unit variance over channels, rows and columns.

    PyTorch's `layer_norm` over (C, H, W) without weights. Computed in float32 under any lower
    precision. Every value depends on the whole image: of a part of an image it is another.

    Args:
        x: Tensor (B, H, W, C).
        epsilon: Added to the variance.

    Returns:
        Tensor (B, H, W, C) of the dtype of `x`.

    Source: Ba et al., arXiv 1607.06450.

    Example:
        >>> import numpy as np
        >>> x = np.array([1.0, 3.0], "float32").reshape(1, 1, 2, 1)
        >>> np.asarray(image_norm(x)).ravel().round(3).tolist()
        [-1.0, 1.0]
    """
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    values = ops.cast(x, keras.backend.result_type(dtype, "float32"))
    values = values - ops.mean(values, axis=(1, 2, 3), keepdims=True)
    variance = ops.mean(ops.square(values), axis=(1, 2, 3), keepdims=True)
    return ops.cast(values * ops.rsqrt(variance + epsilon), dtype)
