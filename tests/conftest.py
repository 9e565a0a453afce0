from pathlib import Path

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def shared_data():
    """Real samples in their official layouts, kept beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real samples are not there: no folder {folder}")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def gradient_of():
    """`gradient_of(function, *arrays)`: gradients of a scalar function, as numpy arrays."""
    return _gradients


def _gradients(function, *arrays):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        arguments = tuple(range(len(arrays)))
        return [np.asarray(g) for g in jax.jit(jax.grad(function, arguments))(*arrays)]
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(value, tensors)]
    for tensor in tensors:
        tensor.requires_grad_(True)
    function(*tensors).backward()
    return [tensor.grad.cpu().numpy() for tensor in tensors]
