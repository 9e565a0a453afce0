"""Backward warping of an image or feature map by a flow field."""

from keras import ops

from c2f_zoo import backend, checks

# A sample whose in-frame weights sum to less is outside (PWC-Net's released code).
INSIDE_THRESHOLD = 0.9999


def warp(image, flow, return_mask=False):
    """Sample `image` at `x + flow(x)`: bilinear backward warping, zeros outside the frame.

    Pixel centres are integers, as in `grid_sample(align_corners=True)`. Differentiable in both
    arguments. Coordinates, weights and sums are float32 whatever the image's precision: bfloat16
    cannot hold a pixel coordinate above 256.

    Args:
        image: Tensor (B, H, W, C), floating point: frame 2 or its features.
        flow: Tensor (B, h, w, 2) in pixels of `image`, u right, v down. (h, w) may be smaller
            than (H, W): the top left part is sampled.
        return_mask: Also return which samples lie wholly inside the frame.

    Returns:
        Tensor (B, h, w, C) of the dtype of `image`; with `return_mask` also a float32 mask
        (B, h, w, 1), 1 where the weights inside the frame sum to at least 0.9999.

    Raises:
        ValueError: If a shape is not the one above, or the image is empty.

    Source: Jaderberg et al., Spatial Transformer Networks, arXiv 1506.02025, equation 5; mask
    as in PWC-Net's released code.

    Example:
        >>> frame2 = np.arange(6, dtype="float32").reshape(1, 1, 6, 1)
        >>> flow = np.zeros((1, 1, 6, 2), "float32"); flow[..., 0] = 0.5
        >>> [float(v) for v in np.asarray(warp(frame2, flow)).ravel()]
        [0.5, 1.5, 2.5, 3.5, 4.5, 2.5]
    """
    image, flow = ops.convert_to_tensor(image), ops.convert_to_tensor(flow)
    checks.shape("image", image, "(B, H, W, C), not empty", (checks.SOME,) * 4)
    checks.shape("flow", flow, "(B, h, w, 2)", (image.shape[0], None, None, 2))
    batch, height, width, channels = ops.shape(image)
    rows, columns = ops.shape(flow)[1:3]
    flow = ops.cast(flow, "float32")
    x = flow[..., 0] + ops.arange(columns, dtype="float32")[None, None, :]
    y = flow[..., 1] + ops.arange(rows, dtype="float32")[None, :, None]
    x_taps, y_taps = _taps(x, width), _taps(y, height)

    # Rows of a (B*H*W, C) matrix are contiguous, which makes each tap one fast gather.
    pixels = ops.reshape(backend.at_least_float32(image), (-1, channels))
    sample_start = (ops.arange(batch, dtype="int32") * (height * width))[:, None, None]
    warped, inside = 0.0, 0.0
    for row, y_weight in y_taps:
        row_start = sample_start + row * width
        for column, x_weight in x_taps:
            weight = y_weight * x_weight
            tap = backend.take_inside(pixels, row_start + column)
            warped = warped + ops.cast(weight, pixels.dtype)[..., None] * tap
            inside = inside + weight
    warped = ops.cast(warped, image.dtype)
    if not return_mask:
        return warped
    return warped, ops.cast(inside >= INSIDE_THRESHOLD, "float32")[..., None]


def _taps(position, size):
    """(index, weight) of the two taps along one axis; a tap outside the frame weighs 0."""
    low = ops.floor(position)
    fraction = position - low
    limit = ops.cast(size - 1, "float32")
    taps = []
    for tap, weight in ((low, 1.0 - fraction), (low + 1.0, fraction)):
        is_inside = ops.logical_and(tap >= 0.0, tap <= limit)
        # Clipping before the cast keeps huge flows from overflowing int32, clipping after it
        # keeps NaN, whose cast is undefined, from reading outside the array.
        index = ops.clip(ops.cast(ops.clip(tap, 0.0, limit), "int32"), 0, size - 1)
        taps.append((index, weight * ops.cast(is_inside, "float32")))
    return taps
