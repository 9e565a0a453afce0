"""The recipes rehearse, and a rehearsal that is stopped and resumed ends with equal weights."""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from c2f_zoo.training import StopOnNaN

FOLDER = Path(__file__).parents[2] / "training"


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def weights(model):
    return [ops.convert_to_numpy(variable) for variable in model.weights]


class PressesControlC(StopOnNaN):
    """Stands in for the callback of every recipe that sees each batch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_lite_recipe_stopped_by_ctrl_c_resumes_to_the_weights_of_an_unbroken_run(
    recipe, tmp_path, capsys
):
    main = recipe("pwcnet_lite_scenes").main
    unbroken = main(["--tiny", "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        main(["--tiny", "--out", str(tmp_path / "b")])
    assert "The same command resumes" in capsys.readouterr().out
    assert not (tmp_path / "b_tiny" / "pwcnet_lite.scenes").exists()
    resumed = main(["--tiny", "--out", str(tmp_path / "b")])
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    out = tmp_path / "a_tiny"
    assert len(list((out / "pictures").glob("*.png"))) == 2
    assert len((out / "log.csv").read_text().splitlines()) == 3
    from c2f_zoo.hub import load

    preset = load(str(out / "pwcnet_lite.scenes"))
    assert preset.variant == "lite"


def test_paper_recipe_runs_on_the_official_layout(recipe, tmp_path):
    model = recipe("pwcnet_paper").main(["--tiny", "--out", str(tmp_path / "new")])
    assert int(model.optimizer.iterations) == 4
    for schedule in ("S_long", "S_fine"):
        assert (tmp_path / "new_tiny" / f"{schedule}.weights.h5").exists()
        first, last = (tmp_path / "new_tiny" / f"{schedule}.csv").read_text().splitlines()[1:]
        assert "NA" in first and "NA" not in last  # held-out pairs are seen in the last epoch


def test_full_recipe_rehearses(recipe, tmp_path):
    model = recipe("pwcnet_scenes").main(["--tiny", "--out", str(tmp_path / "full")])
    assert model.normalize_features and model.count_params() == 9_374_274
    assert (tmp_path / "full_tiny" / "pwcnet.scenes" / "config.json").exists()
