import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import soft_argmin


def slow_enlarged(cost, size, align_corners):
    """Trilinear interpolation of one volume (d, h, w) in float64, a loop over voxels."""

    def places(n, new):
        index = np.arange(new, dtype="float64")
        if align_corners:
            return index * (n - 1) / max(new - 1, 1)
        return np.clip((index + 0.5) * n / new - 0.5, 0, n - 1)

    result = cost.astype("float64")
    for axis, new in enumerate(size):
        lines = np.moveaxis(result, axis, 0)
        out = np.zeros((new, *lines.shape[1:]))
        for i, place in enumerate(places(len(lines), new)):
            low = int(place)
            high = min(low + 1, len(lines) - 1)
            out[i] = (1 - (place - low)) * lines[low] + (place - low) * lines[high]
        result = np.moveaxis(out, 0, axis)
    return result


def slow_soft_argmin(cost, size, align_corners=False):
    answers = []
    for volume in cost:
        weight = np.exp(slow_enlarged(volume, size, align_corners))
        values = np.arange(size[0])[:, None, None]
        answers.append((weight * values).sum(0) / weight.sum(0))
    return np.stack(answers)[..., None]


SIZES = [((2, 3, 4), (8, 12, 16)), ((1, 1, 1), (4, 4, 4)), ((3, 2, 5), (7, 9, 6))]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("coarse", "size"), SIZES)
def test_equals_the_slow_reference(rng, coarse, size, align_corners):
    cost = 3 * rng.normal(size=(2, *coarse)).astype("float32")
    disparity = ops.convert_to_numpy(soft_argmin(cost, size, align_corners))
    expected = slow_soft_argmin(cost, size, align_corners)
    assert disparity.shape == (2, *size[1:], 1)
    np.testing.assert_allclose(disparity, expected, atol=1e-4)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("band", [1, 3, 8, 100])
def test_in_bands_it_equals_the_whole(rng, band, align_corners):
    cost = 5 * rng.normal(size=(2, 4, 5, 3)).astype("float32")
    whole = ops.convert_to_numpy(soft_argmin(cost, (16, 20, 12), align_corners))
    banded = ops.convert_to_numpy(soft_argmin(cost, (16, 20, 12), align_corners, band))
    np.testing.assert_allclose(banded, whole, atol=1e-5)


def test_equals_pytorchs_interpolation(rng):
    torch = pytest.importorskip("torch")
    cost = 3 * rng.normal(size=(1, 6, 5, 7)).astype("float32")
    for align_corners in (False, True):
        full = torch.nn.functional.interpolate(
            torch.from_numpy(cost)[:, None],
            (24, 20, 28),
            mode="trilinear",
            align_corners=align_corners,
        )
        expected = torch.einsum("bdhw,d->bhw", full[:, 0].softmax(1), torch.arange(24.0))
        found = ops.convert_to_numpy(soft_argmin(cost, (24, 20, 28), align_corners, band=4))
        np.testing.assert_allclose(found[..., 0], expected.numpy(), atol=1e-4)


def test_gradients_are_the_same_in_bands(rng, gradient_of):
    cost = rng.normal(size=(1, 3, 4, 4)).astype("float32")
    weight = rng.normal(size=(1, 8, 8, 1)).astype("float32")
    whole, banded = (
        gradient_of(
            lambda c, b=band: ops.sum(ops.multiply(soft_argmin(c, (6, 8, 8), band=b), weight)), cost
        )[0]
        for band in (None, 3)
    )
    np.testing.assert_allclose(banded, whole, atol=1e-5)
    assert np.abs(whole).max() > 0.01


def test_large_costs_do_not_overflow():
    cost = np.zeros((1, 4, 1, 1), "float32")
    cost[0, 2] = 1e4
    assert float(soft_argmin(cost, (4, 1, 1))[0, 0, 0, 0]) == pytest.approx(2)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has tensors of open size"
)
def test_sizes_may_be_unknown_until_run_time(rng):
    import tensorflow as tf

    def function(cost):
        _, _, height, width = tf.unstack(tf.shape(cost))
        return soft_argmin(cost, (16, 4 * height, 4 * width), band=5)

    cost = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    graph = tf.function(function, input_signature=[tf.TensorSpec((None, 4, None, None))])
    np.testing.assert_allclose(graph(cost), soft_argmin(cost, (16, 20, 12)), atol=1e-5)


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r"cost.*Received: shape \(2, 3, 3\)$"):
        soft_argmin(np.zeros((2, 3, 3), "float32"), (8, 12, 12))
    with pytest.raises(ValueError, match="band.*Received: 0$"):
        soft_argmin(np.zeros((1, 2, 3, 3), "float32"), (8, 12, 12), band=0)
