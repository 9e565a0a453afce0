"""ProGAN, StyleGAN, StyleGAN2 and MSG-GAN as whole models: to load, use, train and grow."""

import keras

from c2f_zoo.hub import register_model
from c2f_zoo.models.gans.msg_stylegan import MSGStyleGANDiscriminator, MSGStyleGANGenerator
from c2f_zoo.models.gans.msggan import MSGDiscriminator, MSGGenerator
from c2f_zoo.models.gans.pair import GenerativePair, GrowsFurther
from c2f_zoo.models.gans.progan import ProGANDiscriminator, ProGANGenerator
from c2f_zoo.models.gans.stylegan import StyleGANDiscriminator, StyleGANGenerator
from c2f_zoo.models.gans.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from c2f_zoo.tasks.generation.projection import Projecting

_OUTPUT = "(n, H, W, 3) float32, RGB in [0, 1]"


@register_model(task="image_generation")
@keras.saving.register_keras_serializable(package="c2f_zoo")
class ProGAN(GrowsFurther, GenerativePair):
    """Progressively growing GAN of Karras, Aila, Laine and Lehtinen (ICLR 2018).

    From coarse to fine: generator and discriminator grow together from 4x4 to the final
    resolution, each new one faded in. `model.generate(16, seed=0)` makes pictures; `compile()`
    and `fit` of an `ImageStream` with `ProgressiveGrowth` train as the paper does.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        label_size: Number of classes, 0 for none.
        base_shape: (height, width) of stage 0; (4, 6) makes pictures of that shape.
        channel_base: Feature maps at stage s are min(channel_base / 2^(s + 1), channel_max).
        channel_max: See there.
        num_filters: Feature maps per stage, base first, instead of that formula.
        normalization: Pixelwise normalisation in the generator. Off, with `num_filters` and
            `group_size=None`, this is the plain network that lessons build.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        fused: Double and halve by convolutions of stride 2, see `ProGANDiscriminator`.
        stage: Stage to begin at; None for the last.
        seed: Of what training draws, see `AdversarialModel`.
        dtype: As of `keras.Model`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: Settings that cannot be.

    Source: arXiv 1710.10196.

    Example:
        >>> model = ProGAN(16, latent_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0).shape
        (2, 16, 16, 3)

        ```python
        model = ProGAN(256)
        schedule = GrowthSchedule.preset("progan-v2-1gpu", resolution=256)
        stream = ImageStream(ImageCache.from_folder("pictures", resolution=256), schedule)
        growth = ProgressiveGrowth(schedule)  # ends training long before the last epoch
        model.compile()
        model.fit(stream, steps_per_epoch=500, epochs=100_000, callbacks=[growth])
        ```
    """

    preset_defaults = {
        "paper": {
            "title": "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
            "arxiv": "1710.10196",
        },
        "output": _OUTPUT,
    }

    def __init__(
        self,
        resolution=1024,
        latent_size=512,
        label_size=0,
        base_shape=(4, 4),
        channel_base=8192,
        channel_max=512,
        num_filters=None,
        normalization=True,
        group_size=4,
        image_channels=3,
        fused=False,
        stage=None,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        shared = {
            "label_size": label_size,
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
            ProGANGenerator(resolution, latent_size, normalization=normalization, **shared),
            ProGANDiscriminator(resolution, group_size=group_size, **shared),
            seed=seed,
            **kwargs,
        )


@register_model(task="image_generation")
@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGAN(Projecting, GrowsFurther, GenerativePair):
    """Style-based GAN of Karras, Laine and Aila (CVPR 2019).

    Grows like `ProGAN`, from 8x8 (`first_stage`). `generate` takes `truncation` (the paper shows
    0.7) and `style_mixing`; `project` finds the style of a picture of yours.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of w.
        mapping_depth: Dense layers of the mapping network.
        base_shape: (height, width) of stage 0.
        channel_base: Feature maps at stage s are min(channel_base / 2^(s + 1), channel_max).
        channel_max: See there.
        num_filters: Feature maps per stage, base first, instead of that formula.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        fused: Double and halve by convolutions of stride 2: the same functions.
        stage: Stage to begin at; None for the last.
        seed: Of what training draws, see `AdversarialModel`.
        dtype: As of `keras.Model`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: Settings that cannot be.

    Source: arXiv 1812.04948.

    Example:
        >>> model = StyleGAN(16, latent_size=8, w_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0, truncation=0.7, style_mixing=0.5).shape
        (2, 16, 16, 3)
    """

    first_stage = 1
    truncation_cutoff = 8
    preset_defaults = {
        "paper": {
            "title": "A Style-Based Generator Architecture for Generative Adversarial Networks",
            "arxiv": "1812.04948",
        },
        "output": _OUTPUT,
    }

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
            StyleGANGenerator(resolution, latent_size, w_size, mapping_depth, **shared),
            StyleGANDiscriminator(resolution, group_size=group_size, **shared),
            seed=seed,
            **kwargs,
        )


@register_model(task="image_generation")
@keras.saving.register_keras_serializable(package="c2f_zoo")
class StyleGAN2(Projecting, GenerativePair):
    """StyleGAN2 of Karras, Laine, Aittala, Hellsten, Lehtinen and Aila (CVPR 2020).

    From coarse to fine in one network: every scale adds to the picture that the coarser ones have
    made. It does not grow. `compile()` brings lazy R1 and path length regularisation; `project`
    finds the style of a picture of yours.

    Args:
        resolution: Height: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of w.
        mapping_depth: Dense layers of the mapping network.
        base_shape: (height, width) of the coarsest scale.
        channel_base: Feature maps at scale s are min(channel_base / 2^(s + 1), channel_max):
            16384 is the paper's config-f, 8192 its config-e.
        channel_max: See there.
        num_filters: Feature maps per scale, coarsest first, instead of that formula.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        sum_scales: Add a score read at every scale, which is not in the paper; see
            `StyleGAN2Discriminator`.
        fused: Modulate by grouped convolutions: the same function.
        seed: Of what training draws, see `AdversarialModel`.
        dtype: As of `keras.Model`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: Settings that cannot be.

    Source: arXiv 1912.04958.

    Example:
        >>> model = StyleGAN2(16, latent_size=8, w_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0, truncation=0.5).shape
        (2, 16, 16, 3)
    """

    preset_defaults = {
        "paper": {
            "title": "Analyzing and Improving the Image Quality of StyleGAN",
            "arxiv": "1912.04958",
        },
        "output": _OUTPUT,
    }

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
                resolution, latent_size, w_size, mapping_depth, fused=fused, **shared
            ),
            StyleGAN2Discriminator(
                resolution, group_size=group_size, sum_scales=sum_scales, **shared
            ),
            seed=seed,
            **kwargs,
        )


@register_model(task="image_generation")
@keras.saving.register_keras_serializable(package="c2f_zoo")
class MSGGAN(GenerativePair):
    """MSG-GAN of Karnewar and Wang (CVPR 2020), on ProGAN's or StyleGAN's networks.

    From coarse to fine without growing: the generator makes a picture at every scale, and the
    discriminator sees them all. `generate` returns the finest. On StyleGAN's networks it takes
    `truncation` and `style_mixing`; `project` is of `StyleGAN` and `StyleGAN2` alone.

    Args:
        resolution: Height: the base height times a power of two.
        latent_size: Components of a latent vector.
        architecture: `"progan"` or `"stylegan"`.
        combine: How the discriminator takes a picture in, see `MSGDiscriminator`; by default the
            paper's best, `"simple"` on ProGAN's and `"cat_lin"` on StyleGAN's networks.
        w_size: Components of w, of StyleGAN's alone.
        mapping_depth: Dense layers of the mapping network, of StyleGAN's alone.
        base_shape: (height, width) of the coarsest scale.
        channel_base: Feature maps at scale s are min(channel_base / 2^(s + 1), channel_max).
        channel_max: See there.
        num_filters: Feature maps per scale, coarsest first, instead of that formula.
        normalization: Pixelwise normalisation in the generator, of ProGAN's alone.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        stddev_everywhere: In every block of the discriminator, not in the last alone.
        image_channels: Channels of the images.
        fused: Double and halve by convolutions of stride 2; by default StyleGAN's do.
        seed: Of what training draws, see `AdversarialModel`.
        dtype: As of `keras.Model`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: Settings that cannot be.

    Source: arXiv 1903.06048.

    Example:
        >>> model = MSGGAN(16, latent_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0).shape
        (2, 16, 16, 3)
    """

    preset_defaults = {
        "paper": {
            "title": "MSG-GAN: Multi-Scale Gradients for Generative Adversarial Networks",
            "arxiv": "1903.06048",
        },
        "output": _OUTPUT,
    }

    def __init__(
        self,
        resolution=1024,
        latent_size=512,
        architecture="progan",
        combine=None,
        w_size=512,
        mapping_depth=8,
        base_shape=(4, 4),
        channel_base=8192,
        channel_max=512,
        num_filters=None,
        normalization=True,
        group_size=4,
        stddev_everywhere=True,
        image_channels=3,
        fused=None,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        if architecture not in ("progan", "stylegan"):
            raise ValueError(
                f"architecture must be 'progan' or 'stylegan'. Received: {architecture!r}"
            )
        is_styled = architecture == "stylegan"
        shared = {
            "base_shape": base_shape,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "num_filters": num_filters,
            "image_channels": image_channels,
            "fused": is_styled if fused is None else fused,
            "dtype": dtype,
        }
        own = {"group_size": group_size, "stddev_everywhere": stddev_everywhere}
        if is_styled:
            generator = MSGStyleGANGenerator(
                resolution, latent_size, w_size, mapping_depth, **shared
            )
            discriminator = MSGStyleGANDiscriminator(
                resolution, combine or "cat_lin", **own, **shared
            )
        else:
            generator = MSGGenerator(resolution, latent_size, normalization=normalization, **shared)
            discriminator = MSGDiscriminator(resolution, combine or "simple", **own, **shared)
        super().__init__(generator, discriminator, seed=seed, **kwargs)
        self.architecture = architecture
        self.truncation_cutoff = 8 if is_styled else None  # as the networks' own

    def get_config(self):
        return {**super().get_config(), "architecture": self.architecture}
