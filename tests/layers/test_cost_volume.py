import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import concatenation_volume, correlation_volume, narrow_volume


def slow_volume(left, right, disparities):
    """The definition: a loop over disparities and columns."""
    batch, height, width, channels = left.shape
    volume = np.zeros((batch, disparities, height, width, 2 * channels))
    for d in range(disparities):
        for x in range(d, width):
            volume[:, d, :, x] = np.concatenate([left[:, :, x], right[:, :, x - d]], axis=-1)
    return volume


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 4), (1, 2, 3, 2)])
@pytest.mark.parametrize("disparities", [1, 3, 6])
def test_equals_the_loop_also_for_more_disparities_than_columns(rng, shape, disparities):
    left, right = (rng.normal(size=shape).astype("float32") for _ in range(2))
    volume = ops.convert_to_numpy(concatenation_volume(left, right, disparities))
    np.testing.assert_array_equal(volume, slow_volume(left, right, disparities).astype("float32"))


def test_gradients_reach_what_lies_inside(rng, gradient_of):
    left, right = (rng.normal(size=(1, 2, 4, 3)).astype("float32") for _ in range(2))
    weight = rng.normal(size=(1, 3, 2, 4, 6)).astype("float32")
    to_left, to_right = gradient_of(
        lambda a, b: ops.sum(ops.multiply(concatenation_volume(a, b, 3), weight)), left, right
    )
    expected_left, expected_right = np.zeros(left.shape), np.zeros(right.shape)
    for d in range(3):
        for x in range(d, 4):
            expected_left[:, :, x] += weight[:, d, :, x, :3]
            expected_right[:, :, x - d] += weight[:, d, :, x, 3:]
    np.testing.assert_allclose(to_left, expected_left, atol=1e-6)
    np.testing.assert_allclose(to_right, expected_right, atol=1e-6)


def test_half_precision_is_kept():
    features = ops.convert_to_tensor(np.ones((1, 2, 3, 4), "float16"))
    assert ops.convert_to_numpy(concatenation_volume(features, features, 2)).dtype == np.float16


def test_wrong_input_is_named():
    features = np.zeros((1, 4, 5, 3), "float32")
    with pytest.raises(ValueError, match=r"\(1, 4, 5, 3\) and \(1, 4, 6, 3\)$"):
        concatenation_volume(features, np.zeros((1, 4, 6, 3), "float32"), 2)
    with pytest.raises(ValueError, match="disparities.*Received: 0$"):
        concatenation_volume(features, features, 0)


def slow_correlation(left, right, disparities, groups):
    """The definition: a loop over disparities and columns."""
    *axes, width, channels = left.shape
    volume = np.zeros((*axes, width, disparities, groups))
    for d in range(disparities):
        for x in range(d, width):
            product = left[:, :, x].astype("float64") * right[:, :, x - d]
            volume[:, :, x, d] = product.reshape(*axes, groups, channels // groups).mean(-1)
    return volume


@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (2, 3, 5, 4), (1, 2, 7, 8)])
@pytest.mark.parametrize("disparities", [1, 3, 9])
@pytest.mark.parametrize("groups", [1, 4])
def test_correlations_equal_the_loop(rng, shape, disparities, groups):
    left, right = (rng.normal(size=shape).astype("float32") for _ in range(2))
    volume = ops.convert_to_numpy(correlation_volume(left, right, disparities, groups))
    expected = slow_correlation(left, right, disparities, groups)
    np.testing.assert_allclose(volume, expected, atol=1e-5)


def test_gradients_of_correlations_are_those_of_the_sum(rng, gradient_of):
    left, right = (rng.normal(size=(1, 2, 4, 6)).astype("float32") for _ in range(2))
    weight = rng.normal(size=(1, 2, 4, 3, 2)).astype("float32")
    to_left, to_right = gradient_of(
        lambda a, b: ops.sum(ops.multiply(correlation_volume(a, b, 3, 2), weight)), left, right
    )
    expected_left, expected_right = np.zeros(left.shape), np.zeros(right.shape)
    for d in range(3):
        for x in range(d, 4):
            factor = np.repeat(weight[:, :, x, d], 3, axis=-1) / 3
            expected_left[:, :, x] += factor * right[:, :, x - d]
            expected_right[:, :, x - d] += factor * left[:, :, x]
    np.testing.assert_allclose(to_left, expected_left, atol=1e-5)
    np.testing.assert_allclose(to_right, expected_right, atol=1e-5)


def test_wrong_input_of_a_correlation_is_named():
    features = np.zeros((1, 4, 5, 3), "float32")
    with pytest.raises(ValueError, match=r"\(1, 4, 5, 3\) and \(1, 4, 6, 3\)$"):
        correlation_volume(features, np.zeros((1, 4, 6, 3), "float32"), 2)
    with pytest.raises(ValueError, match="disparities.*Received: 0$"):
        correlation_volume(features, features, 0)
    with pytest.raises(ValueError, match="groups must divide the 3 channels. Received: 2$"):
        correlation_volume(features, features, 2, groups=2)


def slow_narrow_volume(left, right, lowest, disparities):
    """The definition: a loop over disparities and pixels."""
    batch, height, width, channels = left.shape
    volume = np.zeros((batch, disparities, height, width, 2 * channels))
    columns = np.arange(width)
    for b, d, y, x in np.ndindex(batch, disparities, height, width):
        place = x - float(lowest[b, y, x, 0]) - d
        if 0 <= place <= width - 1:
            found = [np.interp(place, columns, right[b, y, :, c]) for c in range(channels)]
            volume[b, d, y, x] = np.concatenate([left[b, y, x], found])
    return volume


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 7, 2)])
@pytest.mark.parametrize("disparities", [1, 4])
def test_a_narrow_volume_interpolates_around_each_pixels_disparity(rng, shape, disparities):
    left, right = (rng.normal(size=shape).astype("float32") for _ in range(2))
    lowest = rng.uniform(-3, 5, (*shape[:3], 1)).astype("float32")
    lowest[:, :, : shape[2] // 2] = 1.0  # exactly on a pixel too
    volume = ops.convert_to_numpy(narrow_volume(left, right, lowest, disparities))
    expected = slow_narrow_volume(left, right, lowest, disparities)
    np.testing.assert_allclose(volume, expected, atol=1e-5)


def test_a_narrow_volume_from_zero_is_the_concatenation_volume(rng):
    left, right = (rng.normal(size=(2, 3, 5, 4)).astype("float32") for _ in range(2))
    volume = ops.convert_to_numpy(narrow_volume(left, right, np.zeros((2, 3, 5, 1)), 7))
    np.testing.assert_array_equal(
        volume, ops.convert_to_numpy(concatenation_volume(left, right, 7))
    )


def test_gradients_of_a_narrow_volume_equal_finite_differences(rng, gradient_of):
    left, right = (rng.normal(size=(1, 2, 6, 2)).astype("float32") for _ in range(2))
    lowest = (rng.integers(-1, 3, (1, 2, 6, 1)) + rng.uniform(0.2, 0.8, (1, 2, 6, 1))).astype(
        "float32"
    )
    weight = rng.normal(size=(1, 3, 2, 6, 4)).astype("float32")
    arguments = [left, right, lowest]
    gradients = gradient_of(
        lambda a, b, c: ops.sum(ops.multiply(narrow_volume(a, b, c, 3), weight)), *arguments
    )
    for which, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            values = []
            for step in (1e-3, -1e-3):
                moved = [x.astype("float64") for x in arguments]
                moved[which][index] += step
                values.append((slow_narrow_volume(*moved, 3) * weight).sum())
            expected = (values[0] - values[1]) / 2e-3
            assert gradient[index] == pytest.approx(expected, abs=1e-3)


def test_no_disparity_reads_outside_of_the_row(rng):
    left, right = (rng.normal(size=(1, 2, 5, 3)).astype("float32") for _ in range(2))
    lowest = np.full((1, 2, 5, 1), 1.0, "float32")
    lowest[0, 0, :, 0] = [1e9, -1e9, np.nan, np.inf, -np.inf]
    volume = ops.convert_to_numpy(narrow_volume(left, right, lowest, 2))
    np.testing.assert_array_equal(volume[:, :, 0, [0, 1]], 0)
    expected = slow_narrow_volume(left, right, np.ones((1, 2, 5, 1)), 2)
    np.testing.assert_allclose(volume[:, :, 1], expected[:, :, 1], atol=1e-6)


def test_wrong_input_of_a_narrow_volume_is_named():
    features = np.zeros((1, 4, 5, 3), "float32")
    lowest = np.zeros((1, 4, 5, 1), "float32")
    with pytest.raises(ValueError, match=r"\(1, 4, 5, 3\) and \(1, 4, 6, 3\)$"):
        narrow_volume(features, np.zeros((1, 4, 6, 3), "float32"), lowest, 2)
    with pytest.raises(ValueError, match=r"lowest must have.*Received: shape \(1, 4, 4, 1\)"):
        narrow_volume(features, features, lowest[:, :, 1:], 2)
    with pytest.raises(ValueError, match="disparities.*Received: 0$"):
        narrow_volume(features, features, lowest, 0)
