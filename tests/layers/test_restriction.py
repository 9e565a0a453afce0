"""Restriction against means and samples taken by numpy."""

import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import restrict
from c2f_zoo.layers.restriction import RESTRICTIONS


def by_hand(x, factor, method):
    x = x.astype("float64")
    rows, columns = x.shape[1] // factor, x.shape[2] // factor
    cells = x.reshape(x.shape[0], rows, factor, columns, factor, x.shape[3])
    if method == "subsample":
        return cells[:, :, 0, :, 0]
    middle = slice(None)
    if method == "bilinear":
        middle = slice((factor - 1) // 2, factor // 2 + 1)
    return cells[:, :, middle, :, middle].mean(axis=(2, 4))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("method", RESTRICTIONS)
def test_equals_numpy_over_cells(method, factor, dtype):
    x = (np.random.default_rng(0).random((2, 12, 24, 3)) * 255).astype(dtype)
    found = to_numpy(restrict(x, factor, method))
    np.testing.assert_allclose(found, by_hand(x, factor, method), rtol=1e-5)


def test_a_factor_that_does_not_divide_the_size_is_refused():
    with pytest.raises(ValueError, match=r"divisible by 2\. Received: shape \(1, 4, 5, 3\)"):
        restrict(np.zeros((1, 4, 5, 3), "float32"), 2)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method must be one of.*Received: 'nearest'"):
        restrict(np.zeros((1, 4, 4, 3), "float32"), 2, "nearest")
