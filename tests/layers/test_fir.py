import numpy as np
import pytest
from keras import ops
from scipy import signal

from c2f_zoo.layers import (
    average_pool,
    blur,
    downsample_fir,
    resampling_conv2d,
    upsample_fir,
    upsample_nearest,
)

SIZES = [(1, 1), (3, 5), (4, 2)]


def slow_upfirdn(x, taps, up=1, down=1, pad=(0, 0)):
    """Zeros after every pixel, padding, full 2-D convolution, decimation: one map at a time."""
    kernel = np.outer(taps, taps).astype("float64")
    kernel *= up * up / kernel.sum()
    batch, height, width, channels = x.shape
    spread = np.zeros((batch, height * up, width * up, channels))
    spread[:, ::up, ::up] = x
    spread = np.pad(spread, ((0, 0), pad, pad, (0, 0)))
    maps = [
        [signal.convolve2d(spread[b, ..., c], kernel, mode="valid") for c in range(channels)]
        for b in range(batch)
    ]
    return np.array(maps).transpose(0, 2, 3, 1)[:, ::down, ::down]


def close(result, expected, atol=1e-5):
    np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=atol)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("taps", [(1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1), (1,)])
def test_blur_equals_a_convolution_with_the_outer_product(rng, size, taps):
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    around = len(taps) - 1
    expected = slow_upfirdn(x, taps, pad=((around + 1) // 2, around // 2))
    close(blur(x, taps), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_nearest_upsampling_repeats_pixels(rng, size, factor):
    x = rng.normal(size=(1, *size, 3)).astype("float32")
    close(upsample_nearest(x, factor), x.repeat(factor, 1).repeat(factor, 2))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("taps", "factor"), [((1, 3, 3, 1), 2), ((1, 2, 1), 2), ((1, 2, 5, 3), 3)])
def test_upsampling_equals_zeros_between_then_a_filter(rng, size, taps, factor):
    x = rng.normal(size=(2, *size, 2)).astype("float32")
    around = len(taps) - factor
    pad = ((around + 1) // 2 + factor - 1, around // 2)
    close(upsample_fir(x, taps, factor), slow_upfirdn(x, taps, up=factor, pad=pad))


def test_upsampling_by_the_default_taps_is_bilinear_inside(rng):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(1, 5, 6, 2)).astype("float32")
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x).permute(0, 3, 1, 2), scale_factor=2, mode="bilinear"
    )
    expected = expected.permute(0, 2, 3, 1).numpy()
    close(upsample_fir(x)[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1])


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (8, 6)])
@pytest.mark.parametrize(("taps", "factor"), [((1, 3, 3, 1), 2), ((1, 2, 1), 2), ((1, 2, 5, 3), 3)])
def test_downsampling_equals_a_filter_then_every_other_pixel(rng, size, taps, factor):
    x = rng.normal(size=(2, *size, 2)).astype("float32")
    around = len(taps) - factor
    pad = ((around + 1) // 2, around // 2)
    close(downsample_fir(x, taps, factor), slow_upfirdn(x, taps, down=factor, pad=pad))


def reference_conv(x, kernel):
    """3x3 or 1x1 correlation of torch, which keeps the size."""
    torch = pytest.importorskip("torch")
    weight = torch.from_numpy(kernel.astype("float64")).permute(3, 2, 0, 1)
    x = torch.from_numpy(np.asarray(x, "float64")).permute(0, 3, 1, 2)
    y = torch.nn.functional.conv2d(x, weight, padding=kernel.shape[0] // 2)
    return y.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 6)])
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("taps", [None, (1, 2, 1)])
def test_nearest_and_average_convolutions_equal_their_parts(rng, size, kernel_size, fused, taps):
    kernel = rng.normal(size=(kernel_size, kernel_size, 3, 4)).astype("float32")
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    expected = reference_conv(x.repeat(2, 1).repeat(2, 2), kernel)
    expected = expected if taps is None else slow_upfirdn(expected, taps, pad=(1, 1))
    close(resampling_conv2d(x, kernel, "up", taps, fused), expected, 1e-4)

    x = x.repeat(2, 1).repeat(2, 2)[:, ::-1] + rng.normal(size=(2, 1, 2 * size[1], 3))
    x = x.astype("float32")
    blurred = x if taps is None else slow_upfirdn(x, taps, pad=(1, 1))
    expected = average_pool(reference_conv(blurred, kernel).astype("float32"), 2)
    result = resampling_conv2d(x, kernel, "down", taps, fused)
    close(result, ops.convert_to_numpy(expected), 1e-4)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 6)])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_fir_convolutions_equal_their_parts(rng, size, kernel_size):
    kernel = rng.normal(size=(kernel_size, kernel_size, 3, 4)).astype("float32")
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    spread = np.zeros((2, 2 * size[0], 2 * size[1], 3))
    spread[:, ::2, ::2] = x
    # Convolving the spread image wholly, then filtering, loses nothing beyond the frame.
    wide = np.pad(spread, ((0, 0), (3, 3), (3, 3), (0, 0)))
    expected = slow_upfirdn(reference_conv(wide, kernel), (1, 3, 3, 1), pad=(0, 0)) * 4
    expected = expected[:, 1 : 1 + 2 * size[0], 1 : 1 + 2 * size[1]]
    close(resampling_conv2d(x, kernel, "up", (1, 3, 3, 1)), expected, 1e-4)

    x = rng.normal(size=(2, 2 * size[0], 2 * size[1], 3)).astype("float32")
    wide = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
    filtered = slow_upfirdn(wide, (1, 3, 3, 1))
    expected = reference_conv(filtered, kernel)[:, 2:-2, 2:-2][:, : 2 * size[0], : 2 * size[1]]
    result = resampling_conv2d(x, kernel, "down", (1, 3, 3, 1))
    close(result, expected[:, ::2, ::2], 1e-4)


@pytest.mark.parametrize("kernel_size", [3, 5, 7, 9])
def test_a_kernel_that_is_zero_but_for_its_centre_changes_no_resampling(rng, kernel_size):
    x = rng.normal(size=(1, 6, 10, 2)).astype("float32")
    kernel = np.zeros((kernel_size, kernel_size, 2, 2), "float32")
    kernel[kernel_size // 2, kernel_size // 2] = np.eye(2)
    expected = ops.convert_to_numpy(upsample_fir(x))
    close(resampling_conv2d(x, kernel, "up", (1, 3, 3, 1)), expected)
    expected = ops.convert_to_numpy(downsample_fir(x))
    close(resampling_conv2d(x, kernel, "down", (1, 3, 3, 1)), expected)


@pytest.mark.parametrize("size", [(5, 70), (66, 9)])
def test_large_sides_are_filtered_in_the_same_way(rng, size):
    x = rng.normal(size=(1, *size, 2)).astype("float32")
    close(blur(x, (1, 2, 3)), slow_upfirdn(x, (1, 2, 3), pad=(1, 1)))
    close(downsample_fir(x), slow_upfirdn(x, (1, 3, 3, 1), down=2, pad=(1, 1)))


@pytest.mark.parametrize("taps", [None, (1, 2, 1), (1, 3, 3, 1)])
@pytest.mark.parametrize("resample", ["up", "down"])
def test_first_and_second_derivatives_are_right(rng, check_derivatives, taps, resample):
    x = rng.normal(size=(1, 2, 4, 2)).astype("float32")
    kernel = rng.normal(size=(3, 3, 2, 2)).astype("float32")

    def function(x, kernel):
        fused = taps == (1, 2, 1)
        return ops.sum(ops.tanh(resampling_conv2d(x, kernel, resample, taps, fused) * 0.3))

    check_derivatives(function, x, kernel)


def test_wrong_arguments_are_named():
    x = np.zeros((1, 4, 4, 1), "float32")
    for function in (lambda x: blur(x, (1, 2, 1)), upsample_nearest, upsample_fir, downsample_fir):
        with pytest.raises(ValueError, match=r"Received: shape \(4, 4, 1\)$"):
            function(x[0])
    with pytest.raises(ValueError, match="resample must .*Received: 'left'$"):
        resampling_conv2d(x, np.zeros((3, 3, 1, 2), "float32"), "left")
    with pytest.raises(ValueError, match=r"kernel must .*Received: shape \(3, 3, 4, 2\)$"):
        resampling_conv2d(x, np.zeros((3, 3, 4, 2), "float32"))
    with pytest.raises(ValueError, match="Received: 0$"):
        upsample_nearest(x, 0)
    with pytest.raises(ValueError, match=r"Received: \[1.0\]$"):
        downsample_fir(x, (1,), 2)
    with pytest.raises(ValueError, match=r"Received: \[1.0, -1.0\]$"):
        blur(x, (1, -1))
    with pytest.raises(ValueError, match=r"4 taps. Received: shape \(1, 1, 4, 1\)$"):
        downsample_fir(x[:, :1])
