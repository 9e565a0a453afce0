"""Cost volumes of a rectified stereo pair: concatenation and correlation."""

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


def correlation_volume(left, right, disparities, groups=1):
    """Correlate each left feature with the right features that it may correspond to.

    `volume[y, x, d, g] = mean_c left[y, x, c] right[y, x - d, c]` over the channels c of group g,
    for d = 0, 1, ..., `disparities` - 1; where x < d, outside of the right image, it is zero.

    Args:
        left: Tensor (B, H, W, C), features of the left image.
        right: Tensor (B, H, W, C), features of the right image.
        disparities: Number D of disparities, at least 1, in pixels of the feature map.
        groups: Number G of groups of consecutive channels; divides C.

    Returns:
        Tensor (B, H, W, D, G), dtype of `left`.

    Raises:
        ValueError: If the known sizes differ, the rank is not 4, D is not positive, or G does not
            divide C.

    Source: GwcNet (arXiv 1903.04025), equation 2.

    Example:
        >>> import numpy as np
        >>> features = np.arange(1, 4, dtype="float32").reshape(1, 1, 3, 1)
        >>> np.asarray(correlation_volume(features, features, 2))[0, 0, :, 1, 0].tolist()
        [0.0, 2.0, 6.0]
    """
    left, right = ops.convert_to_tensor(left), ops.convert_to_tensor(right)
    checks.same_shape(("left", "right"), (left, right), "(B, H, W, C)", (None,) * 4)
    disparities = checks.whole("disparities", disparities, least=1)
    groups = checks.whole("groups", groups, least=1)
    channels = left.shape[-1]
    if channels % groups:
        raise ValueError(f"groups must divide the {channels} channels. Received: {groups}")
    batch, height, width = ops.shape(left)[:3]
    block, size = disparities, channels // groups
    blocks = (width + block - 1) // block

    def in_blocks(x, count):
        """Blocks of as many pixels as disparities, counted from the right: (B, H, N, G, D, s).

        Counted so, the keys of a query begin at its own place and end in the next block.
        """
        x = ops.pad(ops.flip(x, axis=2), ((0, 0), (0, 0), (0, 2 * block), (0, 0)))
        x = _part(x, 2, 0, count * block)
        x = ops.reshape(x, (batch, height, count, block, groups, size))
        return ops.transpose(x, (0, 1, 2, 4, 3, 5))

    query, key = in_blocks(left, blocks), in_blocks(right, blocks + 1)
    key = ops.concatenate([_part(key, 2, first, blocks) for first in (0, 1)], axis=4)
    # Products of every query with every key of two blocks; of query i keys i to i + D - 1 count.
    products = ops.matmul(query, ops.transpose(key, (0, 1, 2, 3, 5, 4)))
    # In rows that are one longer, that diagonal band stands upright.
    shape = (batch, height, blocks, groups)
    flat = ops.reshape(products, (*shape, 2 * block**2))
    flat = ops.pad(flat, ((0, 0),) * 4 + ((0, block),))
    band = ops.reshape(flat, (*shape, block, 2 * block + 1))
    band = ops.transpose(_part(band, 5, 0, disparities), (0, 1, 2, 4, 5, 3))
    band = ops.reshape(band, (batch, height, blocks * block, disparities, groups))
    return ops.flip(_part(band, 2, 0, width), axis=2) / size


def _part(x, axis, start, size):
    """A part of one axis; the gradient of indexing takes TensorFlow several times as long."""
    shape = list(ops.shape(x))
    shape[axis] = size
    return ops.slice(x, [start if other == axis else 0 for other in range(len(shape))], shape)


def narrow_volume(left, right, lowest, disparities):
    """Put each left feature beside the right ones at a few disparities of its own.

    `volume[d, y, x] = [left[y, x], right[y, x - lowest[y, x] - d]]` for d = 0, 1, ...,
    `disparities` - 1, interpolated linearly; where that place is outside of the right image, both
    halves are zero. With `lowest` 0 this is `concatenation_volume`. Differentiable in all three.

    Args:
        left: Tensor (B, H, W, C), features of the left image.
        right: Tensor (B, H, W, C), features of the right image.
        lowest: Tensor (B, H, W, 1), where the disparities of each pixel begin, in pixels of the
            feature map.
        disparities: Number D of disparities, at least 1.

    Returns:
        Tensor (B, D, H, W, 2 C), dtype of `left`.

    Raises:
        ValueError: If the known sizes differ, a rank is not 4, or D is not positive.

    Source: CasStereo (arXiv 1912.06378), section 3.2.

    Example:
        >>> import numpy as np
        >>> features = np.arange(1, 5, dtype="float32").reshape(1, 1, 4, 1)
        >>> lowest = np.full((1, 1, 4, 1), 0.5, "float32")
        >>> np.asarray(narrow_volume(features, features, lowest, 2))[0, :, 0, :, 1].tolist()
        [[0.0, 1.5, 2.5, 3.5], [0.0, 0.0, 1.5, 2.5]]
    """
    left, right, lowest = (ops.convert_to_tensor(x) for x in (left, right, lowest))
    checks.same_shape(("left", "right"), (left, right), "(B, H, W, C)", (None,) * 4)
    checks.shape("lowest", lowest, "(B, H, W, 1), of the features", (*left.shape[:3], 1))
    disparities = checks.whole("disparities", disparities, least=1)
    batch, height, width, channels = ops.shape(right)
    limit = ops.cast(width - 1, "float32")
    place = ops.arange(width, dtype="float32") - ops.cast(lowest[..., 0], "float32")
    low = ops.floor(place)
    # The taps of neighbouring disparities are neighbours: D + 1 of them serve all.
    steps = ops.arange(disparities + 1, dtype="float32")[:, None, None]
    column = ops.clip(low[:, None] + 1 - steps, 0.0, limit)
    # Clipped before the cast, which huge values would not survive, and after it, for NaN.
    column = ops.clip(ops.cast(column, "int32"), 0, width - 1)
    row = ops.reshape(ops.arange(batch * height, dtype="int32") * width, (batch, 1, height, 1))
    taps = ops.take(ops.reshape(right, (-1, channels)), row + column, axis=0)
    fraction = ops.cast(place - low, right.dtype)[:, None, :, :, None]
    found = taps[:, 1:] * (1 - fraction) + taps[:, :-1] * fraction
    place = place[:, None] - steps[:-1]
    inside = ops.logical_and(place >= 0, place <= limit)
    inside = ops.cast(inside, left.dtype)[..., None]
    return ops.concatenate([left[:, None] * inside, found * inside], axis=-1)
