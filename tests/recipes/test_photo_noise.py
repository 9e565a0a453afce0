"""The noise that the denoiser learns from: its statistics, its files, and what is measured."""

import importlib

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.metrics import psnr

SHAPE = (64, 80)


@pytest.fixture
def noise():
    return importlib.import_module("training.restoration.noise")


class Grey128:
    """A source of patches of one level of grey, by which noise is seen alone."""

    def __len__(self):
        return 100

    def samples(self, indices, random):
        return np.full((len(indices), 64, 64, 3), 128, "uint8")


def drawn(count, make):
    random = np.random.default_rng(0)
    return np.stack([make(random) for _ in range(count)])


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


@pytest.mark.parametrize("grain", ["white", "grey", "mixed", "coarse"])
def test_every_noise_has_a_standard_deviation_of_1(noise, grain):
    found = drawn(100, lambda random: noise.noise(grain, SHAPE, random))
    assert found.shape == (100, *SHAPE, 3)
    assert found.std() == pytest.approx(1, abs=0.02) and found.mean() == pytest.approx(0, abs=0.02)


def test_white_noise_is_independent_and_grey_noise_equal_in_the_channels(noise):
    white = drawn(20, lambda random: noise.noise("white", SHAPE, random))
    assert abs(correlation(white[..., 0], white[..., 1])) < 0.02
    assert abs(correlation(white[:, 1:], white[:, :-1])) < 0.02
    grey = drawn(2, lambda random: noise.noise("grey", SHAPE, random))
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize("angle, expected", [(0, 1), (np.pi / 4, 0), (np.pi / 2, -0.5)])
def test_channels_are_correlated_by_the_share_of_luma(noise, angle, expected):
    found = drawn(20, lambda random: noise.mixed(random.standard_normal((*SHAPE, 3)), angle))
    assert found.std() == pytest.approx(1, abs=0.02)
    assert correlation(found[..., 0], found[..., 1]) == pytest.approx(expected, abs=0.02)


def autocorrelation(kernel, lag):
    """Of samples 2 pixels apart that are interpolated, by sums over fine steps of the phase."""
    t = np.linspace(-8, 8, 16_001)

    def value(x):
        x = np.abs(x)
        if kernel == "box":
            return (x < 0.5) * 1.0
        if kernel == "linear":
            return np.maximum(1 - x, 0)
        return np.where(
            x < 1, 1.5 * x**3 - 2.5 * x**2 + 1,
            np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0),
        )  # fmt: skip

    return np.sum(value(t) * value(t + lag / 2)) / np.sum(value(t) ** 2)


@pytest.mark.parametrize("kernel", ["box", "linear", "cubic"])
def test_noise_of_half_the_resolution_is_as_coarse_as_its_interpolation(noise, kernel):
    found = drawn(100, lambda random: noise.coarse(SHAPE, kernel, 2.0, random))
    assert found.std() == pytest.approx(1, abs=0.02)
    for lag in (1, 2):
        expected = autocorrelation(kernel, lag)
        assert correlation(found[:, lag:], found[:, :-lag]) == pytest.approx(expected, abs=0.03)
        across = correlation(found[:, :, lag:], found[:, :, :-lag])
        assert across == pytest.approx(expected, abs=0.03)
    assert abs(correlation(found[..., 0], found[..., 1])) < 0.03


def test_blurred_noise_has_the_gaussian_s_autocorrelation(noise):
    found = drawn(100, lambda random: noise.coarse(SHAPE, "gaussian", 2.0, random))
    assert found.std() == pytest.approx(1, abs=0.03)
    # A Gaussian of 1 pixel, with itself: of sqrt(2) pixels.
    for lag in (1, 2):
        assert correlation(found[:, lag:], found[:, :-lag]) == pytest.approx(
            np.exp(-(lag**2) / 4), abs=0.03
        )


def test_samples_follow_from_the_generator_alone(noise):
    source = noise.NoisyPhotos(Grey128(), 32)
    first, again, other = (
        source.samples(np.arange(16), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0])
    noisy, clean = first
    assert noisy.shape == clean.shape == (16, 32, 32, 3)
    assert noisy.dtype == np.float32 and clean.dtype == np.uint8


def test_two_in_five_samples_are_plain_and_some_are_nearly_clean(noise):
    source = noise.NoisyPhotos(Grey128(), 32)
    noisy, clean = source.samples(np.arange(600), np.random.default_rng(0))
    levels = 255.0 * (noisy - clean / np.float32(255))
    in_bytes = np.abs(levels - np.rint(levels)).max(axis=(1, 2, 3)) < 1e-3
    # Those that are plain, and a quarter of the others.
    assert np.mean(~in_bytes) == pytest.approx(0.4 + 0.6 * 0.25, abs=0.06)
    sigma = levels.std(axis=(1, 2, 3))
    assert sigma.max() < 70 and np.mean(sigma < 5) == pytest.approx(0.08 + 0.92 / 11, abs=0.05)
    assert abs(levels.mean()) < 0.5


@pytest.mark.parametrize("finish", ["none", "bytes", "jpeg"])
def test_a_grey_photograph_stays_grey(noise, monkeypatch, finish):
    monkeypatch.setattr(noise, "PLAIN", 0.0)
    monkeypatch.setattr(noise, "GREY_PHOTOGRAPHS", 1.0)
    monkeypatch.setattr(noise, "GRAINS", {"grey": 1.0})
    monkeypatch.setattr(noise, "FINISHES", {finish: 1.0})
    patch = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    noisy, clean = noise.NoisyPhotos(None, 32).pair(patch, np.random.default_rng(1))
    for image in (noisy, clean):
        np.testing.assert_array_equal(image[..., 0], image[..., 1])
        np.testing.assert_array_equal(image[..., 0], image[..., 2])
    if finish != "none":
        np.testing.assert_allclose(noisy * 255, np.rint(noisy * 255), atol=1e-3)
        assert noisy.min() >= 0 and noisy.max() <= 1


def test_blocks_of_jpeg_begin_anywhere_in_a_patch(noise, monkeypatch):
    monkeypatch.setattr(noise, "PLAIN", 0.0)
    monkeypatch.setattr(noise, "GRAINS", {"white": 1.0})
    monkeypatch.setattr(noise, "FINISHES", {"jpeg": 1.0})
    # Left halves dark and right ones light within blocks of 8 pixels tell where these begin.
    pattern = np.where(np.arange(64) % 8 < 4, 80, 160).astype("uint8")
    patch = np.broadcast_to(pattern[None, :, None], (64, 64, 3))
    source = noise.NoisyPhotos(None, 32, level=(0, 0), little=(0, 0))
    random = np.random.default_rng(0)
    begins = {tuple(source.pair(patch, random)[1][0, :8, 0] < 100) for _ in range(60)}
    assert len(begins) == 8


def test_every_way_of_validation_degrades_as_it_says(noise):
    clean = np.random.default_rng(0).integers(60, 200, (3, 64, 64, 3), "uint8")
    sets = noise.validation_sets(clean, seed=1)
    assert list(sets) == ["white", "bytes", "grey", "coarse", "jpeg", "clean"]
    levels = {name: 255.0 * (given - truth) for name, (given, truth) in sets.items()}
    for name in ("white", "bytes", "grey", "coarse"):
        assert levels[name].std() == pytest.approx(25, rel=0.05)
    assert levels["clean"].std() < 2.5
    for name in ("bytes", "jpeg", "clean"):
        np.testing.assert_allclose(levels[name], np.rint(levels[name]), atol=1e-3)
    given, truth = sets["grey"]
    assert np.ptp(given, axis=-1).max() < 1e-6 and np.ptp(truth, axis=-1).max() == 0
    again = noise.validation_sets(clean, seed=1)
    np.testing.assert_array_equal(sets["coarse"][0], again["coarse"][0])


def test_the_best_weights_by_the_mean_over_the_sets_are_kept(noise, tmp_path):
    validation = importlib.import_module("training.restoration.validation")
    from c2f_zoo.hub import load
    from c2f_zoo.models import RestorationResNet
    from c2f_zoo.training import Multilevel, MultilevelSchedule
    from c2f_zoo.training.ema import take_average

    recipe = importlib.import_module("training.restoration.unet_denoise_real").RECIPE
    network = RestorationResNet(4, 1, time_embedding=False)
    training = Multilevel(network, schedule=MultilevelSchedule.single(2, 4))
    training.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), "mse")
    random = np.random.default_rng(0)
    clean = random.random((2, 16, 16, 3), dtype="float32")
    sets = {"a": (clean, clean), "b": (clean * 0.5, clean)}
    callback = validation.Validation(sets, recipe, tmp_path)
    before = []

    class Spy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            average = training.optimizer._model_variables_moving_average
            before.append([np.copy(to_numpy(variable)) for variable in average])
            self.logs = dict(logs)

    training.fit(clean, clean, epochs=1, steps_per_epoch=3, verbose=0, callbacks=[callback, Spy()])
    # After `fit` the network has the average itself; on JAX in one buffer with the optimizer.
    take_average(training)
    made = [to_numpy(network(given)).clip(0, 1) for given, _ in sets.values()]
    expected = [float(np.mean(to_numpy(psnr(clean, image)))) for image in made]
    logs = callback.measured()
    assert [logs["val_psnr_a"], logs["val_psnr_b"]] == pytest.approx(expected, abs=1e-3)
    assert logs["val_psnr"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert callback.best == pytest.approx(logs["val_psnr"], abs=1e-3)
    kept = load(str(tmp_path / "best" / recipe.preset))
    for a, b in zip(kept.trainable_weights, before[0], strict=True):
        np.testing.assert_allclose(to_numpy(a), b, rtol=1e-3, atol=1e-4)
    resumed = validation.Validation(sets, recipe, tmp_path)
    resumed.set_model(training)
    resumed.on_train_begin()
    assert resumed.best == callback.best
    resumed.best += 1
    resumed.on_epoch_end(1, {})
    assert (tmp_path / "best.txt").read_text() == f"{callback.best!r} dB after 3 steps\n"
