"""Batches of a data set whose samples are decoded on demand, in an order that can be repeated."""

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.shares import HostShare

# What a random number is for: keeps the draws of one purpose apart from those of another.
_ORDER, _SAMPLE = 0, 1


class FollowEpoch(keras.callbacks.Callback):
    """Tell a stream which epoch `fit` is in.

    Keras calls `on_epoch_end` of a `PyDataset` also when it has only looked at a first batch to
    build the model, so a stream that counts for itself begins a `fit` with its next epoch. With
    this callback its `epoch` is that of `fit`, the `initial_epoch` of a resumed run included.

    Args:
        stream: A `SampleStream`, or anything else with an attribute `epoch`.

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


class SampleStream(keras.utils.PyDataset):
    """Base class of the streams of flow, stereo and depth.

    A subclass makes the arrays of one sample, in `_arrays_of`: one image or two, the truth and the
    mask of where it is known. A batch is `(image, truth, mask)`, or `((first, second), truth,
    mask)`.

    Everything random follows from `(seed, epoch, position)` alone, so a batch is the
    same whoever asks for it, in whichever order and from however many workers.

    Args:
        dataset: Sequence of samples: `len(dataset)` and `dataset[i]`.
        batch_size: Samples in a batch, >= 1.
        crop_size: (height, width) in pixels of a random crop, or None for whole images, which must
            then have one size within a batch.
        shuffle: Whether each epoch has a new order.
        drop_remainder: Whether to leave out a last batch that is not full; False to evaluate.
        seed: Integer >= 0 that everything random follows from.
        initial_epoch: Epoch to begin with; the attribute `epoch` counts on from it.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Attributes:
        channels: Number of channels of each array.

    Raises:
        ValueError: An option is out of range, or the data set does not fill one batch.
    """

    channels = ()

    def __init__(
        self,
        dataset,
        batch_size,
        crop_size=None,
        shuffle=True,
        drop_remainder=True,
        seed=0,
        initial_epoch=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dataset, self.shuffle, self.drop_remainder = dataset, shuffle, drop_remainder
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self.crop_size = (
            None if crop_size is None else checks.whole_pair("crop_size", crop_size, least=1)
        )
        self.seed = checks.whole("seed", seed, least=0)
        self.epoch = checks.whole("initial_epoch", initial_epoch, least=0)
        self.share = HostShare.current()
        if not len(self):
            full = f" of {batch_size}" if drop_remainder else ""
            raise ValueError(
                f"The data set does not fill one batch{full}. Received: {len(dataset)} samples"
            )

    def _arrays_of(self, sample, name, rng):
        """The arrays of a sample, called `name` in messages; `rng` is its own in this epoch."""
        raise TypeError(f"a stream of samples defines _arrays_of(). Received: {type(self)}")

    def __len__(self):
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index):
        """Return batch `index` of the current epoch, float32 arrays (B, H, W, C)."""
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
            Arrays (B, H, W, C) as `stream[i]`.

        Raises:
            ValueError: An image is smaller than the crop, sizes differ, or a sample has no truth.
            IndexError: There is no such batch.
        """
        return _as_batch(self._stacked(epoch, index))

    def _stacked(self, epoch, index):
        """The arrays (B, H, W, C) of a batch, one after the other."""
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
                "The images of a batch must have one size: set crop_size, or batch_size=1. "
                f"Received (width x height): {listed}"
            )
        return list(map(np.stack, zip(*samples, strict=True)))

    def _order(self, epoch):
        count = len(self.dataset)
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng((self.seed, _ORDER, epoch)).permutation(count)

    def _sample(self, epoch, position, index):
        sample = self.dataset[index]
        name = f"sample {index}" + (f" ({sample.name})" if sample.name else "")
        rng = np.random.default_rng((self.seed, _SAMPLE, epoch, position))
        return self._arrays_of(sample, name, rng)

    def _cropped(self, arrays, name, rng):
        """Cut one place of `crop_size` out of arrays (H, W, C), if there is such a size."""
        if self.crop_size is None:
            return arrays
        height, width = arrays[0].shape[:2]
        rows, columns = self.crop_size
        if height < rows or width < columns:
            raise ValueError(
                f"An image must be at least as large as the crop, {columns}x{rows} (width x "
                f"height). Received: {width}x{height} for {name}"
            )
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        return [array[top : top + rows, left : left + columns] for array in arrays]

    def as_tf_dataset(self):
        """Serve the batches as a `tf.data.Dataset`, decoded by `workers` threads and prefetched.

        Each pass over the result is one epoch of this stream, and a pass that is completed advances
        `epoch`.

        Returns:
            `tf.data.Dataset` of what `batch` returns, with a known number of batches.

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
            return self._stacked(int(epoch), int(index))

        batch_size = self.batch_size if self.drop_remainder else None
        place = tf.TensorSpec((), tf.int64)

        def shaped(epoch, index):
            arrays = tf.numpy_function(load, [epoch, index], [tf.float32] * len(self.channels))
            for array, channels in zip(arrays, self.channels, strict=True):
                array.set_shape((batch_size, *(self.crop_size or (None, None)), channels))
            return _as_batch(arrays)

        dataset = tf.data.Dataset.from_generator(places, output_signature=(place, place))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        dataset = dataset.map(shaped, num_parallel_calls=max(1, self.workers), deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE)


def _as_batch(arrays):
    """The arrays of a batch as `fit` takes them."""
    *images, truth, valid = arrays
    return (tuple(images) if len(images) > 1 else images[0]), truth, valid
