"""`c2f evaluate` on images with depth, with a stand-in for the network."""

import json

import numpy as np
import pytest

from c2f_zoo.cli import evaluate_depth
from c2f_zoo.cli.main import main
from c2f_zoo.data import save_image, write_depth
from c2f_zoo.metrics import depth_metrics
from tests.cli.flow_toys import error_of

TRUTHS = (np.full((6, 8), 2.0), np.linspace(1, 4, 48).reshape(6, 8))


class Twice:
    """Answers with twice the square of what red says, 255 for 8.5 metres."""

    def depth(self, image):
        return 2 * (image[..., :1] * 8.5) ** 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_depth, "load_depth_model", lambda preset: Twice())
    for part in ("rgb", "depth"):
        (tmp_path / part).mkdir()
    for number, truth in enumerate(TRUTHS):
        save_image(tmp_path / "rgb" / f"{number}.png", np.repeat(truth[..., None] / 8.5, 3, -1))
        write_depth(tmp_path / "depth" / f"{number}.png", truth, scale=5000)
    return str(tmp_path)


def command(folder, *options):
    return ["evaluate", "some.preset", "--dataset", "rgbd", "--root", folder, *options]


def test_metrics_are_those_of_the_library(folder, capsys):
    options = ["--option", "scale=5000", "--baseline", "median", "--json", "--quiet"]
    assert main(command(folder, *options)) == 0
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["results"]}
    for scaling in ("median", None):
        for metric in depth_metrics(scaling):
            for truth in TRUTHS:
                image = np.rint(truth[..., None] / 8.5 * 255) / 255
                metric.update_state(truth[None, ..., None], Twice().depth(image)[None])
            expected = float(metric.result())
            assert rows["some.preset"][metric.name] == pytest.approx(expected, abs=2e-3)
    constant = rows["median"]
    errors = [np.mean(np.abs(np.median(truth) / truth - 1)) for truth in TRUTHS]
    assert constant["abs_rel_scaled"] == pytest.approx(np.mean(errors), abs=1e-3)
    assert constant["abs_rel"] is None and constant["seconds_per_image"] is None
    assert rows["some.preset"]["images"] == 2 and rows["some.preset"]["seconds_per_image"] > 0


def test_a_table_is_printed(folder, capsys):
    assert main(command(folder, "--limit", "1", "--quiet", "--max-depth", "9")) == 0
    captured = capsys.readouterr()
    assert "AbsRel s." in captured.out and "some.preset" in captured.out
    assert "the first 1 of 2 images" in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--option", "flow=noc"], "rgbd has the options scale. Received: flow"),
        (["--baseline", "dis"], "--baseline dis is not for depth"),
        (["--iterations", "3"], "--iterations is not for depth"),
        (["--dataset", "sintel", "--root", "x"], "sintel is not for depth"),
    ],
)
def test_what_is_of_other_tasks_is_refused(folder, options, message, capsys):
    assert message in error_of(capsys, command(folder, *options), 2)


def test_options_of_depth_are_refused_elsewhere(capsys):
    for option in (["--max-depth", "3"], ["--baseline", "median"]):
        arguments = ["evaluate", "a.b", "--dataset", "sintel", "--root", "x", *option]
        assert "is for depth" in error_of(capsys, arguments, 2)
