"""Grids of pictures, and films."""

import sys
import weakref

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import enlarge_pixels, image_grid, save_film
from c2f_zoo.data.files.picture_grid import check_film

pytestmark = pytest.mark.backend_free


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


def test_every_frame_of_a_gif_has_colours_of_its_own(tmp_path):
    draw = np.random.default_rng(0)
    few = draw.integers(0, 256, (3, 100, 3), dtype="uint8")  # other colours in each frame
    frames = [colours[draw.integers(0, 100, (20, 30))] for colours in few]
    with Image.open(save_film(tmp_path / "film.gif", frames)) as film:
        for index, frame in enumerate(frames):
            film.seek(index)
            assert np.abs(np.asarray(film.convert("RGB")).astype(int) - frame).max() <= 8


def test_a_gif_keeps_few_frames_in_memory(tmp_path, monkeypatch):
    quantize, pictures, most = Image.Image.quantize, [], []

    def watched(*arguments, **options):
        picture = quantize(*arguments, **options)
        pictures.append(weakref.ref(picture))
        return picture

    def frames():
        for shade in range(12):
            most.append(sum(picture() is not None for picture in pictures))
            yield np.full((4, 6, 3), shade, "uint8")

    monkeypatch.setattr(Image.Image, "quantize", watched)
    with Image.open(save_film(tmp_path / "film.gif", frames())) as film:
        assert film.n_frames == len(most) == 12
    assert max(most) <= 2


def test_frames_of_two_sizes_are_refused_and_leave_no_film(tmp_path):
    frames = [np.zeros((4, 6, 3)), np.zeros((6, 4, 3))]
    with pytest.raises(ValueError, match=r"one size, \(4, 6\) so far. Received: shape \(6, 4, 3\)"):
        save_film(tmp_path / "film.gif", frames)
    assert not list(tmp_path.iterdir())


def test_a_video_holds_every_frame(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    from c2f_zoo.data import read_frames

    path = save_film(tmp_path / "film.mp4", [np.full((16, 16, 3), 0.5)] * 4, fps=8)
    assert len(list(read_frames(path))) == 4


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_a_film_needs_a_frame(tmp_path, name):
    if name.endswith(".mp4"):
        pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(ValueError, match="at least one frame"):
        save_film(tmp_path / name, [])


@pytest.mark.parametrize(
    ("name", "fps", "message"),
    [
        ("film.gif", 60, "fps of a GIF must be .*Received: 60"),
        ("film.gif", -1, "Received: -1"),
        ("film.gif", float("nan"), "Received: nan"),
        ("film.mp4", 0, "fps must be a number > 0. Received: 0"),
        ("film.webm", 24, "end with one of .gif, .*Received: .*film.webm"),
    ],
)
def test_a_film_that_cannot_be_written_is_refused_before_its_frames_are_made(
    tmp_path, name, fps, message
):
    def frames():
        raise AssertionError("a frame was made")
        yield

    with pytest.raises(ValueError, match=message):
        save_film(tmp_path / name, frames(), fps=fps)


def test_a_video_without_ffmpeg_is_refused_before_its_frames_are_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    check_film("film.gif", 24)
    with pytest.raises(ImportError, match="imageio-ffmpeg"):
        check_film("film.mp4", 24)
