"""Moving statistics of batch normalization, estimated anew, against float64 sums."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import OnAverage, averaged_weights, update_batch_statistics


def network():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(momentum=0.9)]
    nested = keras.Sequential([*layers, keras.layers.Activation("relu")])
    frozen = keras.layers.BatchNormalization(trainable=False)
    model = keras.Sequential([keras.Input((4,)), nested, frozen, keras.layers.Dense(1)])
    return model, layers, frozen


def expected_statistics(dense, batches):
    kernel, bias = (to_numpy(weight).astype("float64") for weight in dense.weights)
    outputs = [np.asarray(batch, "float64") @ kernel + bias for batch in batches]
    return [np.mean([getattr(x, kind)(0) for x in outputs], 0) for kind in ("mean", "var")]


def statistics(layer):
    return [np.array(to_numpy(value)) for value in (layer.moving_mean, layer.moving_variance)]


def batches(rng):
    return [rng.normal(2, 3, (size, 4)).astype("float32") for size in (5, 5, 9)]


def test_they_are_the_mean_of_every_batch_s_own(rng):
    (model, (dense, layer), frozen), given = network(), batches(rng)
    before = [to_numpy(weight).copy() for weight in model.trainable_variables]
    update_batch_statistics(model, iter(given))
    for found, expected in zip(statistics(layer), expected_statistics(dense, given), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert layer.momentum == 0.9
    np.testing.assert_array_equal(statistics(frozen), [np.zeros(3), np.ones(3)])
    for old, weight in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, to_numpy(weight))


def test_without_batches_it_is_refused_and_without_layers_nothing_is_drawn():
    model, (_, layer), _ = network()
    with pytest.raises(ValueError, match="at least one batch. Received: none$"):
        update_batch_statistics(model, [])
    assert layer.momentum == 0.9

    def none():
        raise AssertionError("drawn")
        yield

    update_batch_statistics(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), none())


def test_averaged_weights_get_statistics_of_their_own_within_the_block(rng):
    (model, (dense, layer), _), given = network(), batches(rng)
    model.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5), "mse")
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([statistics(layer), expected_statistics(dense, given)])

    x, y = rng.normal(size=(12, 4)).astype("float32"), rng.normal(size=(12, 1))
    model.fit(x, y, batch_size=4, verbose=0, callbacks=[OnAverage(Watch(), batches=given)])
    raw = statistics(layer)
    with averaged_weights(model, given):
        seen.append([statistics(layer), expected_statistics(dense, given)])
    for found, expected in seen:
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_array_equal(statistics(layer), raw)
    assert not np.allclose(raw, seen[-1][0], rtol=1e-2)
    assert np.isfinite(ops.convert_to_numpy(model(x))).all()
