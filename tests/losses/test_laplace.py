import math

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.losses import MixtureOfLaplaceLoss, SequenceLoss
from c2f_zoo.losses.laplace import expected_error


def slow_loss(truth, levels, valid, gamma, max_flow=400.0):
    """The density of the mixture at each component of each pixel."""
    total = np.zeros(len(truth))
    for index, level in enumerate(np.asarray(levels, "float64")):
        for sample in range(len(truth)):
            logs = []
            for i, j in np.ndindex(truth.shape[1:3]):
                if valid[sample, i, j, 0] < 0.5 or np.hypot(*truth[sample, i, j]) >= max_flow:
                    continue
                *flow, ordinary, wide, log_scale = level[sample, i, j]
                share = math.exp(ordinary) / (math.exp(ordinary) + math.exp(wide))
                scale = math.exp(min(max(log_scale, 0.0), 10.0))
                for error in np.abs(flow - truth[sample, i, j].astype("float64")):
                    density = share * math.exp(-error) / 2
                    density += (1 - share) * math.exp(-error / scale) / (2 * scale)
                    logs.append(-math.log(density))
            total[sample] += gamma ** (len(levels) - 1 - index) * np.mean(logs or [0.0])
    return total


def samples(rng):
    truth = rng.normal(scale=5, size=(2, 5, 7, 2)).astype("float32")
    levels = [rng.normal(scale=3, size=(2, 5, 7, 5)).astype("float32") for _ in range(3)]
    return truth, levels, rng.random((2, 5, 7, 1), dtype="float32")


def test_equals_the_likelihood_by_its_definition(rng):
    truth, levels, valid = samples(rng)
    truth[0, 1, 2] = 500.0
    valid[1] = 0.0  # an image without a valid pixel
    loss = MixtureOfLaplaceLoss(gamma=0.7, reduction=None)
    expected = slow_loss(truth, levels, valid, 0.7)
    np.testing.assert_allclose(to_numpy(loss(truth, levels, valid)), expected, rtol=1e-5)
    everywhere = slow_loss(truth, levels[-1:], np.ones_like(valid), 0.7)
    np.testing.assert_allclose(to_numpy(loss(truth, levels[-1])), everywhere, rtol=1e-5)


def test_with_one_scale_it_is_the_mean_error_and_a_constant(rng):
    truth, levels, _ = samples(rng)
    level = np.concatenate([levels[0][..., :4], np.full((2, 5, 7, 1), -1.0, "float32")], axis=-1)
    expected = np.abs(level[..., :2] - truth).mean() + math.log(2)
    assert float(MixtureOfLaplaceLoss()(truth, level)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("logit", [0.0, 60.0, -60.0])
@pytest.mark.parametrize("log_scale", [-5.0, 0.0, 3.0, 50.0])
def test_errors_of_any_size_have_a_finite_loss_and_gradient(gradient_of, logit, log_scale):
    truth = np.zeros((1, 1, 4, 2), "float32")
    level = np.zeros((1, 1, 4, 5), "float32")
    level[0, 0, :, :2] = [[0.0], [1e-6], [1e3], [1e6]]
    level[..., 2], level[..., 4] = logit, log_scale
    (gradient,) = gradient_of(lambda level: MixtureOfLaplaceLoss()(truth, [level]), level)
    assert np.isfinite(gradient).all()
    assert np.isfinite(float(MixtureOfLaplaceLoss()(truth, [level])))
    # An error is never passed over: of the wide distribution it still has a pull.
    assert (gradient[0, 0, 1:, :2] > 0).all()


def test_ground_truth_that_is_not_valid_may_be_nan_and_has_no_gradient(rng, gradient_of):
    truth, levels, valid = samples(rng)
    truth = np.where(valid < 0.5, np.nan, truth)
    (gradient,) = gradient_of(
        lambda level: MixtureOfLaplaceLoss()(truth, [level], valid), levels[0]
    )
    assert np.isfinite(gradient).all()
    assert (gradient[valid[..., 0] < 0.5] == 0).all() and (gradient[..., 0] != 0).any()


def test_the_expected_error_is_the_mean_of_the_mixture(rng):
    parameters = np.array([[1.0, 0.5, 1.2], [0.0, 2.0, -3.0]], "float32")
    share = 1 / (1 + math.exp(-0.5))
    draws = rng.laplace(scale=np.where(rng.random(400_000) < share, 1.0, math.exp(1.2)))
    found = to_numpy(expected_error(parameters))
    assert found[0, 0] == pytest.approx(np.abs(draws).mean(), rel=0.01)
    assert found[1, 0] == pytest.approx(1.0)


def test_configuration_survives_and_wrong_shapes_are_named():
    again = keras.losses.deserialize(keras.losses.serialize(MixtureOfLaplaceLoss(gamma=0.9)))
    assert type(again) is MixtureOfLaplaceLoss and again.gamma == 0.9 and again.takes_levels
    assert MixtureOfLaplaceLoss().gamma == 0.85
    truth = np.zeros((1, 4, 4, 2), "float32")
    with pytest.raises(ValueError, match=r"y_pred must .*Received: .*\(1, 4, 4, 4\)$"):
        MixtureOfLaplaceLoss()(truth, [np.zeros((1, 4, 4, 4), "float32")])


@pytest.mark.parametrize(
    ("loss", "channels", "other"),
    [(SequenceLoss, 5, "MixtureOfLaplaceLoss"), (MixtureOfLaplaceLoss, 2, "SequenceLoss")],
)
def test_the_loss_of_the_other_kind_of_network_is_named(loss, channels, other):
    answers = [np.zeros((1, 4, 4, channels), "float32")]
    message = rf"choose {other}. Received: y_pred of shape \(1, 4, 4, {channels}\)$"
    with pytest.raises(ValueError, match=message):
        loss()(np.zeros((1, 4, 4, 2), "float32"), answers)
