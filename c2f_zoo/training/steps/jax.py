"""Gradient calls of JAX, over variables whose values travel as arguments."""

import jax
import keras
import numpy as np
from keras import ops


class GradientCalls:
    """Gradients by `jax.grad` of pure functions made with `keras.StatelessScope`.

    Lives inside the scope that the train step opens. What a differentiated function changes
    (seeds, running means) would leak as tracers: it is carried out as a second result and
    assigned again in the step's own scope.

    Args:
        model: The model that takes the step.
    """

    replicas = 1

    def __init__(self, model):
        self.variables = model.variables

    def input_gradients(self, function, inputs):
        """Differentiate the sum of what a function of tensors gives; see the package.

        Args:
            function: Takes the list of tensors, returns a tuple that begins with the tensor to
                differentiate, of any shape.
            inputs: List of tensors, each of any shape.

        Returns:
            What the function returned, and the list of gradients of the inputs' shapes.
        """

        def total(inputs, values):
            with _scope(self.variables, values) as scope:
                outputs = function(inputs)
            return ops.sum(outputs[0]), (outputs, _values(scope, self.variables))

        differentiate = jax.grad(total, has_aux=True)
        gradients, (outputs, values) = differentiate(list(inputs), _now(self.variables))
        _assign(self.variables, values)
        return outputs, gradients

    def loss_gradients(self, function, weights):
        """Differentiate a loss with respect to variables; see the package.

        Args:
            function: Takes nothing, returns the scalar loss and anything else.
            weights: List of Keras variables.

        Returns:
            What the function returned beside the loss, and the gradients: zeros for a variable
            that the loss does not reach.
        """
        chosen = {id(weight) for weight in weights}
        others = [v for v in self.variables if id(v) not in chosen]

        def stateless(values, other_values):
            with _scope([*weights, *others], [*values, *other_values]) as scope:
                loss, beside = function()
            return loss, (beside, _values(scope, others))

        differentiate = jax.grad(stateless, has_aux=True)
        gradients, (beside, values) = differentiate(_now(weights), _now(others))
        _assign(others, values)
        return beside, gradients

    def average(self, values, axis=None):
        """Average; arrays span all devices under `keras.distribution`.

        Args:
            values: Tensor of any shape.
            axis: Axis of the batch, to average over it alone.

        Returns:
            Scalar tensor, or one of the shape that is left.
        """
        return ops.mean(values, axis=axis)

    def after(self, earlier, tensors):
        """Order what is computed from some tensors behind others; see the package.

        Args:
            earlier: List of tensors of any shape.
            tensors: List of tensors of any shape.

        Returns:
            List of the tensors, of their own shapes.
        """
        tensors, _ = jax.lax.optimization_barrier((list(tensors), list(earlier)))
        return tensors

    def apply(self, optimizer, gradients, weights):
        """Change the weights as an optimizer does; see the package.

        Args:
            optimizer: Built Keras optimizer.
            gradients: List of tensors of the weights' shapes.
            weights: List of Keras variables.
        """
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer.apply(gradients, weights)
            return
        # Its `apply` assigns inside the branches of a condition, from where tracers would leak.
        variables = optimizer.variables
        changed, state = optimizer.stateless_apply(_now(variables), gradients, _now(weights))
        _assign(weights, changed)
        _assign(variables, state)


class TrainStep:
    """Mixin of a `keras.Model` that defines `compute_step(data, calls)`."""

    def train_step(self, state, data):
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        variables = [variable for group in groups for variable in group]
        with _scope(variables, [value for values in state for value in values]) as scope:
            logs = self.compute_step(data, GradientCalls(self))
        return logs, tuple(_values(scope, group) for group in groups)


def _scope(variables, values):
    return keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))


def _values(scope, variables):
    return [scope.get_current_value(variable) for variable in variables]


def _now(variables):
    return [variable.value for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def value_and_gradients(function):
    """Compile a function together with its gradients with respect to what it is given.

    Args:
        function: Takes tensors, returns the scalar to differentiate and a scalar to report.
            Keras variables in it are constants.

    Returns:
        Function of arrays that returns the reported scalar and the list of gradients, numpy
        arrays of the arguments' shapes.
    """

    def total(points):
        return function(*points)

    differentiate = jax.jit(jax.value_and_grad(total, has_aux=True))

    def compute(*points):
        (_, report), gradients = differentiate(points)
        return float(report), [np.asarray(gradient) for gradient in gradients]

    return compute
