import errno
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data.files.images import check_same_size, load_image, save_image
from c2f_zoo.data.files.pictures import read_picture

pytestmark = pytest.mark.backend_free


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)


def is_image(image, height=5, width=7):
    return (
        image.shape == (height, width, 3)
        and image.dtype == np.float32
        and image.min() >= 0
        and image.max() <= 1
        and image.flags.writeable
    )


@pytest.mark.parametrize("convert", [str, lambda path: path], ids=["str", "Path"])
def test_a_file_is_rgb_in_0_1(tmp_path, pixels, convert):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = load_image(convert(tmp_path / "a.png"))
    assert is_image(image)
    np.testing.assert_array_equal(image, pixels.astype(np.float32) / 255)


def test_pil_numpy_and_file_agree(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.ppm")
    expected = load_image(pixels)
    np.testing.assert_array_equal(load_image(Image.fromarray(pixels)), expected)
    np.testing.assert_array_equal(load_image(tmp_path / "a.ppm"), expected)
    np.testing.assert_array_equal(load_image(expected), expected)
    np.testing.assert_array_equal(load_image(expected.astype(np.float64)), expected)


def test_grey_becomes_three_equal_channels(pixels):
    grey = pixels[..., 0]
    expected = np.repeat(grey[..., None] / np.float32(255), 3, -1)
    np.testing.assert_array_equal(load_image(grey), expected)
    np.testing.assert_array_equal(load_image(grey[..., None]), expected)
    np.testing.assert_array_equal(load_image(pixels[..., :2]), expected)  # grey and alpha
    np.testing.assert_array_equal(load_image(Image.fromarray(grey)), expected)
    np.testing.assert_array_equal(load_image(Image.fromarray(grey).convert("LA")), expected)


def test_alpha_is_dropped_and_colour_kept(pixels):
    rgba = np.concatenate([pixels, np.zeros((5, 7, 1), np.uint8)], -1)
    expected = load_image(pixels)
    np.testing.assert_array_equal(load_image(rgba), expected)
    np.testing.assert_array_equal(load_image(Image.fromarray(rgba)), expected)
    out_of_range_alpha = np.concatenate([expected, np.full((5, 7, 1), 9.0)], -1)
    np.testing.assert_array_equal(load_image(out_of_range_alpha), expected)


def test_palette_images_show_their_colours(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=b"\x00\x80")
    expected = [[[1, 0, 0], [0, 0, 1]]]
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), expected)
    np.testing.assert_array_equal(load_image(image), expected)


def test_cmyk_and_one_bit_images_load(pixels):
    cmyk = load_image(Image.fromarray(pixels).convert("CMYK"))
    assert is_image(cmyk)
    np.testing.assert_allclose(cmyk, load_image(pixels), atol=2 / 255)
    bits = pixels[..., 0] > 127
    np.testing.assert_array_equal(load_image(Image.fromarray(bits))[..., 0], bits)
    np.testing.assert_array_equal(load_image(bits)[..., 0], bits)


def test_16_bit_grey_keeps_its_precision(tmp_path, rng):
    deep = rng.integers(0, 65536, (5, 7)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    expected = deep.astype(np.float32) / 65535
    np.testing.assert_array_equal(load_image(tmp_path / "a.png")[..., 0], expected)
    np.testing.assert_array_equal(load_image(deep)[..., 0], expected)
    # Older versions of Pillow open such a file as 32-bit integers.
    np.testing.assert_array_equal(
        load_image(Image.fromarray(deep.astype(np.int32)))[..., 2], expected
    )


def test_32_bit_grey_beyond_16_bits_is_refused():
    with pytest.raises(ValueError, match="Received: values from 0 to 70000"):
        load_image(Image.fromarray(np.array([[0, 70000]], np.int32)))


def test_exif_orientation_is_applied(tmp_path, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate a quarter clockwise to show
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), load_image(np.rot90(pixels, -1)))


def test_the_result_is_the_callers_own(pixels):
    source = load_image(pixels)
    load_image(source)[:] = 0
    assert source.max() > 0


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.zeros((0, 7, 3), np.uint8), r"empty.*Received: shape \(0, 7, 3\)"),
        (np.zeros((5, 0), np.uint8), r"empty.*Received: shape \(5, 0\)"),
        (np.zeros(7, np.uint8), r"Received: shape \(7,\)"),
        (np.zeros((5, 7, 5), np.uint8), r"Received: shape \(5, 7, 5\)"),
        (np.zeros((3, 5, 7), np.uint8), r"channels last.*Received: shape \(3, 5, 7\)"),
        (np.zeros((1, 5, 7, 3), np.uint8), r"Received: shape \(1, 5, 7, 3\)"),
        (np.zeros((5, 7, 3), np.int64), "Received: dtype int64"),
        (np.zeros((5, 7, 3), complex), "Received: dtype complex128"),
        (np.full((5, 7, 3), 128.0), "divide by 255.*Received: values from 128 to 128"),
        (np.full((5, 7, 3), -0.5), "Received: values from -0.5 to -0.5"),
        (np.array([[0.0, np.nan]]), "finite.*Received: 1 values"),
        (np.array([[0.0, np.inf, -np.inf]]), "finite.*Received: 2 values"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array, received):
    with pytest.raises(ValueError, match=received):
        load_image(array)


def test_rounding_errors_around_0_and_1_are_clipped():
    image = load_image(np.array([[-1e-4, 0.5, 1 + 1e-4]]))
    np.testing.assert_array_equal(image[0, :, 0], np.float32([0, 0.5, 1]))


@pytest.mark.parametrize("source", [None, 3, [np.zeros((2, 2))], ("a.png", "b.png")])
def test_what_is_not_one_image_is_a_type_error(source):
    with pytest.raises(TypeError, match=f"Received: {type(source).__name__}"):
        load_image(source)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        load_image(tmp_path / "nothing.png")


def test_a_folder_is_named(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        load_image(tmp_path)


@pytest.mark.parametrize(
    ("content", "wrong"), [(b"just some words", "starts with b'just some words'"), (b"", "empty")]
)
def test_a_file_that_is_no_image_is_named_with_what_is_wrong(tmp_path, content, wrong):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=rf"not an image.*{wrong}.*Received: .*a\.png"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("extension", ["png", "jpg", "ppm"])
def test_a_truncated_file_is_named(tmp_path, rng, extension):
    path = tmp_path / f"a.{extension}"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=rf"cannot be read.*Received: .*a\.{extension}"):
        load_image(path)


@pytest.mark.parametrize("extension", ["png", "PNG", "ppm", "bmp"])
def test_saving_rounds_to_256_levels_and_loads_again(tmp_path, pixels, extension):
    path = tmp_path / f"a.{extension}"
    save_image(path, pixels)
    np.testing.assert_array_equal(load_image(path), load_image(pixels))
    save_image(path, load_image(pixels) * np.float32(0.999))
    assert np.abs(load_image(path) - load_image(pixels) * 0.999).max() <= 0.5001 / 255
    assert len(list(tmp_path.iterdir())) == 1


def test_jpeg_and_grey_can_be_saved(tmp_path):
    save_image(tmp_path / "a.jpg", np.full((16, 16), 0.5))
    np.testing.assert_allclose(load_image(tmp_path / "a.jpg"), 0.5, atol=0.01)


def test_saving_needs_a_known_extension(tmp_path, pixels):
    for name in ("a.flo", "a", "a.psd"):
        with pytest.raises(ValueError, match=rf"Received: .*{name}"):
            save_image(tmp_path / name, pixels)


def test_a_failed_save_keeps_the_old_image(tmp_path, pixels, monkeypatch):
    path = tmp_path / "a.png"
    save_image(path, pixels)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*a\.png"):
        save_image(path, 255 - pixels)
    with pytest.raises(ValueError, match="finite"):
        save_image(path, np.full((2, 2), np.nan))
    np.testing.assert_array_equal(load_image(path), load_image(pixels))
    assert len(list(tmp_path.iterdir())) == 1


def test_saving_into_a_missing_folder_names_it(tmp_path, pixels):
    with pytest.raises(FileNotFoundError, match="folder .*nowhere"):
        save_image(tmp_path / "nowhere" / "a.png", pixels)


def test_sizes_are_compared_without_channels():
    check_same_size(np.zeros((4, 6, 3)), np.zeros((4, 6, 2)))
    with pytest.raises(ValueError, match=r"left and right .*Received.*: left 6x4 and right 6x5"):
        check_same_size(np.zeros((4, 6, 3)), np.zeros((5, 6, 3)), ("left", "right"))


def test_real_samples_load(shared_data):
    image = load_image(shared_data / "flow/FlyingChairs_release/data/00001_img1.ppm")
    assert is_image(image, 384, 512)
    depth = load_image(sorted((shared_data / "depth/depth").glob("*.png"))[0])
    assert depth.shape == (480, 640, 3)
    assert np.diff(np.unique(depth)).min() < 1e-4  # nothing was reduced to 8 bits


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (load_image, read_picture):
        with pytest.raises(ValueError, match=r"not a pipe.*Received: .*a\.png"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_more_pixels_than_a_file_can_hold_take_no_memory(tmp_path, monkeypatch, kind):
    path = tmp_path / "image"
    Image.new("RGB", (3, 5)).save(path, kind)
    data = bytearray(path.read_bytes())
    if kind == "PNG":
        data[16:24] = struct.pack(">II", 9000, 9000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:  # the entry of the width: tag, type, count, value
        for number in (256, 257):
            place = re.search(struct.pack("<H", number) + b"[\x03\x04]\x00", data).start()
            data[place + 8 : place + 12] = struct.pack("<HH", 9000, 0)
    path.write_bytes(data)
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(ValueError, match=r"more pixels than it can hold. Received: 9000x9000 in"):
        load_image(path)
