"""Gradient calls of PyTorch."""

import torch
from keras import ops

from c2f_zoo.training.steps import calls
from c2f_zoo.training.steps.calls import assign as assign, variable_value as variable_value


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


def run_phases(model, function_of, phases, data):
    """See `c2f_zoo.training.steps.run_phases`."""
    for phase in phases:
        logs = function_of(phase)(data)
    return logs, len(calls.first_array(data))


def skip_step(model, data):
    """See `c2f_zoo.training.steps.calls`; the trainer has taken the data itself."""
    return {}


def value_and_gradients(function, variables=()):
    """See `c2f_zoo.training.steps.value_and_gradients`."""

    def compute(*points):
        points = [ops.convert_to_tensor(point).requires_grad_(True) for point in points]
        with torch.enable_grad():
            total, report = function(*points)
            gradients = torch.autograd.grad(total, points)
        return float(report.detach()), [gradient.cpu().numpy() for gradient in gradients]

    return compute
