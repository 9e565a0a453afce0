"""StyleGAN2 (Karras et al., CVPR 2020, arXiv 1912.04958), configurations e and f."""

import math

import keras
from keras import ops

from c2f_zoo.layers import (
    ModulatedConv2D,
    NoiseInjection,
    scaled_leaky_relu,
    upsample_fir,
)
from c2f_zoo.layers.fir import BILINEAR_TAPS
from c2f_zoo.models.gans.growing import Staged, built, check_images, score_layer
from c2f_zoo.models.gans.progan import DiscriminatorHead, convolution
from c2f_zoo.models.gans.style_based import StyleBased

SCALED = {"gain": 1.0, "activation": scaled_leaky_relu}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyledConvolution(keras.layers.Layer):
    """Modulated convolution, noise of one strength, bias, LeakyReLU times sqrt(2).

    Args:
        filters: Output channels.
        resample: None or `"up"`.
        fused: As of `ModulatedConv2D`.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C).
        w: Tensor (B, w_size).
        noise: Tensor (B, H', W', 1) of the output's size, or None to draw it.

    Returns:
        Tensor (B, H', W', filters).

    Source: arXiv 1912.04958, figure 2c.
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
        config = {
            "filters": self.convolution.filters,
            "resample": self.convolution.resample,
            "fused": self.convolution.fused,
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyledRGB(keras.layers.Layer):
    """Modulated 1x1 convolution to an image, without demodulation; float32.

    Args:
        image_channels: Channels of the image.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C).
        w: Tensor (B, w_size).

    Returns:
        Tensor (B, H, W, image_channels), float32.

    Source: arXiv 1912.04958, figure 7, "tRGB".
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


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGAN2Generator(StyleBased, keras.Model):
    """Generator of StyleGAN2: modulated convolutions, and an image summed from coarse to fine.

    Each scale adds its RGB to the enlarged sum of the coarser ones (skip connections); only the
    final sum is an image that anything is asked of. There is no growth: all scales train at once.

    Args:
        resolution: Height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of w.
        mapping_depth: Dense layers of the mapping network.
        base_shape: (height, width) of the learned constant.
        channel_base: Feature maps at scale s are min(channel_base / 2^(s + 1), channel_max):
            16384 is the paper's config-f, 8192 its config-e.
        channel_max: See there.
        num_filters: Feature maps per scale, coarsest first, instead of that formula.
        image_channels: Channels of the images.
        fused: Modulate by grouped convolutions, see `modulated_conv2d`: the same function.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        noise: None to draw it, or a list of tensors (B, h, w, 1) as `noise_shapes` says.
        truncation: Factor psi that pulls w towards its average; the official code shows 0.5. 1
            for none, as in training.
        truncation_cutoff: Layers before it are truncated; None for all.

    Returns:
        Images (B, height, width, image_channels), float32, signed.

    Raises:
        ValueError: Settings that cannot be; latents, w or noise of other shapes.

    Source: arXiv 1912.04958, sections 2 and 4, figure 7 (skip).

    Example:
        >>> import numpy as np
        >>> generator = StyleGAN2Generator(16, latent_size=8, w_size=8, num_filters=(8, 8, 4))
        >>> tuple(generator(np.ones((2, 8), "float32")).shape)
        (2, 16, 16, 3)
    """

    paper = "stylegan2"  # how it is trained by default: `AdversarialTraining.named`

    def __init__(
        self,
        resolution,
        latent_size=512,
        w_size=512,
        mapping_depth=8,
        base_shape=(4, 4),
        channel_base=16384,
        channel_max=512,
        num_filters=None,
        image_channels=3,
        fused=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.setup_stages(
            resolution, base_shape, channel_base, channel_max, num_filters, image_channels
        )
        self.fused = fused
        self.setup_style(latent_size, w_size, mapping_depth, scaled=True)
        self.constant = self.add_weight(
            shape=(1, *self.resolutions[0], self.widths[0]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="constant",
        )
        # Convolution 2 s - 1 doubles to scale s, 2 s stays there; each takes that layer of w.
        self.convolutions = [self._convolution(layer) for layer in range(self.num_layers - 1)]
        self.to_rgb = [
            built(
                StyledRGB(image_channels, name=f"scale_{index}_to_rgb"),
                (None, None, None, width),
                (None, w_size),
            )
            for index, width in enumerate(self.widths)
        ]
        self.built = True

    def _convolution(self, layer):
        scale, is_first = (layer + 1) // 2, layer % 2 == 1
        channels = self.widths[scale - 1] if is_first else self.widths[scale]
        convolution = StyledConvolution(
            self.widths[scale],
            "up" if is_first else None,
            self.fused,
            dtype=self.dtype_policy,
            name=f"scale_{scale}_styled_{0 if is_first else 1}",
        )
        return built(convolution, (None, None, None, channels), (None, self.w_size))

    @property
    def noise_shapes(self):
        """(height, width) of the noise map of each convolution."""
        return tuple(self.resolutions[(layer + 1) // 2] for layer in range(len(self.convolutions)))

    def call(self, latents, noise=None, truncation=1.0, truncation_cutoff=None):
        w = self.truncate(self.mapping(latents), truncation, truncation_cutoff)
        return self.synthesis(w, noise)

    def synthesis(self, w, noise=None):
        """Make images from w.

        Args:
            w: Tensor (B, L, w_size), L at least `current_layers`, or (B, w_size).
            noise: None to draw it, or a list of tensors (B, h, w, 1) as `noise_shapes` says.

        Returns:
            Images (B, height, width, image_channels), float32, signed.
        """
        w = ops.convert_to_tensor(w)
        x, image = self.first_features(w), None
        for scale, to_rgb in enumerate(self.to_rgb):
            for layer in range(max(0, 2 * scale - 1), 2 * scale + 1):
                style, map_ = self.style_of(w, layer), self.noise_of(noise, layer)
                x = self.convolutions[layer](x, style, map_)
            # The next scale's first convolution takes the same layer of w.
            rgb = to_rgb(x, self.style_of(w, 2 * scale + 1))
            image = rgb if image is None else upsample_fir(image) + rgb
        return image

    def compute_output_shape(self, latents_shape):
        return (latents_shape[0], *self.resolutions[-1], self.image_channels)

    def get_config(self):
        return {**super().get_config(), "fused": self.fused}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGAN2Discriminator(Staged, keras.Model):
    """Residual discriminator of StyleGAN2: one image, one score.

    Args:
        resolution: Height: the base height times a power of two.
        base_shape: (height, width) of the coarsest features.
        channel_base: Feature maps at scale s are min(channel_base / 2^(s + 1), channel_max):
            16384 is the paper's config-f, 8192 its config-e.
        channel_max: See there.
        num_filters: Feature maps per scale, coarsest first, instead of that formula.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        sum_scales: Also read a score from the features of every scale but the coarsest (a 1x1
            convolution, its mean over pixels) and add them all. This is not in the paper.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        images: Tensor (B, height, width, image_channels), in [-1, 1].

    Returns:
        Scores (B, 1), float32.

    Raises:
        ValueError: Settings that cannot be; images of another size; a batch that the groups do
            not divide.

    Source: arXiv 1912.04958, section 4.1, figure 7 (residual nets).

    Example:
        >>> import numpy as np
        >>> discriminator = StyleGAN2Discriminator(8, num_filters=(16, 8))
        >>> tuple(discriminator(np.zeros((4, 8, 8, 3), "float32")).shape)
        (4, 1)
    """

    def __init__(
        self,
        resolution,
        base_shape=(4, 4),
        channel_base=16384,
        channel_max=512,
        num_filters=None,
        group_size=4,
        image_channels=3,
        sum_scales=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.setup_stages(
            resolution, base_shape, channel_base, channel_max, num_filters, image_channels
        )
        self.group_size, self.sum_scales = group_size, sum_scales
        dtype = self.dtype_policy
        self.from_rgb = convolution(
            image_channels, self.widths[-1], "from_rgb", dtype, kernel_size=1, **SCALED
        )
        # blocks[s - 1] leads from scale s to scale s - 1.
        self.blocks = [self._block(scale) for scale in range(1, len(self.widths))]
        self.scale_scores = [
            score_layer(width, 1, f"scale_{index + 1}_score")
            for index, width in enumerate(self.widths[1:])
            if sum_scales
        ]
        self.head = DiscriminatorHead(
            self.resolutions[0],
            self.widths[0],
            1,
            group_size,
            scaled=True,
            dtype=dtype,
            name="head",
        )
        self.built = True

    def _block(self, scale):
        """The two convolutions of a block and that of its skip connection."""
        width, coarser, dtype = self.widths[scale], self.widths[scale - 1], self.dtype_policy
        down = {"resample": "down", "resample_filter": BILINEAR_TAPS}
        linear = {"gain": 1.0, "activation": None, "use_bias": False, "kernel_size": 1, **down}
        return [
            convolution(width, width, f"scale_{scale}_conv_0", dtype, **SCALED),
            convolution(width, coarser, f"scale_{scale}_conv_1", dtype, **SCALED, **down),
            convolution(width, coarser, f"scale_{scale}_skip", dtype, **linear),
        ]

    def features(self, images):
        """Features of every scale, fine to coarse: all but the head.

        Args:
            images: As for the call.

        Returns:
            List of tensors (B, h, w, C).
        """
        images = ops.convert_to_tensor(images)
        check_images(images, self.resolutions[-1], self.image_channels, type(self).__name__)
        features = [self.from_rgb(images)]
        for first, second, skip in reversed(self.blocks):
            x = features[-1]
            features.append((second(first(x)) + skip(x)) * math.sqrt(0.5))
        return features

    def call(self, images):
        *finer, coarsest = self.features(images)
        score = self.head(coarsest)
        for x, read in zip(finer, reversed(self.scale_scores), strict=False):
            # The mean of a linear map is the map of the mean.
            score = score + read(ops.mean(ops.cast(x, "float32"), axis=(1, 2)))
        return score

    def compute_output_shape(self, images_shape):
        return (images_shape[0], 1)

    def get_config(self):
        config = {
            "group_size": self.group_size,
            "sum_scales": self.sum_scales,
        }
        return {**super().get_config(), **config}
