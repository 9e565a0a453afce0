import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import crop_to, pad_to_stride


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [("end", (0, 3), (0, 5)), ("centre", (1, 2), (2, 3)), ("bottom", (0, 3), (2, 3))],
)
def test_padding_goes_where_it_is_said_to_and_is_undone(rng, place, rows, columns):
    x = rng.random((1, 5, 3, 2), dtype="float32")
    padded = to_numpy(pad_to_stride(x, 8, place=place))
    np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), rows, columns, (0, 0)), "edge"))
    np.testing.assert_array_equal(to_numpy(crop_to(padded, 5, 3, place)), x)
    zeros = to_numpy(pad_to_stride(x, 8, "zero", place))
    np.testing.assert_array_equal(zeros, np.pad(x, ((0, 0), rows, columns, (0, 0))))


def test_an_unknown_place_is_named():
    with pytest.raises(ValueError, match="place must be one of .*Received: 'top'$"):
        pad_to_stride(np.zeros((1, 5, 5, 1)), 8, place="top")
