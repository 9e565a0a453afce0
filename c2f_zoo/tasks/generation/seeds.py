"""Random numbers of the image level of generative models: numpy's, equal on every backend."""

import numpy as np

from c2f_zoo import checks

# What a random number is for: keeps the draws of one purpose apart from those of another.
OTHER_LATENTS, CUTOFF, NOISE, LABEL, PATH, PROJECTION = range(1, 7)


def seeded_generator(seed, purpose=None):
    """Numpy's random generator of a seed, for one purpose.

    Args:
        seed: Integer of at least 0; None for new numbers each time.
        purpose: One of the constants above, or None: latents.

    Returns:
        `numpy.random.Generator`.

    Raises:
        ValueError: If the seed is no such integer.

    Example:
        >>> bool(seeded_generator(3, NOISE).random() == seeded_generator(3, LABEL).random())
        False
    """
    if seed is not None:
        seed = checks.whole("seed", seed, least=0)
        seed = seed if purpose is None else (seed, purpose)
    return np.random.default_rng(seed)
