"""Depth as a picture: near is warm, far is cold."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.stereo.picture import disparity_picture

_NEAREST, _FARTHEST = 1, 99  # percentiles that get the ends of the colours


def depth_picture(depth, limits=None, valid=None):
    """Colour a depth map: red is near, dark blue is far, black is unknown.

    The colours follow the inverse of depth, so that near things get the most of them.

    Args:
        depth: Array (H, W) or (H, W, 1), metres; unknown where not above 0, NaN or infinite.
        limits: Depths (near, far) in metres, 0 < near < far, that get the last and the first
            colour. Give them to make several pictures comparable. Default: the range of 98 % of the
            known pixels.
        valid: Mask (H, W) or (H, W, 1), nonzero where the depth is known. Default: everywhere.

    Returns:
        float32 array (H, W, 3), RGB in [0, 1].

    Raises:
        ValueError: If the shape is another one, or near is not below far.

    Example:
        >>> picture = depth_picture([[1.0, 4.0, 0.0]], limits=(1, 4))
        >>> picture.shape, picture[0, 2].tolist()
        ((1, 3, 3), [0.0, 0.0, 0.0])
    """
    depth = np.asarray(depth, np.float32)
    depth = depth[..., 0] if depth.ndim == 3 and depth.shape[2] == 1 else depth
    checks.shape("depth", depth, "(H, W) or (H, W, 1)", (None, None))
    known = np.isfinite(depth) & (depth > 0)
    if valid is not None:
        valid = np.asarray(valid)
        valid = valid[..., 0] if valid.ndim == 3 and valid.shape[2] == 1 else valid
        checks.same_shape(("depth", "valid"), (depth, valid), "(H, W)", (None, None))
        known &= valid > 0
    if limits is None:
        values = depth[known]
        near, far = np.percentile(values, (_NEAREST, _FARTHEST)) if values.size else (1, 2)
        far = max(far, 1.05 * near)  # a flat map is not noise in full colour
    else:
        near, far = checks.interval("limits", limits)
        checks.number("limits[0]", near, above=0, below=far)
    inverse = 1 / np.where(known, depth, far)
    # Disparities in a unit in which the nearest has 100, whatever the depths are.
    unit = 100 / (1 / near - 1 / far)
    return disparity_picture((np.maximum(inverse - 1 / far, 0)) * unit, (0, 100), known)
