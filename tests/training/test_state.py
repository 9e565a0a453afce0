import errno
import json
import os
import subprocess

import keras
import numpy as np
import pytest

from c2f_zoo.training import TrainingState
from tests.training.small_fit import compiled, fit, weights


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


def test_saving_less_than_every_epoch_is_refused():
    with pytest.raises(ValueError, match="0$"):
        TrainingState("state.npz", every=0)


def trained(folder, epochs, **options):
    """A model trained to an epoch from the state in a folder, if there is one."""
    model, state = compiled(), TrainingState(folder / "state.npz", **options)
    fit(model, epochs, [state], first=state.restore(model))
    return model


def epoch_in(path):
    with np.load(path) as archive:
        return json.loads(str(archive["about"]))["epoch"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_states_are_kept(tmp_path, keep):
    trained(tmp_path, 4, keep=keep)
    files = ["state.npz", "state.1.npz", "state.2.npz"][:keep]
    assert names(tmp_path) == sorted(files)
    assert [epoch_in(tmp_path / name) for name in files] == [4, 3, 2][:keep]
    trained(tmp_path, 5, keep=1)
    assert names(tmp_path) == ["state.npz"]


def test_no_state_to_keep_is_refused():
    with pytest.raises(ValueError, match="keep must be .* Received: 0"):
        TrainingState("state.npz", keep=0)


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "bytes", "other array"])
def test_of_a_damaged_state_the_one_before_is_told_and_resumed_from(tmp_path, damage):
    unbroken = trained(tmp_path / "unbroken", 5)
    trained(tmp_path, 3)
    path = tmp_path / "state.npz"
    whole = path.read_bytes()
    bit = bytearray(whole)
    bit[whole.index(b"model/0.npy") + 200] ^= 1
    parts = {"empty": b"", "cut": whole[:-100], "bit": bytes(bit), "bytes": whole[:900]}
    if damage == "other array":  # with zip's own sums right
        with np.load(path) as archive:
            np.savez(path, **{**archive, "model/1": archive["model/1"] + 1})
    else:
        path.write_bytes(parts[damage])
    reason = r"state\.npz is not a whole training state\. Received: \w+"
    told = rf"{reason}.*kept as state\.damaged\.npz.*state\.1\.npz, after epoch 2"
    with pytest.warns(UserWarning, match=told):
        resumed = trained(tmp_path, 5)
    np.testing.assert_array_equal(weights(resumed), weights(unbroken))
    assert [epoch_in(tmp_path / name) for name in ("state.npz", "state.1.npz")] == [5, 4]
    assert names(tmp_path) == ["state.1.npz", "state.damaged.npz", "state.npz", "unbroken"]


def test_where_all_states_are_damaged_the_newest_is_named_and_nothing_is_changed(tmp_path):
    trained(tmp_path, 3)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"state\.npz is not a whole training state"):
        trained(tmp_path, 4)
    assert names(tmp_path) == ["state.1.npz", "state.npz"]


def test_no_flipped_bit_is_taken_for_a_state(tmp_path):
    model, state = compiled(), TrainingState(tmp_path / "state.npz", keep=1)
    fit(model, 1, [state])
    whole, right = state.path.read_bytes(), [np.array(v) for v in state._variables(model).values()]
    for place in np.random.default_rng(0).choice(len(whole), 150, replace=False):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        state.path.write_bytes(changed)
        try:
            _, about, values = state.files.read()
        except ValueError:
            continue
        assert about["epoch"] == 1  # a date of the archive, for instance
        for ours, theirs in zip(values.values(), right, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_kill_between_two_renames_leaves_the_state_before(tmp_path):
    unbroken = trained(tmp_path / "unbroken", 5, keep=3)
    trained(tmp_path, 3, keep=3)
    os.replace(tmp_path / "state.1.npz", tmp_path / "state.2.npz")
    os.replace(tmp_path / "state.npz", tmp_path / "state.1.npz")
    resumed = trained(tmp_path, 5, keep=3)
    np.testing.assert_array_equal(weights(resumed), weights(unbroken))
    files = ["state.npz", "state.1.npz", "state.2.npz"]
    assert [epoch_in(tmp_path / name) for name in files] == [5, 4, 3]


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    unbroken = trained(tmp_path / "unbroken", 4)
    trained(tmp_path, 2, keep=1)
    with np.load(tmp_path / "state.npz") as archive:
        values = dict(archive)
    about = json.loads(str(values.pop("about")))
    del about["sha256"], about["seed"]
    np.savez(tmp_path / "state.npz", about=np.array(json.dumps(about)), **values)
    resumed = trained(tmp_path, 4)
    np.testing.assert_array_equal(weights(resumed), weights(unbroken))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, and a function that changes its options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    try:
        if mount("size=64k"):
            pytest.skip("no file system may be mounted here")
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    yield folder, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", str(folder)], check=True)


def at_end_of(epoch, action):
    def on_epoch_end(number, logs):
        if number + 1 == epoch:
            action()

    return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_that_takes_no_more_ends_training_and_keeps_the_states(small_disk, trouble):
    folder, remount = small_disk
    unbroken = compiled()
    fit(unbroken, 5, [])
    filler = folder / "filler"

    def strike():
        if trouble == "read-only":
            remount("ro")
            return
        with pytest.raises(OSError), open(filler, "wb", 0) as file:
            while True:
                file.write(bytes(1000))

    state = TrainingState(folder / "state.npz")
    with pytest.raises(OSError, match=r"state\.npz") as error:
        fit(compiled(), 5, [at_end_of(3, strike), state])
    assert error.value.errno == {"full": errno.ENOSPC, "read-only": errno.EROFS}[trouble]
    assert [name for name in names(folder) if name != "filler"] == ["state.1.npz", "state.npz"]
    resumed = compiled()
    assert TrainingState(folder / "state.npz").restore(resumed) == 2  # a read-only one is read too
    if trouble == "read-only":
        remount("rw")
    filler.unlink(missing_ok=True)
    fit(resumed, 5, [state], first=2)
    np.testing.assert_array_equal(weights(resumed), weights(unbroken))


def test_a_damaged_state_in_a_folder_that_may_only_be_read_is_passed_over(small_disk):
    folder, remount = small_disk
    fit(compiled(), 2, [TrainingState(folder / "state.npz")])
    (folder / "state.npz").write_bytes(b"")
    remount("ro")
    with pytest.warns(UserWarning, match=r"kept as state\.npz\. .*after epoch 1"):
        assert TrainingState(folder / "state.npz").restore(compiled()) == 1
