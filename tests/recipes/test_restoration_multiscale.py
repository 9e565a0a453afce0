"""The restoration script: every task and mode, what it writes, how it resumes, what it refuses."""

import csv
import importlib
import os
import signal
import sys
import types

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import load_image, save_image
from c2f_zoo.training import MultilevelStream, StopOnNaN


@pytest.fixture
def recipe():
    return importlib.import_module("training.restoration.multiscale")


@pytest.fixture
def run(recipe, tmp_path):
    def run(*options, out="run"):
        network = recipe.main(["--tiny", "--out", str(tmp_path / out), *options])
        return network, tmp_path / f"{out}_tiny"

    return run


def rows(file):
    with open(file, newline="") as opened:
        return list(csv.DictReader(opened))


def weights(network):
    return [to_numpy(weight) for weight in network.weights]


# The mode that holds the others; where steps are compiled, which takes most of the time, it alone.
ON_TORCH = keras.backend.backend() == "torch"
MODES = ["single", "multiscale", "fullmultiscale"] if ON_TORCH else ["fullmultiscale"]


PAIRS = [
    ("denoising", "resnet"),
    ("deblurring", "unet"),
    ("inpainting", "resnet"),
    ("superresolution", "paraconv"),
    ("superresolution", "resnet"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task, network", PAIRS)
def test_every_task_trains_in_every_mode_and_writes_its_files(run, task, network, mode):
    options = ("--task", task, "--network", network, "--mode", mode, "--run_id", "3")
    trained, out = run(*options, "--dataset", "celeba")
    name = f"{task}_celeba_{network}_{mode}_run3"
    train, validation = (rows(out / f"{part}.csv") for part in ("train", "validation"))
    assert [int(row["step"]) for row in train] == [1, 2, 3, 4, 5, 6]
    assert [int(row["step"]) for row in validation] == [3, 6]
    figures = {"loss", "psnr"} | ({"ssim"} if task in ("inpainting", "superresolution") else set())
    assert {"step", "stage", "image", "seconds", "work_units"} | figures == set(train[0])
    assert all(np.isfinite(float(row[name])) for row in train + validation for name in figures)
    # Batches of 2 for the finest term; of 4 where a coarser one or an earlier stage has twice that.
    work = {"single": 12.0, "multiscale": 6 * 3.5, "fullmultiscale": 4 * 1.0 + 2 * 3.5}
    assert float(train[-1]["work_units"]) == work[mode]
    assert load_image(out / "curves.png").size and (out / "recipe.json").exists()
    strip = load_image(out / "strip.png")
    assert strip.shape == (3 * 32 + 2 * 2, 3 * 32 + 2 * 2, 3)  # the three images held out
    from c2f_zoo.hub import load

    best = load(str(out / name))
    assert type(best) is type(trained)
    assert [folder.name for folder in out.iterdir() if folder.is_dir()] == [name]


@pytest.mark.parametrize(
    "task, network", [("denoising", "MultiscaleUNet"), ("superresolution", "RestorationResNet")]
)
def test_the_network_is_the_papers_unless_said_otherwise(recipe, task, network):
    made = recipe.recipe_of(recipe.parser().parse_args(["--task", task, "--tiny"]))
    made.check()
    built = sys.modules["training.restoration.multiscale_training"].network_of(made)
    assert type(built).__name__ == network


def test_a_loss_that_is_no_number_is_no_best_one(recipe, tmp_path):
    training = sys.modules["training.restoration.multiscale_training"]
    made = recipe.recipe_of(recipe.parser().parse_args(["--tiny"]))
    saved = []
    network = types.SimpleNamespace(save_pretrained=lambda folder, about: saved.append(about))
    best = training.best_preset(made, tmp_path)
    best.set_model(types.SimpleNamespace(model=network))
    best.on_train_begin()
    for epoch, loss in enumerate([float("nan"), float("-inf"), 0.5, float("nan"), 0.4, 0.6]):
        best.on_epoch_end(epoch, {"val_loss": loss})
    assert [about["recipe"]["steps"] for about in saved] == [3, 5]
    assert (tmp_path / f"{made.name}.txt").read_text() == "loss 0.4 after 5 steps\n"


class PressesControlC(StopOnNaN):
    """Stands in for the callback that sees each step: ctrl-C in the second of six."""

    step = 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_stopped_inside_a_stage_resumes_to_the_weights_of_an_unbroken_one(run, capsys):
    # The U-Net drops features, which on PyTorch takes more to repeat than elsewhere.
    network = "unet" if ON_TORCH else "resnet"
    options = ("--task", "denoising", "--network", network, "--mode", "fullmultiscale")
    unbroken, _ = run(*options, out="a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("c2f_zoo.training.StopOnNaN", PressesControlC)
        run(*options, out="b")
    assert "The same command resumes" in capsys.readouterr().out
    resumed, out = run(*options, out="b")
    for a, b in zip(weights(unbroken), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert [int(row["step"]) for row in rows(out / "train.csv")] == [1, 2, 3, 4, 5, 6]
    finished, _ = run(*options, out="b")
    for a, b in zip(weights(resumed), weights(finished), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_the_best_checkpoint_is_kept_and_no_other_recipe_resumed(run):
    options = ("--task", "superresolution", "--mode", "single")
    _, out = run(*options)
    (record,) = out.glob("*.txt")
    losses = {row["step"]: float(row["loss"]) for row in rows(out / "validation.csv")}
    best = min(losses, key=losses.get)
    assert record.read_text().split()[1:] == [repr(losses[best]), "after", best, "steps"]
    with pytest.raises(SystemExit, match="another recipe"):
        run(*options, "--seed", "2")


def test_real_images_are_resized_or_cut_and_every_tenth_is_held_out(recipe, tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(12):
        level = np.full((48, 40, 3), number / 12)
        save_image(tmp_path / "images" / f"{number:02}.png", level)
    options = ("--dataset", "folder", "--data", str(tmp_path / "images"))
    training = sys.modules["training.restoration.multiscale_training"]
    for more, length in ((), 10), (("--patch", "32", "--num_patches", "3"), 30):
        arguments = recipe.parser().parse_args(["--tiny", *options, *more])
        images, held_out = training.images_of(recipe.recipe_of(arguments), arguments.data, False)
        assert len(images) == length and held_out.names == ["00.png", "10.png"]
        assert images.samples([0]).shape == (1, 32, 32, 3)


def test_every_batch_has_other_images_and_other_noise(recipe):
    arguments = recipe.parser().parse_args(["--tiny", "--task", "inpainting"])
    made = recipe.recipe_of(arguments)
    training = sys.modules["training.restoration.multiscale_training"]
    images, held_out = training.images_of(made, None, True)
    degradation = training.degradation_of(made)
    source = training.DegradedImages(images, degradation)
    stream = MultilevelStream(source, made.schedule(), seed=1)
    (pixels, drawn), (again, _), (others, redrawn) = (stream[step][0] for step in (0, 0, 1))
    np.testing.assert_array_equal(pixels, again)
    assert pixels.dtype == np.uint8 and not np.array_equal(pixels, others)
    assert not set(drawn["seed"]) & set(redrawn["seed"])
    assert len(set(drawn["seed"])) == len(pixels)
    first, second = (training.validation_arrays(made, held_out) for _ in range(2))
    np.testing.assert_array_equal(first[0][0], second[0][0])


@pytest.mark.parametrize(
    "options, steps",
    [
        (["--mode", "fullmultiscale"], (2000, 1000, 500, 250)),
        (["--mode", "fullmultiscale", "--levels", "1"], (2000, 1000)),
        (["--mode", "fullmultiscale", "--iterations", "x0.1"], (200, 100, 50, 25)),
        (["--mode", "fullmultiscale", "--iterations", "4,3,2,1"], (4, 3, 2, 1)),
        (["--mode", "single"], (8000,)),
        (["--mode", "multiscale", "--iterations", "70,30"], (100,)),
    ],
)
def test_steps_are_the_papers_or_as_asked(recipe, options, steps):
    made = recipe.recipe_of(recipe.parser().parse_args(options))
    assert made.iterations == steps and made.schedule().total == sum(steps)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--network", "paraconv"], "unet or resnet for .*Received: paraconv"),
        (["--task", "superresolution", "--network", "unet"], "paraconv for .*Received: unet"),
        (["--size", "100"], "divisible by 8.*Received: 100"),
        (["--task", "superresolution", "--patch", "24"], "divisible by 16.*Received: 24"),
    ],
)
def test_what_cannot_be_trained_is_refused(recipe, options, message, capsys, tmp_path):
    import re

    with pytest.raises(SystemExit):
        recipe.main([*options, "--out", str(tmp_path / "run")])
    assert re.search(message, capsys.readouterr().err) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("iterations", ["many", "1,2", "0,1,1,1"])
def test_unreadable_numbers_of_steps_are_refused(recipe, iterations):
    with pytest.raises(SystemExit, match=f"Received: {iterations}$"):
        recipe.main(["--mode", "fullmultiscale", "--iterations", iterations])
