"""Batches for multilevel training: as many samples as each step's schedule asks for."""

import concurrent.futures

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.shares import HostShare

_ORDER, _SAMPLES = 0, 1


class MultilevelStream(keras.utils.PyDataset):
    """Endless batches of the sizes that a `MultilevelSchedule` sets for each step.

    The data set is read in one random order after another, so that the terms of an estimator have
    different samples. Everything random depends on `(seed, step)`: a run resumed at `initial_step`
    gets the batches of an uninterrupted one.

    Each of several hosts (`join_hosts`) is served its own rows of every batch. Of arrays it reads
    these alone; another source makes the whole batch, since its random numbers are the batch's.

    Args:
        source: Arrays of one length N in any structure that `fit` takes, such as `(x, y)`; or an
            object with `len()` and `samples(indices, random)`, which returns such a structure for
            the indices, an int64 array (B,), and may draw from `random`, a `numpy` generator.
        schedule: `MultilevelSchedule`.
        seed: Integer >= 0.
        initial_step: Step that batch 0 belongs to.
        prefetch: Batches that a thread makes in advance. `as_tf_dataset` prefetches anyway.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `PyDataset`.

    Raises:
        ValueError: If the arrays differ in length, there is no sample, or a number is out of
            range.

    Example:
        >>> from c2f_zoo.training import MultilevelSchedule
        >>> images = np.zeros((10, 8, 8, 3), "float32")
        >>> schedule = MultilevelSchedule.multiscale(levels=1, batch_size=2)
        >>> x, y = MultilevelStream((images, images), schedule)[5]
        >>> x.shape
        (6, 8, 8, 3)
    """

    def __init__(self, source, schedule, seed=0, initial_step=0, prefetch=0, **kwargs):
        super().__init__(**kwargs)
        self.source = source if hasattr(source, "samples") else _Arrays(source)
        self.schedule, self.seed = schedule, checks.whole("seed", seed, 0)
        self.initial_step = checks.whole("initial_step", initial_step, 0)
        self.prefetch, self.lead = checks.whole("prefetch", prefetch, 0), 0
        if not len(self.source):
            raise ValueError(f"The data set must have at least one sample. Received: {source}")
        self._orders, self._ahead, self._thread = {}, {}, None
        self.share = HostShare.current()

    def __getstate__(self):
        # A thread and its batches cannot be sent to another process.
        return {**self.__dict__, "_ahead": {}, "_thread": None}

    @property
    def num_batches(self):
        """None, since the stream is endless: `fit` neither stops nor shuffles it."""
        return None

    def __getitem__(self, index):
        """Return the batch of step `initial_step` + `index`."""
        index = int(index)
        if not self.prefetch:
            return self._batch(index)
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1)
        wanted = range(index, index + self.prefetch + 1)
        self._ahead = {
            number: self._ahead.get(number) or self._thread.submit(self._batch, number)
            for number in wanted
        }
        return self._ahead[index].result()

    def _batch(self, index):
        # `Multilevel.fit` sets how many batches it will take without a step.
        step = self.initial_step + max(0, index - self.lead)
        first, count = self.schedule.samples(step), self.schedule.at(step).samples
        random = np.random.default_rng((self.seed, _SAMPLES, step))
        indices = self._indices(first, count)
        if isinstance(self.source, _Arrays):
            return self.source.samples(self.share.of(indices), random)
        return self.share.of(self.source.samples(indices, random))

    def as_tf_dataset(self):
        """Serve the batches as an endless `tf.data.Dataset`.

        Batches are made by `workers` threads and prefetched; every iterator begins at
        `initial_step`.

        Returns:
            `tf.data.Dataset` of the source's structure with batches of unknown size.

        Raises:
            ImportError: If TensorFlow is not installed; the message names the extra.
        """
        tf = backend.tensorflow()
        example = self._batch(0)
        leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(example)]

        def make(index):
            return [np.asarray(leaf) for leaf in keras.tree.flatten(self._batch(int(index)))]

        def shaped(index):
            arrays = tf.numpy_function(make, [index], [leaf.dtype for leaf in leaves])
            for array, leaf in zip(arrays, leaves, strict=True):
                array.set_shape((None, *leaf.shape[1:]))
            return keras.tree.pack_sequence_as(example, arrays)

        dataset = tf.data.Dataset.counter()
        dataset = dataset.map(shaped, num_parallel_calls=max(1, self.workers), deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _indices(self, first, count):
        """Samples `first` to `first + count` of all orders in a row."""
        length = len(self.source)
        epochs = range(first // length, (first + count - 1) // length + 1)
        orders = {epoch: self._order(epoch) for epoch in epochs}
        self._orders = orders  # another thread may replace it at any time
        offset = first - epochs[0] * length
        return np.concatenate(list(orders.values()))[offset : offset + count]

    def _order(self, epoch):
        found = self._orders.get(epoch)
        if found is None:
            found = np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self.source))
        return found


class _Arrays:
    """Arrays in memory, or memory-mapped, as a source."""

    def __init__(self, arrays):
        self.arrays = arrays
        lengths = {len(array) for array in keras.tree.flatten(arrays)}
        if len(lengths) != 1:
            shapes = [np.shape(array) for array in keras.tree.flatten(arrays)]
            raise ValueError(f"All arrays must have one length. Received: shapes {shapes}")
        (self.length,) = lengths
        # Files that are memory-mapped are checked as they are read.
        for array in keras.tree.flatten(arrays):
            for first in range(0, 0 if isinstance(array, np.memmap) else self.length, 1024):
                _check_finite(array[first : first + 1024])

    def __len__(self):
        return self.length

    def samples(self, indices, random):
        def taken(array):
            chosen = np.take(array, indices, axis=0)
            if isinstance(array, np.memmap):
                _check_finite(chosen)
            return chosen

        return keras.tree.map_structure(taken, self.arrays)


def _check_finite(array):
    array = backend.to_numpy(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            "Samples must be finite, or the weights would become NaN. Received: "
            f"{np.count_nonzero(~np.isfinite(array))} other values in {array.shape[0]} samples"
        )
