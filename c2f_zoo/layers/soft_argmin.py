"""Disparity regression: the mean disparity under the softmax of a coarse cost volume."""

from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers.interpolation import interpolate_at, linear_taps, resize_linear


def soft_argmin(cost, size, align_corners=False, band=None):
    """Regress disparity from a cost volume, which is enlarged trilinearly first.

    `d(y, x) = sum_d d * softmax_d(c(d, y, x))`, c the cost volume at full size; a large value is
    a likely disparity, as in the released code (the paper writes softmax(-c)).

    The full volume, D H W numbers, exceeds all else that a stereo network holds. With `band` it
    is never there in one piece: each band of rows is enlarged, reduced and forgotten.

    Args:
        cost: Tensor (B, d, h, w).
        size: The full size (D, H, W); D an integer, H and W integers or scalar tensors.
        align_corners: Where the pixels lie, as for `linear_taps`.
        band: Rows of the full size computed at once, an integer of at least 1. Default: all.

    Returns:
        Disparity (B, H, W, 1), float32, in [0, D - 1].

    Raises:
        ValueError: If `cost` is not of rank 4, or `band` is not a positive integer.

    Source: PSMNet (arXiv 1803.08669), section 3.5, equation 1; GC-Net (arXiv 1703.04309).

    Example:
        >>> import numpy as np
        >>> cost = np.zeros((1, 2, 3, 3), "float32")
        >>> np.asarray(soft_argmin(cost, (8, 12, 12)))[0, 0, 0].tolist()
        [3.5]
    """
    cost = ops.convert_to_tensor(cost)
    checks.shape("cost", cost, "(B, d, h, w)", (None,) * 4)
    disparities, height, width = size
    cost = ops.transpose(ops.cast(cost, "float32"), (0, 2, 3, 1))
    coarse = ops.shape(cost)
    # Through a flat shape: on PyTorch a transposed view would be copied anew by every band.
    flat = ops.reshape(cost, (coarse[0], coarse[1] * coarse[2] * coarse[3]))
    cost = ops.reshape(flat, coarse)
    # Interpolation of the disparity axis as a matrix (d, D): contiguous, and a fast product.
    spread = resize_linear(ops.eye(coarse[3], dtype="float32"), disparities, 1, align_corners)
    value = ops.arange(disparities, dtype="float32")
    moments = ops.stack([ops.ones_like(value), value], axis=-1)
    columns = linear_taps(ops.arange(width, dtype="int32"), coarse[2], width, align_corners)

    def regress(rows):
        """Disparity of the rows that lie between rows of the coarse volume, (B, R, W)."""
        likelihood = interpolate_at(interpolate_at(cost, rows, 1), columns, 2)
        likelihood = ops.matmul(likelihood, spread)
        likelihood = ops.exp(likelihood - ops.max(likelihood, axis=-1, keepdims=True))
        total = ops.matmul(likelihood, moments)
        return total[..., 1] / total[..., 0]

    if band is None:
        rows = linear_taps(ops.arange(height, dtype="int32"), coarse[1], height, align_corners)
        return regress(rows)[..., None]
    band = checks.whole("band", band, least=1)
    bands = (height + band - 1) // band
    index = ops.minimum(ops.arange(bands * band, dtype="int32"), height - 1)
    taps = linear_taps(index, coarse[1], height, align_corners)
    parts = ops.map(regress, tuple(ops.reshape(tap, (-1, band)) for tap in taps))
    disparity = ops.reshape(ops.transpose(parts, (1, 0, 2, 3)), (coarse[0], bands * band, width))
    return disparity[:, :height, :, None]
