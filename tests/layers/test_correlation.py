import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import local_correlation


def slow_correlation(query, key, d):
    """The definition: a loop over displacements and pixels."""
    batch, height, width, channels = query.shape
    cost = np.zeros((batch, height, width, (2 * d + 1) ** 2))
    for dy in range(-d, d + 1):
        for dx in range(-d, d + 1):
            for y in range(height):
                for x in range(width):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        product = query[:, y, x] * key[:, y + dy, x + dx]
                        cost[:, y, x, (dy + d) * (2 * d + 1) + dx + d] = product.sum(-1) / channels
    return cost


def slow_gradients(query, key, upstream, d):
    """The same loop, differentiated by hand."""
    _, height, width, channels = query.shape
    to_query, to_key = np.zeros(query.shape), np.zeros(key.shape)
    for dy in range(-d, d + 1):
        for dx in range(-d, d + 1):
            weight = upstream[..., (dy + d) * (2 * d + 1) + dx + d] / channels
            for y in range(max(0, -dy), min(height, height - dy)):
                for x in range(max(0, -dx), min(width, width - dx)):
                    to_query[:, y, x] += weight[:, y, x, None] * key[:, y + dy, x + dx]
                    to_key[:, y + dy, x + dx] += weight[:, y, x, None] * query[:, y, x]
    return to_query, to_key


SHAPES = [(1, 1, 1, 1), (2, 3, 5, 4), (1, 5, 16, 3), (1, 2, 17, 8), (1, 4, 33, 2), (1, 9, 2, 6)]


@pytest.mark.parametrize("d", [0, 1, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_double_loop(rng, shape, d):
    query, key = (rng.normal(size=shape).astype("float32") for _ in range(2))
    cost = ops.convert_to_numpy(local_correlation(query, key, d))
    np.testing.assert_allclose(cost, slow_correlation(query, key, d), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 2, 17, 8)])
def test_gradients_equal_the_double_loop(rng, shape, gradient_of):
    query, key = (rng.normal(size=shape).astype("float32") for _ in range(2))
    upstream = rng.normal(size=(*shape[:3], 81)).astype("float32")
    gradients = gradient_of(
        lambda q, k: ops.sum(ops.multiply(local_correlation(q, k), upstream)), query, key
    )
    for gradient, expected in zip(gradients, slow_gradients(query, key, upstream, 4), strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_nan_stays_in_the_window_that_sees_it(rng):
    query, key = (rng.normal(size=(1, 20, 40, 2)).astype("float32") for _ in range(2))
    key[0, 3, 4] = np.nan
    cost = ops.convert_to_numpy(local_correlation(query, key))
    seen = np.isnan(cost).any(-1)[0]
    # A product block of 16 queries shares its keys, and 0 * NaN is NaN: rows 0 to 7 only.
    assert seen[3, 4] and not seen[8:].any()


def test_half_precision_is_kept():
    features = ops.convert_to_tensor(np.ones((1, 2, 3, 64), "float16"))
    cost = ops.convert_to_numpy(local_correlation(features, features))
    assert cost.dtype == np.float16
    assert cost[0, 0, 0, 40] == 1


@pytest.mark.parametrize(
    "known", [((1, 2, None, 3), (1, None, None, 3)), ((None,) * 4, (1, 2, 20, 3))]
)
def test_sizes_known_of_one_input_only_are_taken_from_it(rng, known):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow traces tensors of partly known shape")
    query, key = (rng.normal(size=(1, 2, 20, 3)).astype("float32") for _ in range(2))
    signature = [tf.TensorSpec(shape, "float32") for shape in known]
    cost = tf.function(local_correlation, input_signature=signature)(query, key)
    np.testing.assert_allclose(cost, slow_correlation(query, key, 4), atol=1e-5)


def test_wrong_input_is_named():
    features = np.zeros((1, 4, 5, 3), "float32")
    with pytest.raises(ValueError, match=r"\(1, 4, 5, 3\) and \(1, 4, 6, 3\)$"):
        local_correlation(features, np.zeros((1, 4, 6, 3), "float32"))
    with pytest.raises(ValueError, match="-1$"):
        local_correlation(features, features, max_displacement=-1)
