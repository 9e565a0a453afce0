"""Resampling with small separable filters, alone and together with a convolution.

All of it is matrix products and convolutions, so it can be differentiated any number of times on
every backend.
"""

import functools

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers.resampling import average_pool

BILINEAR_TAPS = (1, 3, 3, 1)  # of StyleGAN2


def blur(x, taps):
    """Low-pass filter that keeps the size, zeros beyond the frame.

    Args:
        x: Tensor (B, H, W, C).
        taps: Weights of the filter along one axis, scaled here to sum to 1; the filter is their
            outer product. An odd number of them keeps every pixel in place.

    Returns:
        Tensor (B, H, W, C).

    Raises:
        ValueError: `x` has not rank 4, or the taps do not have a positive sum.

    Source: StyleGAN (arXiv 1812.04948), section 2: taps (1, 2, 1), after Zhang 2019.

    Example:
        >>> import numpy as np
        >>> impulse = np.array([0, 0, 4, 0, 0], "float32").reshape(1, 1, 5, 1)
        >>> [float(v) for v in np.asarray(blur(impulse, (1, 2, 1)))[0, 0, :, 0]]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    x, taps = _image(x, "blur"), _normalized(taps)
    pad = len(taps) - 1
    return _filter(x, taps, (pad + 1) // 2, pad // 2)


def upsample_nearest(x, factor=2):
    """Enlarge by a whole factor, every pixel repeated.

    Args:
        x: Tensor (B, H, W, C).
        factor: Integer of at least 1.

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Raises:
        ValueError: `x` has not rank 4, or the factor is below 1.

    Source: ProGAN (arXiv 1710.10196), section 2, figure 2: "2x".

    Example:
        >>> import numpy as np
        >>> up = upsample_nearest(np.array([1.0, 2.0], "float32").reshape(1, 1, 2, 1))
        >>> [float(v) for v in np.asarray(up)[0, 1, :, 0]]
        [1.0, 1.0, 2.0, 2.0]
    """
    x = _image(x, "upsample_nearest")
    _check_factor(factor)
    for axis in (1, 2):
        x = _repeat(x, factor, axis)
    return x


def upsample_fir(x, taps=BILINEAR_TAPS, factor=2):
    """Enlarge by a whole factor: zeros between the pixels, then a low-pass filter.

    With the default taps this is bilinear interpolation whose outside is zero.

    Args:
        x: Tensor (B, H, W, C).
        taps: Weights of the filter along one axis, at least `factor` of them, scaled here so
            that a constant stays what it is (away from the frame's edge).
        factor: Integer of at least 1.

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Raises:
        ValueError: `x` has not rank 4, the factor is below 1 or there are fewer taps than it.

    Source: StyleGAN2 (arXiv 1912.04958), section 4.1 and its `upsample_2d`.

    Example:
        >>> import numpy as np
        >>> row = np.array([4.0, 8.0], "float32").reshape(1, 1, 2, 1)
        >>> [float(v) for v in np.asarray(upsample_fir(row))[0, 0, :, 0] / 0.75]
        [3.0, 5.0, 7.0, 6.0]
    """
    x, taps = _image(x, "upsample_fir"), _normalized(taps, factor)
    pad = len(taps) - factor
    before, after = (pad + 1) // 2 + factor - 1, pad // 2
    for axis in (1, 2):
        x = _interleave([x] + [ops.zeros_like(x)] * (factor - 1), axis)
    return _filter(x, [factor * tap for tap in taps], before, after)


def downsample_fir(x, taps=BILINEAR_TAPS, factor=2):
    """Shrink by a whole factor: a low-pass filter, then every `factor`-th pixel.

    Args:
        x: Tensor (B, H, W, C).
        taps: Weights of the filter along one axis, at least `factor` of them, scaled here to
            sum to 1.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, ceil(H / factor), ceil(W / factor), C) with an odd number of taps and factor
        2; with the default taps the sizes are rounded down.

    Raises:
        ValueError: `x` has not rank 4, the factor is below 1 or there are fewer taps than it.

    Source: StyleGAN2 (arXiv 1912.04958), section 4.1 and its `downsample_2d`.

    Example:
        >>> import numpy as np
        >>> small = downsample_fir(np.ones((1, 6, 6, 1), "float32"))
        >>> [float(v) for v in np.asarray(small)[0, 1, :, 0]]
        [0.875, 1.0, 0.875]
    """
    x, taps = _image(x, "downsample_fir"), _normalized(taps, factor)
    pad = len(taps) - factor
    return _filter(x, taps, (pad + 1) // 2, pad // 2, factor)


def resampling_conv2d(x, kernel, resample=None, taps=None, fused=False):
    """Convolution, padded to keep the size, that also doubles or halves it.

    - No taps (ProGAN): the nearest pixel repeated before, or 2x2 averages taken after.
    - An odd number of taps (StyleGAN): the same, with `blur` after "up" and before "down".
    - An even number (StyleGAN2): `upsample_fir` after zeros are put between the pixels and
      convolved, or `downsample_fir` whose decimation is the convolution's stride.

    Args:
        x: Tensor (B, H, W, C); H and W even for "down".
        kernel: Tensor (k, k, C, F), k odd.
        resample: None, `"up"` or `"down"`.
        taps: None or weights of a low-pass filter along one axis.
        fused: Compute the first two kinds by one convolution of stride 2 whose kernel sums four
            shifts of `kernel`: the same values for fewer operations. The third is always so.

    Returns:
        Tensor (B, H, W, F), or (B, 2 H, 2 W, F), or (B, H / 2, W / 2, F).

    Source: ProGAN (arXiv 1710.10196) and its `fused_scale`; StyleGAN2 (arXiv 1912.04958) and its
    `upsample_conv_2d`, `conv_downsample_2d`.

    Example:
        >>> import numpy as np
        >>> x, kernel = np.ones((1, 4, 6, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
        >>> tuple(resampling_conv2d(x, kernel, "up", taps=(1, 3, 3, 1)).shape)
        (1, 8, 12, 8)
    """
    filters_while_resampling = taps is not None and len(taps) % 2 == 0
    if resample is None:
        return ops.conv(x, kernel, padding="same", data_format="channels_last")
    if resample == "up":
        if filters_while_resampling:
            return _conv_up_fir(x, kernel, taps)
        x = _conv_up_nearest(x, kernel, fused)
        return x if taps is None else blur(x, taps)
    if filters_while_resampling:
        return _conv_down_fir(x, kernel, taps)
    return _conv_down_average(x if taps is None else blur(x, taps), kernel, fused)


def _conv_up_fir(x, kernel, taps):
    if kernel.shape[0] == 1:  # acts on each pixel alone: the filter may as well follow it
        return upsample_fir(ops.conv(x, kernel, data_format="channels_last"), taps)
    x = ops.conv_transpose(
        x, _transposed(kernel), strides=2, padding="valid", data_format="channels_last"
    )
    return filter_after_up(x, kernel.shape[0], taps)


def filter_after_up(x, kernel_size, taps):
    """Apply the FIR filter that belongs to an upsampling by zeros and a full convolution.

    Args:
        x: Tensor (B, 2 H + k - 2, 2 W + k - 2, C).
        kernel_size: The convolution's k, at least 3.
        taps: Weights of the filter along one axis.

    Returns:
        Tensor (B, 2 H, 2 W, C).
    """
    pad = (len(taps) - 2) - (kernel_size - 1)
    taps = [2 * tap for tap in _normalized(taps)]
    return _filter(x, taps, (pad + 1) // 2 + 1, pad // 2 + 1)


def filter_before_down(x, kernel_size, taps):
    """Apply the FIR filter that belongs to a convolution of stride 2 without padding.

    Args:
        x: Tensor (B, H, W, C).
        kernel_size: The convolution's k.
        taps: Weights of the filter along one axis.

    Returns:
        Tensor (B, H + k - 2, W + k - 2, C).
    """
    pad = (len(taps) - 2) + (kernel_size - 1)
    return _filter(x, _normalized(taps), (pad + 1) // 2, pad // 2)


def _conv_down_fir(x, kernel, taps):
    x = filter_before_down(x, kernel.shape[0], taps)
    return ops.conv(x, kernel, strides=2, padding="valid", data_format="channels_last")


def _conv_up_nearest(x, kernel, fused):
    if not fused:
        x = upsample_nearest(x)
        return ops.conv(x, kernel, padding="same", data_format="channels_last")
    kernel = _sum_of_shifts(_transposed(kernel))
    return ops.conv_transpose(x, kernel, strides=2, padding="same", data_format="channels_last")


def _conv_down_average(x, kernel, fused):
    if not fused:
        return average_pool(ops.conv(x, kernel, padding="same", data_format="channels_last"), 2)
    pad = kernel.shape[0] // 2
    x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    kernel = _sum_of_shifts(kernel) * 0.25
    return ops.conv(x, kernel, strides=2, padding="valid", data_format="channels_last")


def _transposed(kernel):
    """Kernel of a transposed convolution that correlates, as the forward one does."""
    return ops.transpose(ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2))


def _sum_of_shifts(kernel):
    """Kernel one larger: convolving with it is convolving the sum of each 2x2 cell."""
    kernel = ops.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    kernel = kernel[1:] + kernel[:-1]
    return kernel[:, 1:] + kernel[:, :-1]


def _filter(x, taps, before, after, stride=1):
    """Correlate rows and columns with the taps, zeros put around, every `stride`-th kept."""
    for size in ops.shape(x)[1:3]:
        if isinstance(size, int) and size + before + after < len(taps):
            raise ValueError(f"{len(taps)} taps need a larger image. Received: {size}")
    # Sums of slices would do for all, but the gradient of each slice is a zero-filled copy of the
    # whole: most of a StyleGAN2 step on TensorFlow went into these.
    if backend.backend() == "tensorflow":
        return _filter_by_depthwise(x, taps, before, after, stride)
    return _filter_by_matrices(x, taps, before, after, stride)


def _filter_by_depthwise(x, taps, before, after, stride):
    dtype, flipped = x.dtype, np.array(taps[::-1])
    # In float32 also under mixed_bfloat16: the strided gradient is slower in bfloat16.
    precise = keras.backend.result_type(dtype, "float32")
    kernel = np.outer(flipped, flipped)[:, :, None, None]
    kernel = ops.cast(np.tile(kernel, (1, 1, x.shape[-1], 1)), precise)
    x = ops.pad(ops.cast(x, precise), ((0, 0), (before, after), (before, after), (0, 0)))
    y = ops.depthwise_conv(x, kernel, strides=stride, padding="valid", data_format="channels_last")
    return ops.cast(y, dtype)


def _filter_by_matrices(x, taps, before, after, stride):
    batch, height, width, channels = ops.shape(x)
    rows, columns = (
        ops.cast(_band(size, tuple(taps), before, after, stride), x.dtype)
        for size in (height, width)
    )
    x = ops.matmul(rows, ops.reshape(x, (batch, height, width * channels)))
    x = ops.matmul(columns, ops.reshape(x, (batch * rows.shape[0], width, channels)))
    return ops.reshape(x, (batch, rows.shape[0], columns.shape[0], channels))


@functools.lru_cache(maxsize=256)
def _band(size, taps, before, after, stride):
    """Matrix (outputs, size) that filters a column of pixels, zeros beyond its ends."""
    outputs = (size + before + after - len(taps)) // stride + 1
    offsets = np.arange(size)[None] - (stride * np.arange(outputs)[:, None] - before)
    flipped = np.array(taps[::-1])
    inside = (offsets >= 0) & (offsets < len(taps))
    return np.where(inside, flipped[np.clip(offsets, 0, len(taps) - 1)], 0.0)


def _repeat(x, factor, axis):
    """Every row or column repeated."""
    # The gradient of a repetition takes TensorFlow half the time of that of a stack; PyTorch and
    # JAX take twice and more.
    if backend.backend() != "tensorflow":
        return _interleave([x] * factor, axis)
    shape = list(ops.shape(x))
    shape[axis] = shape[axis] * factor
    # Sizes known when the graph is built stay known.
    return ops.reshape(ops.repeat(x, factor, axis=axis), shape)


def _interleave(phases, axis):
    """Tensors (B, H, W, C) woven into one that is as many times larger along the axis."""
    shape = list(ops.shape(phases[0]))
    shape[axis] = shape[axis] * len(phases)
    return ops.reshape(ops.stack(phases, axis=axis + 1), shape)


def _image(x, name):
    x = ops.convert_to_tensor(x)
    if len(x.shape) != 4:
        raise ValueError(f"{name} takes a tensor (B, H, W, C). Received: shape {tuple(x.shape)}")
    return x


def _check_factor(factor):
    if factor < 1:
        raise ValueError(f"factor must be at least 1. Received: {factor}")


def _normalized(taps, factor=1):
    """Taps as floats that sum to 1."""
    _check_factor(factor)
    taps = [float(tap) for tap in taps]
    if len(taps) < factor:
        raise ValueError(f"a factor of {factor} needs as many taps. Received: {taps}")
    if sum(taps) <= 0:
        raise ValueError(f"the taps must have a positive sum. Received: {taps}")
    return [tap / sum(taps) for tap in taps]
