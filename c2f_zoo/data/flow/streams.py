"""Batches of a data set of optical flow, for `fit` and `evaluate` on any backend."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.sample_stream import SampleStream


class FlowStream(SampleStream):
    """Batches `((image1, image2), flow, valid)` of a data set of optical flow.

    Everything random (order, crops, flips) follows from `(seed, epoch, position)` alone, so a
    batch is the same whoever asks for it, in whichever order and from however many workers.

    For a run that repeats, or resumes, exactly: give `fit` the callback `FollowEpoch(stream)`,
    and `shuffle=False`, because it would reorder the batches with Python's global random state.
    Keras' own queue (`workers` > 1) may serve a few batches twice in the first epoch of a `fit`;
    `as_tf_dataset` decodes in as many threads and does not.

    Each of several hosts (`join_hosts`) is served, and decodes, its own rows of every batch.

    Args:
        dataset: Sequence of `FlowSample`: `len(dataset)` and `dataset[i]`.
        batch_size: Samples in a batch, >= 1.
        crop_size: (height, width) in pixels of a random crop, or None for whole frames, which must
            then have one size within a batch.
        shuffle: Whether each epoch has a new order.
        horizontal_flip, vertical_flip: Probability of mirroring left and right, top and bottom.
        drop_remainder: Whether to leave out a last batch that is not full; False to evaluate.
        seed: Integer >= 0 that everything random follows from.
        initial_epoch: Epoch to begin with; the attribute `epoch` counts on from it.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Returns:
        `stream[i]` is `((image1, image2), flow, valid)`, float32 arrays: images (B, H, W, 3) in
        [0, 1], flow (B, H, W, 2) in pixels, mask (B, H, W, 1), 1 = valid.

    Raises:
        ValueError: An option is out of range, or the data set does not fill one batch. When a
            batch is made: a frame is smaller than the crop (named), sizes differ within a batch,
            or a sample has no flow.

    Example:
        >>> from c2f_zoo.data import FlowSample
        >>> frame, flow = np.zeros((16, 24, 3), "float32"), np.zeros((16, 24, 2), "float32")
        >>> samples = [FlowSample(frame, frame, flow, flow[..., :1] + 1) for _ in range(4)]
        >>> stream = FlowStream(samples, batch_size=2, crop_size=(8, 8))
        >>> (image1, image2), flow, valid = stream[0]
        >>> len(stream), image1.shape, flow.shape, valid.shape
        (2, (2, 8, 8, 3), (2, 8, 8, 2), (2, 8, 8, 1))
    """

    channels = (3, 3, 2, 1)

    def __init__(
        self,
        dataset,
        batch_size=8,
        crop_size=None,
        shuffle=True,
        horizontal_flip=0.0,
        vertical_flip=0.0,
        drop_remainder=True,
        seed=0,
        initial_epoch=0,
        **kwargs,
    ):
        options = {"drop_remainder": drop_remainder, "seed": seed, "initial_epoch": initial_epoch}
        super().__init__(dataset, batch_size, crop_size, shuffle, **options, **kwargs)
        self.horizontal_flip = checks.number("horizontal_flip", horizontal_flip, 0, 1)
        self.vertical_flip = checks.number("vertical_flip", vertical_flip, 0, 1)

    def _arrays_of(self, sample, name, rng):
        if sample.flow is None:
            raise ValueError(f"Training and evaluation need a flow. Received: none for {name}")
        valid = np.ones((*sample.flow.shape[:2], 1)) if sample.valid is None else sample.valid
        arrays = (sample.image1, sample.image2, sample.flow, valid)
        arrays = [np.asarray(array, np.float32) for array in arrays]
        arrays = self._cropped(arrays, name, rng)
        mirror = rng.random(2) < (self.horizontal_flip, self.vertical_flip)
        return _mirrored(arrays, *mirror)


def _mirrored(arrays, horizontally, vertically):
    axes = [axis for axis, mirror in ((0, vertically), (1, horizontally)) if mirror]
    image1, image2, flow, valid = (np.flip(array, axes) for array in arrays)
    # A motion to the right becomes one to the left.
    sign = np.where((horizontally, vertically), np.float32(-1), np.float32(1))
    return image1, image2, flow * sign, valid
