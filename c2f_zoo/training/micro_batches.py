"""Batches that do not fit into memory at once: their gradient, from one part after another."""

import contextlib
import contextvars

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.training.steps import take_step

# Of losses that are means over the batch, whose gradient is the mean of the parts' gradients.
_MEANS = ("sum_over_batch_size", "mean")
_DIVISIBLE = (
    "A batch, or each device's share of it, must be divisible by {count}, the number of "
    "micro_batches (drop a smaller last batch). Received:"
)
_default = contextvars.ContextVar("micro_batches", default=1)


@contextlib.contextmanager
def in_micro_batches(count):
    """Have every `compile` of a block that does not say otherwise compute gradients in parts.

    Args:
        count: Number of parts of each batch, as `micro_batches` of `compile`.

    Yields:
        Nothing.

    Raises:
        ValueError: If the number is not a positive integer.

    Example:
        >>> from c2f_zoo import PWCNetLite
        >>> model = PWCNetLite()
        >>> with in_micro_batches(4):
        ...     model.compile()
        >>> model.micro_batches
        4
    """
    token = _default.set(checks.whole("count", count, least=1))
    try:
        yield
    finally:
        _default.reset(token)


def chosen_parts(micro_batches):
    """The `micro_batches` given to `compile`, or those of the block `in_micro_batches`."""
    if micro_batches is None:
        return _default.get()
    return checks.whole("micro_batches", micro_batches, least=1)


class MicroBatched:
    """Mixin of a `keras.Model` whose `compile` takes `micro_batches`.

    A step then computes the gradient of its batch in so many parts, one after another, so that the
    activations of one part alone are in memory, and updates the weights once: clipping, moving
    averages and schedules see one step with the gradient of the whole batch. The loss is the mean
    over the batch; one that is a mean over the known pixels of a batch has a method
    `total_weight(y_true, sample_weight)`, by which its parts are weighted.

    The step equals that of the whole batch but for what depends on other samples of the batch or
    on random numbers: batch normalization, unless it is frozen, uses the statistics of each part
    and moves its running ones at each, and dropout draws for each part.
    """

    micro_batches = 1

    def compile(self, *args, micro_batches=None, **kwargs):
        """Compile as `keras.Model.compile`.

        Args:
            *args: Of `keras.Model.compile`.
            micro_batches: Number of parts in which the gradient of a batch is computed. It must
                divide every batch (on several devices, each device's share). Defaults to that of
                the block `in_micro_batches`, or 1.
            **kwargs: Of `keras.Model.compile`.

        Raises:
            ValueError: If it is not a positive integer, or a loss is not a mean over the batch.
        """
        micro_batches = chosen_parts(micro_batches)
        super().compile(*args, **kwargs)
        if micro_batches > 1:
            check_losses(self.loss)
        self.micro_batches = micro_batches

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        # Before the first step: on JAX an error within one would cost the model its weights.
        leaves = [leaf for leaf in keras.tree.flatten(x) if hasattr(leaf, "shape")]
        if self.micro_batches > 1 and leaves and not kwargs.get("validation_split"):
            count, size = leaves[0].shape[0], 32 if batch_size is None else batch_size
            last = count % size if kwargs.get("steps_per_epoch") is None else 0
            for length in (min(count, size), last):
                _check_divisible(length, self.micro_batches)
        return super().fit(x, y, batch_size, *args, **kwargs)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config and self.micro_batches > 1:
            config["micro_batches"] = self.micro_batches
        return config

    def train_step(self, *args, **kwargs):
        if self.micro_batches == 1:
            return super().train_step(*args, **kwargs)
        return take_step(self, *args, **kwargs)

    def compute_step(self, data, calls):
        """Take a step in parts: the `train_step` of every backend.

        Args:
            data: Batch from the trainer.
            calls: `GradientCalls` of the backend.

        Returns:
            Dictionary of scalar tensors to log.
        """
        batch = keras.utils.unpack_x_y_sample_weight(data)
        weights = self.trainable_weights
        loss, gradients = gradients_in_parts(
            self, calls, batch, weights, self.micro_batches, self.compute_metrics
        )
        calls.apply(self.optimizer, gradients, weights)
        self._loss_tracker.update_state(loss, sample_weight=length_of(batch))
        return self.get_metrics_result()


def gradients_in_parts(model, calls, batch, weights, count=1, see=None):
    """Differentiate a compiled model's loss of a batch, one part after another.

    Args:
        model: A compiled `keras.Model`.
        calls: `GradientCalls` of the backend.
        batch: Inputs, targets and sample weights (or None).
        weights: List of Keras variables.
        count: Number of parts.
        see: Function of inputs, targets, outputs and, by name, `sample_weight` that is called
            with each part.

    Returns:
        The loss, a mean over the batch, and this replica's share of the gradients.
    """
    known = _known_weights(model, batch) if count > 1 else None

    def differentiate(part):
        share = None if known is None else _known_weights(model, part)
        if share is not None:
            # The mean of the parts' losses, of which each is then to be divided by all weights.
            share = ops.divide_no_nan(share * count, known)
        loss, gradients, outputs = _loss_and_gradients(model, calls, part, weights, share)
        if see is not None:
            see(part[0], part[1], outputs, sample_weight=part[2])
        return loss, gradients

    return mean_over_parts(differentiate, calls, batch, count)


def mean_over_parts(function, calls, batch, count):
    """Average what a function returns over the parts of a batch, one after another.

    Part j has the samples j, j + count, ... of the batch: the groups of a minibatch standard
    deviation stay together, and on several devices each has its share of every part.

    Args:
        function: Takes a part and returns a structure of tensors and None.
        calls: `GradientCalls` of the backend.
        batch: Structure of tensors (B, ...) and None.
        count: Number of parts, which divides B.

    Returns:
        Structure of tensors and None, as of the function.

    Raises:
        ValueError: If the number of parts does not divide the batch;
            `tf.errors.InvalidArgumentError` where it is known at run time only.
    """
    if count == 1:
        return function(batch)
    batch = map_batch(lambda tensor: _in_parts(tensor, count), batch)

    def add(index, total):
        part = map_batch(lambda tensor: ops.take(tensor, index, axis=1), batch)
        found = map_batch(lambda tensor: tensor / count, function(part))
        return found if total is None else keras.tree.map_structure(added, total, found)

    return calls.repeat(add, count)


def _check_divisible(length, count):
    if length % count:
        raise ValueError(f"{_DIVISIBLE.format(count=count)} {length}")


def _in_parts(tensor, count):
    """Reshape (B, ...) to (B / count, count, ...)."""
    tensor = ops.convert_to_tensor(tensor)
    length = tensor.shape[0]
    if length is None:
        length = ops.shape(tensor)[0]
        is_right = ops.equal(length % count, 0)
        message = _DIVISIBLE.format(count=count)
        tensor = backend.check_at_run_time(tensor, is_right, message, length)
    else:
        _check_divisible(length, count)
    return ops.reshape(tensor, (length // count, count, *ops.shape(tensor)[1:]))


def _loss_and_gradients(model, calls, batch, weights, share):
    """Loss of a batch, this replica's share of the gradients, and the model's outputs.

    `share`, if any, multiplies the loss without those of `add_loss` and regularizers.
    """
    x, y, sample_weight = batch
    # Outside of the differentiated function, where JAX would not see the optimizer's variable but
    # its value at the time of compilation.
    scale = model.optimizer.scale_loss(ops.ones(()))

    def loss():
        outputs = model(x, training=True) if model._call_has_training_arg else model(x)
        loss = model._compute_loss(
            x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=True
        )
        # Keras has divided it by the replicas, and the gradient call will do so again.
        loss = loss * calls.replicas
        if share is not None:
            others = ops.cast(sum(model.losses, start=0.0), loss.dtype)
            loss = share * (loss - others) + others
        return loss * ops.cast(scale, loss.dtype), (loss, outputs)

    (loss_value, outputs), gradients = calls.loss_gradients(loss, weights)
    return loss_value, gradients, outputs


def check_losses(losses):
    """Refuse losses of `compile` that are not means over the batch."""
    for loss in keras.tree.flatten(losses):
        reduction = getattr(loss, "reduction", _MEANS[0])
        if reduction not in _MEANS:
            raise ValueError(
                "With micro_batches the loss must be a mean over the batch, reduction="
                f"{' or '.join(map(repr, _MEANS))}. Received: reduction={reduction!r} of "
                f"{loss.name}"
            )


def map_batch(function, batch):
    """Apply a function to every tensor of a structure that may hold None."""
    return keras.tree.map_structure(lambda one: None if one is None else function(one), batch)


def length_of(batch):
    """Number of samples of a batch, an integer or a scalar tensor."""
    return ops.shape(next(one for one in keras.tree.flatten(batch) if one is not None))[0]


def ordered(calls, gradients, batch):
    """Make a batch available only after the gradients so far have been computed."""
    earlier = [gradient for gradient in gradients if gradient is not None]
    leaves = keras.tree.flatten(batch)
    tensors = [leaf for leaf in leaves if leaf is not None]
    if not earlier or not tensors:
        return batch
    later = iter(calls.after(earlier, tensors))
    leaves = [None if leaf is None else next(later) for leaf in leaves]
    return keras.tree.pack_sequence_as(batch, leaves)


def added(total, gradient, sign=1):
    """Add a gradient to a sum; either may be None."""
    if gradient is None:
        return total
    gradient = gradient if sign > 0 else -gradient
    return gradient if total is None else total + gradient


def _known_weights(model, batch):
    """What a loss over known pixels divides by, None for a mean over samples."""
    weigh = getattr(model.loss, "total_weight", None)
    _, y, sample_weight = batch
    return None if weigh is None else ops.cast(weigh(y, sample_weight), "float32")
