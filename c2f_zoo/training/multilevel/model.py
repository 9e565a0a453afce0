"""Multilevel gradients: estimates of the fine mesh's gradient, mostly from coarse meshes."""

import contextlib
import inspect
import math

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.layers.restriction import RESTRICTIONS
from c2f_zoo.training.micro_batches import (
    added,
    check_losses,
    chosen_parts,
    gradients_in_parts,
    map_batch,
    ordered,
)
from c2f_zoo.training.multilevel.batch import (
    are_arrays,
    divisible,
    explained_errors,
    of_length,
    restricted,
    shares,
)
from c2f_zoo.training.multilevel.schedule import schedule_of
from c2f_zoo.training.multilevel.stream import MultilevelStream
from c2f_zoo.training.planned_steps import StepPlanner
from c2f_zoo.training.steps import TrainStep


class Multilevel(TrainStep, keras.Model):
    """Trains a resolution-agnostic model with the multilevel estimator of its gradient.

    With mesh 0 the full images and mesh m of 1 / 2^m the height and width, a step estimates

        grad_0 = sum over j < levels of [grad_j - grad_(j+1)]  +  grad_levels,

    each term on its own samples, both meshes of a difference on the same samples, with the same
    noise and time, which are part of the data. The expectation is that of the fine gradient,
    whatever the batch sizes. Most samples belong to coarse terms, where they cost little.
    Gradients are computed one mesh at a time, added up, and applied once.

    A batch holds the samples of all terms, `schedule.at(step).samples` of them, the finest term
    first. Arrays given to `fit` are served in such batches, in an endless random order
    (`MultilevelStream`); a data set or loader of your own must return batches of that size. Every
    tensor of four axes among inputs, targets and sample weights is an image and restricted, and so
    are maps (B, H, W) of an image's height and width; integer maps are labels and subsampled.
    Others, such as a time (B,), are the same on every mesh.

    Dropout draws anew on each mesh, which adds variance but no bias. Batch normalisation uses the
    statistics of each mesh's own batch; the running ones follow the finest mesh of a step, where
    the model will be used. Losses of `add_loss` and regularisers count as in Keras.

    `fit` logs `loss`, the estimate of the fine loss (which may be negative, since it contains
    differences), the metrics of `compile` on the finest term, and `work_units` since the first
    step.

    Args:
        model: `keras.Model` or layer that maps images of any size; it is trained in place.
        levels: Number of corrections: with 3 the coarsest image has an eighth of the height and
            width.
        mode: `"single"` (ordinary training), `"multiscale"` (MGE) or `"fullmultiscale"` (coarsest
            mesh first, then finer ones, see `MultilevelSchedule.full_multiscale`).
        batch_size: Samples of the finest term.
        batch_factor: Ratio of a coarser term's samples to those of the term before.
        restriction: `"subsample"`, `"average"` or `"bilinear"`, see `c2f_zoo.layers.restrict`.
        schedule: `MultilevelSchedule` in place of `levels`, `mode`, `batch_size` and
            `batch_factor`.
        prepare: Function of a batch's inputs, targets, sample weights (or None) and a
            `keras.random.SeedGenerator` that returns inputs and targets, or these and weights. It
            runs on the device before the restriction, for instance to add noise; not in
            evaluation.
        seed: Seed of the generator of `prepare` and of the order of samples.
        **kwargs: `name` of `keras.Model`.

    Attributes:
        model: The model that is trained.
        schedule: `MultilevelSchedule`.
        steps: Scalar variable, the steps taken.

    Raises:
        ValueError: If an argument is out of range. In `fit`: if images cannot be halved so often,
            a batch has another size, or the model accepts only one size of image.

    Source: arXiv 2501.12739 (MGE, Full-Multiscale).

    Example:
        >>> network = keras.Sequential([keras.layers.Conv2D(3, 3, padding="same")])
        >>> training = Multilevel(network, levels=2, batch_size=2)
        >>> training.compile("adam", "mse")
        >>> images = np.random.default_rng(0).random((20, 16, 16, 3), dtype="float32")
        >>> history = training.fit(images, images, steps_per_epoch=3, verbose=0)
        >>> history.history["work_units"][0], tuple(network(images[:1]).shape[1:])
        (12.75, (16, 16, 3))
    """

    def __init__(
        self,
        model,
        levels=3,
        mode="multiscale",
        batch_size=16,
        batch_factor=2,
        restriction="subsample",
        schedule=None,
        prepare=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**{"dtype": getattr(model, "dtype_policy", None), **kwargs})
        if not isinstance(model, keras.layers.Layer):
            raise TypeError(f"model must be a keras.Model or layer. Received: {model!r}")
        self.model, self.prepare = model, prepare
        self.restriction = checks.one_of("restriction", restriction, RESTRICTIONS)
        self.schedule = schedule or schedule_of(mode, levels, batch_size, batch_factor)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.steps = self.add_weight(
            shape=(), initializer="zeros", dtype="int", trainable=False, name="steps"
        )
        self._is_evaluating = False
        self.planner = StepPlanner(self, self.plan_of)

    def call(self, inputs, training=False):
        if getattr(self.model, "_call_has_training_arg", False):
            return self.model(inputs, training=training)
        return self.model(inputs)

    def plan_of(self, step):
        """Phases of a step: one, its `MultilevelStage`.

        Args:
            step: Number of the step, from 0.

        Returns:
            Tuple of a `MultilevelStage`.
        """
        return (self.schedule.at(step),)

    def compile(self, *args, micro_batches=None, **kwargs):
        """Compile as `keras.Model.compile`, with `steps_per_execution` 1: stages end after any.

        Args:
            *args: Of `keras.Model.compile`.
            micro_batches: Number of parts in which the gradient of each term is computed, or its
                greatest common divisor with the term's samples; see `MicroBatched`. Defaults to
                that of the block `in_micro_batches`, or 1.
            **kwargs: Of `keras.Model.compile`.
        """
        backend.refuse_multi_worker()
        micro_batches = chosen_parts(micro_batches)
        given = inspect.signature(keras.Model.compile).bind(self, *args, **kwargs).arguments
        steps = given.get("steps_per_execution", 1)
        if steps != 1:
            raise ValueError(
                "steps_per_execution must be 1, since a stage may end after any step. "
                f"Received: steps_per_execution={steps}"
            )
        super().compile(*args, **kwargs)
        if micro_batches > 1:
            check_losses(self.loss)
        self.micro_batches, self.loss_weights = micro_batches, given.get("loss_weights")

    def resume_record(self, steps=None):
        """Describe what has been trained; `TrainingState` resumes no other training.

        Args:
            steps: Number of steps taken; by default `self.steps`.

        Returns:
            Dictionary for JSON.
        """
        steps = self._steps_taken() if steps is None else steps
        stages = [
            [stage.mesh, list(stage.batch_sizes), stage.start, min(steps, stage.end or steps)]
            for stage in self.schedule
            if stage.start < steps
        ]
        return {"steps": steps, "stages": stages, "restriction": self.restriction}

    def fit(self, x=None, y=None, batch_size=None, epochs=1, **kwargs):
        """Train as `keras.Model.fit`; arrays are served in batches of the schedule's sizes.

        Args:
            x: Inputs: arrays in any structure, a `MultilevelStream`, or a data set or loader with
                batches of the schedule's sizes.
            y: Targets: arrays. Default: those of `prepare`, or the inputs.
            batch_size: Must be None: the schedule sets the sizes.
            epochs: As for Keras.
            **kwargs: As for Keras. `sample_weight`, for a loss of pixels, is a mask (N, H, W, 1)
                or (N, H, W), restricted as targets are, or (N, 1, 1) for one number per image.
                `steps_per_epoch` is by default as many as read the arrays once.
        """
        if batch_size is not None:
            raise ValueError(
                "The schedule sets the batch sizes: give batch_size to Multilevel. "
                f"Received: batch_size={batch_size}"
            )
        class_weight = kwargs.get("class_weight")
        if class_weight is not None:
            raise ValueError(f"class_weight: give sample_weight. Received: {class_weight=}")
        # Checked before a step can fail on shapes.
        replicas = getattr(getattr(self, "distribute_strategy", None), "num_replicas_in_sync", 1)
        for stage in self.schedule:
            shares(stage.batch_sizes, replicas)
        if are_arrays(x):
            if kwargs.pop("validation_split", 0):
                raise ValueError("Split the arrays and give validation_data. Received: arrays")
            weights = kwargs.pop("sample_weight", None)
            arrays = tuple(part for part in (x, y, weights) if part is not None)
            seed = 0 if self.seed is None else self.seed
            source, y = arrays if len(arrays) > 1 else x, None
            x = MultilevelStream(source, self.schedule, seed=seed, initial_step=self._steps_taken())
            samples = self.schedule.at(x.initial_step).samples
            by_default = max(1, len(x.source) // samples)
            kwargs["steps_per_epoch"] = kwargs.get("steps_per_epoch") or by_default
        if isinstance(x, MultilevelStream):
            kwargs["shuffle"], x.lead = False, self.planner.lead
            if backend.backend() == "tensorflow":
                # Keras' own adapter requires every batch to have the size of the first ones.
                x = x.as_tf_dataset()
        return self.planner.fit(super().fit, x, y, epochs=epochs, **kwargs)

    def make_train_function(self, force=False):
        backend.build_optimizer(self)
        self.planner.make_train_function(super().make_train_function, force)

    def evaluate(self, *args, **kwargs):
        """Evaluate as `keras.Model.evaluate`, on full images without `prepare`."""
        with self._evaluating():
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        with self._evaluating():
            return super().test_on_batch(*args, **kwargs)

    @contextlib.contextmanager
    def _evaluating(self):
        self._is_evaluating = True
        try:
            yield
        finally:
            self._is_evaluating = False

    def _steps_taken(self):
        return int(backend.to_numpy(self.steps))

    # One step

    def compute_step(self, data, calls):
        """Take one step: the `train_step` of every backend.

        Args:
            data: Batch from the trainer, see the class.
            calls: `GradientCalls` of the backend.

        Returns:
            Dictionary of scalar tensors to log.
        """
        stage = self.planner.phase
        batch = self._prepared(data)
        counts = shares(stage.batch_sizes, calls.replicas)
        batch = map_batch(lambda tensor: of_length(tensor, sum(counts)), batch)
        batch = map_batch(lambda tensor: divisible(tensor, 2**stage.coarsest), batch)
        self._build_model(batch)
        weights = self.model.trainable_variables
        if not weights:
            raise ValueError(f"model must have trainable weights. Received: {self.model.name}")
        gradients, estimate, first = [None] * len(weights), 0.0, 0
        for term, count in enumerate(counts):
            part = map_batch(lambda t, a=first, n=count: t[a : a + n], batch)
            first += count
            meshes = [(stage.mesh + term, 1.0)]
            if term < stage.corrections:
                meshes.append((stage.mesh + term + 1, -1.0))
            for mesh, sign in meshes:
                # One mesh at a time, to hold the activations of one only.
                part = ordered(calls, gradients, part)
                is_finest = mesh == stage.mesh
                see = self.compute_metrics if is_finest else None
                parts = math.gcd(self.micro_batches, count)
                loss, found = self._mesh_gradients(calls, part, mesh, weights, parts, see)
                estimate = estimate + sign * loss
                gradients = [added(g, f, sign) for g, f in zip(gradients, found, strict=True)]
        calls.apply(self.optimizer, gradients, weights)
        return self._report(estimate, sum(counts))

    def _mesh_gradients(self, calls, samples, mesh, weights, parts=1, see=None):
        """Loss and gradients of a term's samples on one mesh, in so many parts.

        `see` is called with the finest mesh's inputs, targets and outputs; without it the running
        statistics stay.
        """
        batch = restricted(samples, 2**mesh, self.restriction)
        running = [] if see else self.model.non_trainable_weights
        before = [ops.copy(variable.value) for variable in running]
        with explained_errors(self.model.name, batch[0]):
            found = gradients_in_parts(self, calls, batch, weights, parts, see)
        for variable, value in zip(running, before, strict=True):
            variable.assign(value)
        return found

    def _build_model(self, batch):
        # TensorFlow's trainer would build the model in the first step, which needs its weights.
        if not self.model.built:
            self._outputs(batch[0])

    def _outputs(self, x):
        with explained_errors(self.model.name, x):
            return self(x, training=True)

    def _report(self, estimate, count):
        stage = self.planner.phase
        self._loss_tracker.update_state(estimate, sample_weight=count)
        logs = dict(self.get_metrics_result())
        self.steps.assign(self.steps + 1)
        before = float(self.schedule.work(stage.start))
        steps = ops.cast(self.steps - stage.start, "float32")
        return logs | {"work_units": before + steps * float(stage.work)}

    def get_metrics_result(self):
        # If a finished run is started again, no step has built the metrics of `compile`.
        metrics = self._compile_metrics
        return super().get_metrics_result() if metrics is None or metrics.built else {}

    def _prepared(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.prepare is not None:
            tensors = map_batch(ops.convert_to_tensor, (x, y, sample_weight))
            data = self.prepare(*tensors, self.seed_generator)
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return x, (x if y is None else y), sample_weight

    def _symbolic_build(self, iterator=None, data_batch=None):
        # Keras builds metrics and weights by the shapes of a first batch: here those after
        # `prepare`. The random numbers drawn for that are drawn again in the first step.
        if not self._is_evaluating:
            if data_batch is None:
                _, _, first = next(iter(iterator))
                data_batch = first[0] if isinstance(first, (list, tuple)) else next(first)
            state = ops.copy(self.seed_generator.state.value)
            data_batch = tuple(self._prepared(data_batch))
            self.seed_generator.state.assign(state)
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)

    # Saving

    def save(self, filepath, overwrite=True, **kwargs):
        """Save the model that is trained, as `keras.Model.save`; so does `ModelCheckpoint`.

        The file holds `model` without the state of the training, which `TrainingState` saves.
        """
        if not isinstance(self.model, keras.Model):
            raise NotImplementedError(
                "Only a keras.Model can be saved as a file; save the run by TrainingState. "
                f"Received: {self.model.name}, a {type(self.model).__name__}"
            )
        self.model.save(filepath, overwrite=overwrite, **kwargs)

    def get_config(self):
        raise NotImplementedError(
            "Save the model that is trained, by `save`, or the run by TrainingState: a Multilevel "
            f"has no configuration. Received: {self.name}"
        )
