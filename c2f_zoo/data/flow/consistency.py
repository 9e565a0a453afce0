"""Forward-backward check: which pixels of one frame are seen in the other too."""

import numpy as np

from c2f_zoo import checks

RELATIVE, ABSOLUTE = 0.01, 0.5  # of the lengths, squared; in square pixels


def forward_backward_check(forward, backward, relative=RELATIVE, absolute=ABSOLUTE):
    """Follow each pixel to the other frame and back, and tell whether it returns.

    With f the flow at a pixel x and b the backward flow, interpolated, at x + f, the pixel is
    confirmed if |f + b|^2 < relative * (|f|^2 + |b|^2) + absolute, and x + f lies in the frame.

    Args:
        forward: Array (H, W, 2), the flow from image 1 to image 2, pixels.
        backward: Array (H, W, 2), the flow from image 2 to image 1.
        relative: Share of the squared lengths that is allowed for, at least 0.
        absolute: What is allowed for besides, in square pixels, above 0.

    Returns:
        float32 array (H, W, 1): 1 where the pixel is confirmed, else 0: hidden, or wrong.

    Raises:
        ValueError: If the shapes differ or a threshold is out of range.

    Source: Sundaram, Brox and Keutzer, "Dense Point Trajectories by GPU-accelerated Large
    Displacement Optical Flow", ECCV 2010, equation 5.

    Example:
        >>> forward = np.zeros((1, 4, 2)); forward[..., 0] = 2.0
        >>> forward_backward_check(forward, -forward)[0, :, 0].tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    ratio = forward_backward_ratio(forward, backward, relative, absolute)
    return (ratio < 1).astype(np.float32)


def forward_backward_ratio(forward, backward, relative=RELATIVE, absolute=ABSOLUTE):
    """Compute by how much a pixel misses its way back, over what is allowed.

    Args:
        forward, backward, relative, absolute: As for `forward_backward_check`.

    Returns:
        float32 array (H, W, 1): |f + b|^2 / (relative * (|f|^2 + |b|^2) + absolute); infinite
        where x + f lies outside of the frame or something is not finite.

    Raises:
        ValueError: If the shapes differ or a threshold is out of range.

    Example:
        >>> forward = np.zeros((1, 2, 2))
        >>> forward_backward_ratio(forward, forward + (1.0, 0.0), relative=0)[0, :, 0].tolist()
        [2.0, 2.0]
    """
    forward, backward = np.asarray(forward, np.float32), np.asarray(backward, np.float32)
    relative = checks.number("relative", relative, least=0)
    absolute = checks.number("absolute", absolute, above=0)
    pair, axes = (forward, backward), (None, None, 2)
    height, width, _ = checks.same_shape(("forward", "backward"), pair, "(H, W, 2)", axes)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        x, y = columns + forward[..., 0], rows + forward[..., 1]
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)  # not where NaN
        back = interpolated(backward, np.where(inside, x, 0), np.where(inside, y, 0))
        missed = np.square(forward + back).sum(-1)
        lengths = np.square(forward).sum(-1) + np.square(back).sum(-1)
        ratio = missed / (relative * lengths + absolute)
    return np.where(inside & np.isfinite(ratio), ratio, np.inf).astype(np.float32)[..., None]


def interpolated(array, x, y):
    """Values (H, W, C) between the pixels of an array (H, W, C), bilinearly; inside of it."""
    height, width = array.shape[:2]
    left, top = x.astype(int), y.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = (x - left)[..., None], (y - top)[..., None]
    above = array[top, left] * (1 - x) + array[top, right] * x
    below = array[bottom, left] * (1 - x) + array[bottom, right] * x
    return above * (1 - y) + below * y
