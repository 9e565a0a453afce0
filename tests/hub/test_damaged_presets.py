"""Presets that cannot be loaded: damaged files, other classes, weights that do not fit."""

import contextlib
import json
import warnings

import keras
import numpy as np
import pytest

from c2f_zoo.cli import show
from c2f_zoo.hub import (
    PresetError,
    list_presets,
    load,
    load_weights,
    loading as module,
    read_metadata,
    render_card,
)
from c2f_zoo.hub.metadata import fingerprint


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
        found = fingerprint(path)
        rewrite(folder, "metadata.json", lambda record: record["files"].update({name: found}))


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
            found = fingerprint(folder / "config.json")
            rewrite(
                folder,
                "metadata.json",
                lambda record, new=found: record["files"].update({"config.json": new}),
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


def test_a_config_that_asks_for_more_than_the_weights_hold_is_refused(folder, monkeypatch):
    rewrite(folder, "config.json", lambda content: content["config"].update(channels=10**9))
    with pytest.raises(PresetError, match=r"asks for \d{19} numbers, and the weights are \d+"):
        load(folder)
    with keras.StatelessScope():  # gives values to variables that were created in such a scope
        pass
