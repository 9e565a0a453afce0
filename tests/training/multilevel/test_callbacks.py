"""Full-Multiscale inside one fit: stages, end, log rows, and a resume in the middle of a stage."""

import csv

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import (
    Multilevel,
    MultilevelLog,
    MultilevelProgress,
    MultilevelSchedule,
    TrainingState,
)

SCHEDULE = MultilevelSchedule.full_multiscale(2, iterations=(3, 2, 2), batch_sizes=(2, 2, 1))
IMAGES = np.random.default_rng(0).random((9, 8, 8, 3)).astype("float32")


def training_of(schedule=SCHEDULE):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(3, 3, padding="same")]
    training = Multilevel(keras.Sequential(layers), schedule=schedule, seed=2)
    training.compile(keras.optimizers.Adam(1e-2), "mse", metrics=["mae"])
    return training


def fitted(folder, until=100, steps_per_epoch=2, **options):
    training = training_of()
    state = TrainingState(folder / "state.npz")
    callbacks = [
        MultilevelLog(folder / "train.csv", SCHEDULE, folder / "validation.csv"),
        MultilevelProgress(SCHEDULE, **options),
        state,
    ]
    training.fit(
        IMAGES,
        IMAGES,
        steps_per_epoch=steps_per_epoch,
        initial_epoch=state.restore(training),
        epochs=until,
        validation_data=(IMAGES, IMAGES),
        callbacks=callbacks,
        verbose=0,
    )
    return training


def rows(file):
    with open(file, newline="") as opened:
        return list(csv.DictReader(opened))


def weights(training):
    return [to_numpy(weight) for weight in training.model.weights]


def test_one_fit_goes_through_all_stages_at_the_exact_step_and_ends(tmp_path):
    training = fitted(tmp_path, steps_per_epoch=4)  # stages end within epochs
    assert int(to_numpy(training.steps)) == SCHEDULE.total == 7
    table = rows(tmp_path / "train.csv")
    assert [row["step"] for row in table] == list("1234567")
    assert [row["image"] for row in table] == ["1/4"] * 3 + ["1/2"] * 2 + ["1/1"] * 2
    assert [row["stage"] for row in table] == list("1112233")
    units = [float(row["work_units"]) for row in table]
    np.testing.assert_allclose(units, [float(SCHEDULE.work(step)) for step in range(1, 8)])
    seconds = [float(row["seconds"]) for row in table]
    assert seconds == sorted(seconds) and seconds[0] > 0
    assert {"loss", "mae"} < set(table[0])
    assert [row["step"] for row in rows(tmp_path / "validation.csv")] == ["4", "7"]
    before, validated = weights(training), rows(tmp_path / "validation.csv")
    again = fitted(tmp_path, steps_per_epoch=4)  # a finished run stays as it is
    for a, b in zip(before, weights(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rows(tmp_path / "train.csv") == table
    assert rows(tmp_path / "validation.csv") == validated


def test_a_run_resumed_in_the_middle_of_a_stage_ends_as_an_unbroken_one(tmp_path):
    unbroken = fitted(tmp_path / "a")
    fitted(tmp_path / "b", until=2)  # a step into the second stage
    with open(tmp_path / "b" / "train.csv", "a") as file:
        file.write("5,2,1/2,9.9,99,0.1,0.1\n6,2,1/")  # steps after the last state, then a kill
    resumed = fitted(tmp_path / "b")
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    tables = [rows(tmp_path / run / "train.csv") for run in "ab"]
    for a, b in zip(*tables, strict=True):
        a.pop("seconds"), b.pop("seconds")
        assert a == b


def test_the_bar_counts_steps_or_work_and_begins_where_the_run_stood(tmp_path, capsys):
    fitted(tmp_path / "work", unit="work")
    assert f"{float(SCHEDULE.work(7)):.2f}" in capsys.readouterr().err
    fitted(tmp_path / "run", until=2)
    assert "4/7" in capsys.readouterr().err
    fitted(tmp_path / "run")
    shown = capsys.readouterr().err
    assert "4/7" in shown and "7/7" in shown and "stage=3/3" in shown and "image=1/1" in shown


def test_an_endless_schedule_is_counted_and_not_ended(capsys):
    schedule = MultilevelSchedule.multiscale(levels=1, batch_size=1)
    training = training_of(schedule)
    progress = MultilevelProgress(schedule)
    training.fit(IMAGES, IMAGES, epochs=2, steps_per_epoch=2, callbacks=[progress], verbose=0)
    assert int(to_numpy(training.steps)) == 4
    assert "4step" in capsys.readouterr().err


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="'work'. Received: 'image'"):
        MultilevelProgress(SCHEDULE, unit="image")


def test_a_checkpoint_holds_the_model_that_is_trained(tmp_path):
    training = training_of(MultilevelSchedule.multiscale(1, 1))
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", save_best_only=False)
    training.fit(IMAGES, IMAGES, epochs=2, steps_per_epoch=1, callbacks=[checkpoint], verbose=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.keras", "2.keras"]
    again = keras.saving.load_model(tmp_path / "2.keras")
    for found, expected in zip(again.weights, training.model.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


def test_a_layer_alone_cannot_be_saved(tmp_path):
    training = Multilevel(keras.layers.Conv2D(3, 3, padding="same"))
    with pytest.raises(NotImplementedError, match="Only a keras.Model.*Received: conv2d"):
        training.save(tmp_path / "layer.keras")
