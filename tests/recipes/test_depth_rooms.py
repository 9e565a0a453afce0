"""Rendered rooms as training data of depth."""

import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import DepthScenes, save_image, write_depth
from training.depth import depth_unet_scenes
from training.depth.rooms import InTurn, rendered_rooms

SIZE = (24, 32)


@pytest.fixture
def rooms(tmp_path, rng):
    """Two folders of four scenes of 40x56, as they are rendered."""
    for part in ("train", "held_out"):
        for kind in ("rgb", "depth"):
            (tmp_path / part / "rgbd" / kind).mkdir(parents=True)
        for number in range(4):
            name = f"{number:06d}.png"
            save_image(tmp_path / part / "rgbd" / "rgb" / name, rng.random((40, 56, 3)))
            depth = rng.integers(1, 9, (40, 56, 1)).astype("float32")
            write_depth(tmp_path / part / "rgbd" / "depth" / name, depth)
    return tmp_path


@pytest.mark.backend_free
def test_images_are_shrunk_and_depths_stay_depths_of_something(rooms):
    stream = rendered_rooms(rooms / "held_out", SIZE, 2, augment=False)
    image, depth, valid = stream[0]
    assert image.shape == (2, *SIZE, 3) and depth.shape == valid.shape == (2, *SIZE, 1)
    assert set(np.unique(depth)) <= set(range(1, 9)) and valid.all()
    changed = rendered_rooms(rooms / "held_out", SIZE, 2, seed=1)
    assert not np.array_equal(changed[0][0], changed[1][0])
    again = rendered_rooms(rooms / "held_out", SIZE, 2, seed=1)
    np.testing.assert_array_equal(changed[1][0], again[1][0])


def test_batches_come_in_turn_and_follow_from_epoch_and_number(rooms):
    def stream():
        scenes = DepthScenes(size=SIZE, batch_size=2, objects=(1, 1), seed=1)
        return InTurn(scenes.stream(4), rendered_rooms(rooms / "train", SIZE, 2), 4)

    one, other = stream(), stream()
    one.epoch = 1
    batches = [tuple(map(to_numpy, one[index])) for index in range(4)]
    other.epoch = 1
    for index in (3, 0, 2, 1):
        for found, expected in zip(other[index], batches[index], strict=True):
            np.testing.assert_array_equal(to_numpy(found), expected)
    # Those rendered here have whole metres.
    whole = [np.array_equal(depth, np.rint(depth)) for _, depth, _ in batches]
    assert whole == [False, True, False, True]


def test_the_recipe_trains_on_rendered_rooms_too(rooms, tmp_path):
    out = str(tmp_path / "run")
    depth_unet_scenes.main(["--tiny", "--out", out, "--rooms", str(rooms)])
    assert (tmp_path / "run_tiny" / "depth_unet.scenes" / "config.json").is_file()
