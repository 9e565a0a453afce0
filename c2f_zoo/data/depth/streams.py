"""Batches of a data set of depth, for `fit` and `evaluate` on any backend."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.sample_stream import SampleStream


class DepthStream(SampleStream):
    """Batches `(image, depth, valid)` of a data set of depth.

    Everything random (order, crops, mirrors) follows from `(seed, epoch, position)` alone. For a
    run that repeats, or resumes, exactly, give `fit` `shuffle=False` and `FollowEpoch(stream)`.

    Each of several hosts (`join_hosts`) is served, and decodes, its own rows of every batch.

    Args:
        dataset: Sequence of `DepthSample`: `len(dataset)` and `dataset[i]`.
        batch_size: Samples in a batch, >= 1.
        crop_size: (height, width) in pixels of a random crop, or None for whole images, which must
            then have one size within a batch.
        shuffle: Whether each epoch has a new order.
        horizontal_flip: Probability of mirroring left and right.
        drop_remainder: Whether to leave out a last batch that is not full; False to evaluate.
        seed: Integer >= 0 that everything random follows from.
        initial_epoch: Epoch to begin with; the attribute `epoch` counts on from it.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Returns:
        `stream[i]` is `(image, depth, valid)`, float32 arrays: (B, H, W, 3) in [0, 1], (B, H, W, 1)
        in metres, mask (B, H, W, 1), 1 = valid.

    Raises:
        ValueError: An option is out of range, or the data set does not fill one batch. When a batch
            is made: an image is smaller than the crop (named), or sizes differ within a batch.

    Example:
        >>> from c2f_zoo.data import DepthSample
        >>> depth = np.ones((16, 24, 1), "float32")
        >>> samples = [DepthSample(np.zeros((16, 24, 3), "float32"), depth, depth)] * 4
        >>> [array.shape for array in DepthStream(samples, batch_size=2, crop_size=(8, 8))[0]]
        [(2, 8, 8, 3), (2, 8, 8, 1), (2, 8, 8, 1)]
    """

    channels = (3, 1, 1)

    def __init__(
        self,
        dataset,
        batch_size=8,
        crop_size=None,
        shuffle=True,
        horizontal_flip=0.0,
        drop_remainder=True,
        seed=0,
        initial_epoch=0,
        **kwargs,
    ):
        options = {"drop_remainder": drop_remainder, "seed": seed, "initial_epoch": initial_epoch}
        super().__init__(dataset, batch_size, crop_size, shuffle, **options, **kwargs)
        self.horizontal_flip = checks.number("horizontal_flip", horizontal_flip, 0, 1)

    def _arrays_of(self, sample, name, rng):
        arrays = [np.asarray(array, np.float32) for array in sample[:3]]
        arrays = self._cropped(arrays, name, rng)
        mirrors = rng.random() < self.horizontal_flip
        return [array[:, ::-1] if mirrors else array for array in arrays]
