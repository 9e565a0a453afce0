"""Images on their way to noise: the inputs of networks that are told the time."""

from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.degradations.base import Degradation, draw_from, draw_seed
from c2f_zoo.data.degradations.blur import GaussianBlur
from c2f_zoo.data.degradations.noise import RandomBoxes
from c2f_zoo.data.seeded_noise import normal_noise


class TimedNoise(Degradation):
    """Blend degraded images with noise, by a time that the network is told.

    `x_t = (1 - t) A(x) + t z`, or with `reverse`, as denoising has it, `x_t = t A(x) + (1 - t) z`.
    The noise is z = 1/2 + Z / 2 with Z standard normal: on images in [0, 1] what Z itself is on
    images in [-1, 1], where the paper's code works.

    Args:
        degradation: A, a `Degradation` other than `JPEG` and `TimedNoise`; None leaves the images
            as they are.
        time: Range from which each image draws its t, uniformly, within [0, 1].
        reverse: Whether t is the share of the image and not of the noise.
        seed: Non-negative integer.

    Returns:
        `(x_t, t)`: float32 tensors of the shape of A(x), and (B,).

    Raises:
        ValueError: If `time` exceeds [0, 1], or `degradation` runs on the host.

    Source: Ahamed et al., arXiv 2501.12739, released code.

    Example:
        >>> images = np.random.default_rng(0).random((4, 32, 48, 3))
        >>> noisy, time = TimedNoise.deblurring(sigma=3)(images, index=5)
        >>> tuple(noisy.shape), tuple(time.shape)
        ((4, 32, 48, 3), (4,))
    """

    def __init__(self, degradation=None, time=(0.0, 1.0), reverse=False, seed=0):
        super().__init__(seed)
        if degradation is not None and not isinstance(degradation, Degradation):
            raise ValueError(f"degradation must be a Degradation. Received: {degradation!r}")
        if isinstance(degradation, TimedNoise) or degradation is not None and degradation.on_host:
            raise ValueError(
                "degradation must run on the device and give images alone, without a time. "
                f"Received: {type(degradation).__name__}"
            )
        self.degradation, self.reverse = degradation, bool(reverse)
        self.time = checks.interval("time", time, least=0, most=1)

    @classmethod
    def denoising(cls, seed=0):
        """Denoising: `x_t = t x + (1 - t) z`, t uniform in [0, 1].

        Args:
            seed: Non-negative integer.

        Returns:
            `TimedNoise`.
        """
        return cls(None, (0.0, 1.0), reverse=True, seed=seed)

    @classmethod
    def deblurring(cls, sigma=3.0, seed=0):
        """Deblurring: A blurs by a Gaussian, t uniform in [0, 0.1].

        Args:
            sigma: As for `GaussianBlur`.
            seed: Non-negative integer.

        Returns:
            `TimedNoise`.
        """
        return cls(GaussianBlur(sigma, seed=seed), (0.0, 0.1), seed=seed)

    @classmethod
    def inpainting(cls, seed=0, **boxes):
        """Inpainting: A cuts boxes out, t uniform in [0, 0.1].

        Args:
            seed: Non-negative integer.
            **boxes: Arguments of `RandomBoxes`.

        Returns:
            `TimedNoise`.
        """
        return cls(RandomBoxes(seed=seed, **boxes), (0.0, 0.1), seed=seed)

    def draw(self, count, size, index=0):
        numbers = super().draw(count, size, index)
        if self.degradation is not None:
            numbers["degradation"] = self.degradation.draw(count, size, index)
        return numbers

    def draw_sample(self, rng, size):
        return {"seed": draw_seed(rng), "time": draw_from(rng, self.time)}

    def apply(self, images, numbers):
        if self.degradation is not None:
            images = self.degradation.apply(images, numbers["degradation"])
        time = numbers["time"]
        noise = 0.5 + 0.5 * normal_noise(numbers["seed"], tuple(images.shape[1:]))
        share = (time if self.reverse else 1.0 - time)[:, None, None, None]
        return share * images + (1.0 - share) * noise, ops.convert_to_tensor(time)
