"""Gradient calls of PyTorch."""

import torch
from keras import ops


class GradientCalls:
    """Gradients by `torch.autograd.grad`; outside of these calls nothing is recorded.

    Args:
        model: The model that takes the step.
    """

    replicas = 1

    def __init__(self, model):
        self.model = model

    def input_gradients(self, function, inputs):
        """Differentiate the sum of what a function of tensors gives; see the package.

        Args:
            function: Takes the list of tensors, returns a tuple that begins with the tensor to
                differentiate, of any shape.
            inputs: List of tensors, each of any shape.

        Returns:
            What the function returned, and the list of gradients of the inputs' shapes.
        """
        with torch.enable_grad():
            # Styles depend on weights that the second derivative has to reach: not detached.
            inputs = [x if x.requires_grad else x.detach().requires_grad_(True) for x in inputs]
            outputs = function(inputs)
            gradients = torch.autograd.grad(outputs[0].sum(), inputs, create_graph=True)
        return outputs, list(gradients)

    def loss_gradients(self, function, weights):
        """Differentiate a loss with respect to variables; see the package.

        Args:
            function: Takes nothing, returns the scalar loss and anything else.
            weights: List of Keras variables.

        Returns:
            What the function returned beside the loss, and the gradients: None for a variable
            that the loss does not reach.
        """
        with torch.enable_grad():
            loss, beside = function()
            values = [weight.value for weight in weights]
            gradients = torch.autograd.grad(loss, values, allow_unused=True)
        return beside, list(gradients)

    def average(self, values, axis=None):
        """Average over the batch.

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
        return list(tensors)

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
        with torch.no_grad():
            logs = self.compute_step(data, GradientCalls(self))
        return {name: value.detach() for name, value in logs.items()}


def value_and_gradients(function):
    """Compile a function together with its gradients with respect to what it is given.

    Args:
        function: Takes tensors, returns the scalar to differentiate and a scalar to report.
            Keras variables in it are constants.

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
