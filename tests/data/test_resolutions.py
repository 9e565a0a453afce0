import numpy as np
import pytest

from c2f_zoo.data.resolutions import doublings, stage_resolutions

pytestmark = pytest.mark.backend_free


def test_sizes_double_from_the_base_to_the_final_height():
    assert stage_resolutions(4) == ((4, 4),)
    assert stage_resolutions(48, (3, 5)) == ((3, 5), (6, 10), (12, 20), (24, 40), (48, 80))
    assert len(stage_resolutions(1024)) == 9


def test_sizes_are_integers_whatever_they_were_said_in():
    for resolution, base_shape in ((8.0, [4, 6]), (np.int64(8), np.array([4, 6]))):
        sizes = stage_resolutions(resolution, base_shape)
        assert sizes == ((4, 6), (8, 12))
        assert {type(side) for size in sizes for side in size} == {int}


@pytest.mark.parametrize("resolution", [48, 2, 0, -8, 8.5, True, None, "8", float("inf")])
def test_a_height_that_is_no_doubling_of_the_base_is_refused(resolution):
    assert doublings(resolution, 4) is None
    with pytest.raises(
        ValueError, match=rf"base height 4 .* power of two\. Received: {resolution}$"
    ):
        stage_resolutions(resolution)


@pytest.mark.parametrize(
    ("base_shape", "message"),
    [
        (4, r"\(height, width\)\. Received: 4$"),
        ((4, 4, 4), r"\(height, width\)\. Received: \(4, 4, 4\)$"),
        ((4, 0), r"two integers >= 1\. Received: \(4, 0\)$"),
        ((4, 4.5), r"two integers >= 1\. Received: \(4, 4\.5\)$"),
        (("4", "4"), r"two integers >= 1\. Received: \('4', '4'\)$"),
    ],
)
def test_a_base_that_is_no_size_is_refused(base_shape, message):
    with pytest.raises(ValueError, match=message):
        stage_resolutions(8, base_shape)
