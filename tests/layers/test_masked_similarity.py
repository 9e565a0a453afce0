import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import masked_similarity, structural_similarity
from c2f_zoo.layers.similarity import gaussian_window


@pytest.fixture
def images(rng):
    first = rng.random((2, 9, 12, 1)).astype("float32")
    return first, np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1).astype("float32")


def slow(x, y, mask, size):
    """The definition, pixel by pixel in float64."""
    window, half = np.outer(gaussian_window(size, 1.5 * size / 11), [1.0]), size // 2
    window = window @ window.T
    batch, height, width, _ = x.shape
    result = np.full((batch, height, width, 1), np.nan)
    for b, i, j in np.ndindex(batch, height, width):
        rows = slice(max(i - half, 0), i + half + 1)
        columns = slice(max(j - half, 0), j + half + 1)
        weight = window[rows.start - i + half :, columns.start - j + half :]
        known = mask[b, rows, columns, 0].astype("float64")
        weight = weight[: known.shape[0], : known.shape[1]] * known
        if not weight.sum():
            continue
        weight = weight / weight.sum()
        one, two = (a[b, rows, columns, 0].astype("float64") for a in (x, y))
        one, two = (np.where(known > 0, a, 0) for a in (one, two))
        mean1, mean2 = (weight * one).sum(), (weight * two).sum()
        var1, var2 = (weight * (one - mean1) ** 2).sum(), (weight * (two - mean2) ** 2).sum()
        cov = (weight * (one - mean1) * (two - mean2)).sum()
        c1, c2 = 0.01**2, 0.03**2
        result[b, i, j] = (2 * mean1 * mean2 + c1) * (2 * cov + c2)
        result[b, i, j] /= (mean1**2 + mean2**2 + c1) * (var1 + var2 + c2)
    return result


@pytest.mark.parametrize("size", [3, 7, 11])
def test_equals_its_definition_under_a_mask(images, size, rng):
    mask = (rng.random((2, 9, 12, 1)) < 0.7).astype("float32")
    found = ops.convert_to_numpy(masked_similarity(*images, mask, size))
    known = mask > 0
    np.testing.assert_allclose(found[known], slow(*images, mask, size)[known], atol=1e-4)


def test_equals_the_plain_similarity_where_all_is_known(images):
    found = ops.convert_to_numpy(masked_similarity(*images, np.ones((2, 9, 12, 1)), 5))
    expected, _ = structural_similarity(*images, size=5)
    np.testing.assert_allclose(found[:, 2:-2, 2:-2], ops.convert_to_numpy(expected), atol=1e-5)


@pytest.mark.backend_free
def test_equals_tensorflows_inside(images):
    tf = pytest.importorskip("tensorflow")
    expected = tf.image.ssim(
        *images, 1.0, filter_size=7, filter_sigma=1.5 * 7 / 11, return_index_map=True
    )
    found = ops.convert_to_numpy(masked_similarity(*images, np.ones((2, 9, 12, 1)), 7))
    np.testing.assert_allclose(found[:, 3:-3, 3:-3, 0], expected.numpy(), atol=2e-5)


def test_what_is_unknown_has_no_influence(images):
    first, second = images
    mask = np.ones((2, 9, 12, 1), "float32")
    mask[:, 3:6, 4:8] = 0
    changed = np.where(mask > 0, second, 1e3).astype("float32")
    found, other = (
        ops.convert_to_numpy(masked_similarity(first, x, mask, 7)) for x in (second, changed)
    )
    np.testing.assert_allclose(found[mask > 0], other[mask > 0], atol=1e-6)
