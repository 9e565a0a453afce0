"""Training any Keras model at growing resolution inside one ordinary `fit`."""

import math
import warnings

import keras

from c2f_zoo import backend, checks
from c2f_zoo.training.batch_statistics import update_batch_statistics
from c2f_zoo.training.curricula.schedule import ResolutionSchedule
from c2f_zoo.training.curricula.stream import ResolutionStream, length_of


class ResolutionCurriculum(keras.callbacks.Callback):
    """Trains a compiled Keras model on images that grow, as a schedule says.

    `stream` makes the batches; as a callback it sets the learning rate where the schedule has one,
    ends training once the schedule is done, and adds `images` and `resolution` (the height) to the
    logs. The model is any that takes images of several sizes, its graph as it is. Validation data
    is not changed: give it at the final resolution.

    All follows from epoch and step, so a run that `TrainingState` resumes equals one that was never
    interrupted, within a stage too. Several devices (`on_devices`) compute what one does, given
    batches that they can share (`divisible_by`).

    A batch of `equal_memory` is larger where images are small, so an epoch of `fit`, which Keras
    gives one number of steps, is then an equal share of all steps and no pass of the data set.

    Args:
        schedule: `ResolutionSchedule`, or the name of one for `ResolutionSchedule.preset`.
        size: Final height, or (height, width), of a schedule that is named.
        epochs: Passes over the data set, and epochs of `fit`: the schedule is stretched to them.
            By default as many as the schedule's images are, rounded up.
        statistics_batches: Batches at the final resolution from which the moving statistics of
            batch normalization are estimated anew at the end of training (those of the last
            steps). 0: they stay.
        **options: Those of `ResolutionSchedule.listed`, of a schedule that is named.

    Raises:
        TypeError: If `schedule` is neither.
        ValueError: If an argument is out of range. From `fit`, if the model cannot take a
            resolution, its optimizer has a schedule of its own where this one sets rates, or
            `steps_per_epoch` is given.

    Source: MosaicML Composer's progressive resizing; EfficientNetV2, arXiv 2104.00298, section 4.

    Example:
        >>> layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
        >>> model = keras.Sequential([keras.Input((None, None, 3)), *layers])
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> data = np.zeros((8, 16, 16, 3), "float32"), np.zeros(8, "int32")
        >>> curriculum = ResolutionCurriculum("composer", size=16, epochs=4, batch_size=4)
        >>> options = {"epochs": curriculum.epochs, "callbacks": [curriculum], "verbose": 0}
        >>> logs = model.fit(curriculum.stream(data), validation_data=data, **options).history
        >>> logs["resolution"], logs["images"]
        ([8, 8, 12, 16], [8, 16, 24, 32])
    """

    def __init__(self, schedule, size=None, epochs=None, statistics_batches=0, **options):
        super().__init__()
        self.given_epochs = None if epochs is None else checks.whole("epochs", epochs, least=1)
        self.statistics_batches = checks.whole("statistics_batches", statistics_batches, least=0)
        if isinstance(schedule, str):
            if epochs is None or size is None:
                raise ValueError(
                    "A schedule given by its name needs size and epochs. "
                    f"Received: size={size}, epochs={epochs}"
                )
            # Its images are those of the data set, which `stream` learns: any number finds errors.
            ResolutionSchedule.preset(schedule, size, 1_000_000, **options)
        elif not isinstance(schedule, ResolutionSchedule):
            raise TypeError(
                "schedule must be a ResolutionSchedule or the name of one. "
                f"Received: {type(schedule).__name__}"
            )
        elif options or size is not None:
            raise ValueError(
                "A ResolutionSchedule has its size and options already. "
                f"Received: {sorted(options) or f'size={size}'}"
            )
        self._asked, self._size, self._options = schedule, size, options
        self.schedule = None if isinstance(schedule, str) else schedule
        self.epochs, self._stream, self._rate = self.given_epochs, None, None

    def stream(self, dataset, resize="labels", augment=None, seed=0):
        """Make the batches for `fit`.

        Args:
            dataset: Arrays such as `(x, y)`, an object with `len()` and `samples`, or a
                `PyDataset`: see `ResolutionStream`. Images have any one size.
            resize: What the targets are: `"labels"`, `"images"`, `"masks"`, `"flow"`,
                `"disparity"`, `"depth"`, or a function: see `ResolutionStream`.
            augment: Function of a resized batch, its `ResolutionState` (whose `settings` grow)
                and a `numpy` generator; None: nothing is changed.
            seed: Integer >= 0 that the order of the samples follows from.

        Returns:
            `ResolutionStream`; on TensorFlow its `tf.data.Dataset`.

        Raises:
            TypeError: If the data set is of none of these kinds.
            ValueError: If it is endless, or an argument is out of range.

        Example:
            ```python
            curriculum = ResolutionCurriculum("composer", size=224, epochs=20)
            model.fit(curriculum.stream((x, y)), epochs=20, callbacks=[curriculum])
            ```
        """
        length = length_of(dataset)
        if length is None and (self.given_epochs is None or isinstance(self._asked, str)):
            # One can only count the images of a schedule that has its number already.
            raise ValueError(
                "An endless data set needs a ResolutionSchedule, and epochs to divide it into. "
                f"Received: schedule={self._asked!r}, epochs={self.given_epochs}"
            )
        if length == 0:
            raise ValueError(f"The data set must have at least one sample. Received: {length}")
        if isinstance(self._asked, str):
            images = self.given_epochs * length
            self.schedule = ResolutionSchedule.preset(
                self._asked, self._size, images, **self._options
            )
        elif self.given_epochs is not None and length is not None:
            self.schedule = self._asked.stretched(self.given_epochs * length)
        self.epochs = self.given_epochs or math.ceil(self.schedule.total / length)
        self._stream = ResolutionStream(
            dataset, self.schedule, self.epochs, resize=resize, augment=augment, seed=seed
        )
        return self._stream.as_tf_dataset() if backend.backend() == "tensorflow" else self._stream

    def on_train_begin(self, logs=None):
        stream, steps, epochs = self._stream, self.params.get("steps"), self.params.get("epochs")
        if stream is None or steps != stream.num_batches:
            expected = "" if stream is None else f", with its own {stream.num_batches} steps"
            raise ValueError(
                "fit must be given the curriculum's stream(dataset), without steps_per_epoch"
                f"{expected}. Received: {steps} steps"
            )
        if epochs is not None and epochs < self.epochs:
            warnings.warn(
                f"The curriculum's schedule is done after fit(epochs={self.epochs}). "
                f"Received: epochs={epochs}",
                stacklevel=2,
            )
        self._rate = None
        self._set_rate(self.schedule.learning_rates[0])
        check_resolutions(self.model, stream)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        # Keras has not asked for a batch of this epoch yet.
        self._stream.start(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self._set_rate(self._state(batch).learning_rate)

    def on_train_batch_end(self, batch, logs=None):
        self._steps = self._epoch * self._stream.num_batches + batch + 1
        if self._steps >= self._stream.total:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            images = self.schedule.advance(0, self._steps)
            last = self.schedule.at(self.schedule.advance(0, self._steps - 1))
            logs.update(images=images, resolution=last.resolution[0])

    def on_train_end(self, logs=None):
        self._stream.start(None)
        if not self.statistics_batches or self._steps < self._stream.total:
            return
        # Those of the last steps, as far as they have the final resolution.
        last = self.schedule.phases[-1]
        steps = range(self.schedule.steps(0, last.start), self._stream.total)
        batches = (self._stream.batch(step) for step in steps[-self.statistics_batches :])
        update_batch_statistics(
            self.model, (keras.utils.unpack_x_y_sample_weight(batch)[0] for batch in batches)
        )

    def _state(self, batch):
        step = self._epoch * self._stream.num_batches + batch
        return self.schedule.at(self.schedule.advance(0, step))

    def _set_rate(self, rate):
        # Only where it changes: on JAX `self.model` copies the whole state into the model.
        if rate is None or rate == self._rate:
            return
        try:
            self.model.optimizer.learning_rate = rate
        except TypeError as error:
            raise ValueError(
                "The curriculum sets the learning rate, so the optimizer must have a number. "
                f"Received: {error}"
            ) from error
        self._rate = rate


def check_resolutions(model, stream):
    """Refuse resolutions that a built model cannot take, before any training.

    Args:
        model: `keras.Model`. One that is not built yet is not checked, nor a `Sequential`
            without `Input`, which knows the sizes of the first batch only.
        stream: `ResolutionStream`.

    Raises:
        ValueError: If the model has another, fixed size, or an image is too small for it.
    """
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    if not model.built or (inputs and inputs[0].shape[0] is not None):
        return
    x = keras.utils.unpack_x_y_sample_weight(stream.batch(0))[0]
    for height, width in dict.fromkeys(stream.schedule.resolutions):

        def spec(leaf, size=(height, width)):
            middle = size if len(leaf.shape) == 4 else leaf.shape[1:3]
            dtype = keras.backend.standardize_dtype(leaf.dtype)
            return keras.KerasTensor((leaf.shape[0], *middle, *leaf.shape[3:]), dtype)

        asked = keras.tree.map_structure(spec, x)
        try:
            _check_fixed(inputs, asked)
            model.compute_output_spec(asked)
        except Exception as error:  # each layer has its own
            raise ValueError(
                f"The model cannot take images of {height}x{width}: {error} "
                f"Received: the resolutions {stream.schedule.resolutions}"
            ) from error


def _check_fixed(inputs, asked):
    for known, leaf in zip(inputs, keras.tree.flatten(asked), strict=False):
        pairs = zip(known.shape[1:], leaf.shape[1:], strict=False)
        if any(a is not None and a != b for a, b in pairs):
            raise ValueError(
                f"its input has the fixed shape {known.shape}; use keras.Input((None, None, C))."
            )
