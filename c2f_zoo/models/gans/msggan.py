"""MSG-GAN as a whole model, on ProGAN's or StyleGAN's networks (arXiv 1903.06048)."""

from c2f_zoo import checks
from c2f_zoo.hub import register_model
from c2f_zoo.models.gans.msg_progan import MSGDiscriminator, MSGGenerator
from c2f_zoo.models.gans.msg_stylegan import MSGStyleGANDiscriminator, MSGStyleGANGenerator
from c2f_zoo.models.gans.pair import GenerativePair, from_paper


@register_model(task="image_generation")
class MSGGAN(GenerativePair):
    """MSG-GAN of Karnewar and Wang (CVPR 2020), on ProGAN's or StyleGAN's networks.

    From coarse to fine without growing: the generator makes an image at every scale, and the
    discriminator sees them all. `generate` returns the finest. On StyleGAN's networks it takes
    `truncation` and `style_mixing`.

    Args:
        resolution: Height: the base height times a power of two.
        latent_size: Components of a latent vector.
        architecture: `"progan"` or `"stylegan"`.
        combine: How the discriminator takes an image in, see `MSGDiscriminator`; by default the
            paper's best, `"simple"` on ProGAN's and `"cat_lin"` on StyleGAN's networks.
        w_size: Components of w, of StyleGAN's alone.
        mapping_depth: Dense layers of the mapping network, of StyleGAN's alone.
        base_shape: (height, width) of the coarsest scale; (4, 6) makes images of that shape.
        channel_base, channel_max: Scale s, 0 the coarsest, has min(channel_base / 2^(s + 1),
            channel_max) feature maps.
        num_filters: Feature maps of each scale, coarse to fine, in place of that formula.
        normalization: Pixelwise normalisation in the generator, of ProGAN's alone.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        stddev_everywhere: In every block of the discriminator, not in the last alone.
        image_channels: Channels of the images.
        fused: Double and halve by convolutions of stride 2; by default StyleGAN's do.
        seed: Seed of everything that training draws. None: a random one.
        dtype: Precision policy of both networks, such as `"mixed_bfloat16"`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Source: arXiv 1903.06048.

    Example:
        >>> model = MSGGAN(16, latent_size=8, num_filters=(16, 8, 4))
        >>> model.generate(2, seed=0).shape
        (2, 16, 16, 3)
    """

    discriminator_options = ("group_size", "combine", "stddev_everywhere")
    preset_defaults = from_paper(
        "MSG-GAN: Multi-Scale Gradients for Generative Adversarial Networks", "1903.06048"
    )

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
        checks.one_of("architecture", architecture, ("progan", "stylegan"))
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
            styles = {"w_size": w_size, "mapping_depth": mapping_depth}
            generator = MSGStyleGANGenerator(resolution, latent_size, **styles, **shared)
            discriminator = MSGStyleGANDiscriminator(
                resolution, combine=combine or "cat_lin", **own, **shared
            )
        else:
            generator = MSGGenerator(resolution, latent_size, normalization=normalization, **shared)
            discriminator = MSGDiscriminator(
                resolution, combine=combine or "simple", **own, **shared
            )
        super().__init__(generator, discriminator, seed=seed, **kwargs)
        self.architecture = architecture
        self.truncation_cutoff = 8 if is_styled else None  # as the networks' own
        options = ("w_size", "mapping_depth") if is_styled else ("normalization",)
        self.generator_options = ("fused", *options)

    def get_config(self):
        return {**super().get_config(), "architecture": self.architecture}
