import keras
import numpy as np
import pytest

from c2f_zoo.losses import SequenceLoss


def slow_loss(truth, flows, valid, gamma, max_flow=400.0):
    """The definition, pixel by pixel."""
    total = 0.0
    for index, flow in enumerate(flows):
        errors = np.zeros(truth.shape)
        for b, i, j in np.ndindex(truth.shape[:3]):
            counts = valid[b, i, j, 0] >= 0.5 and np.hypot(*truth[b, i, j]) < max_flow
            errors[b, i, j] = np.abs(flow[b, i, j] - truth[b, i, j]) if counts else 0.0
        total += gamma ** (len(flows) - 1 - index) * errors.mean()
    return total


def samples(rng):
    truth = rng.normal(scale=200, size=(2, 5, 7, 2)).astype("float32")
    flows = [rng.normal(scale=200, size=truth.shape).astype("float32") for _ in range(3)]
    return truth, flows, rng.random((2, 5, 7, 1), dtype="float32")


@pytest.mark.parametrize("gamma", [0.8, 1.0])
def test_equals_the_sum_over_pixels_and_refinements(rng, gamma):
    truth, flows, valid = samples(rng)
    loss = SequenceLoss(gamma=gamma)
    expected = slow_loss(truth, flows, valid, gamma)
    assert float(loss(truth, flows, sample_weight=valid)) == pytest.approx(expected, rel=1e-5)
    everywhere = slow_loss(truth, flows, np.ones_like(valid), gamma)
    assert float(loss(truth, flows)) == pytest.approx(everywhere, rel=1e-5)
    assert float(loss(truth, flows[-1])) == pytest.approx(
        slow_loss(truth, flows[-1:], np.ones_like(valid), gamma), rel=1e-5
    )


def test_ground_truth_that_is_not_valid_may_be_nan_and_has_no_gradient(rng, gradient_of):
    truth, flows, valid = samples(rng)
    truth = np.where(valid < 0.5, np.nan, truth)
    (gradient,) = gradient_of(lambda flow: SequenceLoss()(truth, [flow], valid), flows[0])
    assert np.isfinite(gradient).all()
    counted = (valid >= 0.5) & (np.hypot(truth[..., :1], truth[..., 1:]) < 400)
    expected = np.where(counted, np.sign(flows[0] - truth) / truth.size, 0)
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_configuration_survives_and_bad_arguments_are_named():
    config = keras.losses.serialize(SequenceLoss(gamma=0.85, max_flow=100))
    again = keras.losses.deserialize(config)
    assert (again.gamma, again.max_flow, again.takes_levels) == (0.85, 100.0, True)
    with pytest.raises(ValueError, match="gamma must be .*Received: 0$"):
        SequenceLoss(gamma=0)
    with pytest.raises(ValueError, match="max_flow must be .*Received: -1$"):
        SequenceLoss(max_flow=-1)
    with pytest.raises(ValueError, match=r"y_pred must .*\(1, 4, 4, 2\) and \(1, 2, 2, 2\)$"):
        SequenceLoss()(np.zeros((1, 4, 4, 2)), [np.zeros((1, 2, 2, 2), "float32")])
