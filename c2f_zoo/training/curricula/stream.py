"""Batches at the resolution and of the size that a schedule asks for, from any images."""

import threading

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.training.curricula.resize import resize_batch
from c2f_zoo.training.multilevel.stream import MultilevelStream

_AUGMENT = 2  # apart from the purposes of MultilevelStream's random numbers


class ResolutionStream(keras.utils.PyDataset):
    """Batches of a data set at the resolution and size of a `ResolutionSchedule`.

    `ResolutionCurriculum.stream` makes one, and tells it the epoch of `fit`. Which samples a batch
    has, and all that is random, follows from `(seed, step)` alone. Batches come in order whatever
    Keras asks for: `fit` would shuffle them.

    Images are resized on the device that Keras computes on; on TensorFlow by the processor, while
    the device takes the step before.

    Args:
        source: Arrays of one length in the structure that `fit` takes, such as `(x, y)`; an object
            with `len()` and `samples(indices, random)` as for `MultilevelStream`; or a
            `keras.utils.PyDataset`, whose batches are served as they are, or several of them as
            one where the schedule's batch is a multiple of theirs.
        schedule: `ResolutionSchedule`.
        epochs: Number of epochs of `fit` that the schedule is divided into.
        resize: What the targets are, as of `resize_batch`; or a function of a batch and (height,
            width) that returns the batch at this size.
        augment: Function of a resized batch, its `ResolutionState` and a `numpy` generator that
            returns the batch; None: nothing is changed.
        seed: Integer >= 0.

    Raises:
        TypeError: If `source` is of none of these kinds.
        ValueError: If a number is out of range, or the batches of a `PyDataset` do not divide the
            schedule's.

    Example:
        >>> from c2f_zoo.training import ResolutionSchedule
        >>> data = np.zeros((20, 16, 16, 3), "float32"), np.zeros(20, "int32")
        >>> schedule = ResolutionSchedule.linear(8, 16, 2, images=40, batch_size=5)
        >>> stream = ResolutionStream(data, schedule, epochs=2)
        >>> [tuple(stream.batch(step)[0].shape) for step in (0, 4)]
        [(5, 8, 8, 3), (5, 16, 16, 3)]
    """

    def __init__(self, source, schedule, epochs, *, resize="labels", augment=None, seed=0):
        super().__init__()
        self.schedule = schedule
        self.epochs = checks.whole("epochs", epochs, least=1)
        self.augment, self.seed = augment, checks.whole("seed", seed, least=0)
        if callable(resize):
            self.resize = resize
        else:
            # Refuse an unknown name before training.
            resize_batch(np.zeros((1, 1, 1, 1), "float32"), (1, 1), resize)
            self.resize = lambda batch, size: resize_batch(batch, size, resize)
        if isinstance(source, keras.utils.PyDataset):
            self.raw = _Batches(source, schedule)
        else:
            self.raw = MultilevelStream(source, _Steps(schedule), seed)
        self.total = schedule.steps()
        self.epoch, self._position = None, 0

    def __getstate__(self):
        raise TypeError("A ResolutionStream stays in its process. Received: a request to copy it")

    @property
    def num_batches(self):
        """Batches in an epoch of `fit`; the last epoch may end earlier."""
        return -(-self.total // self.epochs)

    def __len__(self):
        """Return the number of batches in an epoch."""
        return self.num_batches

    def start(self, epoch):
        """Let the next batch be the first of an epoch.

        Before the first epoch there are batches of the final resolution alone: Keras builds a
        model with one.

        Args:
            epoch: Number of the epoch, from 0; None: before the first.
        """
        self.epoch, self._position = epoch, 0

    def __getitem__(self, index):
        """Return the next batch of the epoch, whichever is asked for."""
        position, self._position = self._position, self._position + 1
        return self._served(position)

    def _served(self, position):
        if self.epoch is None:
            return self.resize(self.raw[0], self.schedule.resolutions[-1])
        return self.batch(self.epoch * self.num_batches + position)

    def batch(self, step):
        """Make the batch of a step.

        Args:
            step: Number of the step, from 0 at the start of the schedule.

        Returns:
            The structure of the source, its images tensors (B, H, W, C).
        """
        state = self.schedule.at(self.schedule.advance(0, step))
        batch = self.resize(self.raw[step], state.resolution)
        if self.augment is None:
            return batch
        return self.augment(batch, state, np.random.default_rng((self.seed, _AUGMENT, step)))

    def as_tf_dataset(self):
        """Serve the batches of the present epoch as a `tf.data.Dataset` of changing resolution.

        Each iterator begins at the epoch that then is the present one.

        Returns:
            `tf.data.Dataset` of batches whose size, height and width are unknown.

        Raises:
            ImportError: If TensorFlow is not installed; the message names the extra.
        """
        tf = backend.tensorflow()
        example = self.batch(0)
        leaves = keras.tree.flatten(example)
        dtypes = [keras.backend.standardize_dtype(leaf.dtype) for leaf in leaves]

        def make(index):
            # Eagerly and on the processor, which the device's steps do not wait for.
            with tf.device("CPU:0"):
                leaves = keras.tree.flatten(self._served(int(index)))
                return [backend.to_numpy(leaf) for leaf in leaves]

        def shaped(index):
            arrays = tf.numpy_function(make, [index], dtypes)
            for array, leaf in zip(arrays, leaves, strict=True):
                is_picture = len(leaf.shape) > 2
                known = (None, None, *leaf.shape[3:]) if is_picture else leaf.shape[1:]
                array.set_shape((None, *known))
            return keras.tree.pack_sequence_as(example, arrays)

        dataset = tf.data.Dataset.range(self.num_batches).map(shaped)
        return dataset.prefetch(tf.data.AUTOTUNE)


class _Steps:
    """A schedule counted in images, asked in steps as a `MultilevelStream` asks."""

    def __init__(self, schedule):
        self.schedule = schedule

    def samples(self, step):
        """Samples shown before a step."""
        return self.schedule.advance(0, step)

    def at(self, step):
        """What a step shows: an object whose `samples` is its batch size."""
        return _Count(self.schedule.at(self.samples(step)).batch_size)


class _Count:
    def __init__(self, samples):
        self.samples = samples


class _Batches:
    """The batches of a `PyDataset`, one after another through all its epochs."""

    def __init__(self, dataset, schedule):
        self.dataset, self.schedule, self.size = dataset, schedule, batch_size_of(dataset)
        self._pass, self._lock = getattr(dataset, "epoch", 0), threading.Lock()
        self.first_pass = self._pass
        for stage in schedule:
            if stage.batch_size % self.size:
                raise ValueError(
                    f"Batches must be made of whole ones of the data set, which are {self.size}: "
                    "batch_size and divisible_by must be multiples. "
                    f"Received: a batch of {stage.batch_size}"
                )

    def __getitem__(self, step):
        images = self.schedule.advance(0, step)
        count = self.schedule.at(images).batch_size // self.size
        first = images // self.size
        # TensorFlow may still be making the first batches of an epoch that nobody will see.
        with self._lock:
            batches = [self._batch(number) for number in range(first, first + count)]
        if count == 1:
            return batches[0]
        return keras.tree.map_structure(
            lambda *parts: np.concatenate([backend.to_numpy(part) for part in parts]), *batches
        )

    def _batch(self, number):
        length = self.dataset.num_batches
        done, index = (0, number) if length is None else divmod(number, length)
        done += self.first_pass
        if hasattr(self.dataset, "epoch"):
            if self._pass != done:
                self.dataset.epoch = done
            self._pass = done
        while self._pass < done:  # as `fit` would
            self.dataset.on_epoch_end()
            self._pass += 1
        return self.dataset[index]


def batch_size_of(dataset):
    """Samples in the first batch of a `PyDataset`."""
    return len(keras.tree.flatten(dataset[0])[0])


def length_of(source):
    """Samples in a source of a `ResolutionStream`; None if it is endless."""
    if isinstance(source, keras.utils.PyDataset):
        length = source.num_batches
        return None if length is None else length * batch_size_of(source)
    if hasattr(source, "samples"):
        return len(source)
    leaves = keras.tree.flatten(source)
    if not leaves or not all(hasattr(leaf, "shape") and len(leaf.shape) for leaf in leaves):
        raise TypeError(
            "A data set must be arrays of one length, such as (x, y), an object with len() and "
            "samples(indices, random), or a keras.utils.PyDataset. "
            f"Received: {type(source).__name__}"
        )
    return len(leaves[0])
