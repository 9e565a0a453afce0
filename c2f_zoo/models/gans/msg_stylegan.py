"""MSG-StyleGAN: multi-scale gradients for a style-based generator (arXiv 1903.06048)."""

import keras

from c2f_zoo.models.gans.growing import StagedNetwork
from c2f_zoo.models.gans.msg_progan import MSGDiscriminator
from c2f_zoo.models.gans.stylegan import BLUR_TAPS, StyleSynthesis


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MSGStyleGANGenerator(StyleSynthesis, StagedNetwork):
    """Generator of MSG-StyleGAN: StyleGAN's layers, and an image read at every scale.

    Nothing grows, and its paper's training mixes no styles.

    Args:
        resolution: Height of the finest image: the base height times a power of two.
        latent_size: Components of a latent vector.
        w_size: Components of a style w.
        mapping_depth: Dense layers of the mapping network.
        fused: Double by transposed convolutions, the same function for fewer multiplications.
        **kwargs: `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `MSGGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        noise: None to draw it, or a list of tensors (B, h, w, 1) as `noise_shapes` says.
        truncation: Factor psi that pulls w towards its average, 1 for none.
        truncation_cutoff: Layers before it are truncated; None for all.

    Returns:
        List of images (B, h, w, image_channels), coarse to fine, float32, signed.

    Raises:
        ValueError: If an argument is out of range, or latents, w or noise have another shape.

    Source: arXiv 1903.06048, section 2.2, and its official code.

    Example:
        >>> sizes = {"latent_size": 8, "w_size": 8, "num_filters": (8, 4)}
        >>> generator = MSGStyleGANGenerator(8, **sizes)
        >>> [tuple(image.shape) for image in generator(np.ones((2, 8), "float32"))]
        [(2, 4, 4, 3), (2, 8, 8, 3)]
    """

    paper = "msg-stylegan"  # its training by default: `AdversarialTraining.named`

    def synthesis(self, w, noise=None):
        stages = self.features(w, noise)
        return [to_rgb(x) for to_rgb, x in zip(self.to_rgb, stages, strict=True)]

    def compute_output_shape(self, latents_shape):
        return [(latents_shape[0], *size, self.image_channels) for size in self.resolutions]


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MSGStyleGANDiscriminator(MSGDiscriminator):
    """Discriminator of MSG-StyleGAN: StyleGAN's, which takes in the image of every scale.

    Before each block but the finest, a 1x1 convolution joins features and RGB ("cat_lin"). Every
    block begins with a minibatch standard deviation, and blurs before it halves.

    Args:
        resolution: Height of the finest image: the base height times a power of two.
        combine: How the image joins the features: `"simple"`, `"lin_cat"` or `"cat_lin"`, see
            `MSGDiscriminator`.
        fused: Halve by convolutions of stride 2, the same function for fewer multiplications.
        **kwargs: `group_size`, `stddev_everywhere`, `base_shape`, `channel_base`, `channel_max`,
            `num_filters`, `image_channels` as for `MSGGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        images: List of tensors (B, h, w, image_channels), coarse to fine, in [-1, 1]: what the
            generator gives, or `image_pyramid` of real images.

    Returns:
        Scores (B, 1), float32.

    Raises:
        ValueError: If an argument is out of range, there are too few images or one of another
            size, or the groups do not divide a batch.

    Source: arXiv 1903.06048, section 2.2, and its official code.

    Example:
        >>> discriminator = MSGStyleGANDiscriminator(8, num_filters=(16, 8))
        >>> images = [np.zeros((4, size, size, 3), "float32") for size in (4, 8)]
        >>> tuple(discriminator(images).shape)
        (4, 1)
    """

    resample_filter = BLUR_TAPS

    def __init__(self, resolution, *, combine="cat_lin", fused=True, **kwargs):
        super().__init__(resolution, combine=combine, fused=fused, **kwargs)
