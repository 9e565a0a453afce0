import os
import signal
import sys

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.training import (
    AdversarialModel,
    FlowPictures,
    StopOnNaN,
    StopOnSignal,
    TensorBoardLog,
    TrainingState,
)
from tests.training.adversarial.adversarial_toys import dense_pair

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def compiled(units=4):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model


def fit(model, epochs, callbacks, first=0):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    return model.fit(X, Y, initial_epoch=first, epochs=epochs, callbacks=callbacks, **options)


def weights(model):
    return np.concatenate([ops.convert_to_numpy(v).ravel() for v in model.weights])


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    unbroken = compiled()
    fit(unbroken, 4, [])
    fit(compiled(), 2, [TrainingState(tmp_path / "state.npz")])
    resumed, state = compiled(), TrainingState(tmp_path / "state.npz")
    assert state.restore(resumed) == 2
    fit(resumed, 4, [state], first=2)
    np.testing.assert_array_equal(weights(resumed), weights(unbroken))


def with_dropout():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(8), keras.layers.Dropout(0.5)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model


def test_dropout_of_a_resumed_run_is_that_of_an_unbroken_one(tmp_path):
    unbroken = with_dropout()
    fit(unbroken, 4, [TrainingState(tmp_path / "unbroken.npz")])
    fit(with_dropout(), 2, [TrainingState(tmp_path / "state.npz")])
    resumed, state = with_dropout(), TrainingState(tmp_path / "state.npz")
    state.restore(resumed)
    keras.random.normal((5,))  # what else draws before the fit does not matter
    fit(resumed, 4, [state], first=2)
    np.testing.assert_array_equal(weights(resumed), weights(unbroken))


def test_nothing_saved_means_epoch_zero(tmp_path):
    assert TrainingState(tmp_path / "none.npz").restore(compiled()) == 0


def test_a_full_disk_leaves_the_last_state(tmp_path, monkeypatch):
    state = TrainingState(tmp_path / "state.npz")
    fit(compiled(), 1, [state])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"state\.npz"):
        fit(compiled(), 2, [state])
    assert TrainingState(tmp_path / "state.npz").restore(compiled()) == 1
    assert os.listdir(tmp_path) == ["state.npz"]


def test_a_damaged_state_and_a_foreign_one_are_named(tmp_path):
    state = TrainingState(tmp_path / "state.npz")
    fit(compiled(), 1, [state])
    with pytest.raises(ValueError, match="do not match, the first 'model/0'"):
        state.restore(compiled(units=5))
    whole = state.path.read_bytes()
    state.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a whole training state"):
        state.restore(compiled())


@pytest.mark.parametrize(
    "about",
    ["null", "[]", "{}", "not json", '{"epoch": null}', '{"epoch": -1}', '{"epoch": 1.5}',
     '{"epoch": 1, "seed": "x"}', '{"epoch": 1, "record": 3}'],
)  # fmt: skip
def test_a_state_that_says_nothing_sensible_of_itself_is_damaged(tmp_path, about):
    state = TrainingState(tmp_path / "state.npz")
    fit(compiled(), 1, [state])
    with np.load(state.path) as archive:
        values = {**archive, "about": np.array(about)}
    np.savez(state.path, **values)
    with pytest.raises(ValueError, match="state.npz is not a whole training state. Received: "):
        state.restore(compiled())


@pytest.mark.parametrize("damage", ["header", "text", "method", "empty", "zeros"])
def test_a_state_with_damaged_arrays_is_named(tmp_path, damage):
    state = TrainingState(tmp_path / "state.npz")
    fit(compiled(), 1, [state])
    if damage == "text":
        with np.load(state.path) as archive:
            values = {**archive, "model/0": np.array("text")}
        np.savez(state.path, **values)
    else:
        whole = state.path.read_bytes()
        parts = {
            "header": whole.replace(b"'descr': '<f4'", b"'descr': '((((<"),
            "method": whole.replace(b"PK\x01\x02\x2d\x03\x2d\x00\x00\x00\x00\x00",
                                    b"PK\x01\x02\x2d\x03\x2d\x00\x00\x00\x63\x00"),
            "empty": b"",
            "zeros": bytes(100),
        }  # fmt: skip
        assert parts[damage] != whole
        state.path.write_bytes(parts[damage])
    with pytest.raises(ValueError, match="state.npz is not a whole training state. Received: "):
        state.restore(compiled())


def test_nan_stops_before_the_state_is_saved(tmp_path):
    state = TrainingState(tmp_path / "state.npz")
    with pytest.raises(FloatingPointError, match="gradient clipping"):
        compiled().fit(X, np.full_like(Y, np.nan), verbose=0, callbacks=[StopOnNaN(), state])
    assert not state.path.exists()


def test_ctrl_c_ends_after_the_epoch_with_its_state_saved(tmp_path, capsys):
    class PressControlC(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 0:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    state = TrainingState(tmp_path / "state.npz")
    fit(compiled(), 5, [StopOnSignal(), PressControlC(), state])
    assert state.restore(compiled()) == 1
    assert "Stopping" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_stops_at_once():
    class PressTwice(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), 5, [StopOnSignal(), PressTwice()])
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_are_given_back_when_training_fails():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(FloatingPointError), StopOnSignal() as stop:
        compiled().fit(X, np.full_like(Y, np.nan), verbose=0, callbacks=[StopOnNaN(), stop])
    assert signal.getsignal(signal.SIGINT) is before


def test_tensorboard_reads_the_logs_of_every_epoch(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.util.tensor_util import make_ndarray

    history = (
        compiled()
        .fit(
            X, Y, validation_data=(X, Y), epochs=3, verbose=0, callbacks=[TensorBoardLog(tmp_path)]
        )
        .history
    )
    for part, name in (("train", "loss"), ("validation", "val_loss")):
        events = loader.EventAccumulator(str(tmp_path / part)).Reload()
        tensors = events.Tensors("epoch_loss")
        assert [event.step for event in tensors] == [0, 1, 2]
        logged = [make_ndarray(event.tensor_proto).item() for event in tensors]
        np.testing.assert_allclose(logged, history[name], rtol=1e-6)


def test_without_tensorboard_training_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    fit(compiled(), 1, [TensorBoardLog(tmp_path / "log")])
    assert "c2f_zoo[tensorboard]" in capsys.readouterr().out


def test_pictures_show_image_truth_and_estimate(tmp_path):
    from PIL import Image

    from c2f_zoo import PWCNet

    images = np.random.default_rng(0).random((2, 2, 32, 48, 3), dtype="float32")
    flow = np.ones((2, 32, 48, 2), "float32")
    model = PWCNet("lite")
    model.compile()
    pictures = FlowPictures(tmp_path, (tuple(images), flow))
    pictures.set_model(model)
    pictures.on_epoch_end(0)
    with Image.open(tmp_path / "epoch_0001.png") as picture:
        assert picture.size == (3 * 48, 2 * 32)


def test_saving_less_than_every_epoch_is_refused():
    with pytest.raises(ValueError, match="0$"):
        TrainingState("state.npz", every=0)


def test_the_advice_for_an_adversarial_loss_is_its_own():
    stop = StopOnNaN()
    stop.set_model(AdversarialModel(*dense_pair(), seed=0))
    advice = (
        "learning rates.*penalty_weight.*labels.*float32 instead of bfloat16.*loss nan at batch 3$"
    )
    with pytest.raises(FloatingPointError, match=advice) as error:
        stop.on_train_batch_end(3, {"loss": float("nan")})
    # Without clipping; and no pair is compiled in mixed_float16 in the first place.
    assert "clip" not in str(error.value) and "mixed_float16" not in str(error.value)


def test_a_state_to_resume_from_is_promised_to_those_only_who_keep_one():
    with pytest.raises(FloatingPointError, match="If you keep a TrainingState, .* begin anew"):
        compiled().fit(X, np.full_like(Y, np.nan), verbose=0, callbacks=[StopOnNaN()])
