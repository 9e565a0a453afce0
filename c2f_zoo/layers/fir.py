"""Resampling with small separable filters, alone and combined with a convolution.

Every function can be differentiated any number of times on every backend.
"""

import functools

import numpy as np
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.layers.resampling import average_pool, interleave

RESAMPLINGS = (None, "up", "down")
BILINEAR_TAPS = (1, 3, 3, 1)  # of StyleGAN2
MATRIX_SIDE = 64  # up to which banded matrices are faster than PyTorch's depthwise convolutions


def blur(x, taps):
    """Low-pass filter that keeps the size, with zeros beyond the frame.

    Args:
        x: Tensor (B, H, W, C).
        taps: Weights along one axis, scaled here to sum to 1; the filter is their outer product.
            An odd number of taps keeps every pixel in place.

    Returns:
        Tensor (B, H, W, C).

    Raises:
        ValueError: If `x` is not of rank 4, or the taps do not have a positive sum.

    Source: StyleGAN (arXiv 1812.04948), section 2: taps (1, 2, 1), after Zhang 2019.

    Example:
        >>> impulse = np.array([0, 0, 4, 0, 0], "float32").reshape(1, 1, 5, 1)
        >>> [float(v) for v in np.asarray(blur(impulse, (1, 2, 1)))[0, 0, :, 0]]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    x, taps = _image(x), _normalized(taps)
    pad = len(taps) - 1
    return _filter(x, taps, (pad + 1) // 2, pad // 2)


def upsample_nearest(x, factor=2):
    """Enlarge by a whole factor: repeat every pixel.

    Args:
        x: Tensor (B, H, W, C).
        factor: Integer of at least 1.

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Raises:
        ValueError: If `x` is not of rank 4 or `factor` not a positive integer.

    Source: ProGAN (arXiv 1710.10196), section 2, figure 2: "2x".

    Example:
        >>> up = upsample_nearest(np.array([1.0, 2.0], "float32").reshape(1, 1, 2, 1))
        >>> [float(v) for v in np.asarray(up)[0, 1, :, 0]]
        [1.0, 1.0, 2.0, 2.0]
    """
    x, factor = _image(x), checks.whole("factor", factor, least=1)
    for axis in (1, 2):
        x = _repeat(x, factor, axis)
    return x


def upsample_fir(x, taps=BILINEAR_TAPS, factor=2):
    """Enlarge by a whole factor: zeros between the pixels, then a low-pass filter.

    With the default taps this is bilinear interpolation with zeros beyond the frame.

    Args:
        x: Tensor (B, H, W, C).
        taps: Weights along one axis, at least `factor` of them, scaled here so that constants are
            preserved away from the frame's edge.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, factor * H, factor * W, C).

    Raises:
        ValueError: If `x` is not of rank 4, `factor` not a positive integer, or there are fewer
            than `factor` taps.

    Source: StyleGAN2 (arXiv 1912.04958), section 4.1 and its `upsample_2d`.

    Example:
        >>> row = np.array([4.0, 8.0], "float32").reshape(1, 1, 2, 1)
        >>> [float(v) for v in np.asarray(upsample_fir(row))[0, 0, :, 0] / 0.75]
        [3.0, 5.0, 7.0, 6.0]
    """
    x, taps = _image(x), _normalized(taps, factor)
    pad = len(taps) - factor
    before, after = (pad + 1) // 2 + factor - 1, pad // 2
    for axis in (1, 2):
        x = interleave([x] + [ops.zeros_like(x)] * (factor - 1), axis)
    return _filter(x, [factor * tap for tap in taps], before, after)


def downsample_fir(x, taps=BILINEAR_TAPS, factor=2):
    """Shrink by a whole factor: a low-pass filter, then every `factor`-th pixel.

    Args:
        x: Tensor (B, H, W, C).
        taps: Weights along one axis, at least `factor` of them, scaled here to sum to 1.
        factor: Integer of at least 1.

    Returns:
        Tensor (B, H / factor, W / factor, C); for factor 2 odd sizes are rounded up with an odd
        number of taps, down with an even one.

    Raises:
        ValueError: If `x` is not of rank 4, `factor` not a positive integer, or there are fewer
            than `factor` taps.

    Source: StyleGAN2 (arXiv 1912.04958), section 4.1 and its `downsample_2d`.

    Example:
        >>> small = downsample_fir(np.ones((1, 6, 6, 1), "float32"))
        >>> [float(v) for v in np.asarray(small)[0, 1, :, 0]]
        [0.875, 1.0, 0.875]
    """
    x, taps = _image(x), _normalized(taps, factor)
    pad = len(taps) - factor
    return _filter(x, taps, (pad + 1) // 2, pad // 2, factor)


def resampling_conv2d(x, kernel, resample=None, taps=None, fused=False):
    """Convolution, padded to keep the size, that can also double or halve it.

    - No taps (ProGAN): repeat the nearest pixel before, or average 2x2 cells after.
    - An odd number of taps (StyleGAN): the same, with `blur` after "up" and before "down".
    - An even number (StyleGAN2): a transposed convolution of stride 2, then the filter; or the
      filter, then a convolution of stride 2.

    Args:
        x: Tensor (B, H, W, C); H and W even for "down".
        kernel: Tensor (k, k, C, F), k odd.
        resample: None, `"up"` or `"down"`.
        taps: None or weights of a low-pass filter along one axis.
        fused: Compute the first two kinds by one convolution of stride 2 whose kernel sums four
            shifts of `kernel`: the same values for fewer operations.

    Returns:
        Tensor (B, H, W, F), or (B, 2 H, 2 W, F), or (B, H / 2, W / 2, F).

    Raises:
        ValueError: If the shapes do not fit or `resample` is unknown.

    Source: ProGAN (arXiv 1710.10196) and its `fused_scale`; StyleGAN2 (arXiv 1912.04958) and its
    `upsample_conv_2d`, `conv_downsample_2d`.

    Example:
        >>> x, kernel = np.ones((1, 4, 6, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
        >>> tuple(resampling_conv2d(x, kernel, "up", taps=(1, 3, 3, 1)).shape)
        (1, 8, 12, 8)
    """
    x = _image(x)
    checks.one_of("resample", resample, RESAMPLINGS)
    checks.shape("kernel", kernel, "(k, k, C, F)", (None, None, x.shape[-1], None))
    filters_while_resampling = taps is not None and len(taps) % 2 == 0
    if resample is None:
        return _same_conv(x, kernel)
    if resample == "up":
        if filters_while_resampling:
            return _conv_up_fir(x, kernel, taps)
        x = _conv_up_nearest(x, kernel, fused)
        return x if taps is None else blur(x, taps)
    if filters_while_resampling:
        x = filter_before_down(x, kernel.shape[0], taps)
        return ops.conv(x, kernel, strides=2, padding="valid", data_format="channels_last")
    return _conv_down_average(x if taps is None else blur(x, taps), kernel, fused)


def _same_conv(x, kernel):
    return ops.conv(x, kernel, padding="same", data_format="channels_last")


def _conv_up_fir(x, kernel, taps):
    if kernel.shape[0] == 1:  # acts on each pixel alone and commutes with the filter
        return upsample_fir(_same_conv(x, kernel), taps)
    x = ops.conv_transpose(
        x, _transposed(kernel), strides=2, padding="valid", data_format="channels_last"
    )
    return filter_after_up(x, kernel.shape[0], taps)


def filter_after_up(x, kernel_size, taps):
    """Filter the output of a full transposed convolution of stride 2, to (B, 2 H, 2 W, C)."""
    pad = (len(taps) - 2) - (kernel_size - 1)
    taps = [2 * tap for tap in _normalized(taps)]
    return _filter(x, taps, (pad + 1) // 2 + 1, pad // 2 + 1)


def filter_before_down(x, kernel_size, taps):
    """Filter the input of an unpadded convolution of stride 2, to (B, H + k - 2, W + k - 2, C)."""
    pad = (len(taps) - 2) + (kernel_size - 1)
    return _filter(x, _normalized(taps), (pad + 1) // 2, pad // 2)


def _conv_up_nearest(x, kernel, fused):
    if not fused:
        return _same_conv(upsample_nearest(x), kernel)
    kernel = _sum_of_shifts(_transposed(kernel))
    return ops.conv_transpose(x, kernel, strides=2, padding="same", data_format="channels_last")


def _conv_down_average(x, kernel, fused):
    if not fused:
        return average_pool(_same_conv(x, kernel), 2)
    pad = kernel.shape[0] // 2
    x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    kernel = _sum_of_shifts(kernel) * 0.25
    return ops.conv(x, kernel, strides=2, padding="valid", data_format="channels_last")


def _transposed(kernel):
    """Kernel of a transposed convolution that correlates, as the forward one does."""
    return ops.transpose(ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2))


def _sum_of_shifts(kernel):
    """Kernel one larger: convolving with it is convolving the sum of each 2x2 cell."""
    size, _, channels, filters = kernel.shape
    # One constant matrix: the gradients of four slices took a sixth of a StyleGAN step.
    shifts = np.eye(size + 1, size) + np.eye(size + 1, size, -1)
    shifts = ops.cast(np.kron(shifts, shifts), kernel.dtype)
    kernel = ops.matmul(shifts, ops.reshape(kernel, (size * size, channels * filters)))
    return ops.reshape(kernel, (size + 1, size + 1, channels, filters))


def _filter(x, taps, before, after, stride=1):
    """Correlate rows and columns with the taps, zeros put around, every `stride`-th kept."""
    for size in x.shape[1:3]:
        if size is not None and size + before + after < len(taps):
            raise ValueError(
                f"x must be larger for a filter of {len(taps)} taps. "
                f"Received: shape {tuple(x.shape)}"
            )
    if min(before, after) < 0:  # of a kernel larger than the filter: its border falls away
        inside = slice(max(-before, 0), -max(-after, 0) or None)
        x, before, after = x[:, inside, inside], max(before, 0), max(after, 0)
    # The fastest exact form of each backend (docs/speed.md): XLA fuses sums of slices, whose
    # gradients cost TensorFlow 20 to 50 times a depthwise convolution's.
    name = backend.backend()
    if name == "torch" and max(x.shape[1:3]) <= MATRIX_SIDE:
        return _filter_by_matrices(x, taps, before, after, stride)
    x = ops.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    # On some processors TensorFlow's depthwise convolution of no image returns another size.
    by_slices = name == "jax" or x.shape[0] == 0
    form = _filter_by_slices if by_slices else _filter_by_depthwise
    return form(x, taps, stride)


def _filter_by_slices(x, taps, stride):
    for axis in (1, 2):
        last = x.shape[axis] - len(taps) + 1  # of the first tap's pixels
        lead = (slice(None),) * axis
        x = sum(tap * x[(*lead, slice(k, k + last, stride))] for k, tap in enumerate(taps))
    return x


def _filter_by_depthwise(x, taps, stride):
    dtype = x.dtype
    # In float32 also under mixed_bfloat16: the strided gradient is slower in bfloat16.
    x = backend.at_least_float32(x)
    kernel = np.tile(np.outer(taps, taps)[:, :, None, None], (1, 1, x.shape[-1], 1))
    kernel = ops.cast(kernel, x.dtype)
    y = ops.depthwise_conv(x, kernel, strides=stride, padding="valid", data_format="channels_last")
    return ops.cast(y, dtype)


def _filter_by_matrices(x, taps, before, after, stride):
    batch, height, width, channels = x.shape
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
    band = np.zeros((outputs, before + size + after))
    for row in range(outputs):
        band[row, row * stride : row * stride + len(taps)] = taps
    return band[:, before : before + size]


def _repeat(x, factor, axis):
    """Repeat every row or column."""
    # The gradient of a repetition takes TensorFlow half the time of that of a stack; PyTorch and
    # JAX take twice and more.
    if backend.backend() != "tensorflow":
        return interleave([x] * factor, axis)
    shape = list(ops.shape(x))
    shape[axis] = shape[axis] * factor
    # The reshape keeps statically known sizes known.
    return ops.reshape(ops.repeat(x, factor, axis=axis), shape)


def _image(x):
    x = ops.convert_to_tensor(x)
    return checks.shape("x", x, "(B, H, W, C)", (None,) * 4)


def _normalized(taps, factor=1):
    """Taps as floats that sum to 1, reversed: a filter correlates with the mirror image."""
    factor = checks.whole("factor", factor, least=1)
    taps = [float(tap) for tap in taps]
    if len(taps) < factor or not sum(taps) > 0:
        raise ValueError(
            f"taps must be at least {factor} numbers of positive sum. Received: {taps}"
        )
    return [tap / sum(taps) for tap in reversed(taps)]
