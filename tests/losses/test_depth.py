import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import upsample_bilinear
from c2f_zoo.losses import MultiscaleDepthLoss, edge_aware_smoothness, shrink_known
from tests.layers.test_masked_similarity import slow as slow_similarity

LIMITS = (0.5, 20.0)
SIZE = (13, 18)


@pytest.fixture
def scales(rng):
    """A true depth, and estimates of three scales, coarse to fine."""
    truth = rng.uniform(0.6, 19, (2, *SIZE, 1)).astype("float32")
    sizes = [(-(-SIZE[0] // s), -(-SIZE[1] // s)) for s in (4, 2, 1)]
    return truth, [rng.uniform(0.6, 19, (2, *size, 1)).astype("float32") for size in sizes]


def encode(depth, kind):
    near, far = LIMITS
    if kind == "log":
        return np.log(depth / near) / np.log(far / near)
    return (1 / depth - 1 / far) / (1 / near - 1 / far)


def shrunk(code, weight, factor):
    """Mean of the known of each cell, cell by cell."""
    batch, height, width, _ = code.shape
    rows, columns = -(-height // factor), -(-width // factor)
    means, weights = np.zeros((2, batch, rows, columns, 1))
    for b, i, j in np.ndindex(batch, rows, columns):
        cell = (b, slice(i * factor, (i + 1) * factor), slice(j * factor, (j + 1) * factor))
        total = weight[cell].sum()
        means[b, i, j] = (code[cell] * weight[cell]).sum() / total if total else 0
        weights[b, i, j] = total / factor**2
    return means, weights


def reference(truth, levels, weights, kind="log", valid=None, l1=1.0, ssim=1.0, window=7):
    """The definition, in float64."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(truth) & (truth >= LIMITS[0]) & (truth <= LIMITS[1])
    weight = known.astype("float64") * (1 if valid is None else valid)
    code = encode(np.where(weight > 0, truth, 1.0).astype("float64"), kind)
    total = 0.0
    for index, (level, factor) in enumerate(zip(levels, weights, strict=True)):
        means, shares = shrunk(code, weight, 2 ** (len(levels) - 1 - index))
        estimate = encode(level.astype("float64"), kind)
        similarity = slow_similarity(estimate, means, shares > 0, window)
        error = l1 * np.abs(estimate - means) + ssim * (1 - similarity) / 2
        counts = shares > 0
        total += factor * (error * shares)[counts].sum() / shares.sum()
    return total


@pytest.mark.parametrize("kind", ["log", "inverse"])
def test_equals_its_definition(scales, kind):
    truth, levels = scales
    loss = MultiscaleDepthLoss((0.2, 0.5, 1.0), representation=kind, limits=LIMITS)
    expected = reference(truth, levels, (0.2, 0.5, 1.0), kind)
    assert float(loss(truth, levels)) == pytest.approx(expected, rel=1e-4)
    # Of one scale alone the last weight counts.
    expected = reference(truth, levels[-1:], (1.0,), kind)
    assert float(loss(truth, levels[-1])) == pytest.approx(expected, rel=1e-4)


def test_terms_are_weighted(scales):
    truth, levels = scales
    loss = MultiscaleDepthLoss((1, 1, 1), l1_weight=2, ssim_weight=0, limits=LIMITS)
    expected = reference(truth, levels, (1, 1, 1), l1=2, ssim=0)
    assert float(loss(truth, levels)) == pytest.approx(expected, rel=1e-5)
    loss = MultiscaleDepthLoss((0, 0, 1), l1_weight=0, window_size=3, limits=LIMITS)
    expected = reference(truth, levels[-1:], (1,), l1=0, window=3)
    assert float(loss(truth, levels)) == pytest.approx(expected, rel=1e-4)


def test_unknown_pixels_have_neither_loss_nor_gradient(scales, gradient_of, rng):
    truth, levels = scales
    truth[0, :5, :3] = 0
    truth[0, 5, :4, 0] = np.nan, np.inf, -1, 30
    truth[1, 8:, 8:] = 0  # whole cells
    valid = (rng.random(truth.shape) < 0.7).astype("float32")
    weights = (0.2, 0.5, 1.0)
    loss = MultiscaleDepthLoss(weights, limits=LIMITS)
    expected = reference(truth, levels, weights, valid=valid)
    assert float(loss(truth, levels, valid)) == pytest.approx(expected, rel=1e-4)
    assert float(loss(truth, levels, valid[..., 0])) == pytest.approx(expected, rel=1e-4)
    (gradient,) = gradient_of(lambda level: loss(truth, level, valid), levels[-1])
    with np.errstate(invalid="ignore"):
        known = (truth >= LIMITS[0]) & (truth <= LIMITS[1]) & (valid > 0)
    assert np.isfinite(gradient).all() and (gradient[known] != 0).all()
    assert (gradient[~known] == 0).all()
    (gradient,) = gradient_of(lambda coarse: loss(truth, [coarse, *levels[1:]], valid), levels[0])
    assert np.isfinite(gradient).all()


def test_a_batch_of_nothing_known_has_no_loss(scales, gradient_of):
    truth, levels = scales
    loss = MultiscaleDepthLoss((1, 1, 1), limits=LIMITS)
    assert float(loss(np.zeros_like(truth), levels)) == 0
    (gradient,) = gradient_of(lambda level: loss(np.zeros_like(truth), level), levels[-1])
    assert (gradient == 0).all()


def test_a_gradient_points_along_finite_differences(scales, gradient_of, rng):
    truth, levels = scales
    loss = MultiscaleDepthLoss((1, 1, 1), limits=LIMITS)
    (gradient,) = gradient_of(lambda coarse: loss(truth, [coarse, *levels[1:]]), levels[0])
    direction = gradient / np.linalg.norm(gradient)
    ahead, behind = (
        reference(truth, [levels[0] + step * direction, *levels[1:]], (1, 1, 1))
        for step in (1e-3, -1e-3)
    )
    assert np.linalg.norm(gradient) == pytest.approx((ahead - behind) / 2e-3, rel=1e-2)


def test_scales_may_be_compared_at_full_size(scales):
    truth, levels = scales
    loss = MultiscaleDepthLoss((1, 0, 0), ssim_weight=0, full_size=True, limits=LIMITS)
    code = encode(levels[0].astype("float64"), "log").astype("float32")
    enlarged = ops.convert_to_numpy(upsample_bilinear(code, 4))[:, : SIZE[0], : SIZE[1]]
    expected = np.abs(enlarged - encode(truth, "log")).mean()
    assert float(loss(truth, levels)) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match=r"y_pred\[-3\] must .*4, 1\), rounded up. Received"):
        loss(truth, [levels[1], *levels[1:]])


@pytest.mark.parametrize("axis", [1, 2])
def test_at_full_size_a_coarse_pixel_stays_in_the_middle_of_its_cell(axis):
    def ramp(size, step):
        """Depth whose logarithm grows evenly along the axis, at the middles of the cells."""
        place = (np.arange(size[axis - 1]) + 0.5) * step
        shape = [-1 if other == axis else 1 for other in range(4)]
        depth = np.exp(np.reshape(0.05 * place, shape)) + np.zeros((1, *size, 1))
        return depth.astype("float32")

    truth, coarse = ramp(SIZE, 1), ramp([-(-side // 4) for side in SIZE], 4)
    inside = np.zeros_like(truth)
    inside[:, 2:-2, 2:-2] = 1  # beyond the outermost middles there is nothing between
    loss = MultiscaleDepthLoss((1, 0, 0), ssim_weight=0, full_size=True, limits=LIMITS)
    assert float(loss(truth, [coarse, truth, truth], inside)) == pytest.approx(0, abs=1e-5)


def test_equal_depths_have_no_loss(scales):
    truth, _ = scales
    flat = np.full_like(truth, 3.0)
    levels = [flat[:, ::4, ::4], flat[:, ::2, ::2], flat]
    assert float(MultiscaleDepthLoss(limits=LIMITS)(flat, levels)) == pytest.approx(0, abs=1e-5)


def test_a_loss_per_sample_has_the_same_mean(scales):
    truth, levels = scales
    whole = MultiscaleDepthLoss((1, 1, 1), limits=LIMITS)(truth, levels)
    each = MultiscaleDepthLoss((1, 1, 1), limits=LIMITS, reduction=None)(truth, levels)
    assert tuple(each.shape) == (2,)
    assert float(ops.mean(each)) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level_weights": ()}, r"level_weights .*Received: \(\)"),
        ({"level_weights": (1, -1)}, "level_weights .*Received: -1"),
        ({"l1_weight": -1}, "l1_weight .*Received: -1"),
        ({"ssim_weight": "much"}, "ssim_weight .*Received: 'much'"),
        ({"representation": "depth"}, "representation .*Received: 'depth'"),
        ({"limits": (0, 10)}, r"limits .*Received: \(0, 10\)"),
        ({"window_size": 4}, "window_size .*Received: 4"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiscaleDepthLoss(**arguments)


def test_bad_shapes_are_refused(scales):
    truth, levels = scales
    with pytest.raises(ValueError, match="at most 2 levels.*Received: 3"):
        MultiscaleDepthLoss((1, 1))(truth, levels)
    with pytest.raises(ValueError, match="y_true and y_pred .*Received"):
        MultiscaleDepthLoss()(truth, levels[0])
    with pytest.raises(ValueError, match=r"y_pred\[-2\] must .*Received"):
        MultiscaleDepthLoss()(truth, [levels[0], levels[2]])
    with pytest.raises(ValueError, match="y_true and y_pred .*Received"):
        MultiscaleDepthLoss()(truth[:0], levels[-1][:0])


def test_a_loss_is_restored_from_its_configuration():
    loss = MultiscaleDepthLoss((1, 2), 0.1, 0.9, "inverse", (1, 9), 3, True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()


def test_known_values_are_shrunk_as_cell_by_cell(rng):
    values = rng.random((2, 7, 9, 1)).astype("float32")
    weight = (rng.random((2, 7, 9, 1)) < 0.5).astype("float32")
    weight[:, :4, :4] = 0
    found = map(ops.convert_to_numpy, shrink_known(values, weight, 4))
    for ours, expected in zip(found, shrunk(values, weight, 4), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_smoothness_equals_its_definition(rng):
    values = rng.random((2, 5, 6, 1)).astype("float32")
    images = rng.random((2, 5, 6, 3)).astype("float32")
    scaled = values.astype("float64") / values.mean((1, 2), keepdims=True)
    expected = 0.0
    for axis in (1, 2):
        edges = np.abs(np.diff(images, axis=axis)).mean(-1, keepdims=True)
        expected += (np.abs(np.diff(scaled, axis=axis)) * np.exp(-edges)).mean()
    assert float(edge_aware_smoothness(values, images)) == pytest.approx(expected, rel=1e-5)
    assert float(edge_aware_smoothness(values[:, :1, :1], images[:, :1, :1])) == 0
    with pytest.raises(ValueError, match="Received"):
        edge_aware_smoothness(values, images[:, :4])
