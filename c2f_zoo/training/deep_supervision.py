"""Training a model on all of its levels while it answers with the finest alone."""

import contextlib
import threading

import keras

from c2f_zoo import backend
from c2f_zoo.training.micro_batches import MicroBatched

_state = threading.local()


def is_supervising(model):
    """Whether `model` is inside its own train or test step: `call` is to return every level."""
    return any(entry is model for entry in getattr(_state, "models", ()))


@contextlib.contextmanager
def _supervising(model):
    # A stack per thread: MirroredStrategy traces each replica's step in a thread of its own.
    stack = _state.__dict__.setdefault("models", [])
    stack.append(model)
    try:
        yield
    finally:
        stack.pop()


class DeeplySupervised(MicroBatched):
    """Mixin for a `keras.Model` whose loss looks at every level of a coarse-to-fine answer.

    `model(x)`, `predict` and `export` give the answer; inside `fit` and `evaluate` the model's
    `call` finds `is_supervising(self)` true and returns the list of its levels, coarse to fine.
    A loss whose class says `takes_levels = True` gets that list; any other loss, and every
    metric, gets `self.answer(levels)`. Works alike on TensorFlow, JAX and torch, since only the
    structure of what `call` returns is changed, before Keras' own steps trace it.

    Metrics always see the sample weight, which carries validity masks here. `compile` takes
    `micro_batches`, see `MicroBatched`.
    """

    def answer(self, levels):
        """Turn the levels into what `model(x)` returns.

        Args:
            levels: What `call` returns while supervised: tensors coarse to fine, each
                (B, h, w, C).

        Returns:
            Tensor (B, H, W, C): the answer at the input's resolution.
        """
        raise TypeError(f"a DeeplySupervised model defines answer(). Received: {type(self)}")

    def make_train_function(self, force=False):
        backend.build_optimizer(self)
        super().make_train_function(force)

    def train_step(self, *args, **kwargs):
        with _supervising(self):
            return super().train_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        with _supervising(self):
            return super().test_step(*args, **kwargs)

    def compile(self, *args, metrics=None, weighted_metrics=None, **kwargs):
        backend.refuse_multi_worker()
        # Keras gives the sample weight to weighted metrics only, and a flow metric that does not
        # see the validity mask would average over pixels without ground truth.
        both = [*_as_list(metrics), *_as_list(weighted_metrics)]
        super().compile(*args, weighted_metrics=both or None, **kwargs)
        self._leave_loss_unbuilt()

    def compile_from_config(self, config):
        # What was saved is what `keras.Model.compile` received, all defaults filled in; our own
        # `compile` would add its default metrics once more.
        options = keras.saving.deserialize_keras_object(config)
        self.micro_batches = options.pop("micro_batches", 1)
        keras.Model.compile(self, **options)
        self._leave_loss_unbuilt()
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def _leave_loss_unbuilt(self):
        """Keep Keras from building, by one more trace of the model, a loss that takes levels.

        `compute_loss` calls it directly, and that trace, outside of a step, has no levels.
        """
        if self._compile_loss is not None and getattr(self.loss, "takes_levels", False):
            self._compile_loss.built = True

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = getattr(self, "loss", None)
        if not getattr(loss, "takes_levels", False):
            y_pred = self.answer(y_pred) if isinstance(y_pred, (list, tuple)) else y_pred
            return super().compute_loss(x, y, y_pred, sample_weight, training=training)
        total = loss(y, y_pred, sample_weight=sample_weight)
        extra = self.losses
        if extra:
            extra = keras.ops.cast(sum(extra), total.dtype)[None]
            total = total + _MeanOverReplicas()(extra, extra)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y_pred = self.answer(y_pred) if isinstance(y_pred, (list, tuple)) else y_pred
        return super().compute_metrics(x, y, y_pred, sample_weight)


class _MeanOverReplicas(keras.losses.Loss):
    """Divides a loss, shape (1,), by the number of replicas that sum their gradients.

    A Loss's own mean reduction is the public door to that number, on every backend.
    """

    def __init__(self):
        # The class's own name begins with an underscore, which no scope of TensorFlow may.
        super().__init__(name="mean_over_replicas")

    def call(self, y_true, y_pred):
        return y_pred


def _as_list(metrics):
    if metrics is None:
        return []
    return list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]
