"""The examples run, in a tiny mode, on the backend at hand."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def own_networks():
    return example("own_networks")


def test_networks_of_ones_own_grow_to_full_resolution_and_draw(own_networks, tmp_path):
    path = tmp_path / "samples.png"
    model = own_networks.main(["--phase-images", "32", "--count", "40", "--output", str(path)])
    # Three stages, of which two fade in.
    assert int(model.images_shown) == 5 * 32
    assert model.generator.stage == model.discriminator.stage == model.ema_generator.stage == 2
    assert Image.open(path).size == (8 * 16 * 4, 8 * 16 * 4)


def test_the_examples_pictures_are_discs_before_a_darker_background(own_networks):
    pictures = own_networks.discs(5).astype(int)
    assert pictures.shape == (5, 16, 16, 3)
    brightness = pictures.sum(axis=-1)
    assert np.all(brightness[:, 0, 0] < brightness.max(axis=(1, 2)))
