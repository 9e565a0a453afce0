"""Whether the two images of a stereo pair were given in the wrong order."""

import numpy as np

_WIDTH = 128  # of the images compared
_SMALLEST = 24
_SHARE = 0.2  # largest shift tried, as a share of the width
_RATIO = 1.25  # by which the wrong side has to explain the image better


def seem_swapped(left, right):
    """Tell whether the left image is explained better by shifts to the wrong side.

    In a rectified pair what is at column x of the left image is at x - d of the right one, d > 0.
    Of each pixel of a reduced image the best match among such shifts is compared with the best
    one among shifts to the other side. Horizontal derivatives are compared, which a difference in
    brightness leaves alone.

    Args:
        left: Array (H, W, 3), RGB in [0, 1].
        right: Array (H, W, 3).

    Returns:
        True if the pair seems to be swapped; False for images too small to tell.

    Example:
        >>> right = np.random.default_rng(0).random((64, 128, 3))
        >>> left = np.roll(right, 10, axis=1)
        >>> seem_swapped(left, right), seem_swapped(right, left)
        (False, True)
    """
    factor = max(1, round(left.shape[1] / _WIDTH))
    left, right = (_slopes(_reduced(image.mean(-1), factor)) for image in (left, right))
    height, width = left.shape
    if height < _SMALLEST or width < _SMALLEST:
        return False
    reach = max(2, int(_SHARE * width))
    inside = slice(reach, width - reach)

    def best(sign):
        """Mean over the pixels of the smallest difference among the shifts to one side."""
        shifts = (np.roll(right, sign * shift, axis=1) for shift in range(1, reach + 1))
        differences = (_blurred(np.abs(left - shifted))[:, inside] for shifted in shifts)
        return float(np.min(list(differences), axis=0).mean())

    return best(1) > _RATIO * best(-1) + 1e-4


def _reduced(grey, factor):
    height, width = (side // factor for side in grey.shape)
    cells = grey[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return cells.mean(axis=(1, 3))


def _slopes(grey):
    return np.diff(grey, axis=1).astype(np.float32)


def _blurred(x, side=5):
    """Mean over a square around each pixel that has one."""
    for axis in (0, 1):
        total = np.cumsum(x, axis=axis)
        x = np.take(total, range(side, total.shape[axis]), axis)
        x = x - np.take(total, range(total.shape[axis] - side), axis)
        half = [(0, 0), (0, 0)]
        half[axis] = (side // 2 + 1, side // 2)
        x = np.pad(x / side, half, "edge")
    return x
