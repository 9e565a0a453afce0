import numpy as np
import pytest

from c2f_zoo.data.flow.consistency import forward_backward_check, forward_backward_ratio

pytestmark = pytest.mark.backend_free


def slow_ratio(forward, backward, relative, absolute):
    """The definition: a loop over pixels."""
    height, width = forward.shape[:2]
    result = np.full((height, width, 1), np.inf)
    for row, column in np.ndindex(height, width):
        u, v = forward[row, column].astype("float64")
        x, y = column + u, row + v
        if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
            continue
        back = np.zeros(2)
        for corner_y in (int(y), int(y) + 1):
            for corner_x in (int(x), int(x) + 1):
                share = (1 - abs(x - corner_x)) * (1 - abs(y - corner_y))
                if share:
                    back += share * backward[corner_y, corner_x]
        missed = (u + back[0]) ** 2 + (v + back[1]) ** 2
        limit = relative * (u**2 + v**2 + back @ back) + absolute
        if np.isfinite(missed):
            result[row, column] = missed / limit
    return result


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 13)])
@pytest.mark.parametrize("limits", [(0.01, 0.5), (0.0, 2.0)])
def test_the_check_equals_the_loop(rng, size, limits):
    forward, backward = rng.normal(scale=2, size=(2, *size, 2)).astype("float32")
    backward = np.where(rng.random((*size, 1)) < 0.5, -forward, backward).astype("float32")
    backward[-1, -1] = np.nan
    forward[0, 0] = np.inf
    expected = slow_ratio(forward, backward, *limits)
    found = forward_backward_ratio(forward, backward, *limits)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    mask = forward_backward_check(forward, backward, *limits)
    assert mask.dtype == np.float32 and mask.shape == (*size, 1)
    np.testing.assert_array_equal(mask, expected < 1)


def test_whole_pixels_reach_the_last_row_and_column():
    forward = np.zeros((3, 4, 2))
    forward[..., 0], forward[..., 1] = 1, 2
    expected = np.zeros((3, 4))
    expected[0, :3] = 1
    np.testing.assert_array_equal(forward_backward_check(forward, -forward)[..., 0], expected)


def test_what_does_not_fit_is_named():
    flow = np.zeros((2, 3, 2))
    with pytest.raises(ValueError, match=r"Received: shapes \(2, 3, 2\) and \(2, 4, 2\)$"):
        forward_backward_check(flow, np.zeros((2, 4, 2)))
    with pytest.raises(ValueError, match="absolute must be .*Received: 0$"):
        forward_backward_check(flow, flow, absolute=0)
