"""Fine-tuning of the head and batch normalization alone, against a step by hand in float64."""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import only_head_trainable


def network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, name="body"), keras.layers.BatchNormalization(name="norm")]
    inner = keras.Sequential([keras.Input((3,)), *layers], name="inner")
    frozen = keras.layers.Dense(4, trainable=False, name="frozen")
    return keras.Sequential([keras.Input((3,)), inner, frozen, keras.layers.Dense(1, name="head")])


def test_a_step_at_the_test_resolution_moves_the_head_and_the_normalization(rng):
    model = network()
    x, y = rng.normal(size=(6, 3)).astype("float32"), rng.normal(size=(6, 1)).astype("float32")
    before = {w.path: np.array(to_numpy(w)) for w in model.weights}
    inner = model.get_layer("inner")
    with only_head_trainable(model) as trained:
        assert [layer.name for layer in trained] == ["norm", "head"]
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.train_on_batch(x, y)
    layer = {name: inner.get_layer(name) for name in ("body", "norm")}
    layer |= {name: model.get_layer(name) for name in ("frozen", "head")}

    def old(name, weight):
        return before[getattr(layer[name], weight).path].astype("float64")

    # Forward and backward by hand.
    a = x @ old("body", "kernel") + old("body", "bias")
    mean, variance = a.mean(0), a.var(0)
    unit = (a - mean) / np.sqrt(variance + layer["norm"].epsilon)
    hidden = (unit * old("norm", "gamma")) @ old("frozen", "kernel") + old("frozen", "bias")
    error = 2 * (hidden @ old("head", "kernel") + old("head", "bias") - y) / 6
    back = error @ old("head", "kernel").T @ old("frozen", "kernel").T
    expected = {
        ("head", "kernel"): old("head", "kernel") - 0.1 * hidden.T @ error,
        ("head", "bias"): old("head", "bias") - 0.1 * error.sum(0),
        ("norm", "gamma"): 1 - 0.1 * (back * unit).sum(0),
        ("norm", "beta"): -0.1 * back.sum(0),
        ("norm", "moving_mean"): 0.01 * mean,
        ("norm", "moving_variance"): 0.99 + 0.01 * variance,
        **{("body", w): old("body", w) for w in ("kernel", "bias")},
        **{("frozen", w): old("frozen", w) for w in ("kernel", "bias")},
    }
    assert len(expected) == len(model.weights)
    for (name, weight), value in expected.items():
        found = to_numpy(getattr(layer[name], weight))
        np.testing.assert_allclose(found, value, atol=1e-5, err_msg=f"{name} {weight}")
    # As they were: `frozen` not trainable, all others again.
    flags = {name: found.trainable for name, found in layer.items()}
    assert flags == {"body": True, "norm": True, "frozen": False, "head": True}


def test_the_head_is_named_or_counted_and_put_back_after_an_error():
    model = network()
    for head, names in (
        ("body", ["body", "norm"]),
        (["frozen", "head"], ["norm", "frozen", "head"]),
        (2, ["norm", "frozen", "head"]),
        (0, ["norm"]),
    ):
        with only_head_trainable(model, head) as trained:
            assert [layer.name for layer in trained] == names
    with pytest.raises(RuntimeError), only_head_trainable(model):
        raise RuntimeError
    assert model.get_layer("inner").get_layer("body").trainable


@pytest.mark.parametrize("head", ["heat", ["head", "heat"], 9, -1])
def test_a_head_that_is_not_there_is_refused(head):
    with pytest.raises(ValueError, match="head must be .*Received: "):
        with only_head_trainable(network(), head):
            pytest.fail("the block must not run")
