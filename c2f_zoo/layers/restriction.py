"""Restriction of images to coarser meshes."""

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.layers.resampling import average_pool

RESTRICTIONS = ("subsample", "average", "bilinear")


def restrict(x, factor, method="subsample"):
    """Bring images to a mesh that is coarser by a whole factor.

    `"subsample"` keeps the first pixel of each `factor` x `factor` cell: noise keeps its level.
    `"average"` takes the cell's mean: noise falls by `factor`. `"bilinear"` interpolates at the
    cell's centre without smoothing: the mean of its 2x2 central pixels for an even factor, the
    central pixel for an odd one.

    Args:
        x: Tensor (B, H, W, C), H and W multiples of `factor`. Integers become float32 unless
            they are subsampled.
        factor: Integer of at least 1.
        method: `"subsample"`, `"average"` or `"bilinear"`.

    Returns:
        Tensor (B, H / factor, W / factor, C).

    Raises:
        ValueError: If the factor does not divide the size, or the method is unknown.

    Source: arXiv 2501.12739; its released code subsamples, and interpolates for super-resolution.

    Example:
        >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
        >>> [np.asarray(restrict(x, 2, how))[0, :, :, 0].tolist() for how in RESTRICTIONS[:2]]
        [[[0.0, 2.0], [8.0, 10.0]], [[2.5, 4.5], [10.5, 12.5]]]
    """
    checks.one_of("method", method, RESTRICTIONS)
    factor = checks.whole("factor", factor, least=1)
    x = ops.convert_to_tensor(x)
    multiples = range(0, 2**31, factor)
    allowed = f"(B, H, W, C), H and W divisible by {factor}"
    checks.shape("x", x, allowed, (None, multiples, multiples, None))
    if factor == 1:
        return x
    is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype))
    if method != "subsample" and not is_float:
        x = backend.at_least_float32(x)  # sums of bytes would overflow
    if method == "average":
        return average_pool(x, factor)
    if method == "subsample" or factor % 2:
        middle = 0 if method == "subsample" else factor // 2
        return x[:, middle::factor, middle::factor]
    low, high = factor // 2 - 1, factor // 2
    rows = x[:, low::factor] + x[:, high::factor]
    return (rows[:, :, low::factor] + rows[:, :, high::factor]) / 4
