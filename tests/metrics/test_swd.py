import cv2
import numpy as np
import pytest
import scipy.ndimage

import c2f_zoo.metrics.swd as module
from c2f_zoo.metrics import SlicedWasserstein, laplacian_pyramid


def photographs(rng, count=12, size=32, blur=2.0):
    noise = rng.random((count, size, size, 3))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, blur, blur, 0), mode="wrap")
    low, high = smooth.min(), smooth.max()
    return np.rint((smooth - low) / (high - low) * 255).astype(np.uint8)


def distances(real, fake, repeats=2, directions=32, **options):
    metric = SlicedWasserstein(repeats=repeats, directions=directions, **options)
    metric.update_real(real)
    metric.update_fake(fake)
    return metric.result()


@pytest.mark.parametrize("shape", [(32, 32), (32, 48), (64, 16)])
def test_the_pyramid_is_that_of_opencv(shape, rng):
    images = rng.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    levels = laplacian_pyramid(images, 3)
    for index, image in enumerate(images.astype(np.float32)):
        for level in levels[:-1]:
            smaller = cv2.pyrDown(image)
            np.testing.assert_allclose(level[index], image - cv2.pyrUp(smaller), atol=2e-4)
            image = smaller
        np.testing.assert_allclose(levels[-1][index], image, atol=2e-4)


def test_the_pyramid_is_that_of_the_released_code(rng):
    image = rng.random((16, 16)).astype(np.float32) * 255
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    small = scipy.ndimage.convolve(image, kernel, mode="mirror")[::2, ::2]
    enlarged = np.zeros((16, 16))
    enlarged[::2, ::2] = small
    enlarged = scipy.ndimage.convolve(enlarged, kernel * 4, mode="mirror")
    fine, coarse = laplacian_pyramid(image[None, ..., None], 2)
    np.testing.assert_allclose(coarse[0, ..., 0], small, atol=1e-4)
    np.testing.assert_allclose(fine[0, ..., 0], image - enlarged, atol=1e-4)


def slow_distance(real, fake, patches, repeats, directions, seed, height):
    """One level, written out: the same places and directions, one patch and direction at a time."""
    sets = []
    for which, images in enumerate((real, fake)):
        rng = np.random.default_rng((seed, which))
        width = images.shape[2]
        left = rng.integers(0, width - 6, len(images) * patches)
        top = rng.integers(0, images.shape[1] - 6, len(images) * patches)
        found = []
        for number, (x, y) in enumerate(zip(left, top, strict=True)):
            patch = images[number // patches][y : y + 7, x : x + 7]
            found.append(patch.transpose(2, 0, 1))
        found = np.array(found, np.float64)
        found -= found.mean(axis=(0, 2, 3), keepdims=True)
        found /= found.std(axis=(0, 2, 3), keepdims=True)
        sets.append(found.reshape(len(found), -1))
    rng = np.random.default_rng((seed, 2, height))
    results = []
    for _ in range(repeats):
        axes = rng.standard_normal((147, directions))
        for axis in (axes / np.sqrt((axes**2).sum(axis=0))).T:
            results.append(np.abs(np.sort(sets[0] @ axis) - np.sort(sets[1] @ axis)).mean())
    return np.mean(results) * 1e3


def test_the_distance_is_the_definition_written_out(rng, monkeypatch):
    real, fake = photographs(rng, size=16), photographs(rng, size=16, blur=0.7)
    expected = slow_distance(real, fake, 20, 2, 5, 7, 16)
    options = {"patches_per_image": 20, "repeats": 2, "directions": 5, "seed": 7}
    assert distances(real, fake, **options)["swd"] == pytest.approx(expected, rel=1e-4)
    monkeypatch.setattr(module, "_BLOCK", 500)  # in blocks of 2 directions and 3 rows
    found = distances(real, fake, memory_limit=1000, **options)
    assert found == {"swd_16": found["swd"], "swd": pytest.approx(expected, rel=1e-4)}


def test_levels_run_down_to_16_and_the_last_figure_is_their_mean(rng):
    found = distances(photographs(rng, size=64), photographs(rng, size=64))
    assert list(found) == ["swd_64", "swd_32", "swd_16", "swd"]
    assert found["swd"] == pytest.approx(np.mean(list(found.values())[:3]))


def test_equal_distributions_are_near_and_another_texture_is_far(rng):
    real = photographs(rng, 60)
    same = distances(real[:30], real[30:])
    other = distances(real[:30], photographs(rng, 30, blur=0.5))
    assert same["swd_32"] * 2 < other["swd_32"]


def test_batches_do_not_matter_to_what_is_compared(rng):
    real, fake = photographs(rng, 40), photographs(rng, 40, blur=1.0)
    whole = distances(real, fake)["swd"]
    metric = SlicedWasserstein(repeats=2, directions=32, memory_limit=10_000)
    for first in range(0, 40, 7):
        metric.update_fake(fake[first : first + 7] / np.float32(255))
        metric.update_real(real[first : first + 7])
    # Other random places of the patches.
    assert metric.result(progress=True)["swd"] == pytest.approx(whole, rel=0.1)


def test_the_same_images_give_the_same_figure_and_real_ones_can_be_kept(rng):
    real, fake = photographs(rng), photographs(rng)
    metric = SlicedWasserstein(repeats=2, directions=32)
    metric.update_real(real)
    metric.update_fake(fake)
    first = metric.result()
    metric.reset(keep_real=True)
    with pytest.raises(ValueError, match="Received: 0 generated, 12 real$"):
        metric.result()
    metric.update_fake(fake)
    assert metric.result() == first == distances(real, fake)
    metric.reset()
    metric.update_fake(real[:, :16, :16])
    metric.update_real(real[:, :16, :16])
    assert list(metric.result()) == ["swd_16", "swd"]


def test_images_and_options_that_do_not_fit_are_refused(rng):
    metric = SlicedWasserstein()
    metric.update_real(photographs(rng, 3))
    with pytest.raises(ValueError, match=r"one size, .*Received: \(64, 64, 3\)$"):
        metric.update_fake(photographs(rng, 3, 64))
    metric.update_fake(photographs(rng, 4))
    with pytest.raises(ValueError, match="Received: 4 generated, 3 real$"):
        metric.result()
    for shape in ((2, 8, 8, 3), (2, 32, 16, 3), (2, 33, 33, 3), (2, 32, 32, 1)):
        with pytest.raises(ValueError, match="Received: shape"):
            SlicedWasserstein().update_real(np.zeros(shape))
    with pytest.raises(ValueError, match="one colour. Received"):
        distances(np.zeros((2, 16, 16, 3)), np.zeros((2, 16, 16, 3)))
    with pytest.raises(ValueError, match="patch_size must be odd. Received: 6$"):
        SlicedWasserstein(patch_size=6)
    with pytest.raises(ValueError, match="repeats must be an integer >= 1. Received: 0$"):
        SlicedWasserstein(repeats=0)
