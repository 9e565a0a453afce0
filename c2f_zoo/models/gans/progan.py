"""ProGAN: progressive growing of GANs (Karras et al., ICLR 2018, arXiv 1710.10196).

What `compile` and `fit` do is in `training/adversarial/model.py`, and what a step does in `step.py`
beside it.
"""

import keras
from keras import ops

from c2f_zoo.hub import register_model
from c2f_zoo.layers import average_pool
from c2f_zoo.models.gans.growing import GrowingNetwork, grown
from c2f_zoo.models.gans.pair import GenerativePair, from_paper
from c2f_zoo.models.gans.parts import ProGANLayers, convolution, discriminator_head
from c2f_zoo.tasks.features import FeatureTask


@register_model(task="image_generation")
class ProGAN(GenerativePair):
    """Progressively growing GAN of Karras, Aila, Laine and Lehtinen (ICLR 2018).

    From coarse to fine: generator and discriminator grow together from 4x4 to the final
    resolution, each new one faded in. `model.generate(16, seed=0)` makes images; `compile()` and
    `fit` of an `ImageStream` with `ProgressiveGrowth` train as in the paper.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        label_size: Number of classes, 0 for none.
        base_shape: (height, width) of the coarsest scale; (4, 6) makes images of that shape.
        channel_base, channel_max: Scale s, 0 the coarsest, has min(channel_base / 2^(s + 1),
            channel_max) feature maps.
        num_filters: Feature maps of each scale, coarse to fine, in place of that formula.
        normalization: Pixelwise normalisation in the generator. Off, with `num_filters` and
            `group_size=None`, this is the plain network of many tutorials. `"convolutions"`: after
            the convolutions alone, not of the latents and the base map (pro_gan_pytorch).
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        fused: Double and halve by convolutions of stride 2, which is faster. The generator is the
            same function; the discriminator then averages before bias and activation, not after.
        pixel_bias: A bias for each pixel and channel of the base map, not one for each channel
            (pytorch_GAN_zoo).
        stage: Stage to begin at; None for the last.
        seed: Seed of everything that training draws. None: a random one.
        dtype: Precision policy of both networks, such as `"mixed_bfloat16"`.
        **kwargs: `name` of `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

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

    grown = grown
    generator_options = ("label_size", "normalization", "fused", "pixel_bias", "stage")
    preset_defaults = from_paper(
        "Progressive Growing of GANs for Improved Quality, Stability, and Variation", "1710.10196"
    )

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
        pixel_bias=False,
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
            ProGANGenerator(
                resolution,
                latent_size,
                normalization=normalization,
                pixel_bias=pixel_bias,
                **shared,
            ),
            ProGANDiscriminator(resolution, group_size=group_size, **shared),
            seed=seed,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ProGANGenerator(ProGANLayers, GrowingNetwork):
    """Generator of ProGAN, which grows from its base shape to its resolution.

    A 4x4 map made from the latent vector is doubled (nearest) and convolved twice per stage. A new
    stage fades in: its image is blended with the enlarged one of the stage before.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        label_size: Components of a label, 0 for none. Labels are concatenated to the latents
            before these are normalised.
        normalization: Pixelwise normalisation of latents and features; see `ProGAN`.
        fused: Double by transposed convolutions whose kernels sum shifts of the stored ones: the
            same function for less than half of the multiplications.
        pixel_bias: See `ProGAN`.
        **kwargs: `stage`, `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `ProGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        labels: Tensor (B, label_size), only where the network has labels.

    Returns:
        Images (B, height, width, image_channels) of the current stage, float32, in the signed
        range around [-1, 1] (linear: values may lie a little beyond).

    Raises:
        ValueError: If an argument is out of range, or latents or labels are of another shape.

    Source: arXiv 1710.10196, sections 2 and 4, table 2.

    Example:
        >>> generator = ProGANGenerator(16, num_filters=(32, 16, 8), latent_size=32)
        >>> generator.stage = 1
        >>> tuple(generator(np.zeros((2, 32), "float32")).shape)
        (2, 8, 8, 3)
    """

    paper = "progan"  # its training by default: `AdversarialTraining.named`
    prefix = "stage"

    def call(self, latents, labels=None):
        previous, x = None, self.first_features(latents, labels)
        for index in range(self.stage + 1):
            previous, x = x, self.run_block(index, x)
        return self.image(x, previous)

    def compute_output_shape(self, latents_shape, labels_shape=None):
        return (latents_shape[0], *self.current_resolution, self.image_channels)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ProGANDiscriminator(FeatureTask, GrowingNetwork):
    """Discriminator of ProGAN, which mirrors the generator from fine to coarse.

    While a new stage fades in, its features are blended with the previous stage's features of the
    half-size image.

    Args:
        resolution: Final height: the base height times a power of two.
        label_size: Components of a label, 0 for none. With labels there is a second output, for
            the AC-GAN term.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        fused: Halve by convolutions of stride 2. They average before bias and activation, as the
            official fused code does, not after as in the paper's table: another function.
        **kwargs: `stage`, `base_shape`, `channel_base`, `channel_max`, `num_filters`,
            `image_channels` as for `ProGAN`; `name`, `dtype` of `keras.Model`.

    Call arguments:
        images: Tensor (B, height, width, image_channels) of the current stage, in [-1, 1].

    Returns:
        Scores (B, 1), float32; with labels a pair of them and label logits (B, label_size).

    Raises:
        ValueError: If an argument is out of range, images have another size than the stage's, or
            the groups do not divide a batch.

    Source: arXiv 1710.10196, sections 2 to 4, table 2.

    Example:
        >>> discriminator = ProGANDiscriminator(8, num_filters=(16, 8))
        >>> tuple(discriminator(np.zeros((4, 8, 8, 3), "float32")).shape)
        (4, 1)
    """

    resample_filter = None  # StyleGAN's discriminator differs in this alone

    def __init__(self, resolution, *, label_size=0, group_size=4, fused=False, **kwargs):
        super().__init__(resolution, **kwargs)
        self.label_size, self.group_size, self.fused = label_size, group_size, fused
        dtype, widths = self.dtype_policy, self.widths
        self.from_rgb = [
            convolution(self.image_channels, width, f"stage_{index}_from_rgb", dtype, kernel_size=1)
            for index, width in enumerate(widths)
        ]
        # blocks[s - 1] leads from stage s to stage s - 1.
        self.blocks = [self._block(index) for index in range(1, len(widths))]
        self.head = discriminator_head(self, 1 + label_size, group_size)
        self.built = True

    def _block(self, index):
        width, coarser, dtype = self.widths[index], self.widths[index - 1], self.dtype_policy
        down = {"resample": "down", "resample_filter": self.resample_filter, "fused": self.fused}
        return [
            convolution(width, width, f"stage_{index}_conv_0", dtype),
            convolution(width, coarser, f"stage_{index}_conv_1", dtype, **down),
        ]

    @property
    def feature_parts(self):
        """All layers but the head, and the share of the stage that fades in."""
        blocks = [layer for block in self.blocks for layer in block]
        return [*self.from_rgb, *blocks, self.alpha]

    def encode(self, images, condition=None, training=None):
        return self.features(2.0 * images - 1.0)

    def features(self, images):
        """Features of every stage, fine to coarse: all but the head.

        Args:
            images: As for the call.

        Returns:
            List of tensors (B, h, w, C).
        """
        images = ops.convert_to_tensor(images)
        self.check_images(images, self.current_resolution)
        stage = self.stage
        features = [self.from_rgb[stage](images)]
        for index in range(stage, 0, -1):
            x = features[-1]
            for layer in self.blocks[index - 1]:
                x = layer(x)
            if index == stage:
                x = self.fade(self.from_rgb[stage - 1](average_pool(images, 2)), x)
            features.append(x)
        return features

    def call(self, images):
        outputs = self.head(self.features(images)[-1])
        return (outputs[:, :1], outputs[:, 1:]) if self.label_size else outputs

    def compute_output_shape(self, images_shape):
        batch = images_shape[0]
        return ((batch, 1), (batch, self.label_size)) if self.label_size else (batch, 1)

    def get_config(self):
        names = ("label_size", "group_size", "fused")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
