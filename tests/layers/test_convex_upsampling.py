import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import convex_upsample


def slow_upsample(x, logits, factor):
    """The definition, one fine pixel at a time."""
    batch, height, width, channels = x.shape
    fine = np.zeros((batch, height * factor, width * factor, channels))
    for b, i, j, row, column in np.ndindex(batch, height, width, factor, factor):
        scores = logits[b, i, j].reshape(9, factor, factor)[:, row, column].astype("float64")
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        for k, weight in enumerate(weights):
            y, z = i + k // 3 - 1, j + k % 3 - 1
            if 0 <= y < height and 0 <= z < width:
                fine[b, i * factor + row, j * factor + column] += weight * x[b, y, z]
    return fine


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((1, 1, 1, 1), 3), ((2, 3, 5, 2), 8), ((1, 4, 2, 3), 2), ((1, 2, 2, 2), 1)],
)
def test_equals_the_sum_over_neighbours(rng, shape, factor):
    x = rng.normal(size=shape).astype("float32")
    logits = rng.normal(scale=3, size=(*shape[:3], 9 * factor**2)).astype("float32")
    found = to_numpy(convex_upsample(x, logits, factor))
    np.testing.assert_allclose(found, slow_upsample(x, logits, factor), atol=1e-5)


def test_beyond_a_replicated_border_lie_the_outermost_pixels(rng):
    x = rng.normal(size=(2, 3, 4, 2)).astype("float32")
    logits = rng.normal(scale=3, size=(2, 3, 4, 36)).astype("float32")
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    expected = slow_upsample(np.pad(x, padding, "edge"), np.pad(logits, padding), 2)[:, 2:-2, 2:-2]
    found = to_numpy(convex_upsample(x, logits, 2, border="replicate"))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match="border must be one of.*Received: 'wrap'$"):
        convex_upsample(x, logits, 2, border="wrap")


def test_equals_torch_unfold_and_permute(rng):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(2, 4, 6, 2)).astype("float32")
    logits = rng.normal(size=(2, 4, 6, 576)).astype("float32")
    weights = torch.from_numpy(logits).permute(0, 3, 1, 2).reshape(2, 1, 9, 8, 8, 4, 6).softmax(2)
    neighbours = torch.nn.functional.unfold(torch.from_numpy(x).permute(0, 3, 1, 2), 3, padding=1)
    fine = (weights * neighbours.reshape(2, 2, 9, 1, 1, 4, 6)).sum(2)
    expected = fine.permute(0, 4, 2, 5, 3, 1).reshape(2, 32, 48, 2)
    np.testing.assert_allclose(to_numpy(convex_upsample(x, logits)), expected.numpy(), atol=1e-5)


def test_gradients_equal_finite_differences(rng, gradient_of):
    x = rng.normal(size=(1, 2, 3, 2)).astype("float32")
    logits = rng.normal(size=(1, 2, 3, 36)).astype("float32")
    upstream = rng.normal(size=(1, 4, 6, 2)).astype("float32")
    gradients = gradient_of(
        lambda *a: ops.sum(ops.multiply(convex_upsample(*a, 2), upstream)), x, logits
    )
    for which, gradient in enumerate(gradients):
        for index in [tuple(rng.integers(0, gradient.shape)) for _ in range(10)]:
            values = []
            for step in (1e-3, -1e-3):
                arguments = [x.astype("float64"), logits.astype("float64")]
                arguments[which][index] += step
                values.append((slow_upsample(*arguments, 2) * upstream).sum())
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-3, abs=1e-3)


def test_wrong_shapes_are_named():
    x = np.zeros((1, 2, 3, 2), "float32")
    with pytest.raises(ValueError, match=r"logits must .*\(1, 2, 3, 81\)$"):
        convex_upsample(x, np.zeros((1, 2, 3, 81), "float32"))
    with pytest.raises(ValueError, match="factor must .*Received: 0$"):
        convex_upsample(x, x, 0)
