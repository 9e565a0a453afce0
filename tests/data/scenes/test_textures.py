import warnings

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data.scenes.textures import load_textures, pack_colors, procedural_textures


def save_photo(path, color, size=(90, 70), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)
    return path


def test_photographs_are_found_in_folders_below(tmp_path):
    save_photo(tmp_path / "a.png", (255, 0, 0))
    save_photo(tmp_path / "deep" / "er" / "B.JPG", (0, 255, 0))
    save_photo(tmp_path / "deep" / "c.webp", (0, 0, 255))
    (tmp_path / "notes.txt").write_text("no photograph")
    textures = load_textures(tmp_path, side=32, crops=2)
    assert textures.shape == (6, 32, 32, 3)
    assert textures.dtype == np.uint8
    means = textures.mean((1, 2))
    np.testing.assert_allclose(means[0], [255, 0, 0], atol=1)
    assert {int(color) for color in means.argmax(-1)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("mode", "color"), [("L", 90), ("RGBA", (10, 20, 30, 0)), ("P", 3), ("I;16", 4000), ("1", 1)]
)
def test_photographs_of_any_mode_become_rgb(tmp_path, mode, color):
    save_photo(tmp_path / "photo.png", color, mode=mode)
    assert load_textures(tmp_path, side=16, crops=1).shape == (1, 16, 16, 3)


def test_what_is_transparent_becomes_grey(tmp_path):
    save_photo(tmp_path / "photo.png", (255, 0, 0, 0), mode="RGBA")
    assert (load_textures(tmp_path, side=16, crops=1) == 128).all()


def test_a_photograph_smaller_than_a_texture_is_enlarged(tmp_path):
    save_photo(tmp_path / "tiny.png", (1, 2, 3), size=(5, 3))
    assert load_textures(tmp_path, side=32, crops=3).shape == (3, 32, 32, 3)


def test_crops_prefer_places_with_something_to_see(tmp_path):
    pixels = np.full((64, 640, 3), 128, "uint8")
    pixels[:, :320] = np.random.default_rng(0).integers(0, 255, (64, 320, 3))
    Image.fromarray(pixels).save(tmp_path / "half.png")
    textures = load_textures(tmp_path, side=64, crops=1)
    assert textures.std() > 20


def test_a_broken_file_is_named_and_skipped(tmp_path):
    save_photo(tmp_path / "good.png", (1, 2, 3))
    (tmp_path / "broken.jpg").write_text("this is text")
    whole = save_photo(tmp_path / "noise.png", (9, 9, 9)).read_bytes()
    (tmp_path / "noise.png").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning) as caught:
        textures = load_textures(tmp_path, side=16, crops=1)
    assert len(textures) == 1
    messages = " ".join(str(warning.message) for warning in caught)
    assert "broken.jpg" in messages and "noise.png" in messages


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"Received: {tmp_path} with 0 such files"):
        load_textures(tmp_path)


def test_a_folder_of_broken_photographs_is_refused(tmp_path):
    (tmp_path / "broken.jpg").write_text("this is text")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="with 1 such files"):
            load_textures(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: .*nowhere"):
        load_textures(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "textures",
    [
        np.zeros((2, 8, 8), "uint8"),
        np.zeros((2, 8, 8, 4), "uint8"),
        np.zeros((0, 8, 8, 3), "uint8"),
        np.zeros((2, 1, 8, 3), "uint8"),
        np.zeros((2, 8, 8, 3), "float32"),
        17,
    ],
)
def test_what_is_no_stack_of_images_is_refused(textures):
    with pytest.raises(ValueError, match="textures.*Received: "):
        load_textures(textures)


def test_many_photographs_give_fewer_crops_each(tmp_path):
    for number in range(6):
        save_photo(tmp_path / f"{number}.png", (number, 0, 0), size=(8, 8))
    assert len(load_textures(tmp_path, side=8, crops=3, limit=7)) == 6
    assert len(load_textures(tmp_path, side=8, crops=3, limit=4)) == 4


def test_loading_is_repeatable(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    first, second = (load_textures(tmp_path, side=16) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_painted_textures_are_repeatable_and_differ_from_each_other():
    first, second = (procedural_textures(count=12, side=64) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (12, 64, 64, 3) and first.dtype == np.uint8
    assert not np.array_equal(first, procedural_textures(count=12, side=64, seed=1))
    assert first.reshape(12, -1).std(-1).min() > 3
    means = first.reshape(12, -1).astype("float64")
    assert np.abs(means[:, None] - means[None]).mean(-1)[~np.eye(12, dtype=bool)].min() > 5


def test_packed_colors_hold_three_bytes():
    assert pack_colors(np.array([[1, 2, 3], [255, 255, 255]], "uint8")).tolist() == [
        1 + 2 * 256 + 3 * 65536,
        2**24 - 1,
    ]
