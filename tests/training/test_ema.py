"""The optimizer's average of the weights: what it is, where it is seen, and that it resumes."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.training import OnAverage, TrainingState, averaged_weights

DECAY = 0.9


def network(use_ema=True):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(0.05, use_ema=use_ema, ema_momentum=DECAY)
    model.compile(optimizer, "mse")
    return model


def data():
    random = np.random.default_rng(0)
    return random.normal(size=(12, 4)).astype("float32"), random.normal(size=(12, 1))


def values(model):
    return [np.array(ops.convert_to_numpy(weight)) for weight in model.trainable_variables]


class Watch(keras.callbacks.Callback):
    """Keeps the weights that it sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(values(self.model))


def test_the_average_follows_its_formula_and_training_goes_on_with_the_raw_weights():
    raw, averaged, plain = Watch(), Watch(), Watch()
    inputs = dict(zip("xy", data(), strict=True))
    # An epoch is a step.
    network().fit(
        **inputs, epochs=5, batch_size=12, callbacks=[raw, OnAverage(averaged)], verbose=0
    )
    network(use_ema=False).fit(**inputs, epochs=5, batch_size=12, callbacks=[plain], verbose=0)
    expected = raw.seen[0]
    for step in range(5):
        if step:
            expected = [
                DECAY * a + (1 - DECAY) * w for a, w in zip(expected, raw.seen[step], strict=True)
            ]
        for ours, reference in zip(averaged.seen[step], expected, strict=True):
            np.testing.assert_allclose(ours, reference, atol=1e-5)
        for ours, reference in zip(raw.seen[step], plain.seen[step], strict=True):
            np.testing.assert_allclose(ours, reference, atol=1e-6)


def test_an_interrupted_run_resumes_to_the_same_weights_and_average(tmp_path):
    inputs = dict(zip("xy", data(), strict=True)) | {"batch_size": 4, "shuffle": False}
    whole, parts = network(), None
    state = TrainingState(tmp_path / "whole.npz")
    whole.fit(**inputs, epochs=4, callbacks=[state], verbose=0)
    state.restore(whole)
    for epochs in (1, 3, 4):
        parts = network()
        state = TrainingState(tmp_path / "parts.npz")
        begin = state.restore(parts)
        parts.fit(**inputs, initial_epoch=begin, epochs=epochs, callbacks=[state], verbose=0)
    assert state.restore(parts) == 4
    for a, b in zip(values(whole), values(parts), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    raw = values(whole)
    with averaged_weights(whole), averaged_weights(parts):
        average = values(whole)
        for a, b in zip(average, values(parts), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert max(np.abs(a - b).max() for a, b in zip(raw, average, strict=True)) > 1e-3
    for a, b in zip(raw, values(whole), strict=True):
        np.testing.assert_array_equal(a, b)  # as they were before


def test_before_the_first_step_the_weights_are_their_own_average():
    model = network()
    before = values(model)
    with averaged_weights(model):
        for a, b in zip(before, values(model), strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_optimizer_without_an_average_is_refused():
    with pytest.raises(ValueError, match="use_ema=True .*Received: Adam without"):
        with averaged_weights(network(use_ema=False)):
            pass
