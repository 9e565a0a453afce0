"""Batches of a data set of depth, for `fit` and `evaluate` on any backend."""

import keras
import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.shares import HostShare

# What a random number is for: keeps the draws of one purpose apart from those of another.
_ORDER, _SAMPLE = 0, 1


class DepthStream(keras.utils.PyDataset):
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

    def __init__(
        self,
        dataset,
        batch_size=8,
        crop_size=None,
        shuffle=True,
        horizontal_flip=0.0,
        drop_remainder=True,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dataset, self.shuffle, self.drop_remainder = dataset, shuffle, drop_remainder
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self.crop_size = (
            None if crop_size is None else checks.whole_pair("crop_size", crop_size, least=1)
        )
        self.horizontal_flip = checks.number("horizontal_flip", horizontal_flip, 0, 1)
        self.seed = checks.whole("seed", seed, least=0)
        self.epoch, self.share = 0, HostShare.current()
        if not len(self):
            full = f" of {batch_size}" if drop_remainder else ""
            raise ValueError(
                f"The data set does not fill one batch{full}. Received: {len(dataset)} samples"
            )

    def __len__(self):
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index):
        """Return batch `index` of the epoch: image (B, H, W, 3), depth and mask (B, H, W, 1)."""
        if not 0 <= index < len(self):
            raise IndexError(f"index must be 0 to {len(self) - 1}. Received: {index}")
        first = index * self.batch_size
        positions = range(first, min(first + self.batch_size, len(self.dataset)))
        positions = positions[self.share.rows(len(positions))]
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng((self.seed, _ORDER, self.epoch)).permutation(order)
        samples = [self._sample(position, int(order[position])) for position in positions]
        sizes = {sample[0].shape[:2] for sample in samples}
        if len(sizes) > 1:
            listed = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise ValueError(
                "The images of a batch must have one size: set crop_size, or batch_size=1. "
                f"Received (width x height): {listed}"
            )
        return tuple(map(np.stack, zip(*samples, strict=True)))

    def on_epoch_end(self):
        """Go on to the next epoch; Keras calls this."""
        self.epoch += 1

    def _sample(self, position, index):
        sample = self.dataset[index]
        arrays = [np.asarray(array, np.float32) for array in sample[:3]]
        rng = np.random.default_rng((self.seed, _SAMPLE, self.epoch, position))
        if self.crop_size:
            height, width = arrays[0].shape[:2]
            rows, columns = self.crop_size
            if height < rows or width < columns:
                name = f"sample {index}" + (f" ({sample.name})" if sample.name else "")
                raise ValueError(
                    f"An image must be at least as large as the crop, {columns}x{rows} (width x "
                    f"height). Received: {width}x{height} for {name}"
                )
            top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
            arrays = [array[top : top + rows, left : left + columns] for array in arrays]
        mirrors = rng.random() < self.horizontal_flip
        return [array[:, ::-1] if mirrors else array for array in arrays]
