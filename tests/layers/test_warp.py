import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import warp


def slow_warp(image, flow):
    """Bilinear sampling of one pixel at a time, zeros outside."""
    batch, height, width, channels = image.shape
    rows, columns = flow.shape[1:3]
    result = np.zeros((batch, rows, columns, channels))
    for b, i, j in np.ndindex(batch, rows, columns):
        x, y = j + float(flow[b, i, j, 0]), i + float(flow[b, i, j, 1])
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        for yi, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
            for xi, wx in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
                if 0 <= yi < height and 0 <= xi < width:
                    result[b, i, j] += wy * wx * image[b, yi, xi]
    return result


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 7, 3), (1, 8, 3, 2)])
def test_equals_pixel_by_pixel_sampling_also_outside_the_frame(rng, shape):
    image = rng.random(shape, dtype="float32")
    flow = rng.normal(scale=3, size=(*shape[:3], 2)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(warp(image, flow)), slow_warp(image, flow), atol=1e-5
    )


def test_equals_torch_grid_sample_with_aligned_corners(rng):
    torch = pytest.importorskip("torch")
    image = rng.random((2, 9, 13, 4), dtype="float32")
    flow = rng.normal(scale=4, size=(2, 9, 13, 2)).astype("float32")
    x = np.arange(13)[None, None] + flow[..., 0]
    y = np.arange(9)[None, :, None] + flow[..., 1]
    grid = np.stack([2 * x / 12 - 1, 2 * y / 8 - 1], -1).astype("float32")
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(image).permute(0, 3, 1, 2), torch.from_numpy(grid), align_corners=True
    )
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ops.convert_to_numpy(warp(image, flow)), expected, atol=1e-5)


def test_equals_map_coordinates_inside_the_frame(rng):
    image = rng.random((1, 12, 10, 1), dtype="float32")
    flow = rng.uniform(-1, 1, size=(1, 12, 10, 2)).astype("float32")
    y = np.clip(np.arange(12)[:, None] + flow[0, ..., 1], 0, 11).astype("float32")
    x = np.clip(np.arange(10)[None] + flow[0, ..., 0], 0, 9).astype("float32")
    expected = ops.image.map_coordinates(image[0, ..., 0], ops.stack([y, x]), order=1)
    inside = np.stack([x - np.arange(10)[None], y - np.arange(12)[:, None]], -1)[None]
    warped = warp(image, inside.astype("float32"))[0, ..., 0]
    np.testing.assert_allclose(
        ops.convert_to_numpy(warped), ops.convert_to_numpy(expected), atol=1e-5
    )


def test_mask_marks_samples_wholly_inside(rng):
    flow = np.zeros((1, 4, 6, 2), "float32")
    flow[0, :, 5, 0] = 0.5
    flow[0, 0, :, 1] = -0.25
    _, mask = warp(rng.random((1, 4, 6, 2), dtype="float32"), flow, return_mask=True)
    expected = np.ones((1, 4, 6, 1))
    expected[:, :, 5] = expected[:, 0] = 0
    np.testing.assert_array_equal(ops.convert_to_numpy(mask), expected)


def test_gradients_equal_finite_differences(rng, gradient_of):
    # Fractions away from integers, where bilinear sampling has no derivative.
    image = rng.random((1, 4, 5, 2), dtype="float32")
    flow = (rng.integers(-2, 3, (1, 4, 5, 2)) + rng.uniform(0.2, 0.8, (1, 4, 5, 2))).astype(
        "float32"
    )
    weights = rng.random((1, 4, 5, 2), dtype="float32")
    gradients = gradient_of(lambda i, f: ops.sum(ops.multiply(warp(i, f), weights)), image, flow)
    for which, gradient in enumerate(gradients):
        for index in np.ndindex(*gradient.shape):
            values = []
            for step in (1e-3, -1e-3):
                arguments = [image.astype("float64"), flow.astype("float64")]
                arguments[which] = arguments[which].copy()
                arguments[which][index] += step
                values.append((slow_warp(*arguments) * weights).sum())
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-3, abs=2e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_nan_and_huge_flows_sample_zeros(bad):
    flow = np.zeros((1, 3, 3, 2), "float32")
    flow[0, 1, 1] = bad
    warped, mask = warp(np.ones((1, 3, 3, 1), "float32"), flow, return_mask=True)
    warped, mask = ops.convert_to_numpy(warped), ops.convert_to_numpy(mask)
    assert mask[0, 1, 1, 0] == 0
    warped[0, 1, 1] = 1
    np.testing.assert_array_equal(warped, 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_coordinates_and_weights_are_float32_for_images_of_any_precision(rng, dtype):
    # Far from the origin, where 16 bits hold neither the coordinate nor its fraction. Grey levels
    # near 1 that 16 bits hold exactly: all that may be lost is the rounding of the result.
    image = 1 + rng.integers(0, 2, (1, 3, 600, 2)) / 2
    flow = rng.uniform(-3, 3, (1, 3, 600, 2)).astype("float32")
    warped = warp(ops.convert_to_tensor(image, dtype), flow)
    assert keras.backend.standardize_dtype(warped.dtype) == dtype
    resolution = {"float16": 2**-11, "bfloat16": 2**-8}.get(dtype, 0)
    # float32 coordinates around 600 resolve 2^-14 of a pixel.
    np.testing.assert_allclose(to_numpy(warped), slow_warp(image, flow), rtol=resolution, atol=3e-4)


def test_gradient_of_a_bfloat16_image_is_summed_in_float32(gradient_of):
    # 600 samples of one pixel: bfloat16 counts to 256.
    flow = np.zeros((1, 1, 600, 2), "float32")
    flow[..., 0] = -np.arange(600)
    image = np.zeros((1, 1, 600, 1), "float32")

    def total(image):
        return ops.sum(ops.cast(warp(ops.cast(image, "bfloat16"), flow), "float32"))

    (gradient,) = gradient_of(total, image)
    assert gradient[0, 0, 0, 0] == 600


@pytest.mark.parametrize(
    ("image", "flow", "received"),
    [
        ((4, 4, 3), (1, 4, 4, 2), r"image must .*\(4, 4, 3\)$"),
        ((1, 4, 4, 3), (1, 4, 4, 3), r"flow must .*\(1, 4, 4, 3\)$"),
        ((2, 4, 4, 3), (3, 4, 4, 2), r"flow must .*\(3, 4, 4, 2\)$"),
    ],
)
def test_wrong_shapes_are_named(image, flow, received):
    with pytest.raises(ValueError, match=received):
        warp(np.zeros(image, "float32"), np.zeros(flow, "float32"))
