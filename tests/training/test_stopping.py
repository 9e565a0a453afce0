"""Runs that a signal stops after the running step, and that go on exactly from there."""

import csv
import os
import signal

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.data import ImageCache, ImageStream
from c2f_zoo.models import ProGAN
from c2f_zoo.training import (
    EpochLog,
    GrowthSchedule,
    ImageProgress,
    Multilevel,
    MultilevelLog,
    MultilevelProgress,
    MultilevelSchedule,
    MultilevelStream,
    ProgressiveGrowth,
    StopOnSignal,
    TrainingState,
)
from tests.training.small_fit import X, Y

GROWTH = GrowthSchedule.by_images(8, base_shape=(4, 4), stabilise=8, fade=16, batch_sizes=4)
STAGES = MultilevelSchedule.full_multiscale(1, iterations=(4, 4), batch_sizes=(2, 1))
IMAGES = np.random.default_rng(0).random((9, 8, 8, 3)).astype("float32")


class SignalAt(keras.callbacks.Callback):
    """Sends a signal to this process while a step is taken, of all that fits have taken."""

    def __init__(self, step, number=signal.SIGTERM):
        super().__init__()
        self.step, self.number, self.taken = step, number, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.taken += 1
        if self.taken == self.step:
            os.kill(os.getpid(), self.number)


def plain(folder):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "mse", metrics=["mae"])
    options = {"batch_size": 4, "shuffle": False, "validation_data": (X, Y), "validation_freq": 2}
    return model, (X, Y), {"epochs": 3, **options}, []


def adversarial(folder):
    keras.utils.set_random_seed(0)
    model = ProGAN(8, latent_size=4, num_filters=(8, 4), seed=5)
    model.compile("progan")
    cache = ImageCache.from_arrays(IMAGES, resolution=8, cache=folder / "cache", progress=False)
    callbacks = [ProgressiveGrowth(GROWTH), ImageProgress(GROWTH)]
    return model, (ImageStream(cache, GROWTH),), {"epochs": 100, "steps_per_epoch": 5}, callbacks


def multilevel(folder):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(3, 3, padding="same")]
    model = Multilevel(keras.Sequential(layers), schedule=STAGES, seed=2)
    model.compile(keras.optimizers.Adam(1e-2), "mse", metrics=["mae"])
    callbacks = [MultilevelProgress(STAGES), MultilevelLog(folder / "steps.csv", STAGES)]
    return model, ((IMAGES, IMAGES),), {"epochs": 100, "steps_per_epoch": 3}, callbacks


def run(make, folder, step=None):
    """Train, or resume, in a folder; return the model."""
    folder.mkdir(exist_ok=True)
    model, data, options, callbacks = make(folder)
    state = TrainingState(folder / "state.npz")
    options["initial_epoch"] = state.restore(model)
    if hasattr(model, "steps") and int(ops.convert_to_numpy(model.steps)) == 8:
        return model  # as the recipes do with a run that is done
    if make is multilevel:
        done = int(ops.convert_to_numpy(model.steps))
        data = (MultilevelStream(*data, STAGES, initial_step=done),)
    with StopOnSignal(state) as stop:
        log = EpochLog(folder / "log.csv")
        callbacks = [*callbacks, stop, SignalAt(step), log, state]
        model.fit(*data, verbose=0, callbacks=callbacks, **options)
    return model


def rows(folder):
    tables = []
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            tables += list(csv.DictReader(file))
    for row in tables:
        row.pop("seconds", None)
    return tables


def values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [ops.convert_to_numpy(variable) for variable in variables]


@pytest.mark.parametrize(
    ("make", "steps"),
    # In an epoch, at its end, in the next one; while steps are skipped; at the very end.
    [(plain, (2,)), (plain, (6,)), (plain, (1, 2, 1)), (multilevel, (2, 1)), (multilevel, (5,)),
     (adversarial, (7, 2)), (adversarial, (8,))],
)  # fmt: skip
def test_a_run_stopped_in_an_epoch_ends_as_an_unbroken_one(tmp_path, make, steps):
    unbroken = run(make, tmp_path / "a")
    for step in steps:
        # Skipped steps count too: a signal may come in them.
        model = run(make, tmp_path / "b", step)
        assert model.stop_training
    resumed = run(make, tmp_path / "b")
    for ours, theirs in zip(values(resumed), values(unbroken), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != []


def test_a_second_signal_stops_at_once(tmp_path):
    class Twice(SignalAt):
        def on_train_batch_begin(self, batch, logs=None):
            os.kill(os.getpid(), self.number)
            os.kill(os.getpid(), self.number)

    model, data, options, _ = plain(tmp_path)
    state = TrainingState(tmp_path / "state.npz")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), StopOnSignal(state) as stop:
        model.fit(*data, verbose=0, callbacks=[stop, Twice(1), state], **options)
    assert signal.getsignal(signal.SIGTERM) is before and not state.path.exists()


def test_outside_of_its_block_the_epoch_is_finished(tmp_path):
    model, data, options, _ = plain(tmp_path)
    state = TrainingState(tmp_path / "state.npz")
    model.fit(*data, verbose=0, callbacks=[StopOnSignal(state), SignalAt(1), state], **options)
    assert state.restore(plain(tmp_path)[0]) == 1 and state._middle is None
