"""Random numbers of the image level of generative models: numpy's, equal on every backend."""

import numpy as np

from c2f_zoo import checks

# What a random number is for: keeps the draws of one purpose apart from those of another.
OTHER_LATENTS, CUTOFF, NOISE, LABEL, PATH, PROJECTION = range(1, 7)


def seeded_generator(seed, purpose=None):
    """Numpy's random generator of a seed, None for a new one, for one of the purposes above.

    Without a purpose it draws latents. A seed that is no integer of at least 0 is refused.
    """
    if seed is not None:
        seed = checks.whole("seed", seed, least=0)
        seed = seed if purpose is None else (seed, purpose)
    return np.random.default_rng(seed)
