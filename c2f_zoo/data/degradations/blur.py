"""Blur by circular convolution, computed by the Fourier transform: any kernel, any size."""

import functools
import math

import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.degradations.base import Degradation, as_images

REACH = 10  # standard deviations beyond which a Gaussian is 0 in double precision


class GaussianBlur(Degradation):
    """Blur by a Gaussian, the image continued periodically.

    Args:
        sigma: Standard deviation in pixels, or a range (low, high) from which each image draws its
            own, uniformly. Any size, also beyond the image's. Defaults to the 3 of the multiscale
            training.
        seed: Non-negative integer.

    Raises:
        ValueError: If `sigma` is negative or not a range.

    Source: Ahamed et al., arXiv 2501.12739, released code, there for 128x128 pixels and sigma 3.

    Example:
        >>> point = np.zeros((1, 15, 20, 1), "float32"); point[0, 7, 7] = 1
        >>> round(float(np.max(np.asarray(GaussianBlur(2.0)(point)))), 4)
        0.0398
    """

    def __init__(self, sigma=3.0, seed=0):
        super().__init__(seed)
        self.sigma = checks.interval("sigma", sigma, least=0)

    def draw_sample(self, rng, size):
        sigma = rng.uniform(*self.sigma)
        return {
            axis: gaussian_spectrum(extent, sigma)
            for axis, extent in zip(("rows", "columns"), size, strict=True)
        }

    def apply(self, images, numbers):
        gain = numbers["rows"][:, None, :, None] * numbers["columns"][:, None, None, :]
        return _filter(images, gain)


class KernelBlur(Degradation):
    """Convolve with a kernel, the image continued periodically.

    Args:
        kernel: Array (h, w) of any size, its centre at (h // 2, w // 2). It is used as it is: one
            that keeps the brightness sums to 1.

    Raises:
        ValueError: If the kernel has another shape or is not finite.

    Example:
        >>> shift = KernelBlur([[0, 0, 1]])  # what was at column 0 is now at column 1
        >>> row = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
        >>> (np.asarray(shift(row)).ravel().round(4) + 0.0).tolist()
        [3.0, 0.0, 1.0, 2.0]
    """

    def __init__(self, kernel):
        super().__init__()
        self.kernel = np.asarray(kernel, np.float64)
        checks.shape("kernel", self.kernel, "(h, w), not empty", (checks.SOME,) * 2)
        if not np.isfinite(self.kernel).all():
            raise ValueError(f"kernel must be finite. Received: {self.kernel}")

    def draw(self, count, size, index=0):
        """Compute the kernel's spectrum for images of a size.

        Args:
            count: B.
            size: (H, W) of the images.
            index: Has no effect.

        Returns:
            Dictionary of `real` and `imaginary`, float32 arrays (1, H, W).
        """
        wrapped = np.zeros(size)
        places = (
            (np.arange(extent) - extent // 2) % period
            for extent, period in zip(self.kernel.shape, size, strict=True)
        )
        np.add.at(wrapped, np.ix_(*places), self.kernel)
        spectrum = np.fft.fft2(wrapped)[None].astype("complex64")
        return {"real": spectrum.real, "imaginary": spectrum.imag}

    def apply(self, images, numbers):
        return _filter(images, numbers["real"][:, None], numbers["imaginary"][:, None])


def gaussian_blur(images, sigma):
    """Blur images by a Gaussian, continued periodically.

    Args:
        images: Array or tensor (B, H, W, C), uint8 or float in [0, 1].
        sigma: Standard deviation in pixels, at least 0.

    Returns:
        float32 tensor (B, H, W, C).

    Raises:
        ValueError: If `sigma` is negative, or as `Degradation`.

    Example:
        >>> images = np.random.default_rng(0).random((1, 17, 30, 3))
        >>> blurred = np.asarray(gaussian_blur(images, 4.0))
        >>> bool(abs(blurred.mean() - images.mean()) < 1e-5), bool(blurred.std() < 0.1)
        (True, True)
    """
    return GaussianBlur(checks.number("sigma", sigma, least=0))(as_images(images, "gaussian_blur"))


@functools.lru_cache(maxsize=256)  # many images of one size, often of one sigma
def gaussian_spectrum(size, sigma):
    """Fourier transform (size,), real, of a Gaussian of sum 1, wrapped around `size` pixels."""
    offset = np.arange(-math.ceil(REACH * sigma), math.ceil(REACH * sigma) + 1)
    weight = np.exp(-0.5 * np.square(offset / sigma)) if sigma > 0 else np.ones(1)
    circle = np.bincount(offset % size, weight, minlength=size)
    return np.fft.fft(circle / weight.sum()).real.astype("float32")


def _filter(images, real, imaginary=None):
    """Multiply the spectrum of images (B, H, W, C) by one that broadcasts to (B, C, H, W)."""
    images = ops.transpose(images, (0, 3, 1, 2))
    a, b = ops.fft2((images, ops.zeros_like(images)))
    if imaginary is None:
        product = (a * real, b * real)
    else:
        product = (a * real - b * imaginary, a * imaginary + b * real)
    return ops.transpose(ops.ifft2(product)[0], (0, 2, 3, 1))
