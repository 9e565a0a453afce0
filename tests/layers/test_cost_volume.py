import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import concatenation_volume


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
