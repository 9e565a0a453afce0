"""Dense and convolutional layers with an equalised learning rate (ProGAN)."""

import math

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers.fir import RESAMPLINGS, resampling_conv2d
from c2f_zoo.layers.resampling import average_pool

SQRT2 = math.sqrt(2.0)


@keras.saving.register_keras_serializable(package="c2f_zoo")
def scaled_leaky_relu(x):
    """LeakyReLU of slope 0.2 times sqrt(2), which preserves the variance of normal inputs.

    Args:
        x: Tensor of any shape.

    Returns:
        Tensor of the shape of `x`.

    Source: StyleGAN2 (arXiv 1912.04958), its `fused_bias_act`.

    Example:
        >>> round(float(scaled_leaky_relu(keras.ops.convert_to_tensor(1.0))), 4)
        1.4142
    """
    return ops.leaky_relu(x, negative_slope=0.2) * SQRT2


class _Equalized(keras.layers.Layer):
    """Kernel of unit variance, scaled when it is used, and a bias."""

    def __init__(self, gain, lr_multiplier, use_bias, bias_init, activation, **kwargs):
        super().__init__(**kwargs)
        self.gain = float(gain)
        self.lr_multiplier = checks.number("lr_multiplier", lr_multiplier, above=0)
        self.use_bias, self.bias_init = use_bias, float(bias_init)
        self.activation = keras.activations.get(activation)

    def _add_weights(self, shape, fan_in):
        self.kernel_scale = self.gain / math.sqrt(fan_in) * self.lr_multiplier
        self.kernel = self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0 / self.lr_multiplier),
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(shape[-1],),
                initializer=keras.initializers.Constant(self.bias_init / self.lr_multiplier),
                name="bias",
            )

    def _scaled_kernel(self):
        return ops.multiply(self.kernel, self.kernel_scale)

    def _finish(self, x):
        if self.bias is not None:
            bias = self.bias if self.lr_multiplier == 1 else self.bias * self.lr_multiplier
            x = ops.add(x, bias)
        return self.activation(x)

    def get_config(self):
        names = ("gain", "lr_multiplier", "use_bias", "bias_init")
        config = {name: getattr(self, name) for name in names}
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), **config, "activation": activation}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class EqualizedDense(_Equalized):
    """Dense layer with an equalised learning rate.

    The kernel is drawn from N(0, 1 / lr_multiplier^2) and multiplied by gain / sqrt(fan_in) *
    lr_multiplier when it is used, the bias by lr_multiplier: Adam moves every layer at the same
    relative speed, times the multiplier.

    Args:
        units: Outputs.
        gain: He's constant of the activation: sqrt(2) for LeakyReLU, 1 for a linear layer.
        lr_multiplier: Speed of this layer relative to others, positive; StyleGAN's mapping
            network has 0.01.
        use_bias: Add a bias.
        bias_init: Initial bias.
        activation: None, a name or a function; `"leaky_relu"` has slope 0.2.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (..., C).

    Returns:
        Tensor (..., units).

    Raises:
        ValueError: If `units` or `lr_multiplier` is not positive.

    Source: ProGAN (arXiv 1710.10196), section 4.1; multiplier: StyleGAN (arXiv 1812.04948),
    appendix C.

    Example:
        >>> layer = EqualizedDense(8, activation="leaky_relu")
        >>> tuple(layer(np.ones((2, 512), "float32")).shape)
        (2, 8)
    """

    def __init__(
        self,
        units,
        gain=SQRT2,
        lr_multiplier=1.0,
        use_bias=True,
        bias_init=0.0,
        activation=None,
        **kwargs,
    ):
        super().__init__(gain, lr_multiplier, use_bias, bias_init, activation, **kwargs)
        self.units = checks.whole("units", units, least=1)

    def build(self, input_shape):
        channels = input_shape[-1]
        self._add_weights((channels, self.units), channels)
        self.built = True

    def call(self, x):
        return self._finish(ops.matmul(x, self._scaled_kernel()))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class EqualizedConv2D(_Equalized):
    """Convolution with an equalised learning rate that can also double or halve the size.

    Scaled as in `EqualizedDense`, fan_in = kernel_size^2 * C; zero padding keeps the size. What
    `resample` does depends on the filter:

    - None (ProGAN): "up" repeats the nearest pixel, then convolves. "down" convolves, adds the
      bias, activates and averages 2x2 cells; with `fused` it averages before bias and activation,
      as the official fused code does.
    - Odd, such as (1, 2, 1) (StyleGAN): "up" is followed by a blur; "down" is preceded by one,
      and averages before bias and activation.
    - Even, such as (1, 3, 3, 1) (StyleGAN2): the filter is part of the resampling; `fused` has no
      effect.

    Args:
        filters: Output channels.
        kernel_size: Odd integer.
        gain: He's constant of the activation: sqrt(2) for LeakyReLU, 1 for a linear layer.
        lr_multiplier: Speed of this layer relative to others.
        use_bias: Add a bias.
        activation: None, a name or a function; `"leaky_relu"` has slope 0.2.
        resample: None, `"up"` (twice the size) or `"down"` (half).
        resample_filter: None or the taps of a low-pass filter along one axis, see above.
        fused: Resample by one convolution of stride 2: fewer operations.
        bias_init: Initial bias.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C); H and W even for "down".

    Returns:
        Tensor (B, H, W, filters), or (B, 2 H, 2 W, filters), or (B, H / 2, W / 2, filters).

    Raises:
        ValueError: If `kernel_size` is not an odd integer, `filters` or `lr_multiplier` not
            positive, `resample` unknown, or `x` not of rank 4.

    Source: ProGAN (arXiv 1710.10196), section 4.1; StyleGAN (arXiv 1812.04948), section 2;
    StyleGAN2 (arXiv 1912.04958), section 4.1.

    Example:
        >>> layer = EqualizedConv2D(8, 3, resample="down", activation="leaky_relu")
        >>> tuple(layer(np.ones((1, 6, 4, 3), "float32")).shape)
        (1, 3, 2, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        gain=SQRT2,
        lr_multiplier=1.0,
        use_bias=True,
        activation=None,
        resample=None,
        resample_filter=None,
        fused=False,
        bias_init=0.0,
        **kwargs,
    ):
        check_convolution(filters, kernel_size, resample)
        super().__init__(gain, lr_multiplier, use_bias, bias_init, activation, **kwargs)
        self.filters, self.kernel_size, self.resample = filters, kernel_size, resample
        self.resample_filter = None if resample_filter is None else tuple(resample_filter)
        self.fused = fused
        # The official unfused ProGAN code pools after the activation, all others before it.
        self._pools_last = resample == "down" and self.resample_filter is None and not fused

    def build(self, input_shape):
        if len(input_shape) != 4:
            raise ValueError(f"x must have the shape (B, H, W, C). Received: shape {input_shape}")
        channels, size = input_shape[-1], self.kernel_size
        self._add_weights((size, size, channels, self.filters), size * size * channels)
        self.built = True

    def call(self, x):
        resample = None if self._pools_last else self.resample
        kernel = self._scaled_kernel()
        x = self._finish(resampling_conv2d(x, kernel, resample, self.resample_filter, self.fused))
        return average_pool(x, 2) if self._pools_last else x

    def compute_output_shape(self, input_shape):
        return resampled_shape(input_shape, self.resample, self.filters)

    def get_config(self):
        names = ("filters", "kernel_size", "resample", "resample_filter", "fused")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def style_layer(x_shape, w_shape, units, dtype, bias_init=0.0):
    """The built dense layer of gain 1 that computes a style of maps `x` from `w`."""
    if len(x_shape) != 4 or len(w_shape) != 2:
        raise ValueError(
            "x must have the shape (B, H, W, C) and w the shape (B, D). "
            f"Received: shapes {tuple(x_shape)} and {tuple(w_shape)}"
        )
    layer = EqualizedDense(units, gain=1.0, bias_init=bias_init, dtype=dtype, name="style")
    layer.build(w_shape)
    return layer


def check_convolution(filters, kernel_size, resample):
    """Check the arguments that all convolutions share."""
    checks.whole("filters", filters, least=1)
    if checks.whole("kernel_size", kernel_size, least=1) % 2 == 0:
        raise ValueError(f"kernel_size must be odd. Received: {kernel_size}")
    checks.one_of("resample", resample, RESAMPLINGS)


def resampled_shape(input_shape, resample, filters):
    """Output shape of a convolution; unknown sizes are None."""
    batch, *sizes, _ = input_shape
    if resample == "up":
        sizes = [None if size is None else 2 * size for size in sizes]
    elif resample == "down":
        sizes = [None if size is None else size // 2 for size in sizes]
    return (batch, *sizes, filters)
