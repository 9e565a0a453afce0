"""Presets: models saved and loaded. What cannot be loaded: test_damaged_presets.py."""

import errno
import json

import keras
import numpy as np
import pytest

from c2f_zoo.hub import (
    PresetError,
    PresetMixin,
    PresetNotFoundError,
    PresetSaveError,
    create_model,
    load,
    read_metadata,
    render_card,
    save_preset,
    saving as module,
)


def assert_equal_weights(model, other, tolerance=0.0):
    for first, second in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=tolerance)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def images(size=6):
    return [np.full((1, size, size, 3), value, "float32") for value in (0.25, 0.5)]


# What is saved can be loaded.


def test_a_saved_model_is_loaded_with_its_arguments_and_weights(model, folder, tiny_models):
    loaded = tiny_models.TinyFlow.from_pretrained(folder)
    assert (loaded.channels, loaded.scale) == (5, 0.5)
    assert_equal_weights(model, loaded)
    expected, found = model(images()), loaded(images())
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (expected, found)))


def test_any_class_is_loaded_without_naming_it(folder, tiny_models):
    for loaded in (load(folder), PresetMixin.from_pretrained(str(folder))):
        assert type(loaded) is tiny_models.TinyFlow


def test_kerashub_s_and_timm_s_spellings_load_the_same(model, folder, tiny_models):
    for loaded in (tiny_models.TinyFlow.from_preset(folder), create_model(str(folder))):
        assert type(loaded) is tiny_models.TinyFlow
        assert_equal_weights(model, loaded)
    options = {"scale": 3.0, "dtype": "mixed_bfloat16", "offline": True}
    for loaded in (
        tiny_models.TinyFlow.from_preset(folder, **options),
        create_model(folder, **options),
    ):
        assert loaded.scale == 3.0 and loaded.compute_dtype == "bfloat16"


def test_a_preset_s_network_is_made_without_its_weights(model, folder, tiny_models):
    for untrained in (
        tiny_models.TinyFlow.from_preset(folder, load_weights=False),
        create_model(folder, pretrained=False),
    ):
        assert (untrained.channels, untrained.built) == (5, True)
        kernels = model.trainable_variables[0], untrained.trainable_variables[0]
        assert not np.array_equal(*map(keras.ops.convert_to_numpy, kernels))


@pytest.mark.parametrize("name", ["TinyFlow", "tiny_flow", "tinyflow"])
def test_a_class_goes_by_its_name(name, tiny_models):
    made = create_model(name, pretrained=False, channels=3, dtype="mixed_bfloat16")
    assert type(made) is tiny_models.TinyFlow and made.channels == 3
    assert made.compute_dtype == "bfloat16"
    with pytest.raises(PresetNotFoundError, match=f"pwcnet_lite.*Received: '{name}'"):
        create_model(name)
    with pytest.raises(PresetError, match="Did you mean 'channels'.*Received: 'chanels'"):
        create_model(name, pretrained=False, chanels=3)


def test_a_name_that_is_neither_lists_what_there_is():
    with pytest.raises(PresetNotFoundError, match="pwcnet_lite"):
        create_model("no_such_network", offline=True)


def test_a_preset_holds_four_files(folder):
    assert sorted(contents(folder)) == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    assert json.loads((folder / "config.json").read_text()) == {
        "class": "TinyFlow",
        "config": {"channels": 5, "depth": 2, "scale": 0.5},
        "format": 1,
    }


def test_the_metadata_says_what_the_author_and_the_class_said(folder, model):
    metadata = read_metadata(folder)
    assert metadata["name"] == "tiny_flow.test"
    assert metadata["task"] == "optical_flow"
    assert metadata["licence"] == "MIT"
    assert metadata["input"] == "Two images (B, H, W, 3)."
    assert metadata["parameters"] == model.count_params()
    assert metadata["versions"]["keras"] == keras.__version__
    assert (folder / "README.md").read_text() == render_card(metadata)


def test_a_model_built_by_its_first_input_is_loaded(tiny_models, tmp_path):
    model = tiny_models.TinyRestorer()
    model(np.zeros((2, 8, 8, 3), "float32"))
    loaded = load(model.save_pretrained(tmp_path / "restorer"))
    assert_equal_weights(model, loaded)


def test_a_trained_model_is_saved_without_its_optimizer(model, tmp_path):
    model.compile("adam", "mse")
    inputs = images()
    flow = np.zeros((1, 6, 6, 2), "float32")
    model.train_on_batch(inputs, flow)
    model.stem.trainable = False  # reorders what Keras calls the trainable weights
    folder = model.save_pretrained(tmp_path / "trained")
    assert_equal_weights(model, load(folder))
    size = json.loads((folder / "metadata.json").read_text())["files"]["model.weights.h5"]["size"]
    assert size < 4 * model.count_params() + 2048 * 2 * len(model.weights)


def test_a_users_own_subclass_is_loaded_and_saved(folder, tiny_models, tmp_path):
    class Mine(tiny_models.TinyFlow):
        pass

    mine = Mine.from_pretrained(folder)
    assert type(mine) is Mine
    assert type(load(mine.save_pretrained(tmp_path / "mine"))) is tiny_models.TinyFlow


def test_constructor_arguments_can_be_overridden(folder, model):
    loaded = load(folder, scale=2.0, name="twice")
    assert (loaded.scale, loaded.name) == (2.0, "twice")
    assert_equal_weights(model, loaded)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16"])
def test_the_precision_to_compute_in_is_chosen_when_loading(folder, dtype):
    before = keras.config.dtype_policy()
    loaded = load(folder, dtype=dtype)
    assert loaded.dtype_policy.name == loaded.stem.dtype_policy.name == dtype
    assert keras.config.dtype_policy() == before


def test_a_precision_that_keras_does_not_know_is_not_blamed_on_the_preset(folder):
    with pytest.raises(ValueError) as caught:
        load(folder, dtype="bfloat17")
    assert not isinstance(caught.value, PresetError)


def test_weights_of_a_bfloat16_model_are_saved_in_float32(folder, tmp_path):
    half = load(folder, dtype="bfloat16")
    loaded = load(half.save_pretrained(tmp_path / "half"))
    assert loaded.stem.kernel.dtype == "float32"
    for first, second in zip(half.weights, loaded.weights, strict=True):
        first = keras.ops.convert_to_numpy(keras.ops.cast(first, "float32"))
        np.testing.assert_array_equal(first, keras.ops.convert_to_numpy(second))


def test_float16_files_load_into_float32_variables(model, folder, tmp_path):
    half = model.save_pretrained(tmp_path / "half", precision="float16")
    loaded = load(half)
    assert all(variable.dtype == "float32" for variable in loaded.weights)
    metadata = read_metadata(half)
    assert 0 < metadata["largest_rounding_error"] < 1e-3
    assert metadata["precision"] == "float16"
    assert_equal_weights(model, loaded, metadata["largest_rounding_error"])
    sizes = [read_metadata(path)["files"]["model.weights.h5"]["size"] for path in (folder, half)]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize(("precision", "gigabytes"), [("float32", 1.1e-6), ("float16", 5.5e-7)])
def test_large_weights_are_saved_in_shards(model, tmp_path, precision, gigabytes):
    folder = model.save_pretrained(
        tmp_path / "shards", precision=precision, max_shard_size=gigabytes
    )
    shards = [name for name in contents(folder) if name.endswith(".h5")]
    assert len(shards) > 1
    assert {*shards, "config.json", "model.weights.json"} == set(read_metadata(folder)["files"])
    assert_equal_weights(model, load(folder), 1e-3 if precision == "float16" else 0.0)
    model.save_pretrained(folder)
    assert not [name for name in contents(folder) if name in shards]


# What cannot be saved leaves everything as it was.


def test_a_model_without_weights_cannot_be_saved(tiny_models, tmp_path):
    with pytest.raises(PresetError, match="Only a built model"):
        tiny_models.TinyRestorer().save_pretrained(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_model_that_its_config_does_not_rebuild_cannot_be_saved(model, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "channels", 9)
    with pytest.raises(PresetError, match="must have the model's weights"):
        model.save_pretrained(tmp_path / "new")


def test_a_class_that_is_not_registered_cannot_be_saved(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(PresetError, match="needs a class decorated"):
        save_preset(model, tmp_path / "new")


def test_a_weight_too_large_for_half_precision_is_named(model, folder):
    before = contents(folder)
    model.head.bias.assign([0.0, 1e6])
    with pytest.raises(PresetError, match=r"head/vars/1 does not fit float16.*Received: 1e\+06"):
        model.save_pretrained(folder, precision="float16")
    assert contents(folder) == before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_named(model, folder, value):
    model.head.bias.assign([0.0, value])
    with pytest.raises(PresetError, match="NaN or infinity in head/vars/1"):
        model.save_pretrained(folder)


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"license": "MIT"}, "Did you mean 'licence'"),
        ({"metrics": [{"name": "EPE", "value": 1.0}]}, "without command, dataset"),
        ({"limits": {1, 2}}, "must be plain data"),
        ({"recipe": {"loss": float("nan")}}, "must be plain data"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(model, tmp_path, metadata, complaint):
    with pytest.raises(PresetError, match=complaint):
        model.save_pretrained(tmp_path / "new", metadata)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"max_shard_size": 0}])
def test_options_that_make_no_sense_are_refused(model, tmp_path, options):
    with pytest.raises(ValueError, match="Received: "):
        model.save_pretrained(tmp_path / "new", **options)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("save_weights", OSError(errno.ENOSPC, "No space left on device")),
        ("fingerprint", OSError(errno.ENOSPC, "No space left on device")),
        ("render_card", OSError(errno.ENOSPC, "No space left on device")),
        ("save_weights", KeyboardInterrupt()),
        ("render_card", KeyboardInterrupt()),
    ],
)
def test_a_full_disk_or_ctrl_c_leaves_the_old_preset(
    model, folder, tiny_models, monkeypatch, place, error
):
    before = contents(folder)

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(module, place, fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else PresetSaveError
    with pytest.raises(expected) as caught:
        tiny_models.TinyFlow(channels=7).save_pretrained(folder)
    if expected is PresetSaveError:
        assert caught.value.errno == errno.ENOSPC
        assert "The disk is full" in str(caught.value)
        assert "What was there is unchanged" in str(caught.value)
    monkeypatch.undo()
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert_equal_weights(model, load(folder))


def test_a_disk_without_room_is_seen_before_hdf5_writes(model, folder, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("c2f_zoo.hub.weights.os.posix_fallocate", full, raising=False)
    monkeypatch.setattr(keras.Model, "save_weights", None)
    with pytest.raises(PresetSaveError, match="The disk is full"):
        model.save_pretrained(folder)


def test_a_folder_with_files_of_yours_is_not_replaced(model, folder):
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)
    with pytest.raises(PresetSaveError, match=r"belong to a preset \(notes\.txt\)"):
        model.save_pretrained(folder)
    assert contents(folder) == before
