import numpy as np
import pytest

from c2f_zoo.data.flow.consistency import forward_backward_check
from c2f_zoo.data.stereo.consistency import left_right_check
from c2f_zoo.tasks.confidence import checked_disparity, checked_flow

pytestmark = pytest.mark.backend_free


def test_a_flow_is_as_sure_as_the_way_back_is_near(rng):
    forward = rng.normal(scale=2, size=(9, 12, 2)).astype("float32")
    checked = checked_flow(forward, rng.normal(size=(9, 12, 2)))
    assert checked.flow is forward and checked.confidence.dtype == np.float32
    assert checked._fields == ("flow", "confidence", "occlusion")
    confirmed = forward_backward_check(forward, rng.normal(size=(9, 12, 2)))
    still = np.zeros((1, 3, 2))
    off = still + [[[0, 0], [np.sqrt(0.5 / 0.99), 0], [0, 2]]]  # none, the limit, beyond
    figures = checked_flow(still, off)
    limit = 2 ** -(4 / (0.01 * 4 + 0.5))
    np.testing.assert_allclose(figures.confidence[0, :, 0], [1, 0.5, limit], atol=1e-5)
    assert figures.occlusion[0, [0, 2], 0].tolist() == [0, 1]
    assert confirmed.shape == checked.occlusion.shape


def test_what_the_checks_confirm_is_sure_by_half_and_not_occluded(rng):
    forward, backward = rng.normal(scale=0.7, size=(2, 20, 30, 2))
    flow = checked_flow(forward, backward)
    np.testing.assert_array_equal(flow.occlusion, 1 - forward_backward_check(forward, backward))
    np.testing.assert_array_equal(flow.occlusion > 0, flow.confidence <= 0.5)
    left, right = rng.uniform(0, 4, (2, 20, 30, 1))
    stereo = checked_disparity(left, right)
    np.testing.assert_array_equal(stereo.occlusion, 1 - left_right_check(left, right))
    np.testing.assert_array_equal(stereo.occlusion > 0, stereo.confidence < 0.5)
    for checked in (flow, stereo):
        assert 0 <= checked.confidence.min() and checked.confidence.max() <= 1
        assert 0.1 < checked.occlusion.mean() < 0.9


def test_an_unknown_disparity_is_not_sure():
    left = np.array([[-1.0, np.nan, np.inf, 1.0]])[..., None]
    right = np.array([[1.0, 1.0, np.nan, 1.0]])[..., None]
    checked = checked_disparity(left, right)
    assert checked.confidence[0, :, 0].tolist() == [0, 0, 0, 0]
    assert checked.occlusion[0, :, 0].tolist() == [1, 1, 1, 1]


def test_what_is_infinitely_far_in_both_images_is_sure():
    left = np.array([[0.0, 0.0, 0.0]])[..., None]
    right = np.array([[0.0, 1.0, 3.0]])[..., None]
    checked = checked_disparity(left, right)
    assert checked.confidence[0, :, 0].tolist() == [1, 0.5, 2**-9]
    assert checked.occlusion[0, :, 0].tolist() == [0, 0, 1]
    assert not left_right_check(left, right).any()  # in a data set 0 is unknown
