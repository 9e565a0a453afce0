import json
import socket

import pytest

from c2f_zoo.hub import PresetNotFoundError, list_presets, resolve, resolving as module

pytestmark = pytest.mark.backend_free


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty place of shipped presets, and an empty current folder."""
    package = tmp_path / "root" / "c2f_zoo"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "_PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    return package


def write(folder, **metadata):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    entry = {"size": 10, "sha256": "0" * 64}
    record = {
        "format": 1,
        "class": "TinyFlow",
        "task": "optical_flow",
        "parameters": 7,
        "licence": "MIT",
        "metrics": [{"name": "EPE", "value": 3.5, "dataset": "Chairs", "command": "c2f evaluate"}],
        "files": {"config.json": entry, "model.weights.h5": entry},
        **metadata,
    }
    (folder / "metadata.json").write_text(json.dumps(record))
    return folder


def test_a_folder_comes_before_a_shipped_name(home, tmp_path):
    write(home / "presets" / "flow.test")
    assert resolve("flow.test").kind == "shipped"
    write(tmp_path / "flow.test")
    assert resolve("flow.test").kind == "folder"


def test_a_folder_is_named_by_any_path(home, tmp_path):
    folder = write(tmp_path / "runs" / "last")
    for name in ("runs/last", "./runs/last", str(folder), folder):
        assert resolve(name).kind == "folder"


def test_a_folder_that_is_no_preset_does_not_hide_a_shipped_name(home, tmp_path):
    write(home / "presets" / "flow.test")
    (tmp_path / "flow.test").mkdir()
    assert resolve("flow.test").kind == "shipped"


def test_a_checkout_ships_its_models_folder(home):
    write(home.parent / "models" / "flow.test")
    assert resolve("flow.test").kind == "published"
    (home.parent / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert resolve("flow.test").kind == "published"
    (home.parent / "pyproject.toml").write_text('[project]\nname = "c2f_zoo"\n')
    assert resolve("flow.test").folder == home.parent / "models" / "flow.test"


@pytest.mark.parametrize(
    ("name", "repo", "revision"),
    [
        ("hf://owner/repo", "owner/repo", None),
        ("hf://owner/flow_lite.scenes@v1.0", "owner/flow_lite.scenes", "v1.0"),
        ("hf://owner/repo@refs/pr/1", "owner/repo", "refs/pr/1"),
    ],
)
def test_a_hub_name_may_carry_a_revision(home, name, repo, revision):
    source = resolve(name)
    assert (source.kind, source.repo_id, source.revision) == ("hub", repo, revision)


def test_any_other_plain_name_is_looked_for_under_the_organisation(home, monkeypatch):
    assert resolve("flow.test").repo_id == "c2f-zoo/flow.test"
    monkeypatch.setenv("C2F_ZOO_ORGANISATION", "me")
    assert resolve("flow.test").repo_id == "me/flow.test"


def test_the_zoos_own_names_are_pinned_to_a_commit(home, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PINS", tmp_path / "pins.json")
    assert resolve("flow.test").revision is None
    commit = "0123456789" * 4
    (tmp_path / "pins.json").write_text(json.dumps({"c2f-zoo/flow.test": commit, "a/b": "main"}))
    assert resolve("flow.test").revision == commit
    assert resolve("hf://c2f-zoo/flow.test").revision == commit
    assert resolve("hf://c2f-zoo/flow.test@main").revision == "main"
    assert resolve("hf://someone/flow.test").revision is None
    assert resolve("hf://a/b").revision is None  # a branch is no pin
    for damaged in ("{", "[]", ""):
        (tmp_path / "pins.json").write_text(damaged)
        assert resolve("flow.test").revision is None


@pytest.mark.parametrize(
    "name",
    ["", ".", "no/folder", "../flow", "/nowhere", "hf://", "hf://owner", "hf://a/b/c", "hf://a/b@"],
)
def test_a_name_of_no_form_lists_the_forms_and_the_names(home, name):
    write(home / "presets" / "flow.test")
    with pytest.raises(PresetNotFoundError) as caught:
        resolve(name)
    message = str(caught.value)
    for form in ("a folder", "flow.test", "hf://owner/repo@revision", "huggingface.co/c2f-zoo"):
        assert form in message
    assert message.endswith(f"Received: {name!r}")


def test_a_wrong_name_gets_suggestions(home):
    write(home / "presets" / "pwcnet_lite.scenes")
    message = str(module.not_found("pwcnet_lit.scenes", "It is not there."))
    assert "Did you mean 'pwcnet_lite.scenes'?" in message


def test_a_folder_without_a_preset_says_what_is_missing(home, tmp_path):
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    with pytest.raises(PresetNotFoundError, match=r"holds no config\.json"):
        resolve("runs/empty")


@pytest.mark.parametrize("name", ["raft-small.pth", "runs/weights"])
def test_a_file_of_weights_says_how_it_becomes_a_preset(home, tmp_path, name):
    (tmp_path / "runs").mkdir()
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(PresetNotFoundError, match=r"It is a file\. c2f convert makes a preset"):
        resolve(name)


def test_what_is_no_name_is_refused(home):
    with pytest.raises(TypeError, match="Received: 3"):
        resolve(3)


def test_the_list_says_what_is_shipped_and_touches_no_network(home, monkeypatch):
    write(home / "presets" / "b.test", task="image_restoration")
    folder = write(home / "presets" / "a.test")
    monkeypatch.setattr(socket, "socket", None)
    assert [preset.name for preset in list_presets()] == ["a.test", "b.test"]
    (preset,) = list_presets("optical-flow")
    assert preset.class_name == "TinyFlow"
    assert (preset.parameters, preset.licence, preset.size) == (7, "MIT", 10)
    assert preset.path == folder
    assert preset.metrics[0]["value"] == 3.5


def test_the_list_prints_as_a_table(home):
    write(home / "presets" / "a.test")
    header, _, row = str(list_presets()).splitlines()
    assert header.split()[:6] == ["name", "model", "task", "parameters", "MB", "licence"]
    assert row.split()[:4] == ["a.test", "TinyFlow", "optical_flow", "7"]
    assert list_presets()[0].headline in row
    assert repr(list_presets("stereo")) == "no preset"


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        ({"value": 3.2871, "unit": "px, of all"}, "EPE 3.287 px, Chairs"),
        ({"value": 12, "unit": ""}, "EPE 12, Chairs"),
        ({"value": "low"}, "EPE low, Chairs"),
    ],
)
def test_the_headline_is_the_first_figure_in_short(figure, line, tmp_path):
    figure = {"name": "EPE, all pixels", "dataset": "Chairs, 9 pairs", "command": "c2f", **figure}
    about = ("a", "optical_flow", "TinyFlow", 7, "MIT", tmp_path)
    assert module.PresetInfo(*about, (figure, {}), 10).headline == line
    assert module.PresetInfo(*about, (), 10).headline == ""


@pytest.mark.parametrize(
    ("alias", "task"),
    [
        ("flow", "optical_flow"),
        ("stereo", "stereo_matching"),
        ("depth", "depth_estimation"),
        ("Denoising", "image_restoration"),
        ("restoration", "image_restoration"),
        ("super-resolution", "super_resolution"),
        ("inpainting", "image_inpainting"),
        ("generation", "image_generation"),
    ],
)
def test_a_task_goes_by_shorter_names_too(home, alias, task):
    for name in ("image_restoration", "optical_flow", "image_generation", task):
        if not (home / "presets" / name).exists():
            write(home / "presets" / name, task=name)
    assert [preset.task for preset in list_presets(task=alias)] == [task]


def test_a_damaged_preset_is_left_out_of_the_list_with_a_warning(home):
    write(home / "presets" / "a.test")
    (write(home / "presets" / "b.test") / "metadata.json").write_text("{")
    with pytest.warns(UserWarning, match=r"b\.test is left out of the list"):
        assert [preset.name for preset in list_presets()] == ["a.test"]


def test_an_unknown_task_lists_the_tasks(home):
    with pytest.raises(ValueError, match=r"mean 'optical_flow'.*Received: 'optical flows'"):
        list_presets("optical flows")
