import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.losses import MultilevelSmoothL1


@pytest.fixture
def levels(rng):
    truth = rng.uniform(-20, 250, (2, 5, 7, 1)).astype("float32")
    return truth, [truth + rng.normal(0, 2, truth.shape).astype("float32") for _ in range(3)]


def reference(truth, levels, weights, max_disparity, valid=None):
    """The definition, in float64."""
    known = (truth > 0) & (truth < (max_disparity or np.inf)) & np.isfinite(truth)
    known = known if valid is None else known & (valid > 0)
    total = 0.0
    for level, weight in zip(levels, weights, strict=True):
        error = np.abs(level.astype("float64") - truth)[known]
        total += weight * np.where(error < 1, error**2 / 2, error - 0.5).mean()
    return total


@pytest.mark.parametrize("max_disparity", [192, None, 30])
def test_equals_its_definition(levels, max_disparity):
    truth, estimates = levels
    loss = MultilevelSmoothL1(max_disparity=max_disparity)
    expected = reference(truth, estimates, (0.5, 0.7, 1.0), max_disparity)
    assert float(loss(truth, estimates)) == pytest.approx(expected, rel=1e-5)
    expected = reference(truth, estimates[-1:], (1.0,), max_disparity)
    assert float(loss(truth, estimates[-1])) == pytest.approx(expected, rel=1e-5)


def test_equals_pytorchs_smooth_l1(levels):
    torch = pytest.importorskip("torch")
    truth, estimates = levels
    known = (truth > 0) & (truth < 192)
    expected = sum(
        weight
        * torch.nn.functional.smooth_l1_loss(
            torch.from_numpy(estimate[known]), torch.from_numpy(truth[known])
        )
        for weight, estimate in zip((0.5, 0.7, 1.0), estimates, strict=True)
    )
    assert float(MultilevelSmoothL1()(truth, estimates)) == pytest.approx(float(expected), rel=1e-5)


def test_unknown_pixels_have_neither_loss_nor_gradient(levels, gradient_of):
    truth, estimates = levels
    truth[0, 0], truth[0, 1, 0], truth[0, 1, 1] = 0, np.nan, np.inf
    valid = np.ones(truth.shape, "float32")
    valid[1, :, 3:] = 0
    loss = MultilevelSmoothL1()
    expected = reference(truth, estimates, (0.5, 0.7, 1.0), 192, valid)
    assert float(loss(truth, estimates, valid)) == pytest.approx(expected, rel=1e-5)
    (gradient,) = gradient_of(lambda level: loss(truth, level, valid), estimates[0])
    known = (truth > 0) & (truth < 192) & (valid > 0)
    assert np.isfinite(gradient).all() and (gradient[~known] == 0).all()
    assert (gradient[known] != 0).all()


def test_without_a_known_pixel_it_is_zero():
    empty = np.zeros((1, 2, 2, 1), "float32")
    assert float(MultilevelSmoothL1()(empty, empty + 3)) == 0


def test_parts_of_the_samples_add_up_to_the_mean_over_pixels(levels):
    truth, estimates = levels
    parts = ops.convert_to_numpy(MultilevelSmoothL1(reduction=None)(truth, estimates))
    assert parts.shape == (2,)
    assert parts.mean() == pytest.approx(float(MultilevelSmoothL1()(truth, estimates)), rel=1e-6)


def test_it_is_made_again_from_its_configuration():
    loss = MultilevelSmoothL1((1, 2), max_disparity=None)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.level_weights == (1, 2) and again.max_disparity is None


def test_wrong_settings_and_shapes_are_named():
    for level_weights in ((), 1.0, (1.0, -1.0)):
        with pytest.raises(ValueError, match="level_weights must be .*Received: "):
            MultilevelSmoothL1(level_weights)
    with pytest.raises(ValueError, match="max_disparity.*Received: -3$"):
        MultilevelSmoothL1(max_disparity=-3)
    flat = np.ones((1, 2, 2, 1), "float32")
    with pytest.raises(ValueError, match="one for each weight. Received: 4 levels"):
        MultilevelSmoothL1()(flat, [flat] * 4)
    with pytest.raises(ValueError, match=r"Received: shapes \(1, 2, 2, 1\) and \(1, 1, 2, 1\)$"):
        MultilevelSmoothL1()(flat, flat[:, :1])
    with pytest.raises(ValueError, match=r"sample_weight.*Received: shape \(1, 2, 2, 2\)$"):
        MultilevelSmoothL1()(flat, flat, np.ones((1, 2, 2, 2), "float32"))
