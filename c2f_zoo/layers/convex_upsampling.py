"""Upsampling by learned convex combinations of neighbours."""

from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers.resampling import depth_to_space

BORDERS = ("zero", "replicate")


def convex_upsample(x, logits, factor=8, border="zero"):
    """Enlarge: every fine pixel is a convex combination of the 3x3 coarse pixels around it.

    `y[f i + a, f j + b] = sum_k softmax_k(logits[i, j, k, a, b]) x[i + dy_k, j + dx_k]`, with k
    row-major over (dy, dx) in [-1, 1]. Values are not rescaled.

    Args:
        x: Tensor (B, h, w, C), floating point, such as a flow in pixels of the fine grid.
        logits: Tensor (B, h, w, 9 factor^2), the channels in the order (k, a, b).
        factor: Integer f of at least 1.
        border: What is outside the frame: `"zero"`, as in RAFT, or `"replicate"`, the outermost
            pixels, so that a constant stays one whatever the logits.

    Returns:
        Tensor (B, factor * h, factor * w, C), dtype of `x`.

    Raises:
        ValueError: If a shape or the border is not one of the above, or the factor no positive
            integer.

    Source: RAFT (arXiv 2003.12039), section 3.3, "Upsampling".

    Example:
        >>> import numpy as np
        >>> flow = np.ones((1, 3, 3, 2), "float32")
        >>> fine = convex_upsample(flow, np.zeros((1, 3, 3, 9 * 4), "float32"), factor=2)
        >>> tuple(fine.shape), round(float(fine[0, 2, 2, 0]), 4), round(float(fine[0, 0, 0, 0]), 4)
        ((1, 6, 6, 2), 1.0, 0.4444)
    """
    factor = checks.whole("factor", factor, least=1)
    x, logits = ops.convert_to_tensor(x), ops.convert_to_tensor(logits)
    checks.shape("x", x, "(B, h, w, C)", (None, None, None, checks.SOME))
    axes = (*x.shape[:3], 9 * factor**2)
    checks.shape("logits", logits, f"(B, h, w, {9 * factor**2}), B, h, w of x", axes)
    batch, height, width, channels = ops.shape(x)
    weights = ops.reshape(ops.cast(logits, x.dtype), (batch, height, width, 9, factor**2))
    weights = ops.softmax(weights, axis=3)
    # By one pixel, symmetric is replicate.
    mode = "symmetric" if checks.one_of("border", border, BORDERS) == "replicate" else "constant"
    padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)
    neighbours = ops.stack(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=3
    )
    # What is multiplied are differences, which are small: accelerators round products of matrices.
    centre = x[:, :, :, None, :]
    fine = centre + ops.matmul(ops.transpose(weights, (0, 1, 2, 4, 3)), neighbours - centre)
    fine = ops.reshape(fine, (batch, height, width, factor**2 * channels))
    return depth_to_space(fine, factor)
