"""Base of the degradations: numbers drawn on the host, arrays changed on the device.

The random numbers of a sample are a function of (`seed`, number of the sample, the degradation's
class) alone. So they do not depend on backend, batch partition or what came before, and a resumed
training continues with the same ones.
"""

import zlib

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.backend import jit, visible_values


class Degradation:
    """Base of the degradations: a batch of images becomes a worse one, on the device.

    A subclass gives `draw_sample(rng, size)` and `apply(images, numbers)`.

    Args:
        seed: Non-negative integer.

    Call arguments:
        images: Array or tensor (B, H, W, C), uint8 or float in [0, 1].
        index: Number of this batch since the training's beginning (so batch `i` of size B holds
            samples B i to B i + B - 1), or array (B,) of sample numbers. Defaults to 0.

    Returns:
        float32 tensor (B, H, W, C).

    Raises:
        ValueError: Images of another shape or type, or with NaN or infinity (which is looked for
            where the values lie on the host).
    """

    on_host = False  # whether `apply` leaves the device, and so cannot be compiled

    def __init__(self, seed=0):
        self.seed = checks.whole("seed", seed, least=0)
        self._compiled = None

    def draw_sample(self, rng, size) -> dict:
        """Draw the random numbers of one sample.

        Args:
            rng: `numpy.random.Generator` of this sample.
            size: (H, W) of its image.

        Returns:
            Nested dictionary of numbers and arrays of any shape, the same for every sample; empty
            if nothing is random.
        """
        return {}

    def apply(self, images, numbers):
        """Degrade a batch by given numbers: a pure function of tensors, with gradients.

        Args:
            images: Tensor (B, H, W, C), float32 in [0, 1].
            numbers: What `draw` returned, as tensors.

        Returns:
            As the call.
        """
        raise TypeError(f"A degradation must define apply. Received: {type(self).__name__}")

    def draw(self, count, size, index=0) -> dict:
        """Draw the random numbers of a batch.

        Args:
            count: B.
            size: (H, W) of the images.
            index: As in the call.

        Returns:
            Nested dictionary of numpy arrays whose first axis is B, to be given to `apply`.

        Raises:
            ValueError: If there are not as many sample numbers as images.
        """
        kind = zlib.crc32(type(self).__name__.encode())
        drawn = [
            self.draw_sample(np.random.default_rng((self.seed, int(sample), kind)), tuple(size))
            for sample in sample_numbers(count, index)
        ]
        return keras.tree.map_structure(lambda *values: np.stack(values), *drawn)

    def __getstate__(self):
        # A compiled function cannot go to another process.
        return {**self.__dict__, "_compiled": None}

    def __call__(self, images, index=0):
        """Degrade a batch; arguments and results are in the class's documentation."""
        images = as_images(images, type(self).__name__)
        count, *size, _ = images.shape
        numbers = self.draw(count, size, index)
        numbers = keras.tree.map_structure(ops.convert_to_tensor, numbers)
        if self._compiled is None:
            # XLA also on TensorFlow's CPU, whose own gathers are far slower.
            self._compiled = jit(self.apply, xla=True)
        return self._compiled(images, numbers)


def sample_numbers(count, index):
    """Numbers (B,) of a batch's samples, given the number of the batch or the sample numbers."""
    index = np.asarray(index)
    samples = int(index) * count + np.arange(count) if index.ndim == 0 else index
    if samples.shape != (count,) or not np.issubdtype(samples.dtype, np.integer):
        raise ValueError(
            f"index must be the number of the batch or {count} sample numbers. Received: {index}"
        )
    if count and samples.min() < 0:
        raise ValueError(f"index must be at least 0. Received: {index}")
    return samples


def as_images(images, name):
    """Convert finite images (B, H, W, C), uint8 or float, to a float32 tensor in [0, 1].

    NaN and infinity are found where the values lie on the host. `name` begins the messages.
    """
    if isinstance(images, (list, tuple)):
        images = np.asarray(images)
    checks.shape(f"{name}: images", images, "(B, H, W, C)", (checks.SOME,) * 4)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype != "uint8" and "float" not in dtype:
        raise ValueError(f"{name} takes uint8, or float in [0, 1]. Received: dtype {dtype}")
    values = visible_values(images) if dtype != "uint8" else None
    if values is not None and not np.isfinite(values).all():
        broken = int((~np.isfinite(values)).sum())
        raise ValueError(f"{name} takes finite images. Received: {broken} values of NaN or inf")
    images = ops.cast(ops.convert_to_tensor(images), "float32")
    return images / 255.0 if dtype == "uint8" else images


def draw_from(rng, bounds):
    """Draw a float32 number between two bounds, uniformly."""
    return np.float32(rng.uniform(*bounds))


def draw_seed(rng):
    """Draw the seed of an image's noise, int32."""
    return rng.integers(-(2**31), 2**31, dtype="int32")
