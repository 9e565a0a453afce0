"""The verbs on a real preset: a small network with random weights, saved in a folder."""

import json

import numpy as np
import pytest

from c2f_zoo import hub
from c2f_zoo.cli.main import main
from c2f_zoo.data.files.flow import read_flow, write_flow
from c2f_zoo.data.files.images import load_image, save_image
from c2f_zoo.data.files.video import read_frames
from c2f_zoo.models import PWCNet

METADATA = {
    "name": "pwcnet_lite.random",
    "summary": "Random weights, for tests.",
    "licence": "Apache-2.0",
    "paper": {"title": "A Paper", "year": 2018},
    "training_data": [{"name": "nothing", "licence": "CC0-1.0"}],
    "recipe": {"command": "c2f train nothing"},
    "metrics": [
        {
            "name": "EPE",
            "value": 12.5,
            "unit": "px",
            "dataset": "made up",
            "command": "c2f evaluate pwcnet_lite.random",
        }
    ],
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "pwcnet_lite.random"
    return PWCNet("lite").save_pretrained(folder, METADATA)


@pytest.fixture(scope="module")
def network(preset):
    return hub.load(preset)


@pytest.fixture
def loaded_once(network, preset, monkeypatch):
    """The verbs get a network that is compiled already; each test would else wait for it."""
    monkeypatch.setattr("c2f_zoo.hub.load", lambda name: {str(preset): network}[name])


@pytest.fixture
def shipped(preset, monkeypatch):
    monkeypatch.setattr("c2f_zoo.hub.resolving.shipped_folders", lambda: {preset.name: preset})
    return preset


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).random((33, 47, 3))
        save_image(folder / f"{number}.png", noise)
    return folder


def test_two_frames_give_the_flow_of_the_network(network, preset, clip, tmp_path, capsys):
    frames = [str(clip / "0.png"), str(clip / "1.png")]
    out = tmp_path / "out"
    assert main(["flow", *frames, "--preset", str(preset), "-o", str(out)]) == 0
    written, _ = read_flow(out / "0.flo")
    np.testing.assert_allclose(written, network.flow(*frames), rtol=1e-3, atol=1e-3)
    assert load_image(out / "0_warped.png").shape == (33, 47, 3)


def test_a_clip_gives_the_flows_of_its_pairs(loaded_once, network, preset, clip, tmp_path):
    command = ["flow", str(clip), "--preset", str(preset), "--images", "--format", "flo"]
    assert main([*command, "--batch-size", "3"]) == 0
    flows = [read_flow(tmp_path / "clip_flow_files" / f"00000{n}.flo")[0] for n in (1, 2, 3)]
    for n, flow in enumerate(flows):
        expected = network.flow(clip / f"{n}.png", clip / f"{n + 1}.png")
        np.testing.assert_allclose(flow, expected, rtol=1e-2, atol=1e-2)
    assert [frame.shape for frame in read_frames(tmp_path / "clip_flow")] == [(33, 94, 3)] * 3


def test_frames_of_one_pixel_have_a_flow(loaded_once, preset, tmp_path):
    for name in ("a.png", "b.png"):
        save_image(tmp_path / name, np.zeros((1, 1, 3)))
    command = ["flow", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--preset", str(preset)]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    (written,) = (tmp_path / "out").glob("*.flo")
    assert read_flow(written)[0].shape == (1, 1, 2)


def test_an_unknown_preset_leaves_nothing_behind(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    frames = [str(clip / "0.png"), str(clip / "1.png")]
    out = tmp_path / "out"
    assert main(["flow", *frames, "--preset", "./no_such", "-o", str(out)]) == 1
    assert "'./no_such'" in capsys.readouterr().err
    assert main(["flow", str(clip), "--preset", "./no_such", "-o", str(out), "--images"]) == 1
    assert not out.exists()


def test_evaluate_measures_the_network_on_another_size(
    loaded_once, network, preset, tmp_path, capsys
):
    root = tmp_path / "other"
    for name in ("frame10.png", "frame11.png"):
        save_image_in(root / "other-data" / "Made", name)
    flow_folder = root / "other-gt-flow" / "Made"
    flow_folder.mkdir(parents=True)
    truth = network.flow(*(root / "other-data" / "Made" / f"frame1{n}.png" for n in (0, 1)))
    write_flow(flow_folder / "flow10.flo", truth)
    command = ["evaluate", str(preset), "--dataset", "middlebury", "--root", str(root), "--json"]
    assert main(command) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["epe"] < 1e-3 * np.abs(truth).max() and row["pairs"] == 1


def save_image_in(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    save_image(folder / name, np.random.default_rng(len(name)).random((32, 48, 3)))


def test_models_lists_what_is_shipped(shipped, network, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = lines[2].split()
    assert words[:3] == ["pwcnet_lite.random", "PWCNetLite", "optical_flow"]
    assert int(words[3].replace(",", "")) == network.count_params()
    assert words[5] == "Apache-2.0"


def test_models_of_another_task_are_left_out(shipped, capsys):
    assert main(["models", "--task", "stereo_matching"]) == 0
    assert capsys.readouterr().out == (
        "no trained model for stereo_matching comes with this installation\n"
    )
    assert main(["models", "--task", "no_such_task"]) == 1
    assert "optical_flow" in capsys.readouterr().err


def test_models_as_json_can_be_read(shipped, capsys):
    assert main(["models", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == "pwcnet_lite.random" and entry["path"] == str(shipped)
    assert entry["metrics"][0]["value"] == 12.5


def test_show_says_what_the_preset_says(preset, capsys):
    assert main(["show", str(preset)]) == 0
    printed = capsys.readouterr().out
    for text in (
        "pwcnet_lite.random",
        "Random weights, for tests.",
        "nothing (CC0-1.0)",
        "A Paper, 2018",
        "c2f train nothing",
        "12.50",
    ):
        assert text in printed
    assert max(map(len, printed.splitlines())) < 120


def test_show_prints_metadata_and_card(preset, capsys):
    assert main(["show", str(preset), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "Apache-2.0"
    assert main(["show", str(preset), "--card"]) == 0
    assert capsys.readouterr().out.rstrip() == (preset / "README.md").read_text("utf-8").rstrip()


def test_show_of_a_damaged_preset_is_one_line(preset, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "metadata.json").write_text("{")
    assert main(["show", str(broken)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "metadata.json" in error
