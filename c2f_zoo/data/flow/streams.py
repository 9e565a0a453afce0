"""Batches of a data set of optical flow, for `fit` and `evaluate` on any backend."""

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.shares import HostShare

# What a random number is for: keeps the draws of one purpose apart from those of another.
_ORDER, SAMPLE = 0, 1


class FollowEpoch(keras.callbacks.Callback):
    """Tell a stream which epoch `fit` is in.

    Keras calls `on_epoch_end` of a `PyDataset` also when it has only looked at a first batch to
    build the model, so a stream that counts for itself begins a `fit` with its next epoch. With
    this callback its `epoch` is that of `fit`, the `initial_epoch` of a resumed run included.

    Args:
        stream: A `FlowStream`, or anything else with an attribute `epoch`.

    Example:
        ```python
        model.fit(stream, epochs=20, shuffle=False, callbacks=[FollowEpoch(stream)])
        ```
    """

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def on_epoch_begin(self, epoch, logs=None):
        """Set the stream's epoch; Keras calls this before it asks for a batch."""
        self.stream.epoch = epoch


class FlowStream(keras.utils.PyDataset):
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

    truth_channels = 2

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
        super().__init__(**kwargs)
        self.dataset = dataset
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self.crop_size = (
            None if crop_size is None else checks.whole_pair("crop_size", crop_size, least=1)
        )
        self.shuffle = shuffle
        self.horizontal_flip = checks.number("horizontal_flip", horizontal_flip, 0, 1)
        self.vertical_flip = checks.number("vertical_flip", vertical_flip, 0, 1)
        self.drop_remainder = drop_remainder
        self.seed = checks.whole("seed", seed, least=0)
        self.epoch = checks.whole("initial_epoch", initial_epoch, least=0)
        self.share = HostShare.current()
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
        """Return batch `index` of the current epoch: images (B, H, W, 3), flow, mask."""
        return self.batch(self.epoch, index)

    @property
    def epoch(self):
        """Number of the epoch, >= 0, that `stream[i]` belongs to; it can be set."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch = epoch
        self._latest_pass = None

    def on_epoch_end(self):
        """Go on to the next epoch; Keras calls this."""
        self.epoch += 1

    def batch(self, epoch, index):
        """Make one batch of any epoch.

        Args:
            epoch: Number of the epoch, >= 0.
            index: Number of the batch, 0 to `len(self) - 1`.

        Returns:
            `((image1, image2), flow, valid)`, arrays (B, H, W, C) as `stream[i]`.

        Raises:
            ValueError: A frame is smaller than the crop, sizes differ, or a sample has no flow.
            IndexError: There is no such batch.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"index must be 0 to {len(self) - 1}. Received: {index}")
        first = index * self.batch_size
        positions = range(first, min(first + self.batch_size, len(self.dataset)))
        positions = positions[self.share.rows(len(positions))]
        order = self._order(epoch)
        samples = [self._sample(epoch, position, int(order[position])) for position in positions]
        sizes = {sample[0].shape[:2] for sample in samples}
        if len(sizes) > 1:
            listed = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise ValueError(
                "The frames of a batch must have one size: set crop_size, or batch_size=1. "
                f"Received (width x height): {listed}"
            )
        image1, image2, flow, valid = map(np.stack, zip(*samples, strict=True))
        return (image1, image2), flow, valid

    def as_tf_dataset(self):
        """Serve the batches as a `tf.data.Dataset`, decoded by `workers` threads and prefetched.

        Each pass over the result is one epoch of this stream, and a pass that is completed advances
        `epoch`.

        Returns:
            `tf.data.Dataset` of `((image1, image2), flow, valid)`, shapes as in `batch`, with a
            known number of batches.

        Raises:
            ImportError: TensorFlow is not installed; the message names the extra.
        """
        tf = backend.tensorflow()

        def places():
            epoch, this_pass = self.epoch, object()
            self._latest_pass = this_pass
            for index in range(len(self)):
                yield epoch, index
            # An abandoned pass may come to its end in a thread of its own, much later.
            if self._latest_pass is this_pass:
                self.epoch = epoch + 1

        def load(epoch, index):
            (image1, image2), flow, valid = self.batch(int(epoch), int(index))
            return image1, image2, flow, valid

        batch_size = self.batch_size if self.drop_remainder else None
        height, width = self.crop_size or (None, None)
        place = tf.TensorSpec((), tf.int64)

        def shaped(epoch, index):
            arrays = tf.numpy_function(load, [epoch, index], [tf.float32] * 4)
            for array, channels in zip(arrays, (3, 3, self.truth_channels, 1), strict=True):
                array.set_shape((batch_size, height, width, channels))
            image1, image2, flow, valid = arrays
            return (image1, image2), flow, valid

        dataset = tf.data.Dataset.from_generator(places, output_signature=(place, place))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        dataset = dataset.map(shaped, num_parallel_calls=max(1, self.workers), deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _order(self, epoch):
        count = len(self.dataset)
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng((self.seed, _ORDER, epoch)).permutation(count)

    def _sample(self, epoch, position, index):
        sample = self.dataset[index]
        name = f"sample {index}" + (f" ({sample.name})" if sample.name else "")
        if sample.flow is None:
            raise ValueError(f"Training and evaluation need a flow. Received: none for {name}")
        valid = np.ones((*sample.flow.shape[:2], 1)) if sample.valid is None else sample.valid
        arrays = (sample.image1, sample.image2, sample.flow, valid)
        arrays = tuple(np.asarray(array, np.float32) for array in arrays)
        rng = np.random.default_rng((self.seed, SAMPLE, epoch, position))
        if self.crop_size:
            arrays = random_crop(arrays, self.crop_size, rng, name)
        mirror = rng.random(2) < (self.horizontal_flip, self.vertical_flip)
        return _mirrored(arrays, *mirror)


def random_crop(arrays, crop_size, rng, name):
    """Cut the same place out of arrays (H, W, C); `name` is for the message if it is too large."""
    height, width = arrays[0].shape[:2]
    crop_height, crop_width = crop_size
    if height < crop_height or width < crop_width:
        raise ValueError(
            f"A frame must be at least as large as the crop, {crop_width}x{crop_height} (width x "
            f"height). Received: {width}x{height} for {name}"
        )
    top = rng.integers(height - crop_height + 1)
    left = rng.integers(width - crop_width + 1)
    return tuple(array[top : top + crop_height, left : left + crop_width] for array in arrays)


def _mirrored(arrays, horizontally, vertically):
    axes = [axis for axis, mirror in ((0, vertically), (1, horizontally)) if mirror]
    image1, image2, flow, valid = (np.flip(array, axes) for array in arrays)
    # A motion to the right becomes one to the left.
    sign = np.where((horizontally, vertically), np.float32(-1), np.float32(1))
    return image1, image2, flow * sign, valid
