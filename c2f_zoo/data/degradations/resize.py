"""Resampling as MATLAB's `imresize` does it, which super-resolution is measured against."""

import functools
import math

import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.degradations.base import Degradation, as_images


class Downsampling(Degradation):
    """`downsample` as a degradation.

    Args:
        factor: Integer of at least 1.
        method: `"bicubic"` or `"bilinear"`.
        antialias: As for `downsample`.

    Returns:
        float32 tensor (B, ceil(H / factor), ceil(W / factor), C).

    Raises:
        ValueError: As `downsample`.

    Example:
        >>> tuple(Downsampling(3)(np.ones((1, 9, 10, 3))).shape)
        (1, 3, 4, 3)
    """

    def __init__(self, factor=2, method="bicubic", antialias=True):
        super().__init__()
        self.factor, self.method = _check(factor, method)
        self.antialias = bool(antialias)

    def apply(self, images, numbers):
        return _resize(images, 1 / self.factor, self.method, self.antialias)


def downsample(images, factor, method="bicubic", antialias=True):
    """Shrink images by a whole factor, as MATLAB's `imresize(images, 1 / factor)`.

    Cubic convolution with a = -1/2, or linear interpolation, between pixel centres; the image is
    mirrored at its borders. Nothing is clipped or rounded: bicubic values may leave [0, 1] a
    little, and MATLAB rounds what it makes of bytes.

    Args:
        images: Array or tensor (B, H, W, C), uint8 or float in [0, 1].
        factor: Integer of at least 1.
        method: `"bicubic"` or `"bilinear"`.
        antialias: Stretch the kernel by the factor, as MATLAB does by default. Without it,
            bilinear by 2 is the mean of 2x2 cells, the restriction of the multiscale training.

    Returns:
        float32 tensor (B, ceil(H / factor), ceil(W / factor), C).

    Raises:
        ValueError: If images, factor or method are not of these kinds.

    Source: Keys, Cubic convolution interpolation for digital image processing, 1981; MATLAB's
    documentation of `imresize`.

    Example:
        >>> images = np.arange(16.0).reshape(1, 4, 4, 1) / 16
        >>> small = np.asarray(downsample(images, 2, "bilinear", antialias=False))
        >>> (small[0, ..., 0] * 16).tolist()
        [[2.5, 4.5], [10.5, 12.5]]
    """
    factor, method = _check(factor, method)
    return _resize(as_images(images, "downsample"), 1 / factor, method, bool(antialias))


def upsample_bicubic(images, factor):
    """Enlarge images by a whole factor, as MATLAB's `imresize(images, factor)`.

    Args:
        images: Array or tensor (B, H, W, C), uint8 or float in [0, 1].
        factor: Integer of at least 1.

    Returns:
        float32 tensor (B, factor * H, factor * W, C), not clipped.

    Raises:
        ValueError: If images or factor are not of these kinds.

    Source: as for `downsample`.

    Example:
        >>> up = upsample_bicubic(np.array([0.0, 1.0]).reshape(1, 1, 2, 1), 2)
        >>> [round(float(value), 2) for value in np.asarray(up)[0, 0, :, 0]]
        [-0.09, 0.2, 0.8, 1.09]
    """
    factor, method = _check(factor, "bicubic")
    return _resize(as_images(images, "upsample_bicubic"), factor, method, True)


def _resize(images, scale, method, antialias):
    for axis in (1, 2):
        index, weight = _contributions(images.shape[axis], scale, method, antialias)
        shape = [-1 if i == axis else 1 for i in range(4)]
        images = sum(
            ops.take(images, ops.convert_to_tensor(index[:, tap]), axis=axis)
            * ops.convert_to_tensor(weight[:, tap].reshape(shape))
            for tap in range(index.shape[1])
        )
    return images


@functools.lru_cache(maxsize=256)
def _contributions(size, scale, method, antialias):
    """Which input pixels make each output pixel, and with which weights: two (outputs, taps)."""
    kernel, reach = _KERNELS[method]
    stretch = min(scale, 1.0) if antialias else 1.0
    outputs = math.ceil(size * scale - 1e-9)
    centre = (np.arange(outputs) + 0.5) / scale - 0.5
    taps = math.ceil(2 * reach / stretch) + 2
    index = np.floor(centre - reach / stretch).astype(int)[:, None] + np.arange(taps)
    weight = kernel((centre[:, None] - index) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.any(weight != 0, axis=0)
    # Mirrored at the border, again and again where the kernel is wider than the image.
    mirrored = index % (2 * size)
    mirrored = np.minimum(mirrored, 2 * size - 1 - mirrored)
    return mirrored[:, used].astype("int32"), weight[:, used].astype("float32")


def _cubic(x):
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _linear(x):
    return np.maximum(1 - np.abs(x), 0.0)


_KERNELS = {"bicubic": (_cubic, 2.0), "bilinear": (_linear, 1.0)}


def _check(factor, method):
    return checks.whole("factor", factor, least=1), checks.one_of("method", method, _KERNELS)
