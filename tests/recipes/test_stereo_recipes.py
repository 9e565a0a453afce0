"""The stereo recipes rehearse, resume, and measure what they made."""

import importlib

import numpy as np
import pytest
from keras import ops

from c2f_zoo.hub import load, read_metadata
from tests.recipes.rehearsals import PressesControlC, load_recipe, weights


@pytest.fixture
def recipe():
    return load_recipe


def test_stereo_recipe_stopped_by_ctrl_c_resumes_to_the_weights_of_an_unbroken_run(
    recipe, tmp_path, capsys
):
    module = recipe("psmnet_lite_scenes")
    unbroken = module.main(["--tiny", "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        module.main(["--tiny", "--out", str(tmp_path / "b")])
    assert "The same command resumes" in capsys.readouterr().out
    resumed = module.main(["--tiny", "--out", str(tmp_path / "b")])
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    out = tmp_path / "a_tiny"
    assert len(list((out / "pictures").glob("*.png"))) == 2
    header, *rows = (out / "held_out.csv").read_text().splitlines()
    assert header.startswith("epoch,step,score,epe,bad_1,bad_3,epe_visible") and len(rows) == 2
    for folder in (out, out / "best"):
        # The range of the recipe, not that of the stage in which it was saved.
        preset = load(str(folder / module.RECIPE.preset))
        assert preset.max_disparity == module.RECIPE.tiny().max_disparity == 64


def test_stereo_recipe_starts_from_photographs_and_a_preset_and_stops_when_told(recipe, tmp_path):
    from PIL import Image

    module = recipe("psmnet_lite_scenes")
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        Image.new("RGB", (60, 40), (200, 0, 0)).save(tmp_path / part / "red.png")
    options = ["--tiny", "--textures", str(tmp_path), "--out", str(tmp_path / "run")]
    assert int(module.main([*options, "--until", "1"]).optimizer.iterations) == 2
    best = tmp_path / "run_tiny" / "best" / module.RECIPE.preset
    options[-1] = str(tmp_path / "more")
    model = module.main([*options, "--start", str(best), "--minutes", "1e-9"])
    assert int(model.optimizer.iterations) == 2
    with pytest.raises(SystemExit):
        module.main(["--out", str(tmp_path / "none")])


def test_psmnet_recipe_rehearses_both_stages(recipe, tmp_path):
    model = recipe("psmnet_paper").main(["--tiny", "--out", str(tmp_path / "psmnet")])
    assert int(model.optimizer.iterations) == 2
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)  # in the second epoch
    assert {path.name for path in (tmp_path / "psmnet_tiny").glob("*.h5")} == {
        "scene_flow.weights.h5",
        "kitti2015.weights.h5",
    }


def test_errors_of_disparities_are_those_of_the_metrics(recipe):
    from c2f_zoo.metrics import BadPixelRate, DisparityError

    validation = importlib.import_module("training.stereo.validation")
    random = np.random.default_rng(0)
    truth, estimate = random.uniform(1, 9, (2, 2, 8, 9, 1))
    valid, occlusion = (random.random((2, 2, 8, 9, 1)) < 0.5).astype("float32")
    errors = validation.DisparityErrors()
    for index in range(2):
        errors.update(truth[index], estimate[index], valid[index], occlusion[index])
    for suffix, weight in (("", valid), ("_visible", valid * (1 - occlusion))):
        for metric in (DisparityError(), BadPixelRate(1), BadPixelRate(3)):
            metric.update_state(truth, estimate, weight)
            got = errors.result()[metric.name + suffix]
            assert got == pytest.approx(float(metric.result()), rel=1e-4)


def test_stereo_presets_are_measured_beside_the_baseline_and_get_a_card(recipe, tmp_path, capsys):
    pytest.importorskip("cv2")
    from c2f_zoo import PSMNetLite
    from c2f_zoo.data import StereoScenes, save_image, write_pfm

    measure = importlib.import_module("training.measure.stereo")
    scenes = StereoScenes((48, 96), 1, layers=(1, 2), surfaces=16)
    (left, right), disparity = scenes.batch(0)
    scene = tmp_path / "middlebury" / "MiddEval3" / "trainingQ" / "Room"
    scene.mkdir(parents=True)
    for name, image in (("im0", left), ("im1", right)):
        save_image(scene / f"{name}.png", ops.convert_to_numpy(image)[0])
    write_pfm(scene / "disp0GT.pfm", ops.convert_to_numpy(disparity)[0])
    preset = tmp_path / "lite.test"
    PSMNetLite(max_disparity=64).save_pretrained(preset)
    options = ["--data", str(tmp_path), "--baseline", "sgbm", "--baseline", "sgbm_padded"]
    options += ["--max-disparity", "32", "--recipe", "python x.py", "--summary", "Stereo."]
    results = measure.main([str(preset), *options])
    [figures] = results.values()
    assert figures["sgbm_padded"]["epe"] < figures[str(preset)]["epe"]
    said = read_metadata(str(preset))
    [epe, bad] = said["metrics"]
    assert epe["value"] == pytest.approx(figures[str(preset)]["epe"], abs=0.01)
    assert epe["compared_with"]["OpenCV SGBM"] == pytest.approx(figures["sgbm"]["epe"], abs=0.01)
    assert bad["unit"] == "%" and load(str(preset)).max_disparity == 64
    assert "sgbm_padded" in capsys.readouterr().out
