"""Multi-scale structural similarity of generated images, a measure of their variation."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.layers.similarity import (
    SCALE_WEIGHTS,
    WINDOW_SIGMA,
    WINDOW_SIZE,
    blur_inside,
    gaussian_window,
    multiscale_similarity,
    similarity_maps,
)
from c2f_zoo.metrics.streaming import ImageSetMetric

_AT_ONCE = 1 << 22  # numbers compared at once, which bounds the memory


class PairwiseMSSSIM(ImageSetMetric):
    """Mean multi-scale structural similarity of random pairs of generated images.

    Lower is more variation; a collapsed generator approaches 1. The first and second image are a
    pair, the third and fourth, and so on: random pairs if the latents are random. The paper takes
    10,000 pairs. Real images are ignored.

    Raises:
        ValueError: If the sides of images are not multiples of 16.

    Source: Karras et al., arXiv 1710.10196, section 5, after Odena et al., arXiv 1610.09585;
    Wang, Simoncelli and Bovik, Multiscale Structural Similarity, 2003, for the five weights.

    Example:
        >>> metric = PairwiseMSSSIM()
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
        if self._left is not None:  # the unpaired image of the batch before
            images = np.concatenate([self._left, images])
        paired = len(images) // 2 * 2
        self._left = images[paired:].copy() if paired < len(images) else None
        if paired:
            self._total += float(similarity_of_pairs(images[0:paired:2], images[1:paired:2]).sum())
            self._pairs += paired // 2

    def result(self, progress=False):
        """Compute the mean over all pairs so far.

        Args:
            progress: Unused.

        Returns:
            Dictionary with `ms_ssim`, 0 to 1.

        Raises:
            ValueError: If there was no pair yet.
        """
        if not self._pairs:
            raise ValueError(
                f"There must be a pair of images. Received: {self._counts['fake']} images"
            )
        return {"ms_ssim": self._total / self._pairs}


def similarity_of_pairs(images1, images2):
    """`ms_ssim` (B,) in float64 of arrays (B, H, W, C) from 0 to 255, H and W multiples of 16.

    Where the paper leaves a choice open it is that of Karras et al.'s released code.
    """
    pair = np.asarray(images1), np.asarray(images2)
    _check(pair[0])
    checks.same_shape(("images1", "images2"), pair, "(B, H, W, C)", (None,) * 4)
    step = max(1, _AT_ONCE // pair[0][0].size)
    parts = []
    for first in range(0, len(pair[0]), step):
        some = (images[first : first + step].astype(np.float64) for images in pair)
        parts.append(multiscale_similarity(*some, _terms, _halve))
    return np.concatenate(parts)


def _terms(x, y):
    """Mean similarity and mean contrast-structure term of each pair: two arrays (B,)."""
    size = min(WINDOW_SIZE, *x.shape[1:3])
    window = gaussian_window(size, size * WINDOW_SIGMA / WINDOW_SIZE)
    maps = similarity_maps(x, y, lambda images: blur_inside(images, window), max_value=255)
    return tuple(values.mean(axis=(1, 2, 3)) for values in maps)


def _halve(images):
    rows = images[:, 0::2] + images[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) * 0.25


def _check(images):
    factor = 2 ** (len(SCALE_WEIGHTS) - 1)
    sides = range(factor, 2**31, factor)
    allowed = f"(B, H, W, C), H and W multiples of {factor}"
    checks.shape("images", images, allowed, (checks.SOME, sides, sides, None))
