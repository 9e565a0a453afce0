import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import CorrelationPyramid


def slow_lookup(query, key, coordinates, pooling, radius):
    """The definition: pool the volume, then sample one value at a time, zeros outside."""
    batch, height, width, channels = query.shape
    volume = np.einsum("bijc,bklc->bijkl", query, key) / np.sqrt(channels)
    side = 2 * radius + 1
    result = np.zeros((batch, height, width, len(pooling) * side**2))
    for level, p in enumerate(pooling):
        rows, columns = height // p, width // p
        pooled = volume[..., : rows * p, : columns * p]
        pooled = pooled.reshape(*volume.shape[:3], rows, p, columns, p).mean(axis=(4, 6))
        for b, i, j in np.ndindex(batch, height, width):
            x, y = coordinates[b, i, j].astype("float64") / p
            for dx in range(-radius, radius + 1):
                for dy in range(-radius, radius + 1):
                    channel = (level * side + dx + radius) * side + dy + radius
                    result[b, i, j, channel] = sample(pooled[b, i, j], x + dx, y + dy)
    return result


def sample(image, x, y):
    left, top, value = int(np.floor(x)), int(np.floor(y)), 0.0
    for row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                value += row_weight * weight * image[row, column]
    return value


def samples(rng, shape, spread=3.0):
    query, key = (rng.normal(size=shape).astype("float32") for _ in range(2))
    grid = np.stack(np.meshgrid(np.arange(shape[2]), np.arange(shape[1])), -1)
    flow = rng.normal(scale=spread, size=(*shape[:3], 2))
    return query, key, (grid + flow).astype("float32")


@pytest.mark.parametrize("memory", [2**29, 0], ids=["volume", "on demand"])
@pytest.mark.parametrize(
    ("shape", "pooling", "radius"),
    [
        ((1, 1, 1, 1), (1,), 0),
        ((2, 5, 7, 4), (1, 2, 4, 8), 1),  # the last level is empty
        ((1, 8, 6, 3), (1, 2), 3),
        ((1, 9, 11, 8), (1, 3, 4), 2),
    ],
)
def test_equals_sampling_of_the_pooled_volume(rng, shape, pooling, radius, memory):
    query, key, coordinates = samples(rng, shape)
    found = CorrelationPyramid(query, key, pooling, memory).lookup(coordinates, radius)
    expected = slow_lookup(query, key, coordinates, pooling, radius)
    np.testing.assert_allclose(to_numpy(found), expected, atol=1e-4)


def test_what_is_not_stored_is_looked_up_in_pieces_with_equal_results(rng, monkeypatch):
    query, key, coordinates = samples(rng, (2, 9, 14, 16), spread=8)
    stored = CorrelationPyramid(query, key).lookup(coordinates)
    monkeypatch.setattr("c2f_zoo.layers.correlation_pyramid.GATHER_MEMORY", 2**17)
    for memory in (0, 4 * (9 * 14) ** 2):  # nothing, and the coarser levels
        pyramid = CorrelationPyramid(query, key, memory=memory)
        assert not pyramid.levels[0][-1] and pyramid.levels[-1][-1] == (memory > 0)
        np.testing.assert_allclose(
            to_numpy(pyramid.lookup(coordinates)), to_numpy(stored), atol=1e-4
        )


def test_a_volume_beyond_the_reach_of_its_indices_is_not_stored(rng, monkeypatch):
    query, key, coordinates = samples(rng, (1, 6, 8, 4))
    monkeypatch.setattr("c2f_zoo.layers.correlation_pyramid.LARGEST_VOLUME", 48 * 48 - 1)
    pyramid = CorrelationPyramid(query, key, (1, 2), memory=2**40)
    assert [level[-1] for level in pyramid.levels] == [False, True]
    expected = slow_lookup(query, key, coordinates, (1, 2), 4)
    np.testing.assert_allclose(to_numpy(pyramid.lookup(coordinates)), expected, atol=1e-4)


def test_equals_torch_grid_sample_of_pooled_volumes(rng):
    torch = pytest.importorskip("torch")
    query, key, coordinates = samples(rng, (1, 16, 24, 8))
    volume = np.einsum("bijc,bklc->bijkl", query, key).reshape(-1, 1, 16, 24) / np.sqrt(8)
    volume, windows = torch.from_numpy(volume.astype("float32")), []
    steps = torch.arange(-4.0, 5.0)
    for level in range(3):
        centre = torch.from_numpy(coordinates).reshape(-1, 1, 1, 2) / 2**level
        offset = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        size = torch.tensor([volume.shape[3], volume.shape[2]])
        grid = 2 * (centre + offset) / (size - 1) - 1
        window = torch.nn.functional.grid_sample(volume, grid, align_corners=True)
        windows.append(window.reshape(1, 16, 24, 81))
        volume = torch.nn.functional.avg_pool2d(volume, 2, 2)
    found = CorrelationPyramid(query, key, (1, 2, 4)).lookup(coordinates, 4)
    np.testing.assert_allclose(to_numpy(found), torch.cat(windows, -1).numpy(), atol=1e-4)


@pytest.mark.parametrize("memory", [2**29, 0], ids=["volume", "on demand"])
def test_gradients_equal_finite_differences(rng, gradient_of, memory):
    query, key, coordinates = samples(rng, (1, 4, 5, 3))
    upstream = rng.normal(size=(1, 4, 5, 18)).astype("float32")

    def total(query, key):
        window = CorrelationPyramid(query, key, (1, 2), memory).lookup(coordinates, 1)
        return ops.sum(ops.multiply(window, upstream))

    for which, gradient in enumerate(gradient_of(total, query, key)):
        for index in [tuple(rng.integers(0, gradient.shape)) for _ in range(10)]:
            values = []
            for step in (1e-3, -1e-3):
                arguments = [query.astype("float64"), key.astype("float64")]
                arguments[which][index] += step
                values.append((slow_lookup(*arguments, coordinates, (1, 2), 1) * upstream).sum())
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-3, abs=1e-3)


def test_half_precision_features_are_correlated_in_float32():
    features = ops.convert_to_tensor(np.full((1, 2, 2, 256), 0.01, "float16"))
    window = CorrelationPyramid(features, features, (1,)).lookup(np.zeros((1, 2, 2, 2)), 0)
    assert keras.backend.standardize_dtype(window.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(window), 0.0016, rtol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_huge_coordinates_are_outside_and_nan_spoils_its_own_pixel_alone(bad):
    features = np.ones((1, 3, 4, 2), "float32")
    coordinates = np.ones((1, 3, 4, 2), "float32")
    expected = to_numpy(CorrelationPyramid(features, features).lookup(coordinates, 1))
    coordinates[0, 1, 1] = bad
    found = to_numpy(CorrelationPyramid(features, features).lookup(coordinates, 1))
    spoilt, found[0, 1, 1] = found[0, 1, 1].copy(), expected[0, 1, 1]
    np.testing.assert_array_equal(found, expected)
    assert bad != 1e30 or not spoilt.any()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has tensors of open size"
)
@pytest.mark.parametrize("size", [(5, 7), (9, 16)])
def test_sizes_may_be_unknown_before_a_graph_runs(rng, size):
    import tensorflow as tf

    query, key, coordinates = samples(rng, (1, *size, 4))

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, c)) for c in (4, 4, 2)])
    def window(query, key, coordinates):
        return CorrelationPyramid(query, key).lookup(coordinates, 2)

    expected = slow_lookup(query, key, coordinates, (1, 2, 4, 8), 2)
    np.testing.assert_allclose(window(query, key, coordinates), expected, atol=1e-4)


def test_wrong_input_is_named():
    features = np.zeros((1, 4, 5, 3), "float32")
    with pytest.raises(ValueError, match=r"\(1, 4, 5, 3\) and \(1, 4, 6, 3\)$"):
        CorrelationPyramid(features, np.zeros((1, 4, 6, 3), "float32"))
    for pooling in ((), 2, (2, 2), (0, 1), (1.5,)):
        with pytest.raises(ValueError, match="pooling must be .*Received: "):
            CorrelationPyramid(features, features, pooling)
    pyramid = CorrelationPyramid(features, features)
    with pytest.raises(ValueError, match="radius must be .*Received: -1$"):
        pyramid.lookup(np.zeros((1, 4, 5, 2), "float32"), -1)
    with pytest.raises(ValueError, match=r"coordinates must .*\(1, 4, 5, 3\)$"):
        pyramid.lookup(features)
