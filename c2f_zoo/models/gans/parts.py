"""Layers that several of the generative networks are made of."""

import math

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import EqualizedConv2D, EqualizedDense, pixel_norm, scaled_leaky_relu
from c2f_zoo.layers.minibatch_stddev import minibatch_stddev


def built(layer, *shapes):
    """Build a layer for inputs of these shapes, None where unknown, and return it."""
    layer.build(*shapes)
    return layer


def convolution(channels, filters, name, dtype, kernel_size=3, **options):
    """A built equalised convolution with LeakyReLU 0.2, unless options say otherwise."""
    options = {"activation": "leaky_relu", **options}
    layer = EqualizedConv2D(filters, kernel_size, dtype=dtype, name=name, **options)
    return built(layer, (None, None, None, channels))


def to_rgb_layer(channels, image_channels, name):
    """A built linear 1x1 convolution of gain 1 to an image, in float32 under any policy."""
    layer = EqualizedConv2D(image_channels, 1, gain=1.0, dtype="float32", name=name)
    return built(layer, (None, None, None, channels))


def score_layer(channels, outputs, name="score"):
    """A built linear dense layer of gain 1 to scores, in float32 under any policy."""
    layer = EqualizedDense(outputs, gain=1.0, dtype="float32", name=name)
    return built(layer, (None, channels))


@keras.saving.register_keras_serializable(package="c2f_zoo")
class BaseMap(keras.layers.Layer):
    """Latents (B, D) to the coarsest features (B, height, width, filters).

    A dense layer, one bias per channel, LeakyReLU: "Conv 4x4" on a 1x1 map in table 2 of ProGAN
    (arXiv 1710.10196). With `pixel_bias` each pixel has biases of its own.
    """

    def __init__(self, base_shape, filters, pixel_bias=False, **kwargs):
        super().__init__(**kwargs)
        self.base_shape, self.filters = tuple(base_shape), filters
        self.pixel_bias = pixel_bias
        height, width = self.base_shape
        # sqrt(2) over the root of a fan-in that counts the kernel's pixels, as a padded
        # convolution of the single pixel would: in the official code sqrt(2) / 4 for 4x4.
        gain = (2.0 / (height * width)) ** 0.5
        self.dense = EqualizedDense(
            height * width * filters,
            gain=gain,
            use_bias=False,
            dtype=self.dtype_policy,
            name=f"{self.name}_dense",
        )

    def build(self, input_shape):
        self.dense.build(input_shape)
        pixels = self.base_shape if self.pixel_bias else ()
        self.bias = self.add_weight(shape=(*pixels, self.filters), initializer="zeros", name="bias")
        self.built = True

    def call(self, latents):
        x = ops.reshape(self.dense(latents), (-1, *self.base_shape, self.filters))
        return ops.leaky_relu(ops.add(x, self.bias), negative_slope=0.2)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.base_shape, self.filters)

    def get_config(self):
        names = ("base_shape", "filters", "pixel_bias")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class DiscriminatorHead(keras.layers.Layer):
    """Coarsest features (B, height, width, channels) to scores (B, outputs), float32.

    Minibatch standard deviation (None as `group_size` leaves it out), 3x3 convolution and two
    dense layers: the last rows of table 2 of ProGAN (arXiv 1710.10196). With `scaled`, activations
    are multiplied by sqrt(2) instead of the kernels (StyleGAN2). `channels` is `width` by default.
    """

    def __init__(
        self, base_shape, width, outputs, group_size=4, channels=None, scaled=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.base_shape, self.width, self.outputs = tuple(base_shape), width, outputs
        self.group_size, self.scaled = group_size, scaled
        self.channels = width if channels is None else channels
        activation = scaled_leaky_relu if scaled else "leaky_relu"
        options = {"gain": 1.0 if scaled else 2**0.5, "activation": activation}
        features = self.channels + (0 if group_size is None else 1)
        name, dtype = self.name, self.dtype_policy
        self.convolution = convolution(features, width, f"{name}_conv", dtype, **options)
        self.dense = EqualizedDense(width, dtype=dtype, name=f"{name}_dense", **options)
        self.dense.build((None, width * math.prod(self.base_shape)))
        self.score = score_layer(width, outputs, f"{name}_score")
        self.built = True

    def call(self, x):
        if self.group_size is not None:
            x = minibatch_stddev(x, self.group_size)
        x = self.convolution(x)
        return self.score(self.dense(ops.reshape(x, (-1, self.width * math.prod(self.base_shape)))))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.outputs)

    def get_config(self):
        names = ("base_shape", "width", "outputs", "group_size", "channels", "scaled")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def discriminator_head(network, outputs, group_size, channels=None, scaled=False):
    """The `DiscriminatorHead` for the base of a `StagedNetwork`."""
    base, width = network.resolutions[0], network.widths[0]
    options = {"dtype": network.dtype_policy, "name": "head"}
    return DiscriminatorHead(base, width, outputs, group_size, channels, scaled, **options)


# Where a generator of ProGAN's kind has PixelNorm: everywhere, nowhere, or not before its first
# 3x3 convolution.
NORMALIZATIONS = (True, False, "convolutions")


class ProGANLayers:
    """Mixin that builds ProGAN's generator layers, one block per stage.

    Attributes:
        prefix: Prefix of the names of a stage's layers; set by the subclass.
        base: `BaseMap`, from a latent to the coarsest features.
        blocks: List over stages of lists of convolutions.
        to_rgb: List over stages of 1x1 convolutions.
    """

    def __init__(
        self,
        resolution,
        latent_size=512,
        *,
        label_size=0,
        normalization=True,
        fused=False,
        pixel_bias=False,
        **kwargs,
    ):
        super().__init__(resolution, **kwargs)
        self.latent_size, self.label_size = latent_size, label_size
        self.normalization = checks.one_of("normalization", normalization, NORMALIZATIONS)
        self.fused, self.pixel_bias = fused, pixel_bias
        dtype, channels = self.dtype_policy, self.widths[0]
        self.base = built(
            BaseMap(self.resolutions[0], channels, pixel_bias, dtype=dtype, name="base"),
            (None, latent_size + label_size),
        )
        self.blocks, self.to_rgb = [], []
        for index, width in enumerate(self.widths):
            name = f"{self.prefix}_{index}"
            block = [convolution(width, width, f"{name}_conv_1", dtype)]
            if index:
                up = {"resample": "up", "fused": fused}
                block.insert(0, convolution(channels, width, f"{name}_conv_0", dtype, **up))
            self.blocks.append(block)
            self.to_rgb.append(to_rgb_layer(width, self.image_channels, f"{name}_to_rgb"))
            channels = width
        self.built = True

    def first_features(self, latents, labels=None):
        """Tensor (B, base height, base width, widths[0]) of latents and labels."""
        latents = join_labels(latents, labels, self.latent_size, self.label_size)
        if self.normalization == "convolutions":
            return self.base(latents)
        return self._normalized(self.base(self._normalized(latents)))

    def run_block(self, index, x):
        """Run the convolutions of a stage on the features of the one before."""
        for layer in self.blocks[index]:
            x = self._normalized(layer(x))
        return x

    def _normalized(self, x):
        return pixel_norm(x) if self.normalization else x

    def get_config(self):
        names = ("latent_size", "label_size", "normalization", "fused", "pixel_bias")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def join_labels(latents, labels, latent_size, label_size):
    """Concatenate latents (B, latent_size) and labels (B, label_size), checked, in float32."""
    latents = ops.cast(ops.convert_to_tensor(latents), "float32")
    checks.shape("latents", latents, f"(B, {latent_size})", (None, latent_size))
    if labels is None and label_size == 0:
        return latents
    shape = None if labels is None else tuple(labels.shape)
    if shape is None or len(shape) != 2 or shape[-1] != label_size or label_size == 0:
        expected = f"(B, {label_size})" if label_size else "None"
        raise ValueError(f"this network takes labels {expected}. Received: shape {shape}")
    return ops.concatenate([latents, ops.cast(labels, "float32")], axis=-1)
