"""MSG-GAN: multi-scale gradients instead of growth (Karnewar and Wang, CVPR 2020)."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import average_pool, minibatch_stddev
from c2f_zoo.models.gans.growing import StagedNetwork
from c2f_zoo.models.gans.parts import ProGANLayers, convolution, discriminator_head
from c2f_zoo.tasks.features import FeatureTask

COMBINATIONS = ("simple", "lin_cat", "cat_lin")


def image_pyramid(images, num_scales):
    """Real images at every scale, by 2x2 averages, for the discriminator.

    Args:
        images: Tensor (B, H, W, C), H and W multiples of 2^(num_scales - 1).
        num_scales: Length of the pyramid.

    Returns:
        List of tensors (B, H / 2^k, W / 2^k, C), coarse to fine; the last is `images`.

    Raises:
        ValueError: If the images cannot be halved that often.

    Source: arXiv 1903.06048, section 2.1.

    Example:
        >>> [tuple(level.shape) for level in image_pyramid(np.ones((1, 8, 12, 3), "float32"), 3)]
        [(1, 2, 3, 3), (1, 4, 6, 3), (1, 8, 12, 3)]
    """
    images = ops.convert_to_tensor(images)
    factor = 2 ** (num_scales - 1)
    if num_scales < 1 or len(images.shape) != 4 or any(n % factor for n in images.shape[1:3]):
        raise ValueError(
            f"A pyramid of {num_scales} scales needs images (B, H, W, C) with H and W multiples "
            f"of {factor}. Received: shape {tuple(images.shape)}"
        )
    levels = [images]
    while len(levels) < num_scales:
        levels.insert(0, average_pool(levels[0], 2))
    return levels


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MSGGenerator(ProGANLayers, StagedNetwork):
    """Generator of MSG-ProGAN: ProGAN's trunk, and an image read at every scale.

    Nothing grows: all scales train at once, and the discriminator's gradients reach every one of
    them directly.

    Args:
        resolution: Height of the finest image: the base height times a power of two.
        latent_size: Components of a latent vector.
        label_size: Components of a label, 0 for none; labels are concatenated to the latents.
        normalization: Pixelwise normalisation of latents and features; `"convolutions"` leaves out
            the latents and the base map.
        fused: Double by transposed convolutions, the same function for fewer multiplications.
        pixel_bias: A bias for each pixel and channel of the base map, not one for each channel.
        **kwargs: `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `MSGGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        labels: Tensor (B, label_size), only where the network has labels.

    Returns:
        List of images (B, h, w, image_channels), coarse to fine, float32, signed.

    Raises:
        ValueError: If an argument is out of range, or latents or labels have another shape.

    Source: arXiv 1903.06048, section 2.1, figure 2.

    Example:
        >>> generator = MSGGenerator(16, latent_size=8, num_filters=(8, 8, 4))
        >>> [tuple(image.shape) for image in generator(np.ones((2, 8), "float32"))]
        [(2, 4, 4, 3), (2, 8, 8, 3), (2, 16, 16, 3)]
    """

    paper = "msg-progan"  # its training by default: `AdversarialTraining.named`
    prefix = "scale"

    def call(self, latents, labels=None):
        x, images = self.first_features(latents, labels), []
        for index, to_rgb in enumerate(self.to_rgb):
            x = self.run_block(index, x)
            images.append(to_rgb(x))
        return images

    def compute_output_shape(self, latents_shape, labels_shape=None):
        return [(latents_shape[0], *size, self.image_channels) for size in self.resolutions]


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MSGDiscriminator(FeatureTask, StagedNetwork):
    """Discriminator of MSG-GAN, which sees the image at every scale.

    At each scale the RGB image of that size joins the features that come from the finer ones:

    - `"simple"`: [rgb; features], the paper's best for MSG-ProGAN.
    - `"lin_cat"`: [conv1x1(rgb); features]. Both parts have half of the scale's width.
    - `"cat_lin"`: conv1x1([rgb; features]), the paper's best for MSG-StyleGAN.

    The 1x1 convolutions are linear, without bias, of gain sqrt(2) as in the official code.

    Args:
        resolution: Final height: the base height times a power of two.
        combine: `"simple"`, `"lin_cat"` or `"cat_lin"`, see above.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        stddev_everywhere: A minibatch standard deviation at every scale, as in the official
            code, or at the coarsest alone, as in ProGAN.
        fused: Halve by convolutions of stride 2, which average before bias and activation, not
            after: another function.
        **kwargs: `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `MSGGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        images: List of tensors (B, h, w, image_channels), coarse to fine, in [-1, 1]: what the
            generator gives, or `image_pyramid` of real images.

    Returns:
        Scores (B, 1), float32.

    Raises:
        ValueError: If an argument is out of range, there are too few images or one of another
            size, or the groups do not divide a batch.

    Source: arXiv 1903.06048, section 2.1, equations 4 to 6.

    Example:
        >>> discriminator = MSGDiscriminator(8, combine="cat_lin", num_filters=(16, 8))
        >>> images = image_pyramid(np.zeros((4, 8, 8, 3), "float32"), 2)
        >>> tuple(discriminator(images).shape)
        (4, 1)
    """

    resample_filter = None  # MSG-StyleGAN's discriminator differs in this

    def __init__(
        self,
        resolution,
        *,
        combine="simple",
        group_size=4,
        stddev_everywhere=True,
        fused=False,
        **kwargs,
    ):
        super().__init__(resolution, **kwargs)
        checks.one_of("combine", combine, COMBINATIONS)
        self.combine, self.stddev_everywhere = combine, stddev_everywhere
        self.group_size, self.fused = group_size, fused
        dtype, finest = self.dtype_policy, len(self.widths) - 1
        self.from_rgb = convolution(
            self.image_channels, self.widths[-1], "from_rgb", dtype, kernel_size=1
        )
        self._has_stddev = group_size is not None and stddev_everywhere
        # blocks[s - 1] leads from scale s to s - 1, where combiners[s - 1] takes in the image.
        self.blocks, self.combiners = [], []
        for scale in range(1, len(self.widths)):
            self.blocks.append(self._block(scale, is_finest=scale == finest))
            self.combiners.append(self._combiner(scale - 1))
        channels = self._combined_channels(0) if finest else self.widths[0]
        self.head = discriminator_head(self, 1, group_size, channels)
        self.built = True

    def _passed_channels(self, scale):
        """Channels that the block above hands down to a scale."""
        width = self.widths[scale]
        return max(1, width // 2) if self.combine == "lin_cat" else width

    def _combined_channels(self, scale):
        """Channels at a scale once its image has joined."""
        width = self.widths[scale]
        if self.combine == "lin_cat":
            return self._passed_channels(scale) + max(1, width // 2)
        return width + (self.image_channels if self.combine == "simple" else 0)

    def _block(self, scale, is_finest):
        width, dtype = self.widths[scale], self.dtype_policy
        channels = width if is_finest else self._combined_channels(scale)
        channels += 1 if self._has_stddev else 0
        down = {"resample": "down", "resample_filter": self.resample_filter, "fused": self.fused}
        coarser = self._passed_channels(scale - 1)
        return [
            convolution(channels, width, f"scale_{scale}_conv_0", dtype),
            convolution(width, coarser, f"scale_{scale}_conv_1", dtype, **down),
        ]

    def _combiner(self, scale):
        """The 1x1 convolution that joins an image, None if it is concatenated as it is."""
        if self.combine == "simple":
            return None
        linear = {"activation": None, "use_bias": False, "kernel_size": 1}
        width, rgb = self.widths[scale], self.image_channels
        is_first = self.combine == "lin_cat"
        channels, filters = (rgb, max(1, width // 2)) if is_first else (rgb + width, width)
        return convolution(channels, filters, f"scale_{scale}_combine", self.dtype_policy, **linear)

    @property
    def feature_parts(self):
        """All layers but the head."""
        blocks = [layer for block in self.blocks for layer in block]
        return [self.from_rgb, *blocks, *filter(None, self.combiners)]

    def encode(self, images, condition=None, training=None):
        self.check_images(images, self.resolutions[-1])
        return self.features(image_pyramid(2.0 * images - 1.0, len(self.resolutions)))

    def call(self, images):
        return self.head(self.features(images)[-1])

    def features(self, images):
        """Features of every scale, fine to coarse: all but the head.

        Args:
            images: As for the call.

        Returns:
            List of tensors (B, h, w, C).
        """
        images = [ops.convert_to_tensor(image) for image in images]
        if len(images) != len(self.resolutions):
            raise ValueError(
                f"MSGDiscriminator takes images of {len(self.resolutions)} scales. "
                f"Received: {len(images)}"
            )
        for image, size in zip(images, self.resolutions, strict=True):
            self.check_images(image, size)
        features = [self.from_rgb(images[-1])]
        for scale in range(len(self.blocks) - 1, -1, -1):
            x = features[-1]
            if self._has_stddev:
                x = minibatch_stddev(x, self.group_size)
            for layer in self.blocks[scale]:
                x = layer(x)
            features.append(self._join(images[scale], x, self.combiners[scale]))
        return features

    def _join(self, image, x, combiner):
        image = ops.cast(image, x.dtype)
        if self.combine == "lin_cat":
            image = combiner(image)
        x = ops.concatenate([image, x], axis=-1)
        return combiner(x) if self.combine == "cat_lin" else x

    def compute_output_shape(self, images_shape):
        return (images_shape[0][0], 1)

    def get_config(self):
        names = ("combine", "group_size", "stddev_everywhere", "fused")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
