"""Which images become part of a cache, and how."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import ImageCache, ImageFolder, fit_image, save_image
from c2f_zoo.data.images.fit import is_grey
from tests.data.images.image_files import caches_in

pytestmark = pytest.mark.backend_free


def test_an_image_is_cropped_at_its_centre_and_antialiased(rng):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = rng.integers(0, 256, (8, 8, 3))
    expected = wide[:, 8:16].reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(fit_image(wide, (4, 4), resample="area"), expected, atol=1)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(fit_image(stripes, (16, 16)).astype(int)[:, 2:-2]) <= 2
    np.testing.assert_array_equal(fit_image(wide, (8, 24)), wide)


def spoil(folder, kind):
    """Put one unfit image among the good ones; returns its name and what is said about it."""
    name, message = "3b.png", kind
    if kind == "empty file":
        (folder / name).write_bytes(b"")
        message = "not an image"
    elif kind == "truncated":
        whole = (folder / "0.png").read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        message = "broken"
    elif kind == "animated":
        name = "3b.gif"
        frames = [Image.new("RGB", (20, 20), color) for color in ("red", "lime", "blue")]
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
        message = "animated or holds 3 pictures"
    elif kind == "CMYK":
        name = "3b.jpg"
        Image.new("CMYK", (20, 20)).save(folder / name)
    elif kind == "transparent":
        Image.new("RGBA", (20, 20), (9, 9, 9, 100)).save(folder / name)
    elif kind == "tiny":
        save_image(folder / name, np.zeros((7, 40, 3)))
        message = r"it is 40x7 \(width x height\), smaller than 8x8"
    return name, message


KINDS = ["empty file", "truncated", "animated", "CMYK", "transparent", "tiny"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfit_image_is_named(kind, pictures, cached, tmp_path):
    name, message = spoil(pictures, kind)
    with pytest.raises(ValueError, match=rf"{message}.*skip_broken=True.*Received: {name}$"):
        cached(pictures)
    assert caches_in(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfit_image_is_skipped_on_request_and_listed(kind, pictures, cached):
    names = ImageFolder(pictures).names
    name, message = spoil(pictures, kind)
    with pytest.warns(UserWarning, match=rf"^1 images were skipped \({name}: "):
        cache = cached(pictures, skip_broken=True)
    assert [entry[0] for entry in cache.skipped] == [name] and len(cache) == 6
    for index, good in enumerate(names):
        with Image.open(pictures / good) as image:
            np.testing.assert_array_equal(cache.images()[index], fit_image(image, (8, 8)))
    with pytest.raises(ValueError, match=f"skip_broken=True.*Received: {name}$"):
        cached(pictures)
    with pytest.warns(UserWarning, match="skipped"):
        assert cached(pictures, skip_broken=True).skipped == cache.skipped


def test_a_folder_without_a_good_image_is_an_error(tmp_path, cached):
    folder = tmp_path / "pictures"
    folder.mkdir()
    with pytest.raises(ValueError, match=f"hold no image file .*Received: {folder}$"):
        cached(folder)
    spoil(folder, "CMYK")
    with pytest.raises(ValueError, match=r"None of the 1 images.*Received: 3b\.jpg: .*CMYK"):
        cached(folder, skip_broken=True)
    with pytest.raises(FileNotFoundError, match="Received: .*nowhere$"):
        cached(tmp_path / "nowhere")
    assert caches_in(tmp_path) == []


@pytest.mark.filterwarnings("ignore:1 of 4 images are grey")
def test_transparent_pixels_take_the_background(tmp_path, cached):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGBA", (8, 8), (200, 0, 0, 0)).save(folder / "a.png")
    Image.new("RGBA", (8, 8), (200, 0, 0, 255)).save(folder / "b.png")
    Image.new("LA", (8, 8), (100, 0)).save(folder / "c.png")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(folder / "d.png", transparency=bytes([255, 0]))
    cache = cached(folder, background="white")
    assert cache.images(4)[:, 0, 0].tolist() == [[255] * 3, [200, 0, 0], [255] * 3, [255] * 3]
    other = cached(folder, background=(0, 128, 0))
    assert other.images(4)[0, 0, 0].tolist() == [0, 128, 0] and other.folder != cache.folder


def test_grey_becomes_three_channels_at_any_depth(tmp_path, cached):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (8, 8), 77).save(folder / "a.png")
    Image.fromarray(np.full((8, 8), 77 * 257, np.uint16)).save(folder / "b.png")
    Image.new("1", (8, 8), 1).save(folder / "c.png")
    cache = cached(folder)  # no warning: that they are all grey surprises nobody
    assert cache.images(4)[:, 0, 0].tolist() == [[77] * 3, [77] * 3, [255] * 3]
    assert cache.grey == ["a.png", "b.png", "c.png"]


def test_grey_among_coloured_images_is_named(pictures, cached):
    assert cached(pictures).grey == []
    Image.new("LA", (8, 8), (77, 255)).save(pictures / "3b.png")
    for _ in ("built", "opened"):
        with pytest.warns(UserWarning, match=r"^1 of 7 images are grey \(3b\.png\)"):
            assert cached(pictures).grey == ["3b.png"]
    with pytest.raises(ValueError, match=r"it is grey.*Received: 3b\.png$"):
        cached(pictures, allow_grey=False)
    with pytest.warns(UserWarning, match="1 images were skipped"):
        cache = cached(pictures, allow_grey=False, skip_broken=True)
    assert cache.skipped == [("3b.png", "it is grey")] and cache.grey == [] and len(cache) == 6


def test_a_palette_of_greys_is_grey():
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P")
    assert is_grey(image)
    image.putpalette([9, 9, 9] * 63 + [9, 9, 8])
    assert not is_grey(image)


def test_small_images_are_enlarged_on_request(pictures, cached):
    spoil(pictures, "tiny")
    assert len(cached(pictures, upscale=True)) == 7


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_any_kind_become_one_three_or_four_channels(channels, tmp_path, cached, rng):
    folder = tmp_path / "pictures"
    folder.mkdir()
    color = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    deep = color[..., 0].astype(np.uint16) * 257
    for name, pixels in {"a": color, "b": color[..., 0], "c": deep}.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    mixed = pytest.warns(UserWarning, match="2 of 3 images are grey")
    with mixed if channels > 1 else contextlib.nullcontext():
        cache = cached(folder, channels=channels)
    assert cache.channels == channels and cache.images(4).shape == (3, 4, 4, channels)
    grey = np.repeat(color[..., :1], 3, axis=2)
    found = cache.images()
    if channels == 1:
        luma = color @ np.array([0.299, 0.587, 0.114])
        assert np.abs(found[0, ..., 0] - luma).max() <= 1 and cache.grey == []
        np.testing.assert_array_equal(found[1:], [grey[..., :1]] * 2)
    else:
        np.testing.assert_array_equal(found[..., :3], [color, grey, grey])
        assert channels == 3 or (found[..., 3] == 255).all()


def test_transparency_is_kept_in_a_fourth_channel(tmp_path, rng):
    images = rng.integers(0, 256, (3, 8, 8, 4), dtype=np.uint8)
    options = {"cache": tmp_path, "progress": False}
    cache = ImageCache.from_arrays(images, channels=4, **options)
    np.testing.assert_array_equal(cache.images(), images)
    half = images.reshape(3, 4, 2, 4, 2, 4).astype(np.float64).mean(axis=(2, 4))
    np.testing.assert_array_equal(cache.images(4), np.rint(half).astype(np.uint8))
    with pytest.raises(ValueError, match="transparent pixels: choose a background"):
        ImageCache.from_arrays(images, channels=1, **options)
