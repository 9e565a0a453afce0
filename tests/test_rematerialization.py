"""What is computed again for a gradient gives the same gradients, and is assigned once."""

import keras
import numpy as np
import pytest

from c2f_zoo import RAFT, PSMNet
from c2f_zoo.rematerialization import rematerialize
from tests.contract.same_training import agree, fitted


class Normalized(keras.Model):
    """A dense layer and batch normalization, called once more for the gradient or not."""

    def __init__(self, is_repeated, **kwargs):
        super().__init__(**kwargs)
        self.is_repeated, self.calls = is_repeated, 0
        self.dense = keras.layers.Dense(4, dtype=self.dtype_policy)
        self.norm = keras.layers.BatchNormalization(dtype=self.dtype_policy)

    def call(self, x, training=None):
        def part(x, nothing, others):
            self.calls += 1
            return {"y": self.norm(self.dense(x) * others[0], training=training)}

        inputs = x, None, [keras.ops.exp(0.1 * x[:, :1])]
        variables = self.norm.non_trainable_variables
        return rematerialize(part, *inputs, variables=variables, when=self.is_repeated)["y"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_gradients_and_moving_statistics_are_the_same(policy):
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(8, 4)).astype("float32") for _ in range(2))

    def trained(is_repeated):
        keras.utils.set_random_seed(0)
        model = Normalized(is_repeated, dtype=policy)
        model(x)
        model.compile(keras.optimizers.SGD(0.1), "mse", auto_scale_loss=False)
        return fitted(model, x, y, batch_size=8, epochs=2)

    agree(trained(False), trained(True), tolerance=1e-6 if policy == "float32" else 1e-2 / 50)


def test_a_part_is_computed_twice_in_training_alone():
    model = Normalized(True)
    x = np.ones((2, 4), "float32")
    model(x)
    before = model.calls
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.predict(x, verbose=0)
    predicted = model.calls - before
    model.train_on_batch(x, x)
    assert predicted <= 2 and model.calls - before - predicted >= 1 + (
        keras.backend.backend() != "jax"  # which traces once, and repeats the operations
    )


@pytest.mark.parametrize("make", [RAFT, PSMNet])
def test_a_network_trains_alike_with_less_memory(make):
    random = np.random.default_rng(0)
    size = 64 if make is RAFT else 32
    images = tuple(random.random((2, 2, size, size, 3), dtype="float32"))
    truth = random.uniform(1, 9, (2, size, size, 2 if make is RAFT else 1)).astype("float32")
    options = {"variant": "small", "iterations": 2}
    if make is PSMNet:
        options = {"variant": "basic", "max_disparity": 16}

    def trained(rematerialize):
        keras.utils.set_random_seed(1)
        model = make(**options, rematerialize=rematerialize)
        assert make.from_config(model.get_config()).rematerialize == rematerialize
        model(images)
        model.compile(keras.optimizers.SGD(0.01))
        return fitted(model, images, truth, batch_size=2)

    agree(trained(False), trained(True))
