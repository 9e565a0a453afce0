"""Gradient calls of PyTorch."""

import keras
import torch
from keras import ops

from c2f_zoo.training.steps import calls


class GradientCalls(calls.GradientCalls):
    """Gradients by `torch.autograd.grad`; outside of these calls nothing is recorded.

    Args:
        model: The model that takes the step.
    """

    def input_gradients(self, function, inputs):
        with torch.enable_grad():
            # Styles depend on weights that the second derivative has to reach: not detached.
            inputs = [x if x.requires_grad else x.detach().requires_grad_(True) for x in inputs]
            outputs = function(inputs)
            gradients = torch.autograd.grad(outputs[0].sum(), inputs, create_graph=True)
        return outputs, list(gradients)

    def loss_gradients(self, function, weights):
        with torch.enable_grad():
            loss, beside = function()
            values = [weight.value for weight in weights]
            gradients = torch.autograd.grad(loss, values, allow_unused=True)
        return beside, list(gradients)


def take_step(model, data):
    """Run `model.compute_step(data, calls)` as Keras' trainer expects of a train step."""
    with torch.no_grad():
        logs = model.compute_step(data, GradientCalls(model))
    return {name: value.detach() for name, value in logs.items()}


def samples_of(data):
    """The arguments of Keras' train function, and the number of samples in their batch."""
    return (data,), _count(data)


def _count(data):
    return next(array for array in keras.tree.flatten(data) if array is not None).shape[0]


def assign(model, variables, value):
    """Assign a value to variables, while `fit` runs too."""
    for variable in variables:
        variable.assign(value)


def variable_value(model, variable, args):
    """A variable as a numpy array, while `fit` runs too."""
    return ops.convert_to_numpy(variable)


def value_and_gradients(function, variables=()):
    """Compile a function together with its gradients with respect to its arguments.

    Args:
        function: Takes tensors, returns the scalar to differentiate and a scalar to report.
        variables: List of the Keras variables that it reads.

    Returns:
        Function of arrays that returns the reported scalar and the list of gradients, numpy
        arrays of the arguments' shapes.
    """

    def compute(*points):
        points = [ops.convert_to_tensor(point).requires_grad_(True) for point in points]
        with torch.enable_grad():
            total, report = function(*points)
            gradients = torch.autograd.grad(total, points)
        return float(report.detach()), [gradient.cpu().numpy() for gradient in gradients]

    return compute
