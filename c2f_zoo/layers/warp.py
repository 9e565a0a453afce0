"""Backward warping of an image or feature map by a flow field."""

from keras import ops

# A position whose in-frame bilinear weights sum to less is outside (PWC-Net's released code).
INSIDE_THRESHOLD = 0.9999


def warp(image, flow, return_mask=False):
    """Sample `image` at `x + flow(x)`: bilinear backward warp, zeros outside the frame.

    Pixel centres are integers, as `grid_sample(align_corners=True)` has it with its coordinates
    given in pixels. Differentiable in both arguments. The sampling runs in float32 whatever the
    image's precision: bfloat16 cannot hold a pixel coordinate above 256.

    Args:
        image: Tensor (B, H, W, C), floating point: frame 2 or its features.
        flow: Tensor (B, h, w, 2) in pixels of `image`, u right, v down. (h, w) may be smaller
            than (H, W), then the top left part is rebuilt.
        return_mask: Also return where all of the sample came from inside the frame.

    Returns:
        Tensor (B, h, w, C) of the dtype of `image`; with `return_mask` also a float mask
        (B, h, w, 1), 1 where the bilinear weights that fall inside the frame sum to 0.9999 or
        more.

    Raises:
        ValueError: An argument does not have the rank or channels above.

    Source: Jaderberg et al., Spatial Transformer Networks, arXiv 1506.02025, equation 5; mask
    as in PWC-Net's released code.

    Example:
        >>> import numpy as np
        >>> frame2 = np.arange(6, dtype="float32").reshape(1, 1, 6, 1)
        >>> flow = np.zeros((1, 1, 6, 2), "float32"); flow[..., 0] = 0.5
        >>> [float(v) for v in np.asarray(warp(frame2, flow)).ravel()]
        [0.5, 1.5, 2.5, 3.5, 4.5, 2.5]
    """
    image, flow = ops.convert_to_tensor(image), ops.convert_to_tensor(flow)
    if len(image.shape) != 4:
        raise ValueError(f"warp takes an image (B, H, W, C). Received: shape {tuple(image.shape)}")
    if len(flow.shape) != 4 or flow.shape[-1] != 2:
        raise ValueError(f"warp takes a flow (B, h, w, 2). Received: shape {tuple(flow.shape)}")
    batch, height, width, channels = ops.shape(image)
    rows, columns = ops.shape(flow)[1:3]
    flow = ops.cast(flow, "float32")
    x = flow[..., 0] + ops.arange(columns, dtype="float32")[None, None, :]
    y = flow[..., 1] + ops.arange(rows, dtype="float32")[None, :, None]

    left, top = ops.floor(x), ops.floor(y)
    right_weight, bottom_weight = x - left, y - top
    x_index, x_weights = _taps(left, right_weight, width)
    y_index, y_weights = _taps(top, bottom_weight, height)

    # Rows of a (B*H*W, C) matrix are contiguous, which makes each tap one fast gather.
    pixels = ops.reshape(image, (-1, channels))
    sample_start = (ops.arange(batch, dtype="int32") * (height * width))[:, None, None]
    warped, inside = None, None
    for y_tap, y_weight in zip(y_index, y_weights, strict=True):
        row_start = sample_start + y_tap * width
        for x_tap, x_weight in zip(x_index, x_weights, strict=True):
            weight = y_weight * x_weight
            tap = ops.take(pixels, row_start + x_tap, axis=0)
            tap = ops.cast(weight, image.dtype)[..., None] * tap
            warped = tap if warped is None else warped + tap
            inside = weight if inside is None else inside + weight
    if not return_mask:
        return warped
    return warped, ops.cast(inside >= INSIDE_THRESHOLD, "float32")[..., None]


def _taps(low, fraction, size):
    """Indices and weights of the two taps along one axis; a tap outside the frame weighs 0."""
    indices, weights = [], []
    for position, weight in ((low, 1.0 - fraction), (low + 1.0, fraction)):
        limit = ops.cast(size - 1, "float32")
        is_inside = ops.logical_and(position >= 0.0, position <= limit)
        # Clipping before the cast keeps huge flows from overflowing int32, clipping after it
        # keeps NaN, whose cast is undefined, from reading outside the array.
        index = ops.cast(ops.clip(position, 0.0, limit), "int32")
        indices.append(ops.clip(index, 0, size - 1))
        weights.append(weight * ops.cast(is_inside, "float32"))
    return indices, weights
