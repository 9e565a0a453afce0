import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from c2f_zoo.metrics import PairwiseMSSSIM, pairwise_ms_ssim
from c2f_zoo.metrics.pairwise_ms_ssim import similarity_of_pairs


def slow_ms_ssim(image1, image2):
    """One pair of images, as the released code computes it."""
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    x, y = image1.astype(np.float64), image2.astype(np.float64)
    product = 1.0
    for level, weight in enumerate(weights):
        size = min(11, *x.shape[:2])
        sigma = size * 1.5 / 11
        radius = size // 2
        grid = np.arange(-radius, radius + 1) if size % 2 else np.arange(-radius, radius) + 0.5
        rows, columns = np.meshgrid(grid, grid)
        window = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
        window = (window / window.sum())[..., None]

        def blur(image, window=window):
            return scipy.signal.fftconvolve(image, window, mode="valid")

        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        contrast = (2 * vxy + c2) / (vx + vy + c2)
        similarity = (2 * mx * my + c1) / (mx**2 + my**2 + c1) * contrast
        term = similarity.mean() if level == 4 else contrast.mean()
        product *= max(term, 0.0) ** weight
        x, y = (
            ((i[0::2, 0::2] + i[1::2, 0::2] + i[0::2, 1::2] + i[1::2, 1::2]) / 4 for i in (x, y))
            if level < 4
            else (x, y)
        )
    return product


def related(rng, count, shape, noise):
    first = scipy.ndimage.gaussian_filter(rng.random((count, *shape, 3)), (0, 2, 2, 0)) - 0.5
    first = np.clip(first * 1200 + 128, 0, 255)
    second = np.clip(first + noise * rng.normal(size=first.shape), 0, 255)
    return first.astype(np.uint8), second.astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (16, 16), (32, 80), (176, 192)])
def test_it_is_what_the_released_code_computes(shape, rng):
    first, second = related(rng, 3, shape, 20)
    expected = [slow_ms_ssim(a, b) for a, b in zip(first, second, strict=True)]
    found = similarity_of_pairs(first, second)
    assert 0.1 < min(expected) and max(expected) < 0.99
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_bright_even_image_loses_no_digits(rng):
    first = np.full((1, 32, 32, 3), 250, np.uint8) - rng.integers(0, 2, (1, 32, 32, 3), np.uint8)
    second = np.full((1, 32, 32, 3), 250, np.uint8)
    np.testing.assert_allclose(
        similarity_of_pairs(first, second), [slow_ms_ssim(first[0], second[0])], rtol=1e-9
    )


def test_negative_terms_count_as_zero(rng):
    first = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert similarity_of_pairs(first, 255 - first).tolist() == [0, 0]


def test_blocks_do_not_change_the_result(rng, monkeypatch):
    first, second = related(rng, 5, (32, 32), 9)
    whole = similarity_of_pairs(first, second)
    monkeypatch.setattr(pairwise_ms_ssim, "_AT_ONCE", 2 * first[0].size)
    np.testing.assert_array_equal(similarity_of_pairs(first, second), whole)


def test_it_is_the_mean_over_neighbouring_pairs_whatever_the_batches(rng):
    images, _ = related(rng, 9, (32, 32), 0)
    expected = np.mean([slow_ms_ssim(images[i], images[i + 1]) for i in (0, 2, 4, 6)])
    for size in (1, 2, 3, 5, 9):
        metric = PairwiseMSSSIM()
        metric.update_real(images)
        for first in range(0, 9, size):
            metric.update_fake(images[first : first + size])
        assert metric.result()["ms_ssim"] == pytest.approx(expected, rel=1e-9)


def test_a_collapsed_generator_is_told_from_a_varied_one(rng):
    images, nearly = related(rng, 1, (32, 32), 2)
    collapsed, varied = PairwiseMSSSIM(), PairwiseMSSSIM()
    collapsed.update_fake(np.concatenate([images, nearly]))
    varied.update_fake(rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    assert collapsed.result()["ms_ssim"] > 0.9 > 0.3 > varied.result()["ms_ssim"]
    collapsed.reset()
    with pytest.raises(ValueError, match="a pair of images. Received: 0 images$"):
        collapsed.result()


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"multiples of 16.*Received: shape \(1, 24, 32, 3\)$"):
        PairwiseMSSSIM().update_fake(np.zeros((1, 24, 32, 3)))
    with pytest.raises(ValueError, match=r"both .*\(1, 16, 16, 3\) and \(2, 16, 16, 3\)$"):
        similarity_of_pairs(np.zeros((1, 16, 16, 3)), np.zeros((2, 16, 16, 3)))
