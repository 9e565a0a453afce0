"""Interface of the gradient calls, and code shared by two or more backends."""

import keras
from keras import ops


class GradientCalls:
    """Gradients inside one training step.

    Args:
        model: The model that takes the step.

    Attributes:
        replicas: Number of replicas that share the step.
    """

    replicas = 1

    def __init__(self, model):
        self.model = model

    def input_gradients(self, function, inputs):
        """Differentiate the sum of a function's first result with respect to its inputs.

        `function` takes the list of tensors and returns a tuple that begins with the tensor to
        differentiate. Returns that tuple and the list of gradients, which can be differentiated
        again inside `loss_gradients`.
        """
        raise NotImplementedError

    def loss_gradients(self, function, weights):
        """Differentiate a loss with respect to Keras variables.

        `function` takes nothing and returns the scalar loss, a mean over this replica's batch, and
        anything else. Returns what is beside the loss, and this replica's share of the gradients,
        None or zeros for a variable that the loss does not depend on.
        """
        raise NotImplementedError

    def average(self, values, axis=None):
        """Average over the batch of all replicas, or over one axis of it; differentiable."""
        return ops.mean(values, axis=axis)

    def after(self, earlier, tensors):
        """Have tensors used only once `earlier` ones are computed, so that memory is freed."""
        return list(tensors)

    def repeat(self, function, count):
        """Call a function again and again, each time only after the last: `state` by `state`.

        `function(index, state)` returns the next state, a structure of tensors and None that keeps
        its shapes; it may assign variables. It is first called with 0 and None, then with indices,
        integers or scalar tensors, up to `count` - 1. Returns the last state.
        """
        state = function(0, None)
        for index in range(1, count):
            state = function(index, state)
        return state

    def apply(self, optimizer, gradients, weights):
        """Update weights, lists of Keras variables; those whose gradient is None stay."""
        pairs = [pair for pair in zip(gradients, weights, strict=True) if pair[0] is not None]
        optimizer.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])


def first_array(data):
    """The first array of a trainer's batch."""
    return next(array for array in keras.tree.flatten(data) if array is not None)


def skip_step(model, iterator):
    """Stand in for a train function that takes its data and does nothing."""
    for _ in range(model.steps_per_execution):
        next(iterator)
    return {}


def assign(model, variables, value):
    """Assign a value to variables, while `fit` runs too."""
    for variable in variables:
        variable.assign(value)


def variable_value(model, variable, args):
    """A variable as a numpy array, while `fit` runs too."""
    return ops.convert_to_numpy(variable)
