"""Resolutions from coarse to fine: the base, doubled again and again."""

import numpy as np

from c2f_zoo import checks


def stage_resolutions(resolution, base_shape=(4, 4)):
    """List the sizes (height, width) from the base shape, doubling, to a final height."""
    if np.shape(base_shape) != (2,):
        raise ValueError(f"base_shape must be (height, width). Received: {base_shape}")
    height, width = checks.whole_pair("base_shape", base_shape, least=1)
    finest = doublings(resolution, height)
    if finest is None:
        raise ValueError(
            f"resolution must be the base height {height} times a power of two. "
            f"Received: {resolution}"
        )
    return tuple((height << stage, width << stage) for stage in range(finest + 1))


def doublings(height, base):
    """Count how often `base` is doubled until it is `height`; None if that never happens."""
    try:
        factor, rest = divmod(checks.whole("height", height, least=1), base)
    except ValueError:
        return None
    is_power_of_two = factor > 0 and factor & (factor - 1) == 0
    return factor.bit_length() - 1 if is_power_of_two and not rest else None
