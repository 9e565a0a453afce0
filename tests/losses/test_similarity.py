import json

import keras
import numpy as np
import pytest
import scipy.signal
from keras import ops

from c2f_zoo.losses import SSIMLoss
from c2f_zoo.metrics import ssim


def slow_zero_padded_ssim(x, y):
    """One channel, by two-dimensional convolution with zeros beyond the border."""
    offset = np.arange(11) - 5
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(image):
        return scipy.signal.convolve2d(image, window, mode="same")

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    maps = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
    return (maps / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))).mean()


@pytest.fixture
def pair(rng):
    truth = rng.random((2, 17, 14, 3))
    return truth, np.clip(truth + rng.normal(0, 0.2, truth.shape), 0, 1)


def test_by_default_it_is_one_minus_the_metric(pair):
    expected = 1 - ops.convert_to_numpy(ssim(*pair))
    assert float(SSIMLoss()(*pair)) == pytest.approx(expected.mean(), abs=1e-6)
    each = ops.convert_to_numpy(SSIMLoss(reduction=None)(*pair))
    np.testing.assert_allclose(each, expected, atol=1e-6)


def test_zero_padding_equals_the_multiscale_training_loss(pair):
    truth, estimate = pair
    expected = -np.mean(
        [
            slow_zero_padded_ssim(truth[i, ..., c], estimate[i, ..., c])
            for i in range(2)
            for c in range(3)
        ]
    )
    assert float(SSIMLoss("zero", offset=0)(*pair)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_its_gradient_is_that_of_finite_differences(padding, pair, gradient_of, rng):
    truth, estimate = (x.astype("float32") for x in pair)
    loss = SSIMLoss(padding)
    (gradient,) = gradient_of(lambda y: loss(truth, y), estimate)
    direction = rng.normal(size=estimate.shape)
    ends = [float(loss(truth, estimate + sign * 1e-2 * direction)) for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / 2e-2
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=0.02, abs=1e-3)


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_black_images_have_a_finite_gradient(padding, gradient_of):
    black = np.zeros((1, 12, 12, 3), "float32")
    loss = SSIMLoss(padding)
    assert float(loss(black, black)) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(gradient_of(lambda y: loss(black, y), black)[0]).all()


def test_it_is_restored_from_its_configuration(pair):
    loss = SSIMLoss("zero", offset=0.5)
    stored = json.loads(json.dumps(keras.losses.serialize(loss)))
    assert float(keras.losses.deserialize(stored)(*pair)) == pytest.approx(float(loss(*pair)))


def test_wrong_images_and_options_are_named():
    image = np.zeros((1, 12, 12, 3))
    with pytest.raises(ValueError, match="Received: 'same'$"):
        SSIMLoss("same")
    with pytest.raises(ValueError, match=r"shapes \(1, 12, 12, 3\) and \(1, 12, 11, 3\)$"):
        SSIMLoss()(image, image[:, :, :11])
    with pytest.raises(ValueError, match=r"11x11 pixels. Received: shape \(1, 9, 12, 3\)$"):
        SSIMLoss()(image[:, :9], image[:, :9])
    assert float(SSIMLoss("zero")(image[:, :9], image[:, :9])) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match=r"B >= 1. Received: shapes \(0, 12, 12, 3\)"):
        SSIMLoss()(image[:0], image[:0])
