"""Grids of pictures, and films."""

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import enlarge_pixels, image_grid, save_film


def test_a_grid_is_read_like_a_page():
    images = np.arange(5, dtype="uint8")[:, None, None, None] * np.ones((1, 2, 3, 3), "uint8")
    grid = image_grid(images, columns=3, gap=1)
    assert grid.shape == (5, 11, 3)
    assert [grid[0, x, 0] for x in (0, 4, 8)] == [0, 1, 2]
    assert [grid[3, x, 0] for x in (0, 4, 8)] == [3, 4, 255]
    assert (grid[2] == 255).all()


def test_a_grid_is_nearly_square_by_default():
    assert image_grid(np.zeros((7, 4, 4, 3))).shape == (12, 12, 3)


@pytest.mark.parametrize("images", [[], [np.zeros((2, 2, 3)), np.zeros((3, 2, 3))]])
def test_no_grid_of_nothing_or_of_pictures_that_differ(images):
    with pytest.raises(ValueError, match="one shape. Received"):
        image_grid(images)


def test_pixels_are_repeated():
    image = np.arange(12.0).reshape(2, 2, 3)
    large = enlarge_pixels(image, 3)
    assert (large[::3, ::3] == image).all() and (large[2, 5] == image[0, 1]).all()


def test_a_gif_holds_every_frame_and_loops(tmp_path):
    frames = [np.full((4, 6, 3), shade, "uint8") for shade in (0, 120, 240)]
    path = save_film(tmp_path / "new" / "film.gif", frames, fps=10)
    with Image.open(path) as film:
        assert (film.n_frames, film.info["loop"], film.info["duration"]) == (3, 0, 100)
        film.seek(1)
        assert np.abs(np.asarray(film.convert("RGB")).astype(int) - 120).max() <= 1


def test_a_video_holds_every_frame(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    from c2f_zoo.data import read_frames

    path = save_film(tmp_path / "film.mp4", [np.full((16, 16, 3), 0.5)] * 4, fps=8)
    assert len(list(read_frames(path))) == 4


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_a_film_needs_a_frame(tmp_path, name):
    with pytest.raises(ValueError, match="at least one frame"):
        save_film(tmp_path / name, [])


def test_a_gif_has_no_more_than_50_frames_a_second(tmp_path):
    with pytest.raises(ValueError, match="Received: 60"):
        save_film(tmp_path / "film.gif", [np.zeros((2, 2, 3))], fps=60)
