"""StyleGAN2 (Karras et al., CVPR 2020, arXiv 1912.04958), configurations e and f."""

import math

import keras
from keras import ops

from c2f_zoo.hub import register_model
from c2f_zoo.layers import scaled_leaky_relu, upsample_fir
from c2f_zoo.layers.fir import BILINEAR_TAPS
from c2f_zoo.models.gans.growing import StagedNetwork
from c2f_zoo.models.gans.pair import GenerativePair, from_paper
from c2f_zoo.models.gans.parts import built, convolution, discriminator_head, score_layer
from c2f_zoo.models.gans.style_based import StyleBased, StyledConvolution, StyledRGB
from c2f_zoo.tasks.features import FeatureTask
from c2f_zoo.tasks.generation.projection import project

SCALED = {"gain": 1.0, "activation": scaled_leaky_relu}


@register_model(task="image_generation")
class StyleGAN2(GenerativePair):
    """StyleGAN2 of Karras, Laine, Aittala, Hellsten, Lehtinen and Aila (CVPR 2020).

    From coarse to fine in one network: every scale adds to the image of the coarser ones. It does
    not grow. `compile()` brings lazy R1 and path length regularisation; `project` finds the style
    of a given image.

    Args:
        resolution: Height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of a style w.
        mapping_depth: Dense layers of the mapping network.
        base_shape: (height, width) of the coarsest scale; (4, 6) makes images of that shape.
        channel_base, channel_max: Scale s, 0 the coarsest, has min(channel_base / 2^(s + 1),
            channel_max) feature maps. A base of 16384 is the paper's config-f, 8192 its
            config-e.
        num_filters: Feature maps of each scale, coarse to fine, in place of that formula.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        sum_scales: Add a score read at every scale, which is not in the paper; see
            `StyleGAN2Discriminator`.
        fused: Modulate by grouped convolutions: the same function.
        seed: Seed of everything that training draws. None: a random one.
        dtype: Precision policy of both networks, such as `"mixed_bfloat16"`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Source: arXiv 1912.04958.

    Example:
        >>> model = StyleGAN2(16, latent_size=8, w_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0, truncation=0.5).shape
        (2, 16, 16, 3)
    """

    project = project
    generator_options = ("w_size", "mapping_depth", "fused")
    discriminator_options = ("group_size", "sum_scales")
    preset_defaults = from_paper(
        "Analyzing and Improving the Image Quality of StyleGAN", "1912.04958"
    )

    def __init__(
        self,
        resolution=1024,
        latent_size=512,
        w_size=512,
        mapping_depth=8,
        base_shape=(4, 4),
        channel_base=16384,
        channel_max=512,
        num_filters=None,
        group_size=4,
        image_channels=3,
        sum_scales=False,
        fused=False,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        shared = {
            "base_shape": base_shape,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "num_filters": num_filters,
            "image_channels": image_channels,
            "dtype": dtype,
        }
        super().__init__(
            StyleGAN2Generator(
                resolution,
                latent_size,
                w_size=w_size,
                mapping_depth=mapping_depth,
                fused=fused,
                **shared,
            ),
            StyleGAN2Discriminator(
                resolution, group_size=group_size, sum_scales=sum_scales, **shared
            ),
            seed=seed,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGAN2Generator(StyleBased, StagedNetwork):
    """Generator of StyleGAN2: modulated convolutions, and an image summed from coarse to fine.

    Each scale adds its RGB to the enlarged sum of the coarser ones (skip connections); only the
    final sum is judged. There is no growth: all scales train at once.

    Args:
        resolution: Height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of a style w.
        mapping_depth: Dense layers of the mapping network.
        channel_base: As for `StyleGAN2`.
        fused: Modulate by grouped convolutions, see `modulated_conv2d`: the same function.
        **kwargs: `base_shape`, `channel_max`, `num_filters`, `image_channels` as for `StyleGAN2`;
            `name`, `dtype` of `keras.Model`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        noise: None to draw it, or a list of tensors (B, h, w, 1) as `noise_shapes` says.
        truncation: Factor psi that pulls w towards its average, 1 for none; the official code
            shows 0.5.
        truncation_cutoff: Layers before it are truncated; None for all.

    Returns:
        Images (B, height, width, image_channels), float32, signed.

    Raises:
        ValueError: If an argument is out of range, or latents, w or noise have another shape.

    Source: arXiv 1912.04958, sections 2 and 4, figure 7 (skip).

    Example:
        >>> generator = StyleGAN2Generator(16, latent_size=8, w_size=8, num_filters=(8, 8, 4))
        >>> tuple(generator(np.ones((2, 8), "float32")).shape)
        (2, 16, 16, 3)
    """

    paper = "stylegan2"  # its training by default: `AdversarialTraining.named`

    def __init__(
        self,
        resolution,
        latent_size=512,
        *,
        w_size=512,
        mapping_depth=8,
        channel_base=16384,
        fused=False,
        **kwargs,
    ):
        super().__init__(resolution, channel_base=channel_base, **kwargs)
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
                StyledRGB(self.image_channels, name=f"scale_{index}_to_rgb"),
                (None, None, None, width),
                (None, w_size),
            )
            for index, width in enumerate(self.widths)
        ]
        self.built = True

    def _convolution(self, layer):
        scale, is_first = (layer + 1) // 2, layer % 2 == 1
        channels = self.widths[scale - 1 if is_first else scale]
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
class StyleGAN2Discriminator(FeatureTask, StagedNetwork):
    """Residual discriminator of StyleGAN2: one image, one score.

    Args:
        resolution: Height: the base height times a power of two.
        channel_base: As for `StyleGAN2`.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        sum_scales: Also read a score from the features of every scale but the coarsest (a 1x1
            convolution, its mean over pixels) and add them all. This is not in the paper.
        **kwargs: `base_shape`, `channel_max`, `num_filters`, `image_channels` as for `StyleGAN2`;
            `name`, `dtype` of `keras.Model`.

    Call arguments:
        images: Tensor (B, height, width, image_channels), in [-1, 1].

    Returns:
        Scores (B, 1), float32.

    Raises:
        ValueError: If an argument is out of range, images have another size, or the groups do
            not divide a batch.

    Source: arXiv 1912.04958, section 4.1, figure 7 (residual nets).

    Example:
        >>> discriminator = StyleGAN2Discriminator(8, num_filters=(16, 8))
        >>> tuple(discriminator(np.zeros((4, 8, 8, 3), "float32")).shape)
        (4, 1)
    """

    def __init__(self, resolution, *, channel_base=16384, group_size=4, sum_scales=False, **kwargs):
        super().__init__(resolution, channel_base=channel_base, **kwargs)
        self.group_size, self.sum_scales = group_size, sum_scales
        dtype = self.dtype_policy
        self.from_rgb = convolution(
            self.image_channels, self.widths[-1], "from_rgb", dtype, kernel_size=1, **SCALED
        )
        # blocks[s - 1] leads from scale s to scale s - 1.
        self.blocks = [self._block(scale) for scale in range(1, len(self.widths))]
        self.scale_scores = [
            score_layer(width, 1, f"scale_{index + 1}_score")
            for index, width in enumerate(self.widths[1:])
            if sum_scales
        ]
        self.head = discriminator_head(self, 1, group_size, scaled=True)
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

    @property
    def feature_parts(self):
        """All layers but those of the scores."""
        return [self.from_rgb, *(layer for block in self.blocks for layer in block)]

    def encode(self, images, condition=None, training=None):
        return self.features(2.0 * images - 1.0)

    def features(self, images):
        """Features of every scale, fine to coarse: all but the head.

        Args:
            images: As for the call.

        Returns:
            List of tensors (B, h, w, C).
        """
        images = ops.convert_to_tensor(images)
        self.check_images(images, self.resolutions[-1])
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
        config = {"group_size": self.group_size, "sum_scales": self.sum_scales}
        return {**super().get_config(), **config}
