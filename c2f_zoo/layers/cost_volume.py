"""Concatenation cost volume of a rectified stereo pair."""

from keras import ops

from c2f_zoo import checks


def concatenation_volume(left, right, disparities):
    """Put each left feature beside the right features that it may correspond to.

    `volume[d, y, x] = [left[y, x], right[y, x - d]]` for d = 0, 1, ..., `disparities` - 1; where
    x < d, outside of the right image, both halves are zero.

    Args:
        left: Tensor (B, H, W, C), features of the left image.
        right: Tensor (B, H, W, C), features of the right image.
        disparities: Number D of disparities, at least 1, in pixels of the feature map.

    Returns:
        Tensor (B, D, H, W, 2 C), dtype of `left`.

    Raises:
        ValueError: If the known sizes differ, the rank is not 4, or D is not positive.

    Source: PSMNet (arXiv 1803.08669), section 3.3; GC-Net (arXiv 1703.04309), section 3.2.

    Example:
        >>> import numpy as np
        >>> features = np.arange(1, 4, dtype="float32").reshape(1, 1, 3, 1)
        >>> np.asarray(concatenation_volume(features, features, 2))[0, 1, 0].tolist()
        [[0.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    """
    left, right = ops.convert_to_tensor(left), ops.convert_to_tensor(right)
    checks.same_shape(("left", "right"), (left, right), "(B, H, W, C)", (None,) * 4)
    disparities = checks.whole("disparities", disparities, least=1)
    width = ops.shape(left)[2]
    padded = ops.pad(right, ((0, 0), (0, 0), (disparities - 1, 0), (0, 0)))
    starts = range(disparities - 1, -1, -1)
    shifted = ops.stack([padded[:, :, start : start + width] for start in starts], axis=1)
    inside = ops.arange(width, dtype="int32") >= ops.arange(disparities, dtype="int32")[:, None]
    inside = ops.cast(inside, left.dtype)[:, None, :, None]
    return ops.concatenate([left[:, None] * inside, shifted], axis=-1)
