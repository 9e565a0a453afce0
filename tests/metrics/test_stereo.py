"""Tests of the stereo metrics against their definitions in float64 numpy."""

import json

import keras
import numpy as np
import pytest

from c2f_zoo.metrics import BadPixelRate, DisparityError, stereo_metrics

DEFINITIONS = {
    "epe": lambda error, truth: error,
    "bad_1": lambda error, truth: 100.0 * (error > 1),
    "bad_2": lambda error, truth: 100.0 * (error > 2),
    "bad_3": lambda error, truth: 100.0 * (error > 3),
    "d1": lambda error, truth: 100.0 * ((error > 3) & (error > 0.05 * truth)),
}


@pytest.fixture
def maps(rng):
    truth = rng.uniform(1, 250, (3, 5, 7, 1))
    estimate = truth + 4 * rng.standard_t(2, truth.shape)
    return truth, estimate


@pytest.mark.parametrize("max_disparity", [None, 192])
@pytest.mark.parametrize("index", range(5))
def test_metric_equals_its_definition_over_all_pixels_of_all_batches(maps, index, max_disparity):
    truth, estimate = maps
    metric = stereo_metrics(max_disparity)[index]
    metric.update_state(truth[:1], estimate[:1])
    metric.update_state(truth[1:], estimate[1:])
    figure = DEFINITIONS[metric.name](np.abs(estimate - truth), truth)
    expected = figure[truth < (max_disparity or np.inf)].mean()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_unknown_and_occluded_pixels_do_not_count():
    truth = np.array([10.0, 0.0, -1.0, np.inf, np.nan, 20.0, 30.0]).reshape(1, 1, 7, 1)
    estimate = np.array([12.0, 5.0, 5.0, 5.0, 5.0, 24.0, 99.0]).reshape(1, 1, 7, 1)
    visible = np.array([1, 1, 1, 1, 1, 1, 0]).reshape(1, 1, 7, 1)
    metric = DisparityError()
    metric.update_state(truth, estimate, visible)
    assert float(metric.result()) == 3


def test_an_estimate_of_nan_is_wrong():
    metric = BadPixelRate(1)
    metric.update_state(np.full((1, 1, 2, 1), 9.0), np.array([9.0, np.nan]).reshape(1, 1, 2, 1))
    assert float(metric.result()) == 50


def test_nothing_counted_is_nan_rather_than_perfect():
    metric = DisparityError()
    metric.update_state(np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("index", range(5))
def test_a_metric_is_made_again_from_json(index):
    metric = stereo_metrics(64)[index]
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.name == metric.name and again.get_config() == metric.get_config()


def test_wrong_settings_and_shapes_are_named():
    with pytest.raises(ValueError, match="threshold.*Received: -1$"):
        BadPixelRate(-1)
    with pytest.raises(ValueError, match="max_disparity.*Received: 0$"):
        DisparityError(0)
    with pytest.raises(ValueError, match=r"\(B, H, W, 1\). Received: shapes"):
        DisparityError().update_state(np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2, 2)))
