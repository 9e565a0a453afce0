import keras
import numpy as np
import pytest
from keras import ops


@pytest.fixture
def empty_kernels(monkeypatch):
    """Kernels begin as zeros: counting the parameters of large networks needs no random ones."""

    def zeros(self, shape, dtype=None, **kwargs):
        return ops.zeros(shape, dtype=dtype)

    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", zeros)


@pytest.fixture
def trainable_size():
    """`trainable_size(model)`: number of its trainable parameters."""
    return lambda model: sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def _total(outputs):
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return sum(ops.sum(ops.sin(output)) for output in outputs)


def _penalty_of(model):
    """R1 and its gradients in the trainable variables as a function of the inputs.

    R1 is the sum of squares of the gradient, in the inputs, of the sum of what the model gives.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _jax_penalty(model)
    if backend == "tensorflow":
        return _tensorflow_penalty(model)
    return lambda inputs: _torch_penalty(model, inputs)


def _jax_penalty(model):
    import jax

    fixed = [v.value for v in model.non_trainable_variables]

    def penalty(weights, inputs):
        def score(x):
            return _total(model.stateless_call(weights, fixed, x)[0])

        gradients = jax.tree.leaves(jax.grad(score)(inputs))
        return sum(ops.sum(ops.square(gradient)) for gradient in gradients)

    compiled = jax.jit(jax.value_and_grad(penalty))

    def evaluate(inputs):
        value, gradients = compiled([v.value for v in model.trainable_variables], inputs)
        return float(value), [np.asarray(gradient) for gradient in gradients]

    return evaluate


def _tensorflow_penalty(model):
    import tensorflow as tf

    weights = [v.value for v in model.trainable_variables]

    @tf.function
    def penalty(inputs):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                score = _total(model(inputs))
            gradients = tf.nest.flatten(inner.gradient(score, inputs))
            value = sum(tf.reduce_sum(tf.square(gradient)) for gradient in gradients)
        return value, outer.gradient(value, weights, unconnected_gradients="zero")

    def evaluate(inputs):
        value, gradients = penalty(inputs)
        return float(value), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]

    return evaluate


def _torch_penalty(model, inputs):
    import torch

    inputs = keras.tree.map_structure(lambda x: x.clone().requires_grad_(True), inputs)
    flat = keras.tree.flatten(inputs)
    inner = torch.autograd.grad(_total(model(inputs)), flat, create_graph=True)
    value = sum(gradient.square().sum() for gradient in inner)
    weights = [v.value for v in model.trainable_variables]
    gradients = torch.autograd.grad(value, weights, materialize_grads=True)
    return float(value.detach()), [gradient.cpu().numpy() for gradient in gradients]


@pytest.fixture
def check_penalty():
    """`check_penalty(model, inputs, variable)`: R1's gradient against finite differences.

    All gradients are finite, and that in `variable` is held against central differences along
    itself. The weights are drawn anew, the same in every run: a kink of LeakyReLU close by would
    spoil the differences.
    """

    def check(model, inputs, variable):
        random = np.random.default_rng(3)
        for weight in model.trainable_variables:
            weight.assign(random.normal(size=weight.shape))
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        penalty_of = _penalty_of(model)
        value, gradients = penalty_of(inputs)
        assert value > 0 and all(np.isfinite(gradient).all() for gradient in gradients)
        index = [v is variable for v in model.trainable_variables].index(True)
        size = np.linalg.norm(gradients[index])
        start, around = np.array(ops.convert_to_numpy(variable)), []
        for sign in (1, -1):
            variable.assign(start + sign * 1e-3 * gradients[index] / size)
            around.append(penalty_of(inputs)[0])
        variable.assign(start)
        assert size == pytest.approx((around[0] - around[1]) / 2e-3, rel=2e-2)
        return gradients

    return check
