import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.metrics import DepthAccuracy, depth_metrics
from c2f_zoo.metrics.depth import masked_median

LIMITS = (0.2, 15.0)


@pytest.fixture
def maps(rng):
    truth = rng.uniform(0.1, 16, (5, 6, 7, 1)).astype("float32")
    estimate = (2 * truth * np.exp(rng.normal(0, 0.3, truth.shape))).astype("float32")
    truth[0, 0, :4, 0] = 0, np.nan, np.inf, -1
    valid = (rng.random(truth.shape) < 0.8).astype("float32")
    valid[3] = 0  # nothing of it is known
    return truth, estimate, valid


def reference(truth, estimate, valid, scaling):
    """The definitions, image by image in float64."""
    rows = []
    for d, e, v in zip(truth, estimate, valid, strict=True):
        with np.errstate(invalid="ignore"):
            known = (d >= LIMITS[0]) & (d <= LIMITS[1]) & (v > 0)
        if not known.any():
            continue
        d, e = d[known].astype("float64"), e[known].astype("float64")
        if scaling:
            e = e * np.median(d) / np.median(e)
        e = np.clip(e, *LIMITS)
        ratio = np.log(e) - np.log(d)
        row = {
            "abs_rel": np.mean(np.abs(e - d) / d),
            "sq_rel": np.mean((e - d) ** 2 / d),
            "rmse": np.sqrt(np.mean((e - d) ** 2)),
            "rmse_log": np.sqrt(np.mean(ratio**2)),
            "silog": 100 * np.sqrt(np.mean(ratio**2) - np.mean(ratio) ** 2),
        }
        for power in (1, 2, 3):
            row[f"delta_{power}"] = np.mean(np.maximum(e / d, d / e) < 1.25**power)
        rows.append(row)
    ending = "_scaled" if scaling else ""
    return {name + ending: np.mean([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("scaling", [None, "median"])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_metrics_equal_their_definitions_whatever_the_batches(maps, scaling, batch_size):
    metrics = depth_metrics(scaling, LIMITS)
    for first in range(0, 5, batch_size):
        truth, estimate, valid = (part[first : first + batch_size] for part in maps)
        for metric in metrics:
            metric.update_state(truth, estimate, sample_weight=valid)
    found = {metric.name: float(metric.result()) for metric in metrics}
    assert found == pytest.approx(reference(*maps, scaling), rel=1e-4)


def test_a_wrong_scale_does_not_matter_to_scaled_metrics(maps):
    truth, estimate, valid = maps
    for metric in depth_metrics("median"):
        metric.update_state(truth, estimate, valid)
        expected = float(metric.result())
        metric.reset_state()
        metric.update_state(truth, 7 * estimate, valid)
        assert float(metric.result()) == pytest.approx(expected, rel=1e-4)


def test_masks_may_have_other_shapes(maps):
    truth, estimate, valid = maps
    results = []
    for mask in (valid, valid[..., 0]):
        metric = DepthAccuracy(2, limits=LIMITS)
        metric.update_state(truth, estimate, mask)
        results.append(float(metric.result()))
    assert results[0] == results[1]
    metric.reset_state()
    metric.update_state(truth, estimate, np.array([1, 0, 0, 0, 1], "float32"))
    expected = reference(truth[::4], estimate[::4], np.ones_like(truth[::4]), None)["delta_2"]
    assert float(metric.result()) == pytest.approx(expected)


def test_a_perfect_estimate(maps):
    truth = np.abs(maps[0]) + 1
    truth[~np.isfinite(truth)] = 0
    for metric in depth_metrics():
        metric.update_state(truth, truth)
        expected = 1.0 if "delta" in metric.name else 0.0
        assert float(metric.result()) == pytest.approx(expected, abs=1e-5)


def test_nothing_known_is_nan_and_an_estimate_of_nan_is_not_accurate(maps):
    truth, estimate, _ = maps
    for metric in depth_metrics("median"):
        metric.update_state(np.zeros_like(truth), estimate)
        assert np.isnan(float(metric.result()))
    metric = DepthAccuracy(limits=LIMITS)
    metric.update_state(np.ones((1, 1, 2, 1)), np.array([1.0, np.nan]).reshape(1, 1, 2, 1))
    assert float(metric.result()) == 0.5


def test_the_median_of_the_known_is_numpys(rng):
    values = rng.normal(size=(6, 9)).astype("float32")
    known = rng.random((6, 9)) < 0.6
    known[0], known[1] = False, np.arange(9) == 4
    found = ops.convert_to_numpy(masked_median(values, known))
    assert found[0] == np.inf
    expected = [np.median(row[some]) for row, some in zip(values[1:], known[1:], strict=True)]
    np.testing.assert_allclose(found[1:], expected, rtol=1e-6)


def test_bad_arguments_and_shapes_are_refused():
    with pytest.raises(ValueError, match="scaling .*Received: 'mean'"):
        depth_metrics("mean")
    with pytest.raises(ValueError, match="limits.*Received: 0"):
        depth_metrics(limits=(0, 10))
    with pytest.raises(ValueError, match="power .*Received: 0"):
        DepthAccuracy(0)
    with pytest.raises(ValueError, match="y_true and y_pred .*Received"):
        DepthAccuracy().update_state(np.ones((1, 2, 2, 1)), np.ones((1, 2, 3, 1)))


def test_metrics_are_restored_from_their_configuration():
    for metric in depth_metrics("median", (1, 9)):
        saved = keras.saving.serialize_keras_object(metric)
        assert keras.saving.deserialize_keras_object(saved).get_config() == metric.get_config()
