"""Gradient calls of TensorFlow, right under `tf.distribute` too."""

import contextlib

import keras
import tensorflow as tf

from c2f_zoo.training.steps import calls
from c2f_zoo.training.steps.calls import (
    assign as assign,
    variable_value as variable_value,
)

# Added per replica to every random seed of the model: large, odd, far from seeds in use.
_SEED_STRIDE = 1_640_531_527


class GradientCalls(calls.GradientCalls):
    """Gradients by nested `GradientTape`s.

    Args:
        model: The model that takes the step.
    """

    def __init__(self, model):
        super().__init__(model)
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync

    def input_gradients(self, function, inputs):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            outputs = function(inputs)
            total = tf.reduce_sum(outputs[0])
        return outputs, tape.gradient(total, inputs)

    def loss_gradients(self, function, weights):
        values = [weight.value for weight in weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss, beside = function()
            # Keras' optimizers sum over replicas: an undivided loss would be N times too large.
            loss = loss / self.replicas
        return beside, tape.gradient(loss, values)

    def average(self, values, axis=None):
        mean = tf.reduce_mean(values, axis=axis)
        if self.replicas == 1:
            return mean
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, mean)

    def repeat(self, function, count):
        state = function(0, None)
        if self.replicas > 1 or tf.executing_eagerly():
            # Replicas cannot exchange anything within a loop.
            for index in range(1, count):
                with tf.control_dependencies(_tensors(state)):
                    state = function(index, state)
            return state

        def body(index, tensors):
            with_none = iter(tensors)
            leaves = [None if leaf is None else next(with_none) for leaf in structure]
            return index + 1, _tensors(function(index, keras.tree.pack_sequence_as(state, leaves)))

        structure = keras.tree.flatten(state)
        options = {"parallel_iterations": 1, "maximum_iterations": count - 1}
        _, tensors = tf.while_loop(lambda *_: True, body, (1, _tensors(state)), **options)
        rest = iter(tensors)
        leaves = [None if leaf is None else next(rest) for leaf in structure]
        return keras.tree.pack_sequence_as(state, leaves)

    def after(self, earlier, tensors):
        with tf.control_dependencies(earlier):
            return [tf.identity(tensor) for tensor in tensors]


def _tensors(structure):
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def take_step(model, data):
    """Run `model.compute_step(data, calls)` as Keras' trainer expects of a train step."""
    with _seeds_of_this_replica(model):
        return model.compute_step(data, GradientCalls(model))


def run_phases(model, function_of, phases, iterator):
    """See `c2f_zoo.training.steps.run_phases`; the size of a batch read in a graph is unknown."""
    if len(phases) == 1:
        return function_of(phases[0])(iterator), None
    data = next(iterator)
    for phase in phases:
        function, batches = function_of(phase), iter([data])
        if isinstance(iterator, tf.data.Iterator) and not hasattr(function, "is_traced"):
            # To be traced for all sizes that the data set may have, not for this batch's alone.
            spec = iterator.element_spec
            batches = iter(tf.data.Dataset.from_generator(lambda: [data], output_signature=spec))
            function.is_traced = True
        logs = function(batches)
    return logs, None


@contextlib.contextmanager
def _seeds_of_this_replica(model):
    """Give every random layer of the model noise of its own on each replica.

    Replicas hold equal copies of every seed. During the step the copies are moved apart, and then
    back, so that a saved state is the same for any number of replicas.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        yield
        return
    weights = {id(weight) for weight in model.weights}
    seeds = [v for v in model.variables if id(v) not in weights]
    offset = tf.cast(context.replica_id_in_sync_group, "int64") * _SEED_STRIDE
    offset = tf.stack([offset, tf.zeros_like(offset)])
    for seed in seeds:
        seed.assign(seed.value + tf.cast(offset, seed.dtype))
    yield
    for seed in seeds:
        seed.assign(seed.value - tf.cast(offset, seed.dtype))


def skip_step(model, iterator):
    """See `c2f_zoo.training.steps.calls`; Keras builds metrics later than on other backends."""
    for _ in range(model.steps_per_execution):
        batch = next(iterator)
    if not tf.distribute.has_strategy():
        model._symbolic_build(data_batch=batch)
    return {}


def value_and_gradients(function, variables=()):
    """See `c2f_zoo.training.steps.value_and_gradients`."""

    @tf.function
    def differentiate(*points):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            total, report = function(*points)
        return report, tape.gradient(total, points)

    def compute(*points):
        report, gradients = differentiate(*map(tf.convert_to_tensor, points))
        return report.numpy(), [gradient.numpy() for gradient in gradients]

    return compute
