"""Seeds and counts of the image level of generative models."""

import numbers

import numpy as np


def seeded_generator(seed, purpose):
    """Numpy's random generator of a seed for one purpose.

    Args:
        seed: Whole number of at least 0; None for new numbers each time.
        purpose: Whole number that keeps the draws of one purpose apart from those of another.

    Returns:
        `numpy.random.Generator`.

    Raises:
        ValueError: The seed is no such number.

    Example:
        >>> bool(seeded_generator(3, 1).random() == seeded_generator(3, 2).random())
        False
    """
    return np.random.default_rng(None if seed is None else (whole_number("seed", seed, 0), purpose))


def whole_number(name, value, least):
    """Check a whole number.

    Args:
        name: What errors call it.
        value: What was given.
        least: Smallest value.

    Returns:
        The number as an int.

    Raises:
        ValueError: It is none, or smaller.

    Example:
        >>> whole_number("n", np.int64(3), 1)
        3
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} is a whole number of at least {least}. Received: {value!r}")
    return int(value)
