"""ProGAN: progressive growing of GANs (Karras et al., ICLR 2018, arXiv 1710.10196)."""

import keras
from keras import ops

from c2f_zoo.layers import (
    EqualizedConv2D,
    EqualizedDense,
    average_pool,
    pixel_norm,
    scaled_leaky_relu,
)
from c2f_zoo.layers.minibatch_stddev import minibatch_stddev
from c2f_zoo.models.gans.growing import (
    BaseMap,
    Growing,
    Staged,
    built,
    check_images,
    progressive_image,
    score_layer,
    to_rgb_layer,
)


def convolution(channels, filters, name, dtype, kernel_size=3, **options):
    """A built equalised convolution with LeakyReLU 0.2, unless options say otherwise.

    Args:
        channels: Input channels.
        filters: Output channels.
        name: Name of the layer.
        dtype: Its dtype policy.
        kernel_size: Odd integer.
        **options: Of `EqualizedConv2D`.

    Returns:
        Built `EqualizedConv2D`.
    """
    options = {"activation": "leaky_relu", **options}
    layer = EqualizedConv2D(filters, kernel_size, dtype=dtype, name=name, **options)
    return built(layer, (None, None, None, channels))


class ProGANLayers(Staged):
    """Mixin of a generator with ProGAN's layers: those of a stage follow on those before it.

    Attributes:
        base: `BaseMap`, from a latent to the coarsest features.
        blocks: List over stages of lists of convolutions.
        to_rgb: List over stages of 1x1 convolutions.
    """

    def setup_layers(self, latent_size, label_size, normalization, fused, prefix):
        """Make all layers; called by the constructor after `setup_stages`.

        Args:
            latent_size: Components of a latent vector.
            label_size: Components of a label, 0 for none.
            normalization: Whether latents and features are normalised.
            fused: Double by transposed convolutions.
            prefix: What the names of a stage's layers begin with.
        """
        self.latent_size, self.label_size = latent_size, label_size
        self.normalization, self.fused = normalization, fused
        dtype, channels = self.dtype_policy, self.widths[0]
        self.base = built(
            BaseMap(self.resolutions[0], channels, dtype=dtype, name="base"),
            (None, latent_size + label_size),
        )
        self.blocks, self.to_rgb = [], []
        for index, width in enumerate(self.widths):
            name = f"{prefix}_{index}"
            block = [convolution(width, width, f"{name}_conv_1", dtype)]
            if index:
                up = {"resample": "up", "fused": fused}
                block.insert(0, convolution(channels, width, f"{name}_conv_0", dtype, **up))
            self.blocks.append(block)
            self.to_rgb.append(to_rgb_layer(width, self.image_channels, f"{name}_to_rgb"))
            channels = width

    def first_features(self, latents, labels=None):
        """Make the base map from latents and labels.

        Args:
            latents: Tensor (B, latent_size).
            labels: Tensor (B, label_size) or None.

        Returns:
            Tensor (B, base height, base width, widths[0]).
        """
        latents = join_labels(latents, labels, self.latent_size, self.label_size)
        return self._normalized(self.base(self._normalized(latents)))

    def run_block(self, index, x):
        """Run the convolutions of a stage, each followed by its normalisation.

        Args:
            index: The stage.
            x: Tensor (B, h, w, C) of the stage before, or of `first_features`.

        Returns:
            Tensor (B, H, W, widths[index]).
        """
        for layer in self.blocks[index]:
            x = self._normalized(layer(x))
        return x

    def _normalized(self, x):
        return pixel_norm(x) if self.normalization else x

    def get_config(self):
        config = {
            "latent_size": self.latent_size,
            "label_size": self.label_size,
            "normalization": self.normalization,
            "fused": self.fused,
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ProGANGenerator(ProGANLayers, Growing, keras.Model):
    """Generator of ProGAN, which grows from its base shape to its resolution.

    From coarse to fine: a 4x4 map made from the latent vector is doubled (nearest) and convolved
    twice per stage. A stage that is new fades in: its image is blended with the enlarged one of
    the stage before, each read by its own 1x1 convolution.

    Args:
        resolution: Final height: the base height times a power of two.
        latent_size: Components of a latent vector.
        label_size: Components of a label, 0 for none. Labels are concatenated to the latents
            before these are normalised.
        base_shape: (height, width) of stage 0; (4, 6) makes pictures of that shape.
        channel_base: Feature maps at stage s are min(channel_base / 2^(s + 1), channel_max).
        channel_max: See there.
        num_filters: Feature maps per stage, base first, instead of that formula.
        normalization: Pixelwise normalisation of latents and features. Off, and with
            `num_filters` given, this is the plain generator that lessons build.
        image_channels: Channels of the images.
        fused: Double by transposed convolutions whose kernels sum shifts of the stored ones: the
            same function for less than half of the multiplications.
        stage: Stage to begin at; None for the last.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.
        labels: Tensor (B, label_size), only where the network has labels.

    Returns:
        Images (B, height, width, image_channels) of the current stage, float32, in the signed
        range around [-1, 1] (linear: values may lie a little beyond).

    Raises:
        ValueError: Settings that cannot be; latents or labels of another shape.

    Source: arXiv 1710.10196, sections 2 and 4, table 2.

    Example:
        >>> import numpy as np
        >>> generator = ProGANGenerator(16, num_filters=(32, 16, 8), latent_size=32)
        >>> generator.stage = 1
        >>> tuple(generator(np.zeros((2, 32), "float32")).shape)
        (2, 8, 8, 3)
    """

    paper = "progan"  # how it is trained by default: `AdversarialTraining.named`

    def __init__(
        self,
        resolution,
        latent_size=512,
        label_size=0,
        base_shape=(4, 4),
        channel_base=8192,
        channel_max=512,
        num_filters=None,
        normalization=True,
        image_channels=3,
        fused=False,
        stage=None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.setup_stages(
            resolution, base_shape, channel_base, channel_max, num_filters, image_channels
        )
        self.setup_growth(stage)
        self.setup_layers(latent_size, label_size, normalization, fused, "stage")
        self.built = True

    def call(self, latents, labels=None):
        previous, x = None, self.first_features(latents, labels)
        for index in range(self.stage + 1):
            previous, x = x, self.run_block(index, x)
        return progressive_image(self, x, previous)

    def compute_output_shape(self, latents_shape, labels_shape=None):
        return (latents_shape[0], *self.current_resolution, self.image_channels)


def join_labels(latents, labels, latent_size, label_size):
    """Check latents and labels and concatenate them, in float32.

    Args:
        latents: Tensor (B, latent_size).
        labels: Tensor (B, label_size), or None where `label_size` is 0.
        latent_size: Components of a latent vector.
        label_size: Components of a label.

    Returns:
        Tensor (B, latent_size + label_size).

    Raises:
        ValueError: One is of another shape, missing or not expected.
    """
    latents = ops.cast(ops.convert_to_tensor(latents), "float32")
    if len(latents.shape) != 2 or latents.shape[-1] != latent_size:
        raise ValueError(
            f"the generator takes latents (B, {latent_size}). "
            f"Received: shape {tuple(latents.shape)}"
        )
    if labels is None and label_size == 0:
        return latents
    shape = None if labels is None else tuple(labels.shape)
    if shape is None or len(shape) != 2 or shape[-1] != label_size or label_size == 0:
        expected = f"(B, {label_size})" if label_size else "None"
        raise ValueError(f"this network takes labels {expected}. Received: shape {shape}")
    return ops.concatenate([latents, ops.cast(labels, "float32")], axis=-1)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ProGANDiscriminator(Growing, keras.Model):
    """Discriminator of ProGAN, which mirrors the generator from fine to coarse.

    A stage that is new fades in: its block's features are blended with those that the stage
    before reads from the image at half the size.

    Args:
        resolution: Final height: the base height times a power of two.
        label_size: Components of a label, 0 for none. With labels there is a second output, for
            the AC-GAN term.
        base_shape: (height, width) of stage 0.
        channel_base: Feature maps at stage s are min(channel_base / 2^(s + 1), channel_max).
        channel_max: See there.
        num_filters: Feature maps per stage, base first, instead of that formula.
        group_size: Samples in a group of the minibatch standard deviation; None leaves it out.
        image_channels: Channels of the images.
        fused: Halve by convolutions of stride 2. They average before bias and activation, as the
            official fused code does, not after as the paper's table: another function.
        stage: Stage to begin at; None for the last.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        images: Tensor (B, height, width, image_channels) of the current stage, in [-1, 1].

    Returns:
        Scores (B, 1), float32; with labels a pair of them and label logits (B, label_size).

    Raises:
        ValueError: Settings that cannot be; images of another size than the stage's; a batch
            that the groups do not divide.

    Source: arXiv 1710.10196, sections 2 to 4, table 2.

    Example:
        >>> import numpy as np
        >>> discriminator = ProGANDiscriminator(8, num_filters=(16, 8))
        >>> tuple(discriminator(np.zeros((4, 8, 8, 3), "float32")).shape)
        (4, 1)
    """

    # StyleGAN's discriminator differs in this alone.
    resample_filter = None

    def __init__(
        self,
        resolution,
        label_size=0,
        base_shape=(4, 4),
        channel_base=8192,
        channel_max=512,
        num_filters=None,
        group_size=4,
        image_channels=3,
        fused=False,
        stage=None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.setup_stages(
            resolution, base_shape, channel_base, channel_max, num_filters, image_channels
        )
        self.setup_growth(stage)
        self.label_size, self.group_size, self.fused = label_size, group_size, fused
        dtype, widths = self.dtype_policy, self.widths
        self.from_rgb = [
            convolution(image_channels, width, f"stage_{index}_from_rgb", dtype, kernel_size=1)
            for index, width in enumerate(widths)
        ]
        # blocks[s - 1] leads from stage s to stage s - 1.
        self.blocks = [self._block(index) for index in range(1, len(widths))]
        self.head = DiscriminatorHead(
            self.resolutions[0], widths[0], 1 + label_size, group_size, dtype=dtype, name="head"
        )
        self.built = True

    def _block(self, index):
        width, coarser, dtype = self.widths[index], self.widths[index - 1], self.dtype_policy
        down = {"resample": "down", "resample_filter": self.resample_filter, "fused": self.fused}
        return [
            convolution(width, width, f"stage_{index}_conv_0", dtype),
            convolution(width, coarser, f"stage_{index}_conv_1", dtype, **down),
        ]

    def features(self, images):
        """Features of every stage, fine to coarse: all but the head.

        Args:
            images: As for the call.

        Returns:
            List of tensors (B, h, w, C).
        """
        images = ops.convert_to_tensor(images)
        check_images(images, self.current_resolution, self.image_channels, type(self).__name__)
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
        config = {
            "label_size": self.label_size,
            "group_size": self.group_size,
            "fused": self.fused,
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class DiscriminatorHead(keras.layers.Layer):
    """From the coarsest features to scores: minibatch stddev, 3x3 convolution, two dense layers.

    Args:
        base_shape: (height, width) of the features.
        width: Their channels, and those of the convolution and of the first dense layer.
        outputs: Number of outputs.
        group_size: Of the minibatch standard deviation; None leaves it out.
        channels: Input channels, if other than `width`.
        scaled: Activations are multiplied by sqrt(2) instead of the kernels (StyleGAN2).
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, height, width, channels).

    Returns:
        Tensor (B, outputs), float32.

    Source: arXiv 1710.10196, table 2, last rows.
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
        self.dense.build((None, width * self.base_shape[0] * self.base_shape[1]))
        self.score = score_layer(width, outputs, f"{name}_score")
        self.built = True

    def call(self, x):
        if self.group_size is not None:
            x = minibatch_stddev(x, self.group_size)
        x = self.convolution(x)
        size = self.width * self.base_shape[0] * self.base_shape[1]
        return self.score(self.dense(ops.reshape(x, (-1, size))))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.outputs)

    def get_config(self):
        config = {
            "base_shape": self.base_shape,
            "width": self.width,
            "outputs": self.outputs,
            "group_size": self.group_size,
            "channels": self.channels,
            "scaled": self.scaled,
        }
        return {**super().get_config(), **config}
