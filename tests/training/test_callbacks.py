import os
import signal
import sys

import keras
import numpy as np
import pytest

from c2f_zoo.training import (
    AdversarialModel,
    EpochLog,
    FlowPictures,
    StopOnNaN,
    StopOnSignal,
    TensorBoardLog,
    TrainingState,
)
from tests.training.adversarial.adversarial_toys import dense_pair
from tests.training.small_fit import X, Y, compiled, fit


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


def test_a_log_goes_on_without_the_rows_after_the_saved_state(tmp_path):
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    options = {"validation_data": (X, Y), "validation_freq": [1, 3], "verbose": 0}
    options |= {"batch_size": 8, "shuffle": False}
    compiled().fit(X, Y, epochs=4, callbacks=[EpochLog(whole)], **options)
    model, state = compiled(), TrainingState(tmp_path / "state.npz")
    model.fit(X, Y, epochs=1, callbacks=[EpochLog(broken), state], **options)
    with open(broken, "a", newline="") as file:
        file.write("1,9.0,NA\r\n2,9.")  # an epoch whose state was not saved, and half a row
    model = compiled()
    first = state.restore(model)
    # The first epoch now has no validation, whose columns stay.
    model.fit(X, Y, initial_epoch=first, epochs=4, callbacks=[EpochLog(broken)], **options)
    assert broken.read_bytes() == whole.read_bytes()
    assert len(whole.read_text().split()) == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_log_that_cannot_be_written_is_named(tmp_path):
    class Full(EpochLog):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            self.csv_file = open("/dev/full", "w")

    with pytest.raises(OSError, match=r"log could not be written .*No space left.*log\.csv"):
        fit(compiled(), 1, [Full(tmp_path / "log.csv")])
