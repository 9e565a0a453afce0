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
        resolution, latent_size, w_size, mapping_depth, fused: As for `StyleGANGenerator`.
        **kwargs: Of `StagedNetwork`.

    Call arguments:
        latents, noise, truncation, truncation_cutoff: As for `StyleGANGenerator`.

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
        resolution, combine: As for `MSGDiscriminator`.
        fused: Halve by convolutions of stride 2, the same function for fewer multiplications.
        **kwargs: Of `MSGDiscriminator`.

    Call arguments, Returns and Raises are those of `MSGDiscriminator`.

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
