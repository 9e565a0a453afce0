"""Tests of the flow metrics against their definitions in float64 numpy."""

import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.metrics import AngularError, EndPointError, OutlierRate, flow_metrics

MAKERS = {
    "epe": EndPointError,
    "epe_10_40": lambda **kw: EndPointError(min_magnitude=10, max_magnitude=40, **kw),
    "fl_all": OutlierRate,
    "angular_error": AngularError,
}


def random_flows(seed=0, shape=(3, 5, 7, 2), scale=25.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, scale, shape)
    return truth, truth + rng.standard_t(2, shape) * 2


def per_pixel_reference(name, truth, estimate):
    """The papers' formulas, literally, in float64."""
    error = np.linalg.norm(estimate - truth, axis=-1)
    length = np.linalg.norm(truth, axis=-1)
    counted = np.ones(error.shape, bool)
    if name == "epe_10_40":
        counted = (length >= 10) & (length < 40)
    if name == "fl_all":
        error = 100.0 * ((error > 3) & (error > 0.05 * length))
    if name == "angular_error":
        one = np.ones((*error.shape, 1))
        a, b = (np.concatenate([flow, one], -1) for flow in (truth, estimate))
        cosine = np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        error = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return error, counted


def reference(name, truth, estimate, weight=None):
    figure, counted = per_pixel_reference(name, truth, estimate)
    weight = counted * (1.0 if weight is None else weight)
    return np.sum(figure * weight) / np.sum(weight)


@pytest.mark.parametrize("name", MAKERS)
def test_metric_equals_its_definition_over_all_pixels_of_all_batches(name):
    metric = MAKERS[name]()
    truth, estimate = random_flows()
    metric.update_state(truth[:1], estimate[:1])
    metric.update_state(truth[1:], estimate[1:])
    assert float(metric.result()) == pytest.approx(reference(name, truth, estimate), rel=1e-5)
    assert metric.name == name


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("shape", [(3, 5, 7, 1), (3, 5, 7), (3,)])
def test_weights_of_every_shape_weigh_pixels(name, shape):
    truth, estimate = random_flows(1)
    weight = np.random.default_rng(2).choice([0.0, 0.5, 1.0, 2.0], shape)
    weight.flat[0] = 1.0
    metric = MAKERS[name]()
    metric.update_state(truth, estimate, sample_weight=weight)
    pixels = np.broadcast_to(weight.reshape(3, *(shape[1:3] or (1, 1))), (3, 5, 7))
    assert float(metric.result()) == pytest.approx(
        reference(name, truth, estimate, pixels), rel=1e-5
    )


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e10, 3e38])
def test_invalid_ground_truth_may_hold_anything(name, garbage):
    truth, estimate = random_flows(3)
    valid = np.random.default_rng(4).integers(0, 2, (3, 5, 7))
    expected = reference(name, truth, estimate, valid)
    truth[valid == 0] = garbage
    estimate[0][valid[0] == 0] = garbage
    metric = MAKERS[name]()
    metric.update_state(truth, estimate, sample_weight=valid)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_counted_is_nan_and_a_later_batch_still_counts(name):
    metric = MAKERS[name]()
    assert math.isnan(float(metric.result()))
    truth, estimate = random_flows(5)
    metric.update_state(truth, estimate, sample_weight=np.zeros(3))
    assert math.isnan(float(metric.result()))
    metric.update_state(truth, estimate)
    assert float(metric.result()) == pytest.approx(reference(name, truth, estimate), rel=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_reset_forgets_everything(name):
    metric = MAKERS[name]()
    metric.update_state(*random_flows(6))
    metric.reset_state()
    assert math.isnan(float(metric.result()))
    assert all(float(variable) == 0 for variable in metric.variables)


@pytest.mark.parametrize("name", MAKERS)
def test_config_round_trip_keeps_the_metric(name):
    metric = MAKERS[name](name="renamed")
    config = json.loads(json.dumps(keras.metrics.serialize(metric)))
    copy = keras.metrics.deserialize(config)
    assert type(copy) is type(metric) and copy.get_config() == metric.get_config()
    truth, estimate = random_flows(7)
    metric.update_state(truth, estimate)
    copy.update_state(truth, estimate)
    assert float(copy.result()) == float(metric.result()) and copy.name == "renamed"


def test_magnitude_ranges_partition_the_pixels():
    truth = np.zeros((1, 1, 4, 2))
    truth[0, 0, :, 0] = (9.999, 10.0, 39.999, 40.0)
    estimate = truth + np.array([(0, 1), (0, 2), (0, 4), (0, 8)])[None, None]
    metrics = flow_metrics()[:4]
    for metric in metrics:
        metric.update_state(truth, estimate)
    values = [float(metric.result()) for metric in metrics]
    assert values == pytest.approx([15 / 4, 1.0, 3.0, 8.0])


def test_outliers_exceed_both_thresholds():
    truth = np.zeros((1, 1, 5, 2))
    truth[0, 0, :, 0] = (0, 0, 100, 100, 50)
    estimate = truth.copy()
    estimate[0, 0, :, 1] = (3.0, 3.01, 4.9, 5.1, 2.9)
    metric = OutlierRate()
    metric.update_state(truth, estimate)
    assert float(metric.result()) == pytest.approx(40.0)


def test_an_estimate_of_nan_is_an_outlier_and_shows_in_the_error():
    truth = np.zeros((1, 1, 2, 2))
    estimate = truth.copy()
    estimate[0, 0, 0] = math.nan
    rate, error = OutlierRate(), EndPointError()
    rate.update_state(truth, estimate)
    error.update_state(truth, estimate)
    assert float(rate.result()) == 50.0 and math.isnan(float(error.result()))


def test_small_angles_are_not_lost_to_rounding():
    truth = np.full((1, 4, 4, 2), 30.0)
    estimate = truth + np.array([1e-3, 0.0])
    metric = AngularError(unit="radians")
    metric.update_state(truth, estimate)
    cross = np.cross((30.0, 30.0, 1.0), (30.001, 30.0, 1.0))
    dot = 30.0 * 30.001 + 30.0 * 30.0 + 1
    angle = math.atan2(np.linalg.norm(cross), dot)
    assert float(metric.result()) == pytest.approx(angle, rel=1e-3)


@pytest.mark.parametrize(("count", "compiled"), [(200, False), (1000, True)])
def test_many_large_images_lose_no_precision(count, compiled):
    metric = EndPointError()
    rng = np.random.default_rng(8)
    truth = np.zeros((1, 4, 4, 2), "float32")
    exact_sum = exact_count = 0.0

    def update(variables, estimate, weight):
        return metric.stateless_update_state(variables, truth, estimate, sample_weight=weight)

    if compiled:
        from c2f_zoo.backend import jit

        update = jit(update, xla=True)
    variables = [ops.convert_to_tensor(variable) for variable in metric.variables]
    for _ in range(count):
        # Each of the 16 pixels weighs 65536: a batch stands for a megapixel, of odd error.
        estimate = rng.uniform(0.9, 1.1, truth.shape).astype("float32")
        weight = np.full((1, 4, 4), 65536 + rng.integers(0, 7), "float32")
        variables = update(
            variables, ops.convert_to_tensor(estimate), ops.convert_to_tensor(weight)
        )
        exact_sum += np.sum(np.linalg.norm(estimate.astype("float64"), axis=-1) * weight)
        exact_count += np.sum(weight, dtype="float64")
    pixels = float(variables[2]) + float(variables[3])
    assert pixels == exact_count
    result = float(metric.stateless_result(variables))
    assert result == pytest.approx(exact_sum / exact_count, rel=2e-7)


def test_small_additions_to_a_huge_sum_are_kept():
    metric = EndPointError()
    truth = np.zeros((1, 1, 1, 2), "float32")
    one = np.array([[[[1.0, 0.0]]]], "float32")
    metric.update_state(truth, one, sample_weight=np.array([2.0**31]))
    for _ in range(300):
        metric.update_state(truth, one)
    total, total_rounding, count, count_rounding = (float(v) for v in metric.variables)
    assert total + total_rounding == 2.0**31 + 300 and count + count_rounding == 2.0**31 + 300


def test_metrics_work_under_fit_and_evaluate_with_a_validity_mask():
    truth, _ = random_flows(9, (4, 8, 8, 2))
    valid = np.random.default_rng(10).integers(0, 2, (4, 8, 8, 1)).astype("float32")
    images = np.random.default_rng(11).normal(size=(4, 8, 8, 2)).astype("float32")
    estimate = images * 0.5
    expected = {name: reference(name, truth, estimate, valid[..., 0]) for name in MAKERS}
    garbled = np.where(valid > 0, truth, 1e10).astype("float32")
    model = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Rescaling(0.5)])
    model.compile("sgd", loss="mae", weighted_metrics=[make() for make in MAKERS.values()])
    logs = model.evaluate(
        images, garbled, batch_size=3, verbose=0, sample_weight=valid, return_dict=True
    )
    for name in MAKERS:
        assert float(logs[name]) == pytest.approx(expected[name], rel=1e-4)

    trained = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(2, 1)])
    trained.compile("sgd", loss="mae", weighted_metrics=flow_metrics())
    history = trained.fit(images, np.where(valid > 0, truth, 0), sample_weight=valid, verbose=0)
    assert math.isfinite(history.history["epe"][0])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_estimates_are_measured_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        metric = EndPointError()
        truth = np.full((1, 2, 2, 2), 300.25, "float32")
        estimate = ops.cast(ops.full((1, 2, 2, 2), 300.0), policy.removeprefix("mixed_"))
        metric.update_state(truth, estimate)
        assert all(variable.dtype == "float32" for variable in metric.variables)
        assert float(metric.result()) == pytest.approx(0.25 * math.sqrt(2), rel=1e-6)
    finally:
        keras.config.set_dtype_policy("float32")


def test_metric_has_four_variables_that_survive_a_state_round_trip():
    metric = EndPointError()
    assert len(metric.variables) == 4
    metric.update_state(*random_flows(12))
    copy = EndPointError()
    for source, target in zip(metric.variables, copy.variables, strict=True):
        target.assign(source)
    assert float(copy.result()) == float(metric.result())


def test_wrong_arguments_are_named():
    truth, estimate = random_flows()
    with pytest.raises(ValueError, match=r"Received: shapes \(3, 5, 7, 2\) and \(3, 4, 7, 2\)"):
        EndPointError().update_state(truth, estimate[:, :4])
    with pytest.raises(ValueError, match=r"Received: shape \(3, 5, 7, 2\)"):
        EndPointError().update_state(truth, estimate, sample_weight=truth)
    with pytest.raises(ValueError, match="Received: min_magnitude=10, max_magnitude=10"):
        EndPointError(min_magnitude=10, max_magnitude=10)
    with pytest.raises(ValueError, match="Received: 'turns'"):
        AngularError(unit="turns")
