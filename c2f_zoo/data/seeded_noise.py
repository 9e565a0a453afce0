"""Gaussian noise that is a function of a seed and a position, the same on every backend."""

import functools
import math
import statistics

import numpy as np
from keras import ops

GOLDEN = -1640531527  # 0x9E3779B9 as a signed 32-bit number


def random_bits(seed, count):
    """32 random bits (B, count), int32, by hashing the position and the seed (B,), int32."""
    # Positions are hashed before the seed comes in: in `hash(position * GOLDEN + seed)` a seed that
    # is GOLDEN larger gives the same bits, one position earlier.
    positions = _hash(ops.arange(count, dtype="int32") * GOLDEN)
    return _hash(ops.bitwise_xor(positions[None, :], seed[:, None]))


def normal_halves(bits):
    """Two independent standard normal numbers of each 32 bits, at 65536 levels each."""
    quantiles = ops.convert_to_tensor(_normal_quantiles())
    halves = ops.bitwise_and(bits, 0xFFFF), ops.bitwise_and(ops.right_shift(bits, 16), 0xFFFF)
    return tuple(ops.take(quantiles, half) for half in halves)


def normal_noise(seed, shape):
    """Draw standard normal noise (B, H, W, C), float32, independent for each position and image.

    The noise of an image is a function of its own seed alone, of the tensor `seed` (B,), int32.
    """
    first, second = normal_halves(random_bits(seed, math.prod(shape)))
    # The sum of two normal numbers is normal, and has 65536 times as many levels.
    return ops.reshape((first + second) * math.sqrt(0.5), (-1, *shape))


@functools.cache
def _normal_quantiles():
    """Values at 65536 equal steps of the standard normal distribution."""
    inverse = statistics.NormalDist().inv_cdf
    upper = [inverse(0.5 + (i + 0.5) / 65536) for i in range(32768)]
    return np.array([-value for value in reversed(upper)] + upper, "float32")


def _hash(bits):
    """Murmur3's finaliser on int32, whose products wrap on every backend."""

    def shifted(value, by):
        # The shift of a signed number copies its sign bit: mask it away.
        return ops.bitwise_and(ops.right_shift(value, by), (1 << (32 - by)) - 1)

    bits = ops.bitwise_xor(bits, shifted(bits, 16)) * -2048144789
    bits = ops.bitwise_xor(bits, shifted(bits, 13)) * -1028477387
    return ops.bitwise_xor(bits, shifted(bits, 16))
