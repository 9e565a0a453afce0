"""Average pooling by windows that may be larger than the feature map."""

from keras import ops

from c2f_zoo import checks


def window_pool(x, window):
    """Average over windows side by side, as large as asked for or as the feature map.

    Along an axis of n >= `window` pixels this is the usual pooling, floor(n / window) windows, the
    rest left out. A shorter axis becomes one window. So spatial pyramid pooling has an answer for
    every image, and the published one where that is defined.

    Args:
        x: Tensor (B, H, W, C), H and W at least 1; they may be unknown until run time.
        window: Side of the window, an integer of at least 1.

    Returns:
        Tensor (B, max(1, floor(H / window)), max(1, floor(W / window)), C).

    Raises:
        ValueError: If `x` is not of rank 4 or empty, or `window` is not a positive integer.

    Source: PSMNet (arXiv 1803.08669), section 3.2, for windows of 64, 32, 16 and 8.

    Example:
        >>> import numpy as np
        >>> x = np.arange(5, dtype="float32").reshape(1, 1, 5, 1)
        >>> np.asarray(window_pool(x, 2)).ravel().tolist()
        [0.5, 2.5]
    """
    x = ops.convert_to_tensor(x)
    axes = (None, checks.SOME, checks.SOME, None)
    checks.shape("x", x, "(B, H, W, C), H and W >= 1", axes)
    window = checks.whole("window", window, least=1)
    for axis in (1, 2):
        shape = list(ops.shape(x))
        size = shape[axis]
        side = min(window, size) if isinstance(size, int) else ops.minimum(window, size)
        count = size // side
        kept = x[:, : count * side] if axis == 1 else x[:, :, : count * side]
        x = ops.mean(ops.reshape(kept, (*shape[:axis], count, side, *shape[axis + 1 :])), axis + 1)
    return x
