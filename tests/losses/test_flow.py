import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import upsample_bilinear
from c2f_zoo.losses import PAPER_LEVEL_WEIGHTS, MultiscaleEndPointError, MultiscaleRobust


@pytest.fixture
def batch(rng):
    truth = rng.normal(scale=10, size=(2, 64, 128, 2)).astype("float32")
    levels = [
        rng.normal(scale=10, size=(2, 64 // 2**level, 128 // 2**level, 2)).astype("float32")
        for level in (6, 5, 4, 3, 2)
    ]
    return truth, levels


def cells(x, factor):
    """(B, H, W, C) as (B, h, w, factor * factor, C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor, c)


def test_end_point_error_sums_over_pixels_and_averages_over_the_batch(batch):
    truth, levels = batch
    expected = 0.0
    for weight, level in zip(PAPER_LEVEL_WEIGHTS, levels, strict=True):
        mean = cells(truth.astype("float64"), truth.shape[1] // level.shape[1]).mean(3)
        expected += weight * np.linalg.norm((level - mean) / 20, axis=-1).sum() / 2
    assert float(MultiscaleEndPointError()(truth, levels)) == pytest.approx(expected, rel=1e-5)


def test_robust_penalty_takes_the_l1_norm_inside_the_power(batch):
    truth, levels = batch
    expected = 0.0
    for weight, level in zip(PAPER_LEVEL_WEIGHTS, levels, strict=True):
        mean = cells(truth.astype("float64"), truth.shape[1] // level.shape[1]).mean(3)
        error = np.abs((level - mean) / 20).sum(-1)
        expected += weight * ((error + 0.01) ** 0.4).sum() / 2
    assert float(MultiscaleRobust()(truth, levels)) == pytest.approx(expected, rel=1e-5)


def test_masked_pixels_do_not_count_and_may_hold_nan(batch, rng):
    truth, levels = batch
    valid = (rng.random((2, 64, 128, 1)) < 0.3).astype("float32")
    valid[:, :, :64] = 0  # whole cells without ground truth
    expected = 0.0
    for weight, level in zip(PAPER_LEVEL_WEIGHTS, levels, strict=True):
        factor = truth.shape[1] // level.shape[1]
        flow, share = cells(truth * valid, factor).sum(3), cells(valid, factor).sum(3)
        error = np.linalg.norm((level - flow / np.maximum(share, 1e-9)) / 20, axis=-1)
        expected += weight * (error * (share[..., 0] > 0)).sum() / 2
    holes = np.where(valid > 0, truth, np.nan)
    for mask in (valid, valid[..., 0]):
        loss = MultiscaleEndPointError()(holes, levels, sample_weight=mask)
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_sparse_form_enlarges_the_prediction(batch, rng):
    truth, levels = batch
    valid = (rng.random((2, 64, 128, 1)) < 0.2).astype("float32")
    expected = 0.0
    for weight, level in zip(PAPER_LEVEL_WEIGHTS, levels, strict=True):
        large = ops.image.resize(level, (64, 128), interpolation="bilinear")
        error = np.linalg.norm((ops.convert_to_numpy(large) - truth) / 20, axis=-1)
        expected += weight * (error * valid[..., 0]).sum() / 2
    loss = MultiscaleEndPointError(sparse=True)(truth, levels, sample_weight=valid)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_weight_per_sample_scales_that_sample(batch):
    truth, levels = batch
    each = MultiscaleEndPointError(reduction=None)(truth, levels)
    weighted = MultiscaleEndPointError(reduction=None)(
        truth, levels, sample_weight=np.array([1.0, 3.0], "float32")
    )
    ratio = ops.convert_to_numpy(weighted) / ops.convert_to_numpy(each)
    np.testing.assert_allclose(ratio, [1, 3], rtol=1e-5)


def test_gradient_is_zero_not_nan_where_the_error_is_zero(gradient_of):
    truth = np.zeros((1, 4, 4, 2), "float32")
    loss = MultiscaleEndPointError(level_weights=(1.0,))
    (gradient,) = gradient_of(lambda level: loss(truth, [level]), truth)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("loss_class", [MultiscaleEndPointError, MultiscaleRobust])
def test_gradients_equal_finite_differences(loss_class, rng, gradient_of):
    truth = rng.normal(scale=10, size=(1, 4, 4, 2)).astype("float32")
    level = rng.normal(scale=10, size=(1, 2, 2, 2)).astype("float32")
    loss = loss_class(level_weights=(1.0,))
    (gradient,) = gradient_of(lambda level: loss(truth, [level]), level)
    step = 0.05
    for index in np.ndindex(*level.shape):
        values = []
        for sign in (1, -1):
            moved = level.copy()
            moved[index] += sign * step
            values.append(float(loss(truth, [moved])))
        assert gradient[index] == pytest.approx((values[0] - values[1]) / (2 * step), abs=2e-3)


def test_weights_of_zero_leave_the_finest_level_alone_at_full_resolution(batch):
    truth, levels = batch
    unseen = [np.full_like(level, np.nan) for level in levels[:-1]]
    loss = MultiscaleRobust(level_weights=(0,) * len(unseen) + (0.5,), sparse=True)
    factor = truth.shape[1] // levels[-1].shape[1]
    enlarged = ops.convert_to_numpy(upsample_bilinear(levels[-1], factor))
    penalty = (np.abs(enlarged - truth).sum(-1) / 20 + 0.01) ** 0.4
    expected = 0.5 * penalty.sum((1, 2)).mean()
    assert float(loss(truth, [*unseen, levels[-1]])) == pytest.approx(expected, rel=1e-5)


def test_configuration_survives_a_round_trip():
    loss = MultiscaleRobust(level_weights=(1.0, 2.0), flow_unit=5, sparse=True, exponent=0.5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()


def test_wrong_levels_are_named(batch):
    truth, levels = batch
    with pytest.raises(ValueError, match="5 levels$"):
        MultiscaleEndPointError(level_weights=(1.0, 2.0))(truth, levels)
    with pytest.raises(ValueError, match=r"\(2, 3, 5, 2\)$"):
        MultiscaleEndPointError(level_weights=(1.0,))(truth, [np.zeros((2, 3, 5, 2), "float32")])
    with pytest.raises(ValueError, match="flow_unit must be a number > 0. Received: 0$"):
        MultiscaleEndPointError(flow_unit=0)
    with pytest.raises(ValueError, match="exponent must be a number > 0. Received: -1$"):
        MultiscaleRobust(exponent=-1)
    with pytest.raises(ValueError, match="epsilon must be a number > 0. Received: 0$"):
        MultiscaleRobust(epsilon=0)
    for level_weights in ((), 1.0, (1.0, -1.0)):
        with pytest.raises(ValueError, match="level_weights must be .*Received: "):
            MultiscaleEndPointError(level_weights)


@pytest.mark.parametrize("shape", [(0, 8, 8, 2), (1, 8, 8, 3)])
def test_empty_batches_and_other_channels_are_refused(shape):
    flow = np.zeros(shape, "float32")
    with pytest.raises(ValueError, match=r"y_true must .*B >= 1. Received: shape"):
        MultiscaleEndPointError()(flow, flow)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has tensors of open size"
)
@pytest.mark.parametrize("sparse", [False, True])
def test_sizes_may_be_unknown_until_the_graph_runs(sparse, batch):
    import tensorflow as tf

    truth, levels = batch
    loss = MultiscaleEndPointError(sparse=sparse)
    unknown = tf.TensorSpec((None, None, None, 2))
    compiled = tf.function(loss, input_signature=[unknown, [unknown] * 5], autograph=False)
    assert float(compiled(truth, levels)) == pytest.approx(float(loss(truth, levels)), rel=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="64 times smaller"):
        compiled(truth, levels[1:] + levels[:1])
    with pytest.raises(ValueError, match="single level needs its height"):
        tf.function(loss, input_signature=[unknown, unknown], autograph=False)(truth, levels[-1])
