"""Multilevel gradients: the fine mesh's gradient, mostly paid for on coarse meshes."""

import contextlib
import inspect

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers.restriction import RESTRICTIONS
from c2f_zoo.training.multilevel.batch import (
    added,
    are_arrays,
    divisible,
    map_batch,
    of_length,
    ordered,
    restricted,
    shares,
)
from c2f_zoo.training.multilevel.schedule import schedule_of
from c2f_zoo.training.multilevel.stream import MultilevelStream
from c2f_zoo.training.planned_steps import PlannedSteps
from c2f_zoo.training.steps import TrainStep

_ADVICE = (
    "The model must take images of every size that the meshes have (no Flatten, no layer that "
    "wants one size), and the loss what it gives of targets of that size"
)


class Multilevel(PlannedSteps, TrainStep, keras.Model):
    """Trains a resolution-agnostic model with the multilevel estimator of its gradient.

    With mesh 0 the images as given and mesh m of 1 / 2^m the height and width, a step estimates

        grad_0 = sum over j < levels of [grad_j - grad_(j+1)]  +  grad_levels,

    each term with samples of its own, both meshes of a difference with the same samples, and so
    with the same noise and time, which are part of the data. The expectation is that of the fine
    gradient, whatever the batch sizes. Most samples belong to coarse terms, where they cost
    little. Gradients are taken one mesh at a time and added up, then applied once.

    A batch holds the samples of all terms: `schedule.at(step).samples` of them, which are dealt
    out in order, the finest term first. Arrays given to `fit` are served so by themselves, in an
    endless random order (`MultilevelStream`); a data set or loader of your own has to give
    batches of just that size. Every tensor of four axes among inputs, targets and sample weights
    is an image and restricted, and so are maps (B, H, W) of an image's height and width; of
    these, integers are taken for labels and subsampled. Others, such as a time (B,), are the same
    on every mesh.

    What layers do besides: dropout draws anew on each mesh, which adds variance but no bias. Each
    mesh's batch normalisation takes the statistics of its own batch; the running ones follow the
    finest mesh of a step alone, where the model will be used. Losses of `add_loss` and
    regularisers count as they do in Keras.

    `fit` logs `loss`, the estimate of the fine loss (differences included, so that it may be
    negative), the metrics of `compile` on the finest term, and `work_units` since the first step.

    Args:
        model: `keras.Model` or layer that maps images of any size; it is trained in place.
        levels: Number of corrections: 3 means that the coarsest image has an eighth of the height
            and width.
        mode: `"single"` (ordinary training), `"multiscale"` (MGE) or `"fullmultiscale"` (coarsest
            mesh first, then finer ones, see `MultilevelSchedule.full_multiscale`).
        batch_size: Samples of the finest term.
        batch_factor: Each coarser term has so many times the samples of the one before.
        restriction: `"subsample"`, `"average"` or `"bilinear"`, see `c2f_zoo.layers.restrict`.
        schedule: `MultilevelSchedule` in place of `levels`, `mode`, `batch_size` and
            `batch_factor`.
        prepare: Function that is given a batch (inputs, targets, sample weights, None where there
            are none) and a `keras.random.SeedGenerator`, and returns inputs and targets, or these
            and weights. It runs on the device before the restriction: the place to add noise. It
            does not run on what is evaluated, validation data included.
        seed: Of the generator that `prepare` is given, and of the order of samples.
        **kwargs: `name` of `keras.Model`.

    Attributes:
        model: The model that is trained: yours.
        schedule: `MultilevelSchedule`.
        steps: Variable, scalar: steps taken.

    Raises:
        ValueError: An argument is none of what is listed. In `fit`: images that cannot be halved
            so often, a batch of another size, or a model that holds to one size of image.

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
        policy = getattr(model, "dtype_policy", None)
        super().__init__(**{"dtype": policy, **kwargs})
        if not isinstance(model, keras.layers.Layer):
            raise TypeError(f"model is a keras.Model or layer. Received: {model!r}")
        if restriction not in RESTRICTIONS:
            known = ", ".join(map(repr, RESTRICTIONS))
            raise ValueError(f"restriction is one of {known}. Received: {restriction!r}")
        self.model, self.restriction, self.prepare = model, restriction, prepare
        self.schedule = schedule or schedule_of(mode, levels, batch_size, batch_factor)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.steps = self.add_weight(
            shape=(), initializer="zeros", dtype="int", trainable=False, name="steps"
        )
        self._is_evaluating = False
        self._begin_planned_steps()

    def call(self, inputs, training=False):
        """Call the model.

        Args:
            inputs: As of the model.
            training: As of the model.

        Returns:
            What the model returns.
        """
        if getattr(self.model, "_call_has_training_arg", False):
            return self.model(inputs, training=training)
        return self.model(inputs)

    def plan_of(self, step):
        return self.schedule.at(step)

    def compile(self, *args, **kwargs):
        """Compile as `keras.Model.compile`, but for `steps_per_execution`, which must be 1.

        Args:
            *args: Of Keras: optimizer, loss, loss_weights, metrics, ...
            **kwargs: Of Keras.

        Raises:
            ValueError: Several steps are to be one execution: a stage may end between them.
        """
        given = inspect.signature(keras.Model.compile).bind(self, *args, **kwargs).arguments
        steps = given.get("steps_per_execution", 1)
        if steps != 1:
            raise ValueError(
                "A stage may end after any step: steps_per_execution must be 1. "
                f"Received: steps_per_execution={steps}"
            )
        super().compile(*args, **kwargs)
        self.loss_weights = given.get("loss_weights")

    def resume_record(self, steps=None):
        """Tell what has been trained, for `TrainingState`, which resumes no other training.

        Args:
            steps: Number of steps taken; by default as counted.

        Returns:
            Dict of what JSON holds.
        """
        steps = int(backend.to_numpy(self.steps)) if steps is None else steps
        stages = [
            [stage.mesh, list(stage.batch_sizes), stage.start, min(steps, stage.end or steps)]
            for stage in self.schedule
            if stage.start < steps
        ]
        return {"steps": steps, "stages": stages, "restriction": self.restriction}

    def fit(self, x=None, y=None, batch_size=None, epochs=1, **kwargs):
        """Train as `keras.Model.fit`; arrays are served in batches of the schedule's sizes.

        Args:
            x: Inputs: arrays, in any structure; or a `MultilevelStream`, or a data set or loader
                whose batches have the size that the schedule asks for.
            y: Targets: arrays. Without them `prepare` makes them, or the inputs are the targets.
            batch_size: Not taken: the schedule has the sizes.
            epochs: As of Keras.
            **kwargs: As of Keras. `sample_weight`, for a loss of pixels, is a mask (N, H, W, 1) or
                (N, H, W), restricted as targets are, or (N, 1, 1) for one number of each image.
                `steps_per_epoch` is by default as many as go once over the arrays.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ValueError: See the class.
        """
        if batch_size is not None:
            raise ValueError(
                "The schedule sets the batch sizes: give batch_size to Multilevel. "
                f"Received: batch_size={batch_size}"
            )
        if kwargs.get("class_weight") is not None:
            raise ValueError(
                "class_weight is not supported: give sample_weight. "
                f"Received: class_weight={kwargs['class_weight']}"
            )
        # Refused here, where no step can have failed on shapes first.
        replicas = getattr(getattr(self, "distribute_strategy", None), "num_replicas_in_sync", 1)
        for stage in self.schedule:
            shares(stage.batch_sizes, replicas)
        if are_arrays(x):
            if kwargs.pop("validation_split", 0):
                raise ValueError("Split the arrays and give validation_data. Received: arrays")
            weights = kwargs.pop("sample_weight", None)
            arrays = tuple(part for part in (x, y, weights) if part is not None)
            x, y = self._stream(arrays if len(arrays) > 1 else x), None
            samples = self.schedule.at(x.initial_step).samples
            kwargs["steps_per_epoch"] = kwargs.get("steps_per_epoch") or max(
                1, len(x.source) // samples
            )
        if isinstance(x, MultilevelStream):
            kwargs["shuffle"] = False
            if backend.backend() == "tensorflow":
                # Keras' own adapter would hold every batch to the size of the first ones.
                x = x.as_tf_dataset()
        return super().fit(x, y, epochs=epochs, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Evaluate as `keras.Model.evaluate`, on the images as given, without `prepare`.

        Args:
            *args: Of Keras.
            **kwargs: Of Keras.

        Returns:
            As of Keras.
        """
        self._is_evaluating = True
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._is_evaluating = False

    def test_on_batch(self, *args, **kwargs):
        self._is_evaluating = True
        try:
            return super().test_on_batch(*args, **kwargs)
        finally:
            self._is_evaluating = False

    def _stream(self, arrays):
        seed = 0 if self.seed is None else self.seed
        done = int(backend.to_numpy(self.steps))
        return MultilevelStream(arrays, self.schedule, seed=seed, initial_step=done)

    # One step

    def compute_step(self, data, calls):
        """Take one step: what `train_step` of every backend runs.

        Args:
            data: Batch as the trainer gives it, see the class.
            calls: `GradientCalls` of the backend.

        Returns:
            Dict of scalar tensors to log.
        """
        stage = self._plan
        batch = self._prepared(data)
        counts = shares(stage.batch_sizes, calls.replicas)
        batch = map_batch(lambda tensor: of_length(tensor, sum(counts)), batch)
        batch = map_batch(lambda tensor: divisible(tensor, 2**stage.coarsest), batch)
        self._build_model(batch)
        weights = self.model.trainable_variables
        if not weights:
            raise ValueError(f"There is nothing to train. Received: {self.model.name}")
        gradients, estimate, first = [None] * len(weights), 0.0, 0
        for term, count in enumerate(counts):
            part = map_batch(lambda t, a=first, n=count: t[a : a + n], batch)
            first += count
            meshes = [(stage.mesh + term, 1.0)]
            if term < stage.corrections:
                meshes.append((stage.mesh + term + 1, -1.0))
            for mesh, sign in meshes:
                # One mesh at a time, so that no more than one's activations are held.
                part = ordered(calls, gradients, part)
                is_finest = mesh == stage.mesh
                loss, found, outputs, given = self._mesh_gradients(
                    calls, part, mesh, weights, is_finest
                )
                estimate = estimate + sign * loss
                gradients = [added(g, f, sign) for g, f in zip(gradients, found, strict=True)]
                if is_finest:
                    finest = (*given, outputs)
        calls.apply(self.optimizer, gradients, weights)
        return self._report(estimate, finest, sum(counts))

    def _mesh_gradients(self, calls, part, mesh, weights, is_finest):
        """Loss and gradients of a term's samples on one mesh, the outputs, and what was given."""
        x, y, sample_weight = restricted(part, 2**mesh, self.restriction)
        # Taken here: JAX would not see the optimizer's own variable inside of what it
        # differentiates, but the value that it had when the step was compiled.
        scale = self.optimizer.scale_loss(ops.ones(()))

        def loss():
            outputs = self._outputs(x)
            with self._explained(x):
                loss = self._compute_loss(
                    x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=True
                )
            # Keras has divided it by the replicas, as the gradient call is about to.
            loss = loss * calls.replicas
            return loss * scale, (loss, outputs)

        running = [] if is_finest else self.model.non_trainable_weights
        before = [ops.copy(variable.value) for variable in running]
        (loss_value, outputs), gradients = calls.loss_gradients(loss, weights)
        for variable, value in zip(running, before, strict=True):
            variable.assign(value)
        return loss_value, gradients, outputs, (x, y, sample_weight)

    def _build_model(self, batch):
        # TensorFlow's trainer builds a model within its first step, whose weights come first here.
        if not self.model.built:
            self._outputs(batch[0])

    def _outputs(self, x):
        with self._explained(x):
            return self(x, training=True)

    @contextlib.contextmanager
    def _explained(self, x):
        """Say of an error on one of the meshes what is its likely cause."""
        try:
            yield
        except (ValueError, TypeError, RuntimeError) as error:  # the last is PyTorch's
            if "memory" in str(error) or _ADVICE in str(error):
                raise
            shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(x)]
            raise ValueError(
                f"{_ADVICE}; one of them said: {error}. Received: {self.model.name} with inputs of "
                f"shapes {shapes}"
            ) from error

    def _report(self, estimate, finest, count):
        x, y, sample_weight, outputs = finest
        stage = self._plan
        self._loss_tracker.update_state(estimate, sample_weight=count)
        logs = dict(self.compute_metrics(x, y, outputs, sample_weight=sample_weight))
        self.steps.assign(self.steps + 1)
        before = float(self.schedule.work(stage.start))
        steps = ops.cast(self.steps - stage.start, "float32")
        return logs | {"work_units": before + steps * float(stage.work)}

    def get_metrics_result(self):
        # Where a finished run is started again, no step has built the metrics of `compile`.
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
        # Keras builds what is not built by the shapes of a first batch: here those that `prepare`
        # makes of it, or inputs that are their own targets. What is drawn for that is drawn again
        # in the first step.
        if not self._is_evaluating:
            if data_batch is None:
                _, _, first = next(iter(iterator))
                data_batch = first[0] if isinstance(first, (list, tuple)) else next(first)
            state = ops.copy(self.seed_generator.state.value)
            data_batch = tuple(self._prepared(data_batch))
            self.seed_generator.state.assign(state)
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)

    # Saving

    def get_config(self):
        raise NotImplementedError(
            "Save the model that is trained, `training.model`, or the run by TrainingState: a "
            f"Multilevel has no configuration. Received: {self.name}"
        )
