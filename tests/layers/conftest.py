import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import jit


@pytest.fixture
def penalty_gradient_of():
    """`penalty_gradient_of(function, *arrays)`: derivatives of a gradient penalty.

    The penalty is the sum of squares of the gradient of the scalar `function` in its first
    argument, as in WGAN-GP and R1. Returns its value and its gradients in all arguments.
    """
    return lambda function, *arrays: penalty_of(function)(*arrays)


@pytest.fixture
def check_derivatives(gradient_of):
    """`check_derivatives(function, *arrays)`: first and second order against finite differences.

    Along a random direction per argument, central differences of the float32 function are held
    against its gradient, and those of its gradient penalty against the penalty's gradient.
    """

    def check(function, *arrays):
        arrays = [np.asarray(array, "float32") for array in arrays]
        value = jit(function)
        compare(lambda *given: float(value(*given)), gradient_of(function, *arrays), arrays)
        penalty = penalty_of(function)
        compare(lambda *given: penalty(*given)[0], penalty(*arrays)[1], arrays)

    return check


def compare(function, gradients, arrays, step=1e-2, tolerance=1e-2):
    random = np.random.default_rng(7)
    for index, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        assert gradient.shape == array.shape and np.isfinite(gradient).all()
        direction = random.normal(size=array.shape)
        direction = (direction / np.linalg.norm(direction)).astype("float32")
        values = []
        for sign in (1, -1):
            moved = list(arrays)
            moved[index] = array + sign * step * direction
            values.append(function(*map(ops.convert_to_tensor, moved)))
        expected = (values[0] - values[1]) / (2 * step)
        # Along a random direction the share of the gradient may be near 0.
        size = np.linalg.norm(gradient) / np.sqrt(gradient.size) + 1e-3
        assert float(np.sum(gradient * direction)) == pytest.approx(
            expected, rel=tolerance, abs=tolerance * size
        ), f"argument {index}"


def penalty_of(function):
    """The penalty and its gradients as a function of the arrays, compiled once on JAX."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return lambda *arrays: _tensorflow_penalty(function, arrays)
    if backend == "torch":
        return lambda *arrays: _torch_penalty(function, arrays)
    import jax

    def penalty(arrays):
        return ops.sum(ops.square(jax.grad(function)(*arrays)))

    compiled = jax.jit(jax.value_and_grad(penalty))

    def evaluate(*arrays):
        value, gradients = compiled(arrays)
        return float(value), [np.asarray(gradient) for gradient in gradients]

    return evaluate


def _tensorflow_penalty(function, arrays):
    import tensorflow as tf

    tensors = [ops.convert_to_tensor(array) for array in arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors)
        with tf.GradientTape() as inner:
            inner.watch(tensors[0])
            value = function(*tensors)
        penalty = tf.reduce_sum(tf.square(inner.gradient(value, tensors[0])))
    gradients = outer.gradient(penalty, tensors, unconnected_gradients="zero")
    return float(penalty), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def _torch_penalty(function, arrays):
    import torch

    tensors = [
        ops.convert_to_tensor(array).detach().clone().requires_grad_(True) for array in arrays
    ]
    (inner,) = torch.autograd.grad(function(*tensors), tensors[:1], create_graph=True)
    penalty = inner.square().sum()
    gradients = torch.autograd.grad(penalty, tensors, materialize_grads=True)
    return float(penalty.detach()), [gradient.cpu().numpy() for gradient in gradients]
