"""Calibration, left-right check and pictures of disparity."""

import numpy as np
import pytest

from c2f_zoo.data.stereo.calibration import Calibration, read_calibration
from c2f_zoo.data.stereo.consistency import left_right_check
from c2f_zoo.data.stereo.picture import disparity_picture

pytestmark = pytest.mark.backend_free

TEXT = """cam0=[ 999.421 0 294.182 ; 0 999.421 252.932 ; 0 0 1 ]
cam1=[ 999.421 0 326.96 ; 0 999.421 252.932 ; 0 0 1 ]
 doffs= 32.778
baseline= 193.001
width= 741
 ndisp= 70
"""


def slow_check(left, right, tolerance):
    """The definition: a loop over pixels."""
    result = np.zeros(left.shape)
    for y, x in np.ndindex(*left.shape):
        d = left[y, x]
        if np.isfinite(d) and d > 0 and x - d >= 0:
            other = right[y, int(np.rint(x - d))]
            result[y, x] = other > 0 and abs(other - d) <= tolerance
    return result


@pytest.mark.parametrize("tolerance", [0, 1, 3.5])
def test_left_right_check_equals_the_loop(rng, tolerance):
    left, right = rng.integers(0, 6, (2, 9, 14)) + rng.choice([0, 0.25], (2, 9, 14))
    left[0, 0], left[0, 1] = np.inf, np.nan
    expected = slow_check(left, right, tolerance)
    np.testing.assert_array_equal(left_right_check(left, right, tolerance), expected)
    again = left_right_check(left[..., None], right[..., None], tolerance)
    np.testing.assert_array_equal(again[..., 0], expected)
    assert 0 < expected.mean() < 1


def test_left_right_check_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"Received: shapes \(2, 3, 1\) and \(2, 4, 1\)$"):
        left_right_check(np.ones((2, 3)), np.ones((2, 4)))


def test_calibration_gives_depth_and_points(tmp_path):
    (tmp_path / "calib.txt").write_text(TEXT)
    calibration = read_calibration(tmp_path / "calib.txt")
    assert calibration == Calibration(999.421, 193.001, (294.182, 252.932), 32.778, 70)
    disparity = np.full((4, 5), 30.0)
    disparity[0, 0] = 0
    depth = 999.421 * 193.001 / (30 + 32.778)
    points = calibration.points(disparity)
    assert points.shape == (4, 5, 3) and not np.isfinite(points[0, 0]).all()
    np.testing.assert_allclose(calibration.depth(disparity)[1:], depth, rtol=1e-5)
    expected = [(4 - 294.182) * depth / 999.421, (3 - 252.932) * depth / 999.421, depth]
    np.testing.assert_allclose(points[3, 4], expected, rtol=1e-5)


def test_projected_points_lie_where_they_were_seen(rng):
    calibration = Calibration(120.0, 0.5, offset=2.0)
    disparity = rng.uniform(1, 20, (6, 8, 1))
    x, y, z = np.moveaxis(calibration.points(disparity), -1, 0)
    rows, columns = np.mgrid[:6, :8]
    np.testing.assert_allclose(120 * x / z + 3.5, columns, atol=1e-4)
    np.testing.assert_allclose(120 * y / z + 2.5, rows, atol=1e-4)


@pytest.mark.parametrize("text", ["", "baseline=3", "cam0=[1 0 0; 0 1 0; 0 0 1]", "cam0=[0 1]"])
def test_a_file_that_is_no_calibration_is_named(tmp_path, text):
    (tmp_path / "calib.txt").write_text(text)
    with pytest.raises(ValueError, match="must hold a line cam0=.*Received: .*calib.txt with"):
        read_calibration(tmp_path / "calib.txt")


def test_pictures_go_from_cold_to_warm():
    disparity = np.linspace(0, 64, 9).reshape(1, 9)
    picture = disparity_picture(disparity, limits=(0, 64))
    assert picture.dtype == np.float32 and picture.shape == (1, 9, 3)
    assert picture[0, 1, 2] > picture[0, 1, 0] and picture[0, -2, 0] > picture[0, -2, 2]
    np.testing.assert_array_equal(disparity_picture(disparity[..., None], (0, 64)), picture)
    beyond = disparity_picture(np.array([[-3.0, np.nan, 99.0, 64.0]]), (0, 64))
    assert (beyond[0, :2] == 0).all() and (beyond[0, 2] == beyond[0, 3]).all()
    assert np.isfinite(disparity_picture(np.full((2, 2), np.nan))).all()
    masked = disparity_picture(disparity, (0, 64), valid=np.arange(9)[None, :, None] > 3)
    assert (masked[0, :4] == 0).all() and (masked[0, 4:] == picture[0, 4:]).all()


def test_pictures_name_what_does_not_fit():
    with pytest.raises(ValueError, match=r"Received: shape \(2, 2, 3\)$"):
        disparity_picture(np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match=r"Received: shapes \(2, 2\) and \(2, 3\)$"):
        disparity_picture(np.zeros((2, 2)), valid=np.ones((2, 3)))
    with pytest.raises(ValueError, match="limits.*Received: "):
        disparity_picture(np.zeros((2, 2)), (5, 5))
