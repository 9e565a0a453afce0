import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import window_pool


def slow_pool(x, window):
    """The definition: a loop over windows, in float64."""
    sides = [min(window, size) for size in x.shape[1:3]]
    counts = [size // side for size, side in zip(x.shape[1:3], sides, strict=True)]
    out = np.zeros((x.shape[0], *counts, x.shape[3]))
    for i in range(counts[0]):
        for j in range(counts[1]):
            top, left = i * sides[0], j * sides[1]
            out[:, i, j] = x[:, top : top + sides[0], left : left + sides[1]].mean((1, 2))
    return out


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (8, 8), (17, 5), (16, 24)])
@pytest.mark.parametrize("window", [1, 4, 8])
def test_equals_the_loop_over_windows(rng, size, window):
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    found = ops.convert_to_numpy(window_pool(x, window))
    np.testing.assert_allclose(found, slow_pool(x, window), atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has tensors of open size"
)
def test_sizes_may_be_unknown_until_run_time(rng):
    import tensorflow as tf

    graph = tf.function(
        lambda x: window_pool(x, 8), input_signature=[tf.TensorSpec((None, None, None, 3))]
    )
    for size in [(3, 9), (17, 5)]:
        x = rng.normal(size=(2, *size, 3)).astype("float32")
        np.testing.assert_allclose(graph(x), slow_pool(x, 8), atol=1e-5)


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match=r"x must.*Received: shape \(1, 0, 3, 2\)$"):
        window_pool(np.zeros((1, 0, 3, 2), "float32"), 4)
