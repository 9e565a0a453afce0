import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import PixelNorm, pixel_norm


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (1, 3, 5, 8)])
def test_every_vector_gets_a_mean_square_of_one(rng, shape):
    x = rng.normal(scale=9, size=shape).astype("float32")
    expected = x / np.sqrt(np.mean(x.astype("float64") ** 2, -1, keepdims=True) + 1e-8)
    for result in (pixel_norm(x), PixelNorm()(x)):
        np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-5)


def test_a_zero_vector_stays_zero_and_has_finite_derivatives(penalty_gradient_of):
    x = np.zeros((1, 4), "float32")
    assert not ops.convert_to_numpy(pixel_norm(x)).any()
    _, gradients = penalty_gradient_of(lambda x: ops.sum(pixel_norm(x)), x)
    assert np.isfinite(gradients[0]).all()


def test_half_precision_is_normalised_in_float32(rng):
    x = rng.normal(scale=1e3, size=(4, 64)).astype("float16")  # whose squares overflow
    result = pixel_norm(ops.convert_to_tensor(x))
    assert "float16" in str(result.dtype)
    power = np.mean(np.square(ops.convert_to_numpy(result).astype("float32")), -1)
    np.testing.assert_allclose(power, 1, atol=1e-2)


def test_first_and_second_derivatives_are_right(rng, check_derivatives):
    x, weights = rng.normal(size=(2, 2, 3, 4)).astype("float32")
    check_derivatives(lambda x: ops.sum(ops.multiply(pixel_norm(x), weights)), x)
