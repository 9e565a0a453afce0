"""The parts of filling holes from coarse to fine, against scipy and by hand."""

import numpy as np
import pytest
from scipy import ndimage

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import upsample_bilinear
from c2f_zoo.tasks.restoration.holes import beyond, halved, write_enlarged


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 2), (40, 57)])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 7, 8, 100])
def test_depth_is_the_chessboard_distance(size, depth, rng):
    known = rng.random(size) < 0.02
    known[0, 0] = True
    before = known.copy()
    distance = ndimage.distance_transform_cdt(~known, "chessboard")
    np.testing.assert_array_equal(beyond(known, depth), distance > depth)
    np.testing.assert_array_equal(known, before)


def test_where_nothing_is_known_everything_is_deep():
    assert beyond(np.zeros((4, 5), bool), 100).all()


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 1)])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_halving_averages_what_is_known(size, kind, rng):
    full = {"uint8": 255, "uint16": 65535}.get(kind, 1)
    pixels = (rng.random((*size, 3)) * full).astype(kind)
    known = rng.random(size) < 0.4
    found, is_known = halved(pixels, known)
    assert found.dtype == np.float32 and found.shape == (*is_known.shape, 3)
    for y, x in np.ndindex(is_known.shape):
        square = np.s_[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        values = np.float64(pixels[square][known[square]]) / full
        assert is_known[y, x] == (len(values) > 0)
        expected = values.mean(axis=0) if len(values) else 0.5
        np.testing.assert_allclose(found[y, x], expected, atol=1e-6)


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 2), (1, 1)])
def test_enlarging_is_bilinear(size, rng):
    coarse = rng.random(((size[0] + 1) // 2, (size[1] + 1) // 2, 3), dtype="float32")
    where = rng.random(size) < 0.5
    out = np.full((*size, 3), -1.0, "float32")
    write_enlarged(coarse, where, out)
    whole = to_numpy(upsample_bilinear(coarse[None], 2))[0]
    np.testing.assert_allclose(out[where], whole[: size[0], : size[1]][where], atol=1e-6)
    assert (out[~where] == -1).all()
    as_bytes = np.zeros((*size, 3), "uint8")
    write_enlarged(coarse, where, as_bytes)
    np.testing.assert_array_equal(as_bytes[where], np.rint(255 * out[where]))
