"""Multi-scale structural similarity, as a measure of how much generated images vary."""

import numpy as np

from c2f_zoo.metrics.streaming import ImageSetMetric

_WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
_FILTER_SIZE, _FILTER_SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_AT_ONCE = 1 << 22  # numbers compared at once, which bounds the memory


class MSSSIM(ImageSetMetric):
    """Mean multi-scale structural similarity of random pairs of generated images.

    Two images of a varied set are unlike each other: lower is more variation, and a collapsed
    generator approaches 1. Pairs are the first and second, third and fourth, ... image given,
    which are random pairs where the latents are random. The paper takes 10,000 pairs.

    Real images are not needed, and ignored.

    Raises:
        ValueError: A batch of images whose sides are no multiples of 16.

    Source: Karras et al., arXiv 1710.10196, section 5, after Odena et al., arXiv 1610.09585;
    Wang, Simoncelli and Bovik, Multiscale Structural Similarity, 2003, for the five weights.

    Example:
        >>> metric = MSSSIM()
        >>> metric.update_fake(np.full((4, 16, 16, 3), 0.5))
        >>> metric.result()
        {'ms_ssim': 1.0}
    """

    uses_real = False

    def __init__(self):
        super().__init__()
        self.reset()

    def _reset(self, which):
        if which == "fake":
            self._total, self._pairs, self._left = 0.0, 0, None

    def _update(self, which, images):
        if which == "real":
            return
        _check(images)
        if self._left is not None:  # the odd one of the batch before
            images = np.concatenate([self._left, images])
        paired = len(images) // 2 * 2
        self._left = images[paired:].copy() if paired < len(images) else None
        if paired:
            self._total += float(ms_ssim(images[0:paired:2], images[1:paired:2]).sum())
            self._pairs += paired // 2

    def result(self, progress=False):
        """Compute the mean over all pairs so far.

        Args:
            progress: Not used: there is nothing left to wait for.

        Returns:
            Dictionary with `ms_ssim`, 0 to 1.

        Raises:
            ValueError: There was no pair yet.
        """
        if not self._pairs:
            raise ValueError(
                f"MS-SSIM compares pairs of images. Received: {self._counts['fake']} images"
            )
        return {"ms_ssim": self._total / self._pairs}


def ms_ssim(images1, images2):
    """Multi-scale structural similarity of pairs of images.

    Five scales, each half of the one before by 2x2 averages; an 11x11 Gaussian window of sigma 1.5
    that shrinks with images smaller than it (and its sigma with it), applied where it fits
    inside; constants 0.01 and 0.03. The result is the product of the contrast-structure terms of
    the first four scales and the whole similarity of the last, each to the power of its weight;
    negative ones count as 0. In float64, because a variance is a difference of large numbers.

    Args:
        images1: Array (B, H, W, C), values from 0 to 255; H and W multiples of 16.
        images2: Array (B, H, W, C).

    Returns:
        float64 array (B,), 1 for equal images.

    Raises:
        ValueError: The shapes differ, or a side is no multiple of 16.

    Source: Wang, Simoncelli and Bovik, Multiscale Structural Similarity, 2003, equation 7; the
    released code of Karras et al. for the choices that it leaves open.

    Example:
        >>> image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3))
        >>> bool(ms_ssim(image, image) == 1), bool(ms_ssim(image, 255 - image) < 0.1)
        (True, True)
    """
    images1, images2 = np.asarray(images1), np.asarray(images2)
    _check(images1)
    if images1.shape != images2.shape:
        raise ValueError(
            "Pairs of images have the same shape. "
            f"Received: shapes {images1.shape} and {images2.shape}"
        )
    step = max(1, _AT_ONCE // images1[0].size)
    parts = [
        _ms_ssim(images1[first : first + step], images2[first : first + step])
        for first in range(0, len(images1), step)
    ]
    return np.concatenate(parts)


def _ms_ssim(images1, images2):
    pair = [images1.astype(np.float64), images2.astype(np.float64)]
    result = np.ones(len(images1))
    for level, weight in enumerate(_WEIGHTS):
        similarity, contrast = _ssim(*pair)
        is_last = level == len(_WEIGHTS) - 1
        result *= np.maximum(similarity if is_last else contrast, 0) ** weight
        if not is_last:
            pair = [_halve(images) for images in pair]
    return result


def _ssim(x, y):
    """Similarity, and its contrast-structure part, of each pair: two arrays (B,)."""
    size = min(_FILTER_SIZE, *x.shape[1:3])
    window = _gaussian(size, size * _FILTER_SIGMA / _FILTER_SIZE)
    mean_x, mean_y = _blur(x, window), _blur(y, window)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variance_x, variance_y = _blur(x * x, window) - xx, _blur(y * y, window) - yy
    covariance = _blur(x * y, window) - xy
    contrast = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    similarity = (2 * xy + _C1) / (xx + yy + _C1) * contrast
    return similarity.mean(axis=(1, 2, 3)), contrast.mean(axis=(1, 2, 3))


def _gaussian(size, sigma):
    offset = np.arange(size) - (size - 1) / 2
    window = np.exp(-(offset**2) / (2 * sigma**2))
    return window / window.sum()


def _blur(images, window):
    """Apply the window along both axes, where it fits inside."""
    for axis in (1, 2):
        size = images.shape[axis] - len(window) + 1
        before = (slice(None),) * axis
        images = sum(w * images[(*before, slice(k, k + size))] for k, w in enumerate(window))
    return images


def _halve(images):
    rows = images[:, 0::2] + images[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) * 0.25


def _check(images):
    factor = 2 ** (len(_WEIGHTS) - 1)
    if images.ndim != 4 or images.shape[1] % factor or images.shape[2] % factor:
        raise ValueError(
            f"MS-SSIM takes images (B, H, W, C) whose sides are multiples of {factor}. "
            f"Received: shape {images.shape}"
        )
