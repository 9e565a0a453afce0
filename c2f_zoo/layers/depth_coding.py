"""Depth as a number in [0, 1]: its logarithm or its inverse within a range."""

import math

from keras import ops

from c2f_zoo import checks

REPRESENTATIONS = ("log", "inverse")


def encode_depth(depth, representation, limits):
    """Turn depth into a number that is 0 at one end of its range and 1 at the other.

    With `"log"` it is `(log d - log n) / (log f - log n)`, 0 at the near end n and 1 at the far
    end f: equal steps are equal ratios of depth. With `"inverse"` it is
    `(1/d - 1/f) / (1/n - 1/f)`, 1 at the near end: equal steps are equal disparities.

    Args:
        depth: Tensor of any shape, metres, above 0.
        representation: `"log"` or `"inverse"`.
        limits: (n, f), metres.

    Returns:
        float32 tensor of the same shape; outside of [0, 1] where the depth is outside its range.

    Source: Godard et al., arXiv 1806.01260, section 3 (inverse depth).

    Example:
        >>> depth = np.array([1.0, 2.0, 4.0], "float32")
        >>> [round(float(x), 4) for x in encode_depth(depth, "log", (1.0, 4.0))]
        [0.0, 0.5, 1.0]
        >>> [round(float(x), 4) for x in encode_depth(depth, "inverse", (1.0, 4.0))]
        [1.0, 0.3333, 0.0]
    """
    near, far = limits
    depth = ops.cast(depth, "float32")
    if checks.one_of("representation", representation, REPRESENTATIONS) == "log":
        return (ops.log(depth) - math.log(near)) / (math.log(far) - math.log(near))
    return (1.0 / depth - 1.0 / far) / (1.0 / near - 1.0 / far)


def decode_depth(code, representation, limits):
    """Turn what `encode_depth` returns back into depth.

    Args:
        code: Tensor of any shape, in [0, 1].
        representation: `"log"` or `"inverse"`.
        limits: (nearest, farthest) depth, metres.

    Returns:
        float32 tensor of the same shape, metres, within the limits.

    Example:
        >>> code = np.array([0.0, 0.5, 1.0], "float32")
        >>> [round(float(x), 4) for x in decode_depth(code, "log", (1.0, 4.0))]
        [1.0, 2.0, 4.0]
    """
    near, far = limits
    code = ops.cast(code, "float32")
    if checks.one_of("representation", representation, REPRESENTATIONS) == "log":
        return ops.exp(math.log(near) + (math.log(far) - math.log(near)) * code)
    return 1.0 / (1.0 / far + (1.0 / near - 1.0 / far) * code)


def check_limits(limits):
    """Check the limits of depth: two numbers, 0 < near < far.

    Args:
        limits: (near, far), metres.

    Returns:
        Tuple of two float.

    Raises:
        ValueError: They are others.

    Example:
        >>> check_limits([0.5, 10])
        (0.5, 10.0)
    """
    near, far = checks.interval("limits", limits)
    if not 0 < near < far:
        raise ValueError(
            f"limits must be two depths in metres, 0 < near < far. Received: {limits!r}"
        )
    return near, far
