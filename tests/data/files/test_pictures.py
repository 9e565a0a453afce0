"""Pictures keep their kind on the way in and out."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import load_image, read_mask, read_picture, write_picture

pytestmark = pytest.mark.backend_free


def picture_of(mode, tmp_path, rng):
    """A file of a mode, and the mode's name among those that are kept."""
    pixels = rng.integers(0, 256, (9, 7, 4), "uint8")
    image = Image.fromarray(pixels)
    if mode == "P with transparency":
        image = image.convert("RGB").quantize(16)
        image.info["transparency"] = 3
    elif mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (9, 7), "uint16"))
    else:
        image = image.convert("RGB").convert(mode) if mode == "P" else image.convert(mode)
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("mode", "channels", "has_alpha"),
    [
        ("1", 1, False),
        ("L", 1, False),
        ("LA", 1, True),
        ("I;16", 1, False),
        ("RGB", 3, False),
        ("RGBA", 3, True),
        ("P", 3, False),
        ("P with transparency", 3, True),
        ("CMYK", 3, False),
        ("YCbCr", 3, False),
    ],
)
def test_files_of_every_kind_are_read_as_load_image_reads_them(
    mode, channels, has_alpha, tmp_path, rng
):
    path = picture_of(mode, tmp_path, rng)
    picture = read_picture(path)
    assert picture.color.shape == (9, 7, channels)
    assert (picture.alpha is not None) == has_alpha and picture.is_grey == (channels == 1)
    assert picture.color.dtype == ("uint16" if mode == "I;16" else "uint8")
    pixels = picture.pixels()
    color = pixels if pixels.ndim == 3 else pixels[..., None]
    np.testing.assert_allclose(
        np.broadcast_to(color[..., :channels], (9, 7, 3)), load_image(path), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_what_is_written_is_read_again(shape, tmp_path, rng):
    pixels = rng.integers(0, 256, shape, "uint8")
    for values in (pixels, np.float32(pixels) / 255):
        write_picture(tmp_path / "a.png", values)
        np.testing.assert_allclose(
            read_picture(tmp_path / "a.png").pixels() * 255, pixels, atol=1e-3
        )


def test_a_foreign_profile_does_not_go_with_converted_colours(tmp_path, rng):
    image = Image.fromarray(rng.integers(0, 256, (9, 7, 4), "uint8"), "CMYK")
    image.save(tmp_path / "a.jpg", icc_profile=b"of inks")
    assert read_picture(tmp_path / "a.jpg").icc_profile is None


def test_a_picture_is_a_picture_already(rng):
    picture = read_picture(rng.random((4, 5, 3)))
    assert read_picture(picture) is picture and picture.color.dtype == np.float32


def test_an_inverted_mask_is_known_where_it_is_black():
    mask = np.array([[0, 255, 255]], "uint8")
    assert read_mask(mask, (1, 3), invert=True).tolist() == [[True, False, False]]


def test_transparency_is_not_lost_in_a_format_without_it(tmp_path):
    clear = np.full((4, 5, 4), 0.5)
    with pytest.raises(ValueError, match=r"JPEG holds no transparency.*Received: .*a\.jpg"):
        write_picture(tmp_path / "a.jpg", clear)
    assert not list(tmp_path.iterdir())
    clear[..., 3] = 1  # nothing to lose
    write_picture(tmp_path / "a.jpg", clear)
    with pytest.raises(ValueError, match=r"format of its extension.*Received: .*a\.xyz"):
        write_picture(tmp_path / "a.xyz", clear)


def test_reading_imports_no_framework():
    code = (
        "import sys, numpy as np; from c2f_zoo.data import read_picture; "
        "read_picture(np.zeros((2, 2))); print({'keras', 'torch', 'tensorflow'} & set(sys.modules))"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "set()"
