"""StyleGAN: a style-based generator (Karras, Laine, Aila, CVPR 2019, arXiv 1812.04948)."""

import keras
from keras import ops

from c2f_zoo.hub import register_model
from c2f_zoo.layers import AdaIN, NoiseInjection
from c2f_zoo.models.gans.growing import GrowingNetwork, grown
from c2f_zoo.models.gans.pair import GenerativePair, from_paper
from c2f_zoo.models.gans.parts import built, convolution, to_rgb_layer
from c2f_zoo.models.gans.progan import ProGANDiscriminator
from c2f_zoo.models.gans.style_based import MappingNetwork, StyleBased, mix_styles
from c2f_zoo.tasks.generation.projection import project

__all__ = ["MappingNetwork", "StyleGAN", "StyleGANDiscriminator", "StyleGANGenerator", "mix_styles"]

BLUR_TAPS = (1, 2, 1)


@register_model(task="image_generation")
class StyleGAN(GenerativePair):
    """Style-based GAN of Karras, Laine and Aila (CVPR 2019).

    Grows like `ProGAN`, from 8x8 (`first_stage`). `generate` takes `truncation` (the paper shows
    0.7) and `style_mixing`; `project` finds the style of a given image.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of a style w.
        mapping_depth: Dense layers of the mapping network.
        base_shape: (height, width) of the coarsest scale; (4, 6) makes images of that shape.
        channel_base, channel_max: Scale s, 0 the coarsest, has min(channel_base / 2^(s + 1),
            channel_max) feature maps.
        num_filters: Feature maps of each scale, coarse to fine, in place of that formula.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        fused: Double and halve by convolutions of stride 2: the same functions.
        stage: Stage to begin at; None for the last.
        seed: Seed of everything that training draws. None: a random one.
        dtype: Precision policy of both networks, such as `"mixed_bfloat16"`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Source: arXiv 1812.04948.

    Example:
        >>> model = StyleGAN(16, latent_size=8, w_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0, truncation=0.7, style_mixing=0.5).shape
        (2, 16, 16, 3)
    """

    grown, project = grown, project
    first_stage = 1
    truncation_cutoff = 8
    generator_options = ("w_size", "mapping_depth", "fused", "stage")
    preset_defaults = from_paper(
        "A Style-Based Generator Architecture for Generative Adversarial Networks", "1812.04948"
    )

    def __init__(
        self,
        resolution=1024,
        latent_size=512,
        w_size=512,
        mapping_depth=8,
        base_shape=(4, 4),
        channel_base=8192,
        channel_max=512,
        num_filters=None,
        group_size=4,
        image_channels=3,
        fused=True,
        stage=None,
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
            "fused": fused,
            "stage": stage,
            "dtype": dtype,
        }
        super().__init__(
            StyleGANGenerator(
                resolution, latent_size, w_size=w_size, mapping_depth=mapping_depth, **shared
            ),
            StyleGANDiscriminator(resolution, group_size=group_size, **shared),
            seed=seed,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="c2f_zoo")
class Epilogue(keras.layers.Layer):
    """Noise, bias, LeakyReLU and AdaIN, after every convolution of StyleGAN (figure 1b).

    Takes x (B, H, W, C), w (B, w_size) and noise (B, H, W, 1), or None to draw it.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        name, dtype = self.name, self.dtype_policy
        self.noise = NoiseInjection(per_channel=True, dtype=dtype, name=f"{name}_noise")
        self.adain = AdaIN(dtype=dtype, name=f"{name}_adain")

    def build(self, x_shape, w_shape, noise_shape=None):
        self.noise.build(x_shape)
        self.bias = self.add_weight(shape=(x_shape[-1],), initializer="zeros", name="bias")
        self.adain.build(x_shape, w_shape)
        self.built = True

    def call(self, x, w, noise=None):
        x = ops.add(self.noise(x, noise), self.bias)
        return self.adain(ops.leaky_relu(x, negative_slope=0.2), w)

    def compute_output_shape(self, x_shape, w_shape, noise_shape=None):
        return x_shape


class StyleSynthesis(StyleBased):
    """Mixin that builds the layers of StyleGAN's generator, a `StagedNetwork`.

    Attributes:
        convolutions: List over stages of lists of convolutions.
        epilogues: List over layers of w.
        to_rgb: List over stages of 1x1 convolutions.
    """

    def __init__(
        self, resolution, latent_size=512, *, w_size=512, mapping_depth=8, fused=True, **kwargs
    ):
        super().__init__(resolution, **kwargs)
        self.fused = fused
        self.setup_style(latent_size, w_size, mapping_depth, scaled=False)
        self.constant = self.add_weight(
            shape=(1, *self.resolutions[0], self.widths[0]), initializer="ones", name="constant"
        )
        self.convolutions, self.epilogues, self.to_rgb = [], [], []
        for index in range(len(self.resolutions)):
            self._add_stage(index)
        self.built = True

    def _add_stage(self, index):
        width, dtype, prefix = self.widths[index], self.dtype_policy, f"stage_{index}"
        linear = {"use_bias": False, "activation": None}  # both belong to the epilogue
        layers = [convolution(width, width, f"{prefix}_conv_1", dtype, **linear)]
        if index:
            up = {"resample": "up", "resample_filter": BLUR_TAPS, "fused": self.fused, **linear}
            coarser = self.widths[index - 1]
            layers.insert(0, convolution(coarser, width, f"{prefix}_conv_0", dtype, **up))
        self.convolutions.append(layers)
        shapes = ((None, None, None, width), (None, self.w_size))
        self.epilogues += [
            built(Epilogue(dtype=dtype, name=f"{prefix}_epilogue_{part}"), *shapes)
            for part in range(2)
        ]
        self.to_rgb.append(to_rgb_layer(width, self.image_channels, f"{prefix}_to_rgb"))

    @property
    def noise_shapes(self):
        """(height, width) of the noise map of each layer in use."""
        return tuple(self.resolutions[layer // 2] for layer in range(self.current_layers))

    def call(self, latents, noise=None, truncation=1.0, truncation_cutoff=8):
        w = self.truncate(self.mapping(latents), truncation, truncation_cutoff)
        return self.synthesis(w, noise)

    def features(self, w, noise=None):
        """Yield the features (B, h, w, widths[s]) of each stage in use, coarse to fine."""
        w = ops.convert_to_tensor(w)
        x = self._epilogue(0, self.first_features(w), w, noise)
        for index in range(self.current_layers // 2):
            for offset, layer in enumerate(self.convolutions[index]):
                part = offset if index else 1
                x = self._epilogue(2 * index + part, layer(x), w, noise)
            yield x

    def _epilogue(self, layer, x, w, noise):
        return self.epilogues[layer](x, self.style_of(w, layer), self.noise_of(noise, layer))

    def get_config(self):
        return {**super().get_config(), "fused": self.fused}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGANGenerator(StyleSynthesis, GrowingNetwork):
    """Generator of StyleGAN, which grows like ProGAN's.

    A learned constant is doubled and convolved stage by stage; after every convolution come
    noise, bias, LeakyReLU and a style read from w. Layer 2 s and 2 s + 1 belong to stage s.

    Stage 0 is the base shape (4x4), as in every growing network here. The paper grows from 8x8,
    stage 1 (`first_stage`); the 4x4 image of stage 0 is kept, as in the official code.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of w.
        mapping_depth: Dense layers of the mapping network.
        fused: Double by transposed convolutions with equivalent kernels, as the official code does
            from 128x128 on.
        **kwargs: `stage`, `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `StyleGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        noise: None to draw it, or a list of tensors (B, h, w, 1) as `noise_shapes` says.
        truncation: Factor psi that pulls w towards its average; the paper shows 0.7. 1 for none,
            as in training.
        truncation_cutoff: Layers before it are truncated; None for all.

    Returns:
        Images (B, height, width, image_channels) of the current stage, float32, signed.

    Raises:
        ValueError: If an argument is out of range, or latents, w or noise have another shape.

    Source: arXiv 1812.04948, section 2.

    Example:
        >>> generator = StyleGANGenerator(16, latent_size=8, w_size=8, num_filters=(8, 8, 4))
        >>> w = generator.mapping(np.ones((2, 8), "float32"))
        >>> tuple(w.shape), tuple(generator.synthesis(w).shape)
        ((2, 6, 8), (2, 16, 16, 3))
    """

    first_stage = 1
    paper = "stylegan"  # its training by default: `AdversarialTraining.named`

    @property
    def current_layers(self):
        """Number of layers of w in use at the current stage: the cutoff of mixing is below it."""
        return 2 * (self.stage + 1)

    def synthesis(self, w, noise=None):
        previous, x = None, None
        for features in self.features(w, noise):
            previous, x = x, features
        return self.image(x, previous)

    def compute_output_shape(self, latents_shape):
        return (latents_shape[0], *self.current_resolution, self.image_channels)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGANDiscriminator(ProGANDiscriminator):
    """Discriminator of StyleGAN: ProGAN's with a blur before every convolution that halves.

    It averages before bias and activation, so `fused` changes its speed alone. Stages are as in
    `StyleGANGenerator`.

    Args:
        resolution: Final height: the base height times a power of two.
        fused: Halve by convolutions of stride 2, the same function for fewer multiplications.
        **kwargs: `group_size`, `stage`, `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `StyleGAN`; `label_size` as for `ProGANDiscriminator`; `name`,
            `dtype` of `keras.Model`.

    Call arguments:
        images: Tensor (B, height, width, image_channels) of the current stage, in [-1, 1].

    Returns:
        Scores (B, 1), float32; with labels a pair of them and label logits (B, label_size).

    Raises:
        ValueError: If an argument is out of range, images have another size than the stage's, or
            the groups do not divide a batch.

    Source: arXiv 1812.04948, section 2.

    Example:
        >>> discriminator = StyleGANDiscriminator(8, num_filters=(16, 8))
        >>> tuple(discriminator(np.zeros((4, 8, 8, 3), "float32")).shape)
        (4, 1)
    """

    first_stage = 1
    resample_filter = BLUR_TAPS

    def __init__(self, resolution, *, fused=True, **kwargs):
        super().__init__(resolution, fused=fused, **kwargs)
