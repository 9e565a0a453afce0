"""Batches that do not fit into memory at once: their gradient, from one part after another."""

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.training.steps import take_step

# Of losses that are means over the batch, whose gradient is the mean of the parts' gradients.
_MEANS = ("sum_over_batch_size", "mean")


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

    def compile(self, *args, micro_batches=1, **kwargs):
        """Compile as `keras.Model.compile`.

        Args:
            *args: Of `keras.Model.compile`.
            micro_batches: Number of parts in which the gradient of a batch is computed. Every
                batch must have as many samples (on several devices, each device's share).
            **kwargs: Of `keras.Model.compile`.

        Raises:
            ValueError: If it is not a positive integer, or a loss is not a mean over the batch.
        """
        checks.whole("micro_batches", micro_batches, least=1)
        super().compile(*args, **kwargs)
        if micro_batches > 1:
            check_losses(self.loss)
        self.micro_batches = micro_batches

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
    total, gradients = 0.0, [None] * len(weights)
    for part, share in split(batch, count):
        part, own = ordered(calls, gradients, part), None
        if known is not None:
            own = ops.divide_no_nan(_known_weights(model, part), known)
        loss, found, outputs = _loss_and_gradients(model, calls, part, weights, share, own)
        total = total + loss
        gradients = [added(g, f) for g, f in zip(gradients, found, strict=True)]
        if see is not None:
            see(part[0], part[1], outputs, sample_weight=part[2])
    return total, gradients


def _loss_and_gradients(model, calls, batch, weights, share, loss_share):
    """Loss of a part of a batch times its share, this replica's share of the gradients, outputs.

    `loss_share` is what the loss counts without those of `add_loss` and regularizers, None for the
    `share`.
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
        if loss_share is None:
            loss = loss * ops.cast(share, loss.dtype)
        else:
            others = ops.cast(sum(model.losses, start=0.0), loss.dtype)
            loss = loss_share * (loss - others) + ops.cast(share, loss.dtype) * others
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


def split(batch, count):
    """Split a batch into parts of about equal length.

    Part j has the samples j, j + count, ... of the batch: the groups of a minibatch standard
    deviation stay together, and on several devices each has its share of every part.

    Args:
        batch: Structure of tensors (B, ...) and None.
        count: Number of parts, from 1 to B.

    Returns:
        List of pairs: the part, and its share of the samples, a number or scalar tensor.

    Raises:
        ValueError: If there are fewer samples; `tf.errors.InvalidArgumentError` where the number
            is known at run time only.
    """
    if count == 1:
        return [(batch, 1.0)]
    batch = map_batch(lambda tensor: _at_least(ops.convert_to_tensor(tensor), count), batch)
    length = length_of(batch)
    parts = []
    for first in range(count):
        part = map_batch(lambda tensor, j=first: tensor[j::count], batch)
        number = (length - first + count - 1) // count
        if not isinstance(length, int):
            number, total = ops.cast(number, "float32"), ops.cast(length, "float32")
            parts.append((part, number / total))
        else:
            parts.append((part, number / length))
    return parts


def _at_least(tensor, count):
    message = (
        f"A batch must have at least {count} samples, the number of micro_batches (drop a smaller "
        "last batch). Received:"
    )
    length = tensor.shape[0]
    if length is None:
        length = ops.shape(tensor)[0]
        return backend.check_at_run_time(tensor, length >= count, message, length)
    if length < count:
        raise ValueError(f"{message} {length}")
    return tensor


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
