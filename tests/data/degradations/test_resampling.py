"""Tests of blur and resizing against slow references in float64."""

import numpy as np
import pytest
import scipy.ndimage

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import (
    Downsampling,
    GaussianBlur,
    KernelBlur,
    downsample,
    gaussian_blur,
    upsample_bicubic,
)

SIZES = [(1, 1), (8, 8), (15, 20), (33, 7), (128, 128)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", [0.3, 3.0, 40.0])
def test_gaussian_blur_is_scipys_with_wrapped_borders(size, sigma, rng):
    images = rng.random((2, *size, 3))
    expected = scipy.ndimage.gaussian_filter(
        images, (0, sigma, sigma, 0), mode="wrap", truncate=8.0
    )
    found = to_numpy(gaussian_blur(images, sigma))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_each_image_may_have_its_own_width(rng):
    images = rng.random((6, 21, 30, 1))
    degradation = GaussianBlur((0.5, 4.0), seed=3)
    found = to_numpy(degradation(images, index=2))
    numbers = degradation.draw(6, (21, 30), index=2)
    widths = []
    for image, blurred, rows in zip(images, found, numbers["rows"], strict=True):
        # The spectrum's first harmonic of a Gaussian is exp(-2 (pi sigma / N)^2).
        sigma = 21 / np.pi * np.sqrt(-0.5 * np.log(rows[1]))
        widths.append(sigma)
        expected = scipy.ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="wrap", truncate=9)
        np.testing.assert_allclose(blurred, expected, atol=1e-3)
    assert 0.4 < min(widths) < max(widths) < 4.1 and max(widths) - min(widths) > 0.5


def test_no_width_changes_nothing(rng):
    images = rng.random((1, 9, 10, 3))
    np.testing.assert_allclose(to_numpy(gaussian_blur(images, 0)), images, atol=1e-6)


@pytest.mark.parametrize("size", SIZES[:4])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 4), (2, 7), (25, 31)])
def test_a_kernel_is_convolved_by_its_definition(size, shape, rng):
    images, kernel = rng.random((2, *size, 2)), rng.normal(size=shape)
    expected = np.zeros_like(images)
    for (row, column), weight in np.ndenumerate(kernel):
        by = (row - shape[0] // 2, column - shape[1] // 2)
        expected += weight * np.roll(images, by, axis=(1, 2))
    scale = np.abs(kernel).sum()
    np.testing.assert_allclose(to_numpy(KernelBlur(kernel)(images)), expected, atol=1e-6 * scale)
    if size == (33, 7) and shape == (3, 5):
        again = [
            scipy.ndimage.convolve(image[..., channel], kernel, mode="wrap")
            for image in images
            for channel in range(2)
        ]
        again = np.stack(again).reshape(2, 2, *size).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(expected, again, atol=1e-12)


def test_the_fourier_transform_is_the_direct_one(rng):
    image, kernel = rng.random((1, 6, 5, 1)), rng.random((6, 5))
    rows, columns = (np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) for n in (6, 5))
    centred = np.roll(kernel, (-3, -2), axis=(0, 1))
    product = (rows @ image[0, ..., 0] @ columns) * (rows @ centred @ columns)
    expected = (rows.conj() @ product @ columns.conj()).real / 30
    np.testing.assert_allclose(to_numpy(KernelBlur(kernel)(image))[0, ..., 0], expected, atol=1e-5)


def keys_cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def triangle(x):
    return max(0.0, 1 - abs(x))


def slow_resize(signal, scale, kernel, antialias=True):
    """One dimension: each output from its definition, pixel by pixel over the mirrored line."""
    size, stretch = len(signal), min(scale, 1) if antialias else 1
    result = []
    for output in range(int(np.ceil(size * scale - 1e-9))):
        centre = (output + 0.5) / scale - 0.5
        total, weights = 0.0, 0.0
        reach = int(np.ceil(3 / stretch)) + 2
        for place in range(int(np.floor(centre)) - reach, int(np.floor(centre)) + reach + 1):
            weight = kernel((centre - place) * stretch)
            folded = place % (2 * size)
            total += weight * signal[folded if folded < size else 2 * size - 1 - folded]
            weights += weight
        result.append(total / weights)
    return np.array(result)


def slow_resize_images(images, scale, kernel, antialias=True):
    for axis in (1, 2):
        images = np.apply_along_axis(slow_resize, axis, images, scale, kernel, antialias)
    return images


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (12, 8), (7, 31)])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("method", "kernel"), [("bicubic", keys_cubic), ("bilinear", triangle)])
def test_downsampling_is_its_definition(size, factor, antialias, method, kernel, rng):
    images = rng.random((2, *size, 2))
    expected = slow_resize_images(images, 1 / factor, kernel, antialias)
    assert expected.shape == (2, -(-size[0] // factor), -(-size[1] // factor), 2)
    for function in (
        lambda x: downsample(x, factor, method, antialias),
        Downsampling(factor, method, antialias),
    ):
        np.testing.assert_allclose(to_numpy(function(images)), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (12, 8)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_bicubic_upsampling_is_its_definition(size, factor, rng):
    images = rng.random((2, *size, 2))
    expected = slow_resize_images(images, factor, keys_cubic)
    np.testing.assert_allclose(to_numpy(upsample_bicubic(images, factor)), expected, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_inside_the_image_it_is_pillows_bicubic(factor, rng):
    from PIL import Image

    image = rng.random((48, 60), dtype="float32")
    small, large = (
        np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
        for width, height in ((60 // factor, 48 // factor), (60 * factor, 48 * factor))
    )
    found = to_numpy(downsample(image[None, ..., None], factor))[0, ..., 0]
    np.testing.assert_allclose(found[2:-2, 2:-2], small[2:-2, 2:-2], atol=1e-5)
    found = to_numpy(upsample_bicubic(image[None, ..., None], factor))[0, ..., 0]
    inside = slice(2 * factor, -2 * factor)
    np.testing.assert_allclose(found[inside, inside], large[inside, inside], atol=1e-5)


def test_bilinear_without_antialiasing_halves_by_the_mean_of_cells(rng):
    images = rng.random((2, 6, 8, 3))
    cells = images.reshape(2, 3, 2, 4, 2, 3).mean((2, 4))
    found = to_numpy(downsample(images, 2, "bilinear", antialias=False))
    np.testing.assert_allclose(found, cells, atol=1e-6)


def test_a_constant_stays_constant():
    grey = np.full((1, 11, 14, 1), 0.3)
    for result in (downsample(grey, 3), upsample_bicubic(grey, 3), gaussian_blur(grey, 2.5)):
        np.testing.assert_allclose(to_numpy(result), 0.3, atol=1e-6)
