"""PSNR, SSIM and MS-SSIM against their definitions, scikit-image and TensorFlow."""

import json
import math

import keras
import numpy as np
import pytest
import scipy.ndimage
from keras import ops

from c2f_zoo.layers import luma
from c2f_zoo.metrics import MSSSIM, PSNR, SSIM, ms_ssim, psnr, ssim
from c2f_zoo.metrics.pairwise_ms_ssim import similarity_of_pairs

FIGURES = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
METRICS = {PSNR: psnr, SSIM: ssim, MSSSIM: ms_ssim}


def pairs(seed=0, count=3, size=(48, 57), noise=0.08):
    """Smooth images in [0, 1] and the same with noise."""
    rng = np.random.default_rng(seed)
    smooth = scipy.ndimage.gaussian_filter(rng.random((count, *size, 3)), (0, 3, 3, 0))
    truth = np.clip((smooth - 0.5) * 5 + 0.5, 0, 1)
    return truth, truth + noise * rng.normal(size=truth.shape)


def reference_luma(images):
    """MATLAB's matrix, written out, in float64."""
    return (16 + images @ np.array([65.481, 128.553, 24.966]))[..., None] / 255


def slow_ssim(x, y):
    """SSIM of one channel, window by window."""
    offset = np.arange(11) - 5
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
            values.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return np.mean(values)


def given(function, *arguments, **options):
    return ops.convert_to_numpy(function(*arguments, **options))


@pytest.mark.parametrize("channel", ["rgb", "y"])
@pytest.mark.parametrize("border", [0, 3])
def test_psnr_is_that_of_the_mean_squared_error(channel, border):
    truth, estimate = pairs()
    x, y = (reference_luma(i) if channel == "y" else i for i in (truth, estimate))
    inside = slice(border, -border or None)
    error = ((x - y) ** 2)[:, inside, inside].mean(axis=(1, 2, 3))
    found = given(psnr, truth, estimate, channel=channel, border=border)
    np.testing.assert_allclose(found, -10 * np.log10(error), atol=1e-4)


@pytest.mark.parametrize("channel", ["rgb", "y"])
@pytest.mark.parametrize("border", [0, 3])
def test_ssim_is_its_definition_window_by_window(channel, border):
    truth, estimate = pairs(count=1, size=(24, 19))
    x, y = (reference_luma(i) if channel == "y" else i for i in (truth, estimate))
    inside = slice(border, -border or None)
    x, y = x[0, inside, inside], y[0, inside, inside]
    expected = np.mean([slow_ssim(x[..., c], y[..., c]) for c in range(x.shape[-1])])
    found = given(ssim, truth, estimate, channel=channel, border=border)
    np.testing.assert_allclose(found, [expected], atol=1e-5)


def test_psnr_and_ssim_agree_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    truth, estimate = pairs()
    found = zip(given(psnr, truth, estimate), given(ssim, truth, estimate), strict=True)
    for x, y, (ratio, similarity) in zip(truth, estimate, found, strict=True):
        expected = skimage.peak_signal_noise_ratio(x, y, data_range=1)
        assert ratio == pytest.approx(expected, abs=1e-4)
        _, maps = skimage.structural_similarity(
            x,
            y,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
            full=True,
        )
        assert similarity == pytest.approx(maps[5:-5, 5:-5].mean(), abs=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with tf.image")
def test_all_agree_with_tensorflow():
    import tensorflow as tf

    truth, estimate = (x.astype("float32") for x in pairs(count=2, size=(181, 198)))
    np.testing.assert_allclose(given(psnr, truth, estimate), tf.image.psnr(truth, estimate, 1.0))
    np.testing.assert_allclose(
        given(ssim, truth, estimate), tf.image.ssim(truth, estimate, 1.0), atol=1e-5
    )
    # TensorFlow multiplies the scales channel by channel: one channel alone is the same.
    x, y = truth[..., :1], estimate[..., :1]
    expected = tf.image.ssim_multiscale(x, y, 1.0)
    np.testing.assert_allclose(given(ms_ssim, x, y), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 80), (176, 192)])
def test_ms_ssim_is_that_of_the_generative_models_metric(size):
    truth, estimate = pairs(size=size)
    expected = similarity_of_pairs(truth * 255, estimate * 255)
    assert 0.1 < expected.min() < expected.max() < 0.995
    np.testing.assert_allclose(given(ms_ssim, truth, estimate), expected, atol=1e-5)


def test_a_bright_even_image_loses_no_digits(rng):
    truth = 0.98 - rng.integers(0, 2, (1, 24, 24, 1)) / 255
    expected = slow_ssim(truth[0, ..., 0], np.full((24, 24), 0.98))
    np.testing.assert_allclose(given(ssim, truth, np.full_like(truth, 0.98)), [expected], atol=1e-5)


@pytest.mark.parametrize("name", FIGURES)
def test_uint8_images_equal_floats_over_255(name, rng):
    truth = rng.integers(0, 256, (2, 32, 32, 3), dtype="uint8")
    estimate = np.clip(truth + rng.normal(0, 9, truth.shape), 0, 255).astype("uint8")
    expected = given(FIGURES[name], truth / 255, estimate / 255)
    np.testing.assert_allclose(given(FIGURES[name], truth, estimate), expected, rtol=1e-5)
    np.testing.assert_allclose(given(FIGURES[name], truth, estimate / 255), expected, rtol=1e-5)


@pytest.mark.parametrize("metric_class", METRICS)
@pytest.mark.parametrize("channel", ["rgb", "y"])
def test_a_metric_is_the_mean_over_images_whatever_the_batches(metric_class, channel):
    truth, estimate = pairs(count=5, size=(32, 48))
    estimate[:2] += 0.1
    expected = given(METRICS[metric_class], truth, estimate, channel=channel, border=2)
    metric = metric_class(channel=channel, border=2)
    for part in (slice(0, 1), slice(1, 4), slice(4, 5)):
        metric.update_state(truth[part], estimate[part])
    assert float(metric.result()) == pytest.approx(expected.mean(), rel=1e-5)
    assert metric.name == METRICS[metric_class].__name__ + ("_y" if channel == "y" else "")

    metric.reset_state()
    assert math.isnan(float(metric.result()))
    weight = np.array([0, 1, 2, 0, 1.0])
    estimate[0] = np.nan  # of weight 0
    metric.update_state(truth, estimate, sample_weight=weight)
    assert float(metric.result()) == pytest.approx(np.average(expected[1:], weights=weight[1:]))

    again = metric_class.from_config(json.loads(json.dumps(metric.get_config())))
    assert (again.channel, again.border, again.name) == (channel, 2, metric.name)


def test_equal_images_have_no_noise_and_full_similarity():
    truth, estimate = pairs(size=(32, 32))
    assert np.isposinf(given(psnr, truth, truth)).all()
    metric = PSNR()
    metric.update_state(truth, estimate)
    metric.update_state(truth, truth)
    assert float(metric.result()) == math.inf
    for figure in (ssim, ms_ssim):
        np.testing.assert_allclose(given(figure, truth, truth), 1.0, rtol=1e-6)


def test_nan_estimates_give_nan():
    truth, estimate = pairs(size=(32, 32))
    estimate[1, 20, 20] = np.nan
    for metric in (PSNR(), SSIM(), MSSSIM()):
        metric.update_state(truth, estimate)
        assert math.isnan(float(metric.result()))


def test_metrics_work_in_fit_and_from_a_file(tmp_path):
    truth, estimate = pairs(size=(32, 32))
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Rescaling(0.9)])
    model.compile("sgd", "mse", metrics=[PSNR(), SSIM("y"), MSSSIM()])
    logs = model.evaluate(estimate, truth, batch_size=2, verbose=0, return_dict=True)
    # A network of open size is measured as well as the function that sees the sizes.
    assert logs["psnr"] == pytest.approx(given(psnr, truth, 0.9 * estimate).mean(), rel=1e-5)
    expected = given(ssim, truth, 0.9 * estimate, channel="y").mean()
    assert logs["ssim_y"] == pytest.approx(expected, rel=1e-4)
    assert logs["ms_ssim"] == pytest.approx(given(ms_ssim, truth, 0.9 * estimate).mean(), rel=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again_logs = again.evaluate(estimate, truth, batch_size=2, verbose=0, return_dict=True)
    assert again_logs == pytest.approx(logs, rel=1e-5)


def test_luma_equals_matlab(rng):
    images = rng.random((2, 5, 7, 3))
    found = given(luma, images.astype("float32"))
    np.testing.assert_allclose(found, reference_luma(images), atol=1e-6)
    black, white = given(luma, np.array([[0.0] * 3, [1.0] * 3], "float32")).ravel() * 255
    assert (black, white) == (pytest.approx(16, abs=1e-4), pytest.approx(235, abs=1e-4))


def test_wrong_images_and_options_are_named():
    image, grey = np.zeros((1, 16, 16, 3)), np.zeros((1, 16, 16, 1))
    with pytest.raises(ValueError, match=r"shapes \(1, 16, 16, 3\) and \(1, 16, 16, 1\)$"):
        psnr(image, grey)
    with pytest.raises(ValueError, match=r"\(B, H, W, 3\). Received: shapes \(1, 16, 16, 1\)"):
        ssim(grey, grey, channel="y")
    with pytest.raises(ValueError, match=r"border of 8. Received: shape \(1, 16, 16, 3\)$"):
        psnr(image, image, border=8)
    with pytest.raises(ValueError, match=r"11x11.*Received: shape \(1, 16, 16, 3\)$"):
        ssim(image, image, border=3)
    with pytest.raises(ValueError, match=r"16x16.*Received: shape \(1, 16, 16, 3\)$"):
        ms_ssim(image, image, border=1)
    with pytest.raises(ValueError, match="Received: 'Y'$"):
        PSNR(channel="Y")
    with pytest.raises(ValueError, match="Received: -1$"):
        SSIM(border=-1)
    with pytest.raises(ValueError, match="dtype int32$"):
        psnr(image.astype("int32"), image)
    with pytest.raises(ValueError, match=r"sample_weight .*Received: shape \(1, 16, 16\)$"):
        PSNR().update_state(image, image, sample_weight=image[..., 0])
    with pytest.raises(ValueError, match=r"\(..., 3\). Received: shape \(1, 16, 16, 1\)$"):
        luma(grey)
