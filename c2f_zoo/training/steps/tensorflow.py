"""Gradient calls of TensorFlow, right under `tf.distribute` too."""

import contextlib

import tensorflow as tf

# Added per replica to every random seed of the model: a large odd number, far from the seeds and
# counters that anybody uses.
_SEED_STRIDE = 1_640_531_527


class GradientCalls:
    """Gradients by nested `GradientTape`s.

    Args:
        model: The model that takes the step.
    """

    def __init__(self, model):
        self.model = model
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync

    def input_gradients(self, function, inputs):
        """Differentiate the sum of what a function of tensors gives; see the package.

        Args:
            function: Takes the list of tensors, returns a tuple that begins with the tensor to
                differentiate, of any shape.
            inputs: List of tensors, each of any shape.

        Returns:
            What the function returned, and the list of gradients of the inputs' shapes.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            outputs = function(inputs)
            total = tf.reduce_sum(outputs[0])
        return outputs, tape.gradient(total, inputs)

    def loss_gradients(self, function, weights):
        """Differentiate a loss with respect to variables; see the package.

        Args:
            function: Takes nothing, returns the scalar loss and anything else.
            weights: List of Keras variables.

        Returns:
            What the function returned beside the loss, and the gradients: this replica's share of
            them, None for a variable that the loss does not reach.
        """
        values = [weight.value for weight in weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss, beside = function()
            # Keras' optimizers sum over replicas, so that an undivided loss would be N times
            # too large without a word.
            loss = loss / self.replicas
        return beside, tape.gradient(loss, values)

    def average(self, values, axis=None):
        """Average over the batch of all replicas.

        Args:
            values: Tensor of any shape.
            axis: Axis of the batch, to average over it alone.

        Returns:
            Scalar tensor, or one of the shape that is left.
        """
        mean = tf.reduce_mean(values, axis=axis)
        if self.replicas == 1:
            return mean
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, mean)

    def after(self, earlier, tensors):
        """Order what is computed from some tensors behind others; see the package.

        Args:
            earlier: List of tensors of any shape.
            tensors: List of tensors of any shape.

        Returns:
            List of the tensors, of their own shapes.
        """
        with tf.control_dependencies(earlier):
            return [tf.identity(tensor) for tensor in tensors]

    def apply(self, optimizer, gradients, weights):
        """Change the weights as an optimizer does; see the package.

        Args:
            optimizer: Built Keras optimizer.
            gradients: List of tensors of the weights' shapes, or None.
            weights: List of Keras variables.
        """
        pairs = [pair for pair in zip(gradients, weights, strict=True) if pair[0] is not None]
        optimizer.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])


class TrainStep:
    """Mixin of a `keras.Model` that defines `compute_step(data, calls)`."""

    def train_step(self, data):
        with _seeds_of_this_replica(self):
            return self.compute_step(data, GradientCalls(self))


@contextlib.contextmanager
def _seeds_of_this_replica(model):
    """Give every random layer of the model noise of its own on each replica.

    Replicas hold equal copies of every seed, and would draw equal noise. For the length of the
    step the copies are moved apart, and back again, so that what is saved holds for any number
    of replicas.
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


def value_and_gradients(function):
    """Compile a function together with its gradients with respect to what it is given.

    Args:
        function: Takes tensors, returns the scalar to differentiate and a scalar to report.
            Keras variables in it are constants.

    Returns:
        Function of arrays that returns the reported scalar and the list of gradients, numpy
        arrays of the arguments' shapes.
    """

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
