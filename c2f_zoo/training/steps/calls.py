"""Interface of the gradient calls, and code shared by two or more backends."""

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

        The gradients can be differentiated again inside `loss_gradients`.

        Args:
            function: Takes the list of tensors, returns a tuple that begins with the tensor to
                differentiate, of any shape.
            inputs: List of tensors, each of any shape.

        Returns:
            What the function returned, and the list of gradients of the inputs' shapes.
        """
        raise NotImplementedError

    def loss_gradients(self, function, weights):
        """Differentiate a loss with respect to variables.

        Args:
            function: Takes nothing, returns the scalar loss, a mean over this replica's batch,
                and anything else.
            weights: List of Keras variables.

        Returns:
            What the function returned beside the loss, and the gradients: this replica's share of
            them, None or zeros for a variable that the loss does not depend on.
        """
        raise NotImplementedError

    def average(self, values, axis=None):
        """Average over the batch of all replicas; differentiable.

        Args:
            values: Tensor of any shape.
            axis: Axis of the batch, to average over it alone.

        Returns:
            Scalar tensor, or one of the remaining shape.
        """
        return ops.mean(values, axis=axis)

    def after(self, earlier, tensors):
        """Have tensors used only once others are computed, so that memory is freed in between.

        Args:
            earlier: List of tensors of any shape.
            tensors: List of tensors of any shape.

        Returns:
            List of the tensors, of their own shapes.
        """
        return list(tensors)

    def apply(self, optimizer, gradients, weights):
        """Update weights; those whose gradient is None stay.

        Args:
            optimizer: Built Keras optimizer.
            gradients: List of tensors of the weights' shapes, or None.
            weights: List of Keras variables.
        """
        pairs = [pair for pair in zip(gradients, weights, strict=True) if pair[0] is not None]
        optimizer.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])
