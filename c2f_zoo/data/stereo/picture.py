"""Disparity as a picture: near is warm, far is cold."""

import numpy as np

from c2f_zoo import checks

# RGB from far to near: dark blue, blue, cyan, green, yellow, orange, red; dark red.
_COLORS = np.array(
    [
        (0.10, 0.06, 0.35),
        (0.16, 0.29, 0.78),
        (0.10, 0.66, 0.86),
        (0.25, 0.80, 0.45),
        (0.88, 0.87, 0.20),
        (0.96, 0.55, 0.10),
        (0.82, 0.18, 0.08),
        (0.48, 0.02, 0.05),
    ]
)
_LOWEST, _HIGHEST = 1, 99  # percentiles that get the ends of the colours


def disparity_picture(disparity, limits=None, valid=None):
    """Colour a disparity map: dark blue is far, red is near, black is unknown.

    Args:
        disparity: Array (H, W) or (H, W, 1), pixels; unknown where negative, NaN or infinite.
        limits: Disparities (low, high) in pixels that get the first and the last colour. Give them
            to make several pictures comparable. Default: the range of 98 % of the known pixels.
        valid: Mask (H, W) or (H, W, 1), nonzero where the disparity is known, as data sets give
            it. Default: everywhere.

    Returns:
        float32 array (H, W, 3), RGB in [0, 1].

    Raises:
        ValueError: If the shape is another one, or low is not below high.

    Example:
        >>> picture = disparity_picture([[0.0, 64.0, np.inf]], limits=(0, 64))
        >>> picture.shape, picture[0, 2].tolist()
        ((1, 3, 3), [0.0, 0.0, 0.0])
    """
    disparity = np.asarray(disparity, np.float32)
    if disparity.ndim == 3 and disparity.shape[2] == 1:
        disparity = disparity[..., 0]
    checks.shape("disparity", disparity, "(H, W) or (H, W, 1)", (None, None))
    known = np.isfinite(disparity) & (disparity >= 0)
    if valid is not None:
        valid = np.asarray(valid)
        valid = valid[..., 0] if valid.ndim == 3 and valid.shape[2] == 1 else valid
        checks.same_shape(("disparity", "valid"), (disparity, valid), "(H, W)", (None, None))
        known &= valid > 0
    if limits is None:
        values = disparity[known]
        low, high = np.percentile(values, (_LOWEST, _HIGHEST)) if values.size else (0, 1)
        high = max(high, low + 1)  # a flat map is not noise in full colour
    else:
        low, high = checks.interval("limits", limits)
        checks.number("limits[1]", high, above=low)
    place = np.clip((np.where(known, disparity, low) - low) / (high - low), 0, 1)
    stops = np.linspace(0, 1, len(_COLORS))
    colors = [np.interp(place, stops, channel) for channel in _COLORS.T]
    return (np.stack(colors, axis=-1) * known[..., None]).astype(np.float32)
