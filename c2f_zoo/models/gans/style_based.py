"""Shared parts of style-based generators: mapping network, truncation, mixing, layers."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import (
    EqualizedDense,
    ModulatedConv2D,
    NoiseInjection,
    pixel_norm,
    scaled_leaky_relu,
)
from c2f_zoo.models.gans.parts import built

W_AVERAGE_BETA = 0.995


def mix_styles(w, other, cutoff):
    """Style mixing: the first layers follow one w, the layers from `cutoff` on another.

    Args:
        w: Tensor (B, L, D), of the coarse layers.
        other: Tensor (B, L, D), of the fine layers.
        cutoff: Integer, or integer tensor, a scalar or of shape (B,): first layer of `other`.

    Returns:
        Tensor (B, L, D).

    Source: StyleGAN (arXiv 1812.04948), section 3.1.

    Example:
        >>> w = mix_styles(np.zeros((1, 4, 1), "float32"), np.ones((1, 4, 1), "float32"), 1)
        >>> [float(v) for v in np.asarray(w).ravel()]
        [0.0, 1.0, 1.0, 1.0]
    """
    w, other = ops.convert_to_tensor(w), ops.convert_to_tensor(other)
    cutoff = ops.reshape(ops.cast(cutoff, "int32"), (-1, 1, 1))
    layers = ops.arange(w.shape[1], dtype="int32")[None, :, None]
    return ops.where(layers < cutoff, w, other)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MappingNetwork(keras.Model):
    """Maps latent vectors z to the intermediate latent space W, repeated for every layer.

    Args:
        latent_size: Components of a latent vector.
        w_size: Components of w, and width of the dense layers.
        num_layers: Copies of w: one per layer of the synthesis network.
        depth: Dense layers.
        lr_multiplier: Speed of these layers relative to others.
        scaled: Activations, not kernels, are multiplied by sqrt(2) (StyleGAN2).
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.

    Returns:
        Tensor (B, num_layers, w_size), float32.

    Raises:
        ValueError: The latents are of another shape.

    Source: StyleGAN (arXiv 1812.04948), section 2, appendix C.

    Example:
        >>> tuple(MappingNetwork(16, 16, num_layers=6)(np.ones((2, 16), "float32")).shape)
        (2, 6, 16)
    """

    def __init__(
        self,
        latent_size=512,
        w_size=512,
        num_layers=18,
        depth=8,
        lr_multiplier=0.01,
        scaled=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.latent_size, self.w_size, self.num_layers = latent_size, w_size, num_layers
        self.depth, self.lr_multiplier, self.scaled = depth, lr_multiplier, scaled
        options = {
            "gain": 1.0 if scaled else 2**0.5,
            "activation": scaled_leaky_relu if scaled else "leaky_relu",
            "lr_multiplier": lr_multiplier,
            "dtype": "float32",  # cheap, and w decides everything that follows
        }
        self.dense_layers = [
            built(
                EqualizedDense(w_size, name=f"mapping_{index}", **options),
                (None, w_size if index else latent_size),
            )
            for index in range(depth)
        ]
        self.built = True

    def call(self, latents):
        latents = ops.cast(ops.convert_to_tensor(latents), "float32")
        size = self.latent_size
        checks.shape("latents", latents, f"(B, {size})", (None, size))
        w = pixel_norm(latents)
        for layer in self.dense_layers:
            w = layer(w)
        return ops.tile(w[:, None, :], (1, self.num_layers, 1))

    def compute_output_shape(self, latents_shape):
        return (latents_shape[0], self.num_layers, self.w_size)

    def get_config(self):
        names = ("latent_size", "w_size", "num_layers", "depth", "lr_multiplier", "scaled")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class StyleBased:
    """Mixin of a `StagedNetwork` that synthesises images from w: mapping, truncation, noise.

    Attributes:
        constant: Variable (1, height, width, C), which the generator itself makes: its features
            before the first layer.
        mapping: `MappingNetwork`, latents to w (B, num_layers, w_size).
        w_average: Variable (w_size,), moving average of w; trained by nothing.
    """

    def setup_style(self, latent_size, w_size, mapping_depth, scaled):
        """Make the mapping network and the average of w; see `MappingNetwork`."""
        self.latent_size, self.w_size, self.mapping_depth = latent_size, w_size, mapping_depth
        self.num_layers = 2 * len(self.resolutions)  # that take a w
        self.mapping = MappingNetwork(
            latent_size, w_size, self.num_layers, mapping_depth, scaled=scaled, name="mapping"
        )
        self.w_average = self.add_weight(
            shape=(w_size,), initializer="zeros", trainable=False, dtype="float32", name="w_average"
        )

    @property
    def current_layers(self):
        """Number of layers of w in use: all. The cutoff of mixing is below it."""
        return self.num_layers

    def synthesis(self, w, noise=None):
        """Make images from w.

        Args:
            w: Tensor (B, L, w_size), L at least `current_layers`, or (B, w_size).
            noise: None to draw it, or a list of tensors (B, h, w, 1) as `noise_shapes` says.

        Returns:
            What the generator returns when it is called.
        """
        raise NotImplementedError

    def first_features(self, w):
        """The learned constant, repeated for each sample of `w`."""
        constant = ops.cast(ops.convert_to_tensor(self.constant), self.compute_dtype)
        return ops.tile(constant, (ops.shape(w)[0], 1, 1, 1))

    def update_w_average(self, w, beta=W_AVERAGE_BETA):
        """Move the average of w towards the mean of a batch (B, L, w_size), once per training step.

        Appendix B of StyleGAN (arXiv 1812.04948); 0.995 as in its code.
        """
        w = ops.convert_to_tensor(w)
        batch = ops.mean(w[:, 0] if len(w.shape) == 3 else w, axis=0)
        old = ops.convert_to_tensor(self.w_average)
        self.w_average.assign(batch + (old - batch) * beta)

    def truncate(self, w, truncation, cutoff=None):
        """Pull w (B, L, w_size) towards its average: average + psi * (w - average).

        `truncation` is psi, 1 for none; layers from `cutoff` on are left as they are, None
        truncates all. Appendix B of StyleGAN (arXiv 1812.04948).
        """
        w = ops.convert_to_tensor(w)
        if isinstance(truncation, (int, float)) and truncation == 1:
            return w
        average = ops.convert_to_tensor(self.w_average)
        truncated = average + (w - average) * truncation
        if cutoff is None or cutoff >= w.shape[1]:
            return truncated
        return mix_styles(truncated, w, cutoff)

    def style_of(self, w, layer):
        """The w (B, w_size) of one layer, from (B, L, w_size) or (B, w_size) for all layers."""
        layers = (self.w_size,) if len(w.shape) == 2 else (range(layer + 1, 2**31), self.w_size)
        allowed = f"(B, {layer + 1} or more, {self.w_size}) or (B, {self.w_size})"
        checks.shape("w", w, allowed, (None, *layers))
        return w if len(w.shape) == 2 else w[:, layer]

    def noise_of(self, noise, layer):
        """The noise map (B, h, w, 1) of one layer, None if it is to be drawn."""
        if noise is None:
            return None
        if layer >= len(noise):
            raise ValueError(
                f"noise is a list of one map for each of {len(self.noise_shapes)} layers. "
                f"Received: {len(noise)} maps"
            )
        return noise[layer]

    def get_config(self):
        names = ("latent_size", "w_size", "mapping_depth")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyledConvolution(keras.layers.Layer):
    """Modulated convolution, noise of one strength, bias, LeakyReLU times sqrt(2).

    Takes x (B, H, W, C), w (B, w_size) and noise (B, H', W', 1) of the output's size, or None to
    draw it. Figure 2c of StyleGAN2 (arXiv 1912.04958).
    """

    def __init__(self, filters, resample=None, fused=False, **kwargs):
        super().__init__(**kwargs)
        name, dtype = self.name, self.dtype_policy
        self.convolution = ModulatedConv2D(
            filters, 3, resample=resample, fused=fused, dtype=dtype, name=f"{name}_conv"
        )
        self.noise = NoiseInjection(per_channel=False, dtype=dtype, name=f"{name}_noise")

    def build(self, x_shape, w_shape, noise_shape=None):
        self.convolution.build(x_shape, w_shape)
        self.noise.build((None, None, None, self.convolution.filters))
        self.bias = self.add_weight(
            shape=(self.convolution.filters,), initializer="zeros", name="bias"
        )
        self.built = True

    def call(self, x, w, noise=None):
        x = self.noise(self.convolution(x, w), noise)
        return scaled_leaky_relu(ops.add(x, self.bias))

    def compute_output_shape(self, x_shape, w_shape, noise_shape=None):
        return self.convolution.compute_output_shape(x_shape, w_shape)

    def get_config(self):
        names = ("filters", "resample", "fused")
        return {**super().get_config(), **{n: getattr(self.convolution, n) for n in names}}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyledRGB(keras.layers.Layer):
    """Modulated 1x1 convolution to an image, without demodulation, in float32.

    "tRGB" in figure 7 of StyleGAN2 (arXiv 1912.04958).
    """

    def __init__(self, image_channels=3, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.convolution = ModulatedConv2D(
            image_channels, 1, demodulate=False, dtype="float32", name=f"{self.name}_conv"
        )

    def build(self, x_shape, w_shape):
        self.convolution.build(x_shape, w_shape)
        self.bias = self.add_weight(
            shape=(self.convolution.filters,), initializer="zeros", name="bias"
        )
        self.built = True

    def call(self, x, w):
        return ops.add(self.convolution(x, w), self.bias)

    def compute_output_shape(self, x_shape, w_shape):
        return self.convolution.compute_output_shape(x_shape, w_shape)

    def get_config(self):
        return {**super().get_config(), "image_channels": self.convolution.filters}
