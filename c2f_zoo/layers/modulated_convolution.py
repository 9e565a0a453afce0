"""Convolution with a kernel that a style scales and demodulation normalises (StyleGAN2)."""

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers.equalized import check_convolution, resampled_shape, style_layer
from c2f_zoo.layers.fir import (
    BILINEAR_TAPS,
    filter_after_up,
    filter_before_down,
    resampling_conv2d,
    upsample_fir,
)
from c2f_zoo.layers.resampling import interleave


def modulated_conv2d(
    x,
    kernel,
    style,
    demodulate=True,
    resample=None,
    resample_filter=BILINEAR_TAPS,
    fused=False,
    epsilon=1e-8,
):
    """Convolve each sample with the kernel scaled, per input channel, by its own style.

    The scaled kernel is w'[i] = style[i] * w[i]; demodulation divides it, per output channel, by
    sqrt(sum of its squares + epsilon), computed in float32. Unfused, inputs are scaled before one
    ordinary convolution and outputs after it; fused, one grouped convolution holds every sample's
    kernel. Both give the same values.

    Args:
        x: Tensor (B, H, W, C); H and W even for "down".
        kernel: Tensor (k, k, C, F), k odd.
        style: Tensor (B, C).
        demodulate: Divide by the norm.
        resample: None, `"up"` (twice the size) or `"down"` (half).
        resample_filter: Taps along one axis of the resampling's low-pass filter, an even number.
        fused: Use a grouped convolution. It needs a statically known batch size and is slow on
            CPUs.
        epsilon: Added to the sum of squares.

    Returns:
        Tensor (B, H, W, F), or (B, 2 H, 2 W, F), or (B, H / 2, W / 2, F), of the dtype of `x`.

    Raises:
        ValueError: If the shapes do not fit, `resample` is unknown, the number of taps is odd, or
            `fused` is set without a known batch size.

    Source: StyleGAN2 (arXiv 1912.04958), section 2.2, equations 1 to 3.

    Example:
        >>> x, kernel = np.ones((2, 4, 4, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
        >>> style = np.array([[1, 1, 1], [5, 5, 5]], "float32")
        >>> y = np.asarray(modulated_conv2d(x, kernel, style))
        >>> y.shape, bool(np.allclose(y[0], y[1]))  # a style's overall size does not matter
        ((2, 4, 4, 8), True)
    """
    x, kernel, style = (ops.convert_to_tensor(tensor) for tensor in (x, kernel, style))
    _check(x, kernel, style, resample, resample_filter)
    precise_kernel, precise_style = map(backend.at_least_float32, (kernel, style))
    if fused:
        scaled = precise_kernel[None] * precise_style[:, None, None, :, None]
        if demodulate:
            power = ops.sum(ops.square(scaled), axis=(1, 2, 3), keepdims=True)
            scaled = scaled * ops.rsqrt(power + epsilon)
        return _grouped(x, ops.cast(scaled, x.dtype), resample, resample_filter)
    y = x * ops.cast(style, x.dtype)[:, None, None, :]
    y = resampling_conv2d(y, ops.cast(kernel, x.dtype), resample, resample_filter)
    if not demodulate:
        return y
    power = ops.sum(ops.square(precise_kernel), axis=(0, 1))
    power = ops.matmul(ops.square(precise_style), power)
    return y * ops.cast(ops.rsqrt(power + epsilon), x.dtype)[:, None, None, :]


def _check(x, kernel, style, resample, taps):
    shapes = [tuple(tensor.shape) for tensor in (x, kernel, style)]
    ranks = tuple(len(shape) for shape in shapes)
    if ranks != (4, 4, 2) or not shapes[0][-1] == shapes[1][2] == shapes[2][-1]:
        raise ValueError(
            "x must have the shape (B, H, W, C), kernel (k, k, C, F) and style (B, C). "
            f"Received: shapes {', '.join(map(str, shapes))}"
        )
    check_convolution(shapes[1][3], shapes[1][0], resample)
    if resample and len(taps) % 2:
        raise ValueError(f"resample_filter must have an even number of taps. Received: {taps}")


def _grouped(x, kernels, resample, taps):
    """Convolve each sample with its own kernel (B, k, k, C, F), as groups of channels."""
    batch, size, _, channels, filters = kernels.shape
    if batch is None:
        raise ValueError(
            "fused=True needs a statically known batch size. "
            f"Received: shape {tuple(kernels.shape)} of the kernels"
        )
    if resample == "down":
        x = filter_before_down(x, size, taps)
    _, height, width, _ = ops.shape(x)
    x = ops.reshape(ops.transpose(x, (1, 2, 0, 3)), (1, height, width, batch * channels))
    kernels = ops.reshape(
        ops.transpose(kernels, (1, 2, 3, 0, 4)), (size, size, channels, batch * filters)
    )
    spreads = resample == "up" and size > 1
    if spreads:
        # keras.ops has no grouped transposed convolution: insert the zeros by hand.
        for axis in (1, 2):
            x = interleave([x, ops.zeros_like(x)], axis)
        around = (size - 1, size - 2)
        x = ops.pad(x, ((0, 0), around, around, (0, 0)))
    padding, strides = "valid" if resample else "same", 2 if resample == "down" else 1
    x = ops.conv(x, kernels, strides=strides, padding=padding, data_format="channels_last")
    _, height, width, _ = ops.shape(x)
    x = ops.transpose(ops.reshape(x, (height, width, batch, filters)), (2, 0, 1, 3))
    if resample != "up":
        return x
    return filter_after_up(x, size, taps) if spreads else upsample_fir(x, taps)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ModulatedConv2D(keras.layers.Layer):
    """`modulated_conv2d` with an equalised kernel and a style computed from w.

    The style is an equalised dense layer of gain 1 whose bias starts at 1. The output has no
    bias, because StyleGAN2 adds noise before the bias.

    Args:
        filters: Output channels.
        kernel_size: Odd integer.
        demodulate: Normalise the scaled kernels, which RGB layers do not do.
        resample: None, `"up"` or `"down"`.
        resample_filter: Taps of the resampling's low-pass filter, an even number.
        fused: Use a grouped convolution, see `modulated_conv2d`.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C).
        w: Tensor (B, D), of the intermediate latent space.

    Returns:
        Tensor (B, H, W, filters), or with twice or half the height and width.

    Raises:
        ValueError: If `kernel_size` is even, `resample` unknown, or an input of another rank.

    Source: StyleGAN2 (arXiv 1912.04958), section 2.2, figure 2.

    Example:
        >>> layer = ModulatedConv2D(8, 3, resample="up")
        >>> x, w = np.ones((2, 4, 6, 3), "float32"), np.ones((2, 16), "float32")
        >>> tuple(layer(x, w).shape)
        (2, 8, 12, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        demodulate=True,
        resample=None,
        resample_filter=BILINEAR_TAPS,
        fused=False,
        **kwargs,
    ):
        check_convolution(filters, kernel_size, resample)
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.demodulate = filters, kernel_size, demodulate
        self.resample, self.resample_filter = resample, tuple(resample_filter)
        self.fused = fused
        self.style = None

    def build(self, x_shape, w_shape):
        channels, size = x_shape[-1], self.kernel_size
        self.style = style_layer(x_shape, w_shape, channels, self.dtype_policy, bias_init=1.0)
        self.kernel_scale = (size * size * channels) ** -0.5
        self.kernel = self.add_weight(
            shape=(size, size, channels, self.filters),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="kernel",
        )
        self.built = True

    def call(self, x, w):
        return modulated_conv2d(
            x,
            ops.multiply(self.kernel, self.kernel_scale),
            self.style(w),
            self.demodulate,
            self.resample,
            self.resample_filter,
            self.fused,
        )

    def compute_output_shape(self, x_shape, w_shape):
        return resampled_shape(x_shape, self.resample, self.filters)

    def get_config(self):
        names = ("filters", "kernel_size", "demodulate", "resample", "resample_filter", "fused")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
