"""Which resolutions there are from coarse to fine: the base, doubled again and again."""

import numbers

import numpy as np


def stage_resolutions(resolution, base_shape=(4, 4)):
    """List the sizes from the base shape, doubling, to a final height.

    Args:
        resolution: Final height: the base height times a power of two.
        base_shape: (height, width) of the coarsest stage.

    Returns:
        Tuple of (height, width), integers, the base first.

    Raises:
        ValueError: The resolution is not so, or the base shape is not a pair of whole numbers of
            at least 1.

    Example:
        >>> stage_resolutions(16, base_shape=(4, 6))
        ((4, 6), (8, 12), (16, 24))
    """
    if np.shape(base_shape) != (2,):
        raise ValueError(f"base_shape is (height, width). Received: {base_shape}")
    if not all(_is_whole(side) and side >= 1 for side in base_shape):
        raise ValueError(
            f"The sides of base_shape are whole numbers of at least 1. Received: {base_shape}"
        )
    height, width = (int(side) for side in base_shape)
    finest = doublings(resolution, height)
    if finest is None:
        raise ValueError(
            f"resolution is the final height: the base height {height} times a power of two. "
            f"Received: {resolution}"
        )
    return tuple((height << stage, width << stage) for stage in range(finest + 1))


def doublings(height, base):
    """Count how often a base height is doubled until it is another height.

    Args:
        height: The height to reach.
        base: Integer of at least 1.

    Returns:
        Integer, or None: no number of doublings leads there.

    Example:
        >>> doublings(32, 4), doublings(4, 4), doublings(12, 4), doublings(2, 4)
        (3, 0, None, None)
    """
    if not _is_whole(height):
        return None
    factor, rest = divmod(int(height), base)
    is_power_of_two = factor > 0 and factor & (factor - 1) == 0
    return factor.bit_length() - 1 if is_power_of_two and not rest else None


def _is_whole(number):
    """Whether it is a whole number; 4.0 is as good as 4."""
    is_number = isinstance(number, numbers.Real) and not isinstance(number, bool)
    return is_number and np.isfinite(number) and int(number) == number
