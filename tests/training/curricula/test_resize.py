"""Resizing of batches against Pillow, and targets against loops over their pixels."""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import resize_batch


def by_pillow(images, size):
    from PIL import Image

    def channel(plane):
        return np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))

    return np.stack(
        [np.stack([channel(image[..., c]) for c in range(image.shape[-1])], -1) for image in images]
    )


@pytest.mark.parametrize("size", [(8, 10), (9, 31), (1, 1), (25, 40)])
@pytest.mark.parametrize("batch", [1, 3])
def test_images_are_smoothed_and_resized_as_by_pillow(rng, size, batch):
    images = rng.random((batch, 19, 31, 3), dtype="float32")
    resized = resize_batch(images, size)
    np.testing.assert_allclose(to_numpy(resized), by_pillow(images, size), atol=1e-5)


def test_integers_are_rounded_and_keep_their_dtype(rng):
    images = rng.integers(0, 256, (2, 20, 30, 3)).astype("uint8")
    resized = resize_batch(images, (7, 9))
    assert keras.backend.standardize_dtype(resized.dtype) == "uint8"
    exact, found = by_pillow(images.astype("float32"), (7, 9)), to_numpy(resized).astype(int)
    is_clear = np.abs(exact % 1 - 0.5) > 1e-3  # which integer is nearest
    np.testing.assert_array_equal(found[is_clear], np.rint(exact)[is_clear])
    # Of bytes Pillow also rounds between height and width.
    assert np.abs(found - by_pillow(images, (7, 9)).astype(int)).max() <= 1


def test_a_batch_of_that_size_is_as_it_was(rng):
    batch = rng.random((2, 8, 8, 3)), np.array([1, 2])
    x, y = resize_batch(batch, (8, 8))
    assert x is batch[0] and y is batch[1]


def test_structures_labels_and_other_inputs_are_kept(rng):
    pictures = rng.random((2, 8, 8, 3), dtype="float32")
    batch = {"image": pictures, "number": np.ones((2, 5), "float32")}, np.array([1, 2]), np.ones(2)
    x, y, weights = resize_batch(batch, (4, 4))
    assert tuple(x["image"].shape) == (2, 4, 4, 3)
    assert x["number"] is batch[0]["number"] and y is batch[1] and weights is batch[2]


def test_pictures_as_targets_are_resized_alike(rng):
    x, y = rng.random((2, 1, 12, 8, 3), dtype="float32")
    small_x, small_y = resize_batch((x, y), (6, 5), targets="images")
    np.testing.assert_allclose(to_numpy(small_y), by_pillow(y, (6, 5)), atol=1e-5)
    np.testing.assert_allclose(to_numpy(small_x), by_pillow(x, (6, 5)), atol=1e-5)


def test_masks_take_the_nearest_pixel(rng):
    mask = rng.integers(0, 9, (1, 6, 9)).astype("int32")
    expected = np.empty((1, 4, 3), "int32")
    for row in range(4):
        for column in range(3):
            place = int((row + 0.5) * 6 / 4), int((column + 0.5) * 9 / 3)
            expected[0, row, column] = mask[0][place]
    images = np.zeros((1, 6, 9, 3), "float32")
    for given in (mask, mask[..., None]):
        _, found = resize_batch((images, given), (4, 3), targets="masks")
        np.testing.assert_array_equal(to_numpy(found).reshape(1, 4, 3), expected)


def test_flow_and_disparity_are_scaled_with_the_image(rng):
    images = rng.random((2, 12, 8, 3), dtype="float32")
    flow = rng.normal(size=(2, 12, 8, 2)).astype("float32")
    (first, second), small = resize_batch(((images, images), flow), (6, 6), targets="flow")
    assert tuple(first.shape) == tuple(second.shape) == (2, 6, 6, 3)
    expected = by_pillow(flow, (6, 6)) * [6 / 8, 6 / 12]  # u by the width, v by the height
    np.testing.assert_allclose(to_numpy(small), expected, atol=1e-5)
    _, disparity = resize_batch((images, flow[..., :1]), (6, 6), targets="disparity")
    np.testing.assert_allclose(to_numpy(disparity), expected[..., :1], atol=1e-5)
    _, depth = resize_batch((images, flow[..., :1]), (6, 6), targets="depth")
    np.testing.assert_allclose(to_numpy(depth), by_pillow(flow[..., :1], (6, 6)), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 12, 8, 1), (1, 12, 8)])
def test_unknown_pixels_do_not_enter_the_mean(rng, shape):
    images = rng.random((1, 12, 8, 3), dtype="float32")
    valid = (rng.random((1, 12, 8, 1)) < 0.6).astype("float32")
    valid[:, :6, :4] = 0
    flow = np.broadcast_to(np.float32([3.0, -2.0]), (1, 12, 8, 2)).copy()
    flow[np.broadcast_to(valid == 0, flow.shape)] = np.nan
    batch = images, flow, valid.reshape(shape)
    _, small, weights = resize_batch(batch, (6, 4), targets="flow")
    small, weights = to_numpy(small), to_numpy(weights).reshape(1, 6, 4, 1)
    np.testing.assert_allclose(weights, by_pillow(valid, (6, 4)), atol=1e-6)
    known = weights[..., 0] > 0
    np.testing.assert_allclose(small[known], np.tile([1.5, -1.0], (known.sum(), 1)), rtol=1e-5)
    assert not known[0, 0, 0] and np.isfinite(small).all()


def test_weights_of_samples_stay(rng):
    images = rng.random((2, 8, 8, 3), dtype="float32")
    _, y, weights = resize_batch((images, images, np.ones(2)), (4, 4), targets="images")
    assert tuple(y.shape) == (2, 4, 4, 3) and weights.shape == (2,)


IMAGES = np.zeros((1, 8, 8, 3), "float32")


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        ((IMAGES, IMAGES), {}, r"Say what they are: .*Received: .*\(1, 8, 8, 3\)"),
        ((IMAGES, IMAGES[..., 0]), {}, "Say what they are"),
        ((IMAGES, IMAGES), {"targets": "flow"}, r"\(B, 8, 8, 2\). Received: shape \(1, 8, 8, 3\)"),
        ((IMAGES, IMAGES), {"targets": "flows"}, "Did you mean 'flow'.* Received: 'flows'"),
        (((IMAGES, IMAGES[:, :4]), IMAGES), {"targets": "depth"}, "images of one size"),
        (IMAGES, {"size": (0, 4)}, r"size must be .*Received: \(0, 4\)"),
    ],
)
def test_what_cannot_be_is_refused(batch, options, message):
    with pytest.raises(ValueError, match=message):
        resize_batch(batch, **{"size": (4, 4), **options})
