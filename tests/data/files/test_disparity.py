import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data.files.disparity import read_disparity, write_disparity
from c2f_zoo.data.files.pfm import read_pfm, write_pfm
from c2f_zoo.data.files.ply import write_ply

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("suffix", [".pfm", ".png", ".PNG"])
def test_what_is_written_is_read_again(tmp_path, rng, suffix):
    disparity = np.round(rng.uniform(0.1, 255, (5, 7, 1)) * 256) / 256
    valid = np.ones((5, 7))
    valid[0, 2], disparity[1, 1], disparity[2, 2] = 0, np.nan, -1
    path = tmp_path / f"disparity{suffix}"
    write_disparity(path, disparity, valid)
    found, known = read_disparity(path)
    assert found.dtype == known.dtype == np.float32 and found.shape == known.shape == (5, 7, 1)
    expected = np.ones((5, 7, 1))
    expected[0, 2] = expected[1, 1] = expected[2, 2] = 0
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(found[known > 0], disparity[known > 0].astype("float32"))
    assert (found[known == 0] == 0).all()


def test_a_png_is_kittis(tmp_path):
    write_disparity(tmp_path / "a.png", np.array([[0.0, 1.5, np.inf, 255.0]]))
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[1, 384, 0, 65280]]


def test_unknown_pixels_of_a_pfm_are_infinite_as_middleburys(tmp_path):
    write_disparity(tmp_path / "a.pfm", np.array([[2.0, np.nan]]))
    assert read_pfm(tmp_path / "a.pfm").tolist() == [[2.0, np.inf]]


def test_8_bit_images_are_divided_by_their_scale(tmp_path):
    Image.fromarray(np.array([[0, 8, 255]], np.uint8)).save(tmp_path / "disp2.pgm")
    disparity, valid = read_disparity(tmp_path / "disp2.pgm", scale=8)
    assert disparity[..., 0].tolist() == [[0, 1, 255 / 8]] and valid[0, :, 0].tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="needs its scale.*Received: scale=None$"):
        read_disparity(tmp_path / "disp2.pgm")
    with pytest.raises(ValueError, match="scale must be a number > 0. Received: 0$"):
        read_disparity(tmp_path / "disp2.pgm", scale=0)


def test_what_is_no_disparity_map_is_named(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a.png: a disparity map is a grey image. Received: 3"):
        read_disparity(tmp_path / "a.png", 4)
    write_pfm(tmp_path / "a.pfm", np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="a.pfm: a disparity map has one channel. Received: 3"):
        read_disparity(tmp_path / "a.pfm")
    with pytest.raises(ValueError, match="up to 255.996.*Received: 256$"):
        write_disparity(tmp_path / "b.png", np.full((1, 1), 256.0))
    with pytest.raises(ValueError, match=r"\.pfm or \.png. Received: .*b\.jpg$"):
        write_disparity(tmp_path / "b.jpg", np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"disparity must.*Received: shape \(2, 2, 3\)$"):
        write_disparity(tmp_path / "b.pfm", np.ones((2, 2, 3)))
    assert not list(tmp_path.glob("b.*"))


def test_points_that_are_not_finite_are_left_out_of_a_ply(tmp_path):
    points = np.array([[1, 2, 3], [np.inf, 0, 0], [4, 5, 6]])
    write_ply(tmp_path / "a.ply", points, np.array([[0, 0.5, 1]] * 3))
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")
    assert b"element vertex 2" in header and len(body) == 2 * 15
    assert np.frombuffer(body[15:27], "<f4").tolist() == [4, 5, 6]
    assert list(body[27:]) == [0, 128, 255]
