"""Batches of a data set of stereo pairs, augmented, for `fit` and `evaluate` on any backend."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.sample_stream import SampleStream

PATCHES = (1, 2)  # erased boxes, fewest and most
PATCH_SIDES = (50, 100)  # pixels


class StereoStream(SampleStream):
    """Batches `((left, right), disparity, valid)` of a data set of stereo pairs.

    Everything random follows from `(seed, epoch, position)` alone; how a run repeats exactly, and
    what several hosts are served, is told by `FlowStream`. The defaults are PSMNet's training:
    random crops and nothing else.

    Args:
        dataset: Sequence of `StereoSample`: `len(dataset)` and `dataset[i]`.
        batch_size: Samples in a batch, >= 1.
        crop_size: (height, width) in pixels of a random crop, or None for whole images, which must
            then have one size within a batch.
        shuffle: Whether each epoch has a new order.
        colour: Strength of the change of colours, drawn for each image by itself: brightness and
            gamma by factors up to `exp(colour)`, each channel by half of that. 0 for none.
        erase: Probability that one or two boxes of the right image, 50 to 100 pixels wide and
            high, get its mean colour: what is hidden has no counterpart.
        drop_remainder: Whether to leave out a last batch that is not full; False to evaluate.
        seed: Integer >= 0 that everything random follows from.
        initial_epoch: Epoch to begin with; the attribute `epoch` counts on from it.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Returns:
        `stream[i]` is `((left, right), disparity, valid)`, float32 arrays: images (B, H, W, 3) in
        [0, 1], disparity (B, H, W, 1) in pixels, mask (B, H, W, 1), 1 = valid.

    Raises:
        ValueError: An option is out of range, or the data set does not fill one batch. When a
            batch is made: an image is smaller than the crop (named), sizes differ within a batch,
            or a sample has no disparity.

    Source: PSMNet (arXiv 1803.08669), section 4.1, for the crops; Yang et al., "Hierarchical Deep
    Stereo Matching", CVPR 2019, section 3.3, for asymmetric colours and erased boxes.

    Example:
        >>> from c2f_zoo.data import StereoSample
        >>> image, disparity = np.zeros((16, 24, 3), "float32"), np.ones((16, 24, 1), "float32")
        >>> samples = [StereoSample(image, image, disparity, disparity) for _ in range(4)]
        >>> (left, right), disparity, valid = StereoStream(samples, 2, crop_size=(8, 12))[0]
        >>> left.shape, disparity.shape, valid.shape
        ((2, 8, 12, 3), (2, 8, 12, 1), (2, 8, 12, 1))
    """

    channels = (3, 3, 1, 1)

    def __init__(
        self,
        dataset,
        batch_size=12,
        crop_size=(256, 512),
        shuffle=True,
        colour=0.0,
        erase=0.0,
        drop_remainder=True,
        seed=0,
        initial_epoch=0,
        **kwargs,
    ):
        options = {"drop_remainder": drop_remainder, "seed": seed, "initial_epoch": initial_epoch}
        super().__init__(dataset, batch_size, crop_size, shuffle, **options, **kwargs)
        self.colour = checks.number("colour", colour, least=0)
        self.erase = checks.number("erase", erase, 0, 1)

    def _arrays_of(self, sample, name, rng):
        if sample.disparity is None:
            raise ValueError(f"Training and evaluation need a disparity. Received: none for {name}")
        valid = sample.disparity > 0 if sample.valid is None else sample.valid
        arrays = (sample.left, sample.right, sample.disparity, valid)
        arrays = [np.asarray(array, np.float32) for array in arrays]
        left, right, disparity, valid = self._cropped(arrays, name, rng)
        if self.colour:
            left, right = (_recoloured(image, self.colour, rng) for image in (left, right))
        if rng.random() < self.erase:
            right = _erased(right, rng)
        return left, right, disparity, valid


def _recoloured(image, strength, rng):
    """Change brightness, gamma and channels of an image (H, W, 3) in [0, 1]."""
    brightness, gamma = np.exp(rng.uniform(-strength, strength, 2))
    channels = np.exp(rng.uniform(-strength / 2, strength / 2, 3))
    factors = (brightness * channels).astype(np.float32)
    return np.clip(image ** np.float32(gamma) * factors, 0, 1)


def _erased(image, rng):
    """Fill one or two boxes of an image (H, W, 3) with its mean colour."""
    image, mean = image.copy(), image.mean((0, 1))
    for _ in range(rng.integers(PATCHES[0], PATCHES[1] + 1)):
        top, left = (int(rng.integers(size)) for size in image.shape[:2])
        height, width = rng.integers(*PATCH_SIDES, 2)
        image[top : top + height, left : left + width] = mean
    return image
