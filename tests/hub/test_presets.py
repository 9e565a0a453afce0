import contextlib
import errno
import json
import warnings

import keras
import numpy as np
import pytest

from c2f_zoo.cli import show
from c2f_zoo.hub import (
    PresetError,
    PresetMixin,
    PresetSaveError,
    list_presets,
    load,
    load_weights,
    presets as module,
    read_metadata,
    render_card,
    save_preset,
)


def assert_equal_weights(model, other, tolerance=0.0):
    for first, second in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=tolerance)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def model(tiny_models):
    return tiny_models.TinyFlow(channels=5, scale=0.5)


@pytest.fixture
def folder(model, tmp_path):
    return model.save_pretrained(tmp_path / "tiny_flow.test", {"licence": "MIT"})


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


# What cannot be loaded says why.


def test_another_class_is_named_with_the_way_to_load_it(folder, tiny_models):
    with pytest.raises(PresetError) as caught:
        tiny_models.TinyRestorer.from_pretrained(str(folder))
    message = str(caught.value)
    assert "holds a TinyFlow, not a TinyRestorer" in message
    assert f"TinyFlow.from_pretrained('{folder}')" in message
    assert "c2f_zoo.hub.load(" in message


def test_a_truncated_file_is_named_and_not_opened(folder, monkeypatch):
    path = folder / "model.weights.h5"
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    monkeypatch.setattr(module, "load_weights", None)
    with pytest.raises(PresetError, match=r"model\.weights\.h5 is truncated \(\d+ of \d+ bytes\)"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_changed_file_is_named_with_what_was_expected_and_found(folder, monkeypatch, name):
    path = folder / name
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(bytes(data))
    monkeypatch.setattr(module, "find_model", None)
    with pytest.raises(PresetError) as caught:
        load(folder)
    assert f"{name} is not the file that was published" in str(caught.value)
    expected = read_metadata(folder)["files"][name]["sha256"]
    assert f"Expected sha256 {expected}. Received: " in str(caught.value)


@pytest.mark.parametrize("name", ["metadata.json", "model.weights.h5"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(PresetError, match=f"not a complete preset: {name} is missing"):
        load(folder)


def rewrite(folder, name, change):
    """Changes a JSON file of a preset, and its fingerprint as an attacker would."""
    path = folder / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    if name != "metadata.json":
        fingerprint = module.fingerprint(path)
        rewrite(folder, "metadata.json", lambda record: record["files"].update({name: fingerprint}))


@pytest.mark.parametrize("name", ["../config.json", "/etc/passwd", "model.pkl", "a/b.weights.h5"])
def test_metadata_cannot_name_files_elsewhere(folder, name):
    entry = {"size": 1, "sha256": "0" * 64}
    rewrite(folder, "metadata.json", lambda record: record["files"].update({name: entry}))
    with pytest.raises(PresetError, match="lists a file that does not belong"):
        load(folder)


def test_a_class_that_is_not_registered_is_never_built(folder):
    rewrite(folder, "config.json", lambda content: content.update({"class": "subprocess.Popen"}))
    with pytest.raises(PresetError, match=r"Received: 'subprocess\.Popen'"):
        load(folder)


def test_an_argument_that_the_class_does_not_take_is_named(folder):
    with pytest.raises(PresetError, match=r"Did you mean 'channels'.*Received: 'chanels'"):
        load(folder, chanels=3)
    rewrite(folder, "config.json", lambda content: content["config"].update({"dtype": {}}))
    with pytest.raises(PresetError, match="Received: 'dtype'"):
        load(folder)


def test_a_newer_format_asks_for_an_upgrade(folder):
    rewrite(folder, "config.json", lambda content: content.update({"format": 2}))
    with pytest.raises(PresetError, match="newer c2f_zoo: upgrade"):
        load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": ' * 100_000, "\ud800"])
def test_damaged_metadata_is_named(folder, text):
    (folder / "metadata.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(PresetError, match=r"metadata\.json"):
        load(folder)


def test_weights_that_do_not_fit_are_listed(folder):
    with pytest.raises(PresetError) as caught:
        load(folder, channels=6)
    message = str(caught.value)
    assert "Of another shape: " in message
    assert "blocks/container/dense/vars/1 (the model has (6,), the preset (5,))" in message


@pytest.mark.parametrize(("depth", "kind"), [(3, "Missing"), (1, "Without a place in the model")])
def test_more_or_fewer_layers_than_the_preset_are_listed(folder, depth, kind):
    with pytest.raises(PresetError, match=f"{kind}.*: blocks/container_{max(depth - 1, 1)}/dense"):
        load(folder, depth=depth)


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


# Damaged JSON raises nothing but PresetError, or does no harm.

VALUES = (None, True, -1, 0.5, "x", [], [None], {}, {"x": None})


def places(value, path=()):
    """Paths to every value in nested JSON, the whole first."""
    yield path
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


SAID = {
    "paper": {"title": "Flow", "authors": ["A", "B"], "year": 2020, "arxiv": "1.2", "bibtex": "@a"},
    "training_data": [{"name": "Chairs", "licence": "MIT", "url": "x", "hub_id": "a/b"}],
    "recipe": {"command": "c2f train", "steps": 3},
    "metrics": [
        {
            "name": "EPE",
            "value": 1.5,
            "unit": "px",
            "dataset": "Chairs",
            "command": "c2f evaluate",
            "compared_with": {"DIS": 2.5},
        }
    ],
    "limits": ["Fast motion."],
}


def test_any_changed_value_of_the_metadata_is_told_or_harmless(model, tmp_path, monkeypatch):
    folder = model.save_pretrained(tmp_path / "flow", SAID)
    path = folder / "metadata.json"
    content = json.loads(path.read_text())
    monkeypatch.setattr("c2f_zoo.hub.resolving.shipped_folders", lambda: {"flow": folder})
    for place in places(content):
        for value in VALUES:
            path.write_text(json.dumps(replaced(content, place, value)))
            try:
                render_card(read_metadata(folder))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    list_presets()
                show._description("flow", read_metadata(folder))
            except PresetError as error:
                assert "metadata.json" in str(error) or "model card" in str(error)


@pytest.mark.parametrize("kind", ["built", "built by its input"])
def test_any_changed_value_of_the_config_is_told_or_harmless(model, tiny_models, tmp_path, kind):
    if kind == "built by its input":
        model = tiny_models.TinyRestorer()
        model(np.zeros((1, 4, 4, 3), "float32"))
    folder = model.save_pretrained(tmp_path / "flow")
    content = json.loads((folder / "config.json").read_text())
    for place in places(content):
        for value in (None, -1, "x", [None], {"x": None}):
            new = replaced(content, place, value)
            (folder / "config.json").write_text(json.dumps(new))
            fingerprint = module.fingerprint(folder / "config.json")
            rewrite(
                folder,
                "metadata.json",
                lambda record, new=fingerprint: record["files"].update({"config.json": new}),
            )
            with contextlib.suppress(PresetError):
                load(folder)


def test_an_override_that_the_model_refuses_keeps_the_model_s_own_error(folder):
    with pytest.raises(ValueError) as caught:
        load(folder, channels=-1)
    assert not isinstance(caught.value, PresetError)


def test_any_flipped_or_cut_byte_of_weights_is_told(model, folder, rng):
    data = (folder / "model.weights.h5").read_bytes()
    for position in rng.integers(0, len(data), 60):
        changed = bytearray(data)
        changed[position] ^= 1 << int(rng.integers(8))
        for damaged in (bytes(changed), data[:position]):
            (folder / "model.weights.h5").write_bytes(damaged)
            with contextlib.suppress(PresetError):
                load_weights(model, folder)


@pytest.mark.parametrize(
    "weight_map", [None, [], {"a": None}, {"a": [None]}, {"a": {}}, {"a": [["model_0"]]}]
)
def test_a_damaged_index_of_shards_is_told(model, tmp_path, weight_map):
    folder = model.save_pretrained(tmp_path / "shards", max_shard_size=1.1e-6)
    rewrite(folder, "model.weights.json", lambda index: index.update(weight_map=weight_map))
    with pytest.raises(PresetError, match=r"model\.weights\.json"):
        load(folder)
