"""What the generators and discriminators of this zoo share: stages, fading, widths, checks."""

import keras
import numpy as np
from keras import ops

from c2f_zoo.data.resolutions import stage_resolutions
from c2f_zoo.layers import EqualizedConv2D, EqualizedDense, upsample_nearest


def stage_widths(num_stages, channel_base=8192, channel_max=512, num_filters=None):
    """Feature maps per stage: min(channel_base / 2^(stage + 1), channel_max).

    Args:
        num_stages: Number of stages.
        channel_base: 8192 in ProGAN, StyleGAN and StyleGAN2's config-e, 16384 in config-f.
        channel_max: Upper limit.
        num_filters: None, or one width per stage, base first, instead of the formula.

    Returns:
        Tuple of integers, the base stage first.

    Raises:
        ValueError: `num_filters` has not one positive integer per stage, or a limit is below 1.

    Source: ProGAN (arXiv 1710.10196), its code's `nf`.

    Example:
        >>> stage_widths(9)
        (512, 512, 512, 512, 256, 128, 64, 32, 16)
    """
    if channel_base < 1 or channel_max < 1:
        raise ValueError(
            "channel_base and channel_max must be at least 1. "
            f"Received: {channel_base} and {channel_max}"
        )
    if num_filters is None:
        return tuple(
            max(1, min(channel_base // 2 ** (stage + 1), channel_max))
            for stage in range(num_stages)
        )
    if len(num_filters) != num_stages or any(width < 1 for width in num_filters):
        raise ValueError(
            f"num_filters must hold one width for each of {num_stages} stages. "
            f"Received: {tuple(num_filters)}"
        )
    return tuple(num_filters)


class Staged:
    """Mixin of a `keras.Model` whose layers are arranged in stages, each of twice the size.

    It keeps the settings that all generators and discriminators of this zoo have, and gives them
    back as a config; a network adds its own.

    Attributes:
        resolutions: Tuple of (height, width) per stage, the base first.
        widths: Tuple of feature maps per stage.
    """

    def setup_stages(
        self, resolution, base_shape, channel_base, channel_max, num_filters, image_channels
    ):
        """Take the settings; called first by the constructor.

        Args:
            resolution: As of `stage_resolutions`.
            base_shape: Likewise.
            channel_base: As of `stage_widths`.
            channel_max: Likewise.
            num_filters: Likewise.
            image_channels: Channels of the images.

        Raises:
            ValueError: As of those functions.
        """
        self.resolutions = stage_resolutions(resolution, base_shape)
        self.channel_base, self.channel_max = channel_base, channel_max
        self.num_filters = None if num_filters is None else tuple(num_filters)
        self.widths = stage_widths(len(self.resolutions), channel_base, channel_max, num_filters)
        self.image_channels = image_channels

    def get_config(self):
        config = {
            "resolution": self.resolutions[-1][0],
            "base_shape": self.resolutions[0],
            "channel_base": self.channel_base,
            "channel_max": self.channel_max,
            "num_filters": self.num_filters,
            "image_channels": self.image_channels,
        }
        return {**super().get_config(), **config}


class Growing(Staged):
    """Mixin of a `keras.Model` that works at one of several resolutions.

    The variables of all stages exist from the start. `stage` is a Python integer, so there is one
    compiled step per stage; `alpha` is a variable, so a fade compiles nothing.

    Attributes:
        alpha: Scalar variable in [0, 1]: 1 = the stage's own resolution is fully in.
    """

    def setup_growth(self, stage=None):
        """Make alpha; called by the constructor after `setup_stages`.

        Args:
            stage: Stage to begin at; None for the last.

        Raises:
            ValueError: There is no such stage.
        """
        self._stage = self.num_stages - 1
        self.alpha = self.add_weight(
            shape=(), initializer="ones", trainable=False, dtype="float32", name="alpha"
        )
        if stage is not None:
            self.stage = stage

    @property
    def num_stages(self):
        """Number of resolutions this network can work at."""
        return len(self.resolutions)

    @property
    def stage(self):
        """Index of the current resolution, 0 for the base.

        Setting it drops the compiled functions of `fit`, `evaluate` and `predict`.
        """
        return self._stage

    @stage.setter
    def stage(self, stage):
        if not isinstance(stage, int) or not 0 <= stage < self.num_stages:
            raise ValueError(
                f"stage must be an integer from 0 to {self.num_stages - 1}. Received: {stage}"
            )
        if stage != self._stage:
            self._stage = stage
            self.train_function = self.test_function = self.predict_function = None

    @property
    def current_resolution(self):
        """(height, width) of the current stage."""
        return self.resolutions[self.stage]

    def fade(self, coarse, fine):
        """Blend the previous stage's result into this one's: lerp(coarse, fine, alpha).

        Args:
            coarse: Tensor (B, H, W, C), of the previous stage.
            fine: Tensor (B, H, W, C), of this stage.

        Returns:
            Tensor (B, H, W, C).
        """
        alpha = ops.cast(ops.convert_to_tensor(self.alpha), fine.dtype)
        return coarse * (1.0 - alpha) + fine * alpha

    def get_config(self):
        return {**super().get_config(), "stage": self.stage}

    def load_smaller(self, other):
        """Take the weights of a network of the same kind with fewer stages, to grow it further.

        Every variable that both have, by name and shape, is copied; the finer stages keep their
        initial values.

        Args:
            other: Network of the same class and settings, of a lower resolution.

        Returns:
            Number of variables copied.

        Raises:
            ValueError: The other network is of another class, or has a variable that this one
                lacks or holds in another shape (other widths, base shape or labels).
        """
        if type(other) is not type(self):
            raise ValueError(
                f"load_smaller takes a {type(self).__name__}. Received: a {type(other).__name__}"
            )
        mine = {_own_path(self, variable): variable for variable in self.weights}
        # Alpha belongs to the stage, not to what was learned.
        theirs = {_own_path(other, variable): variable for variable in other.weights}
        theirs.pop("alpha")
        for path, variable in theirs.items():
            if path not in mine or tuple(mine[path].shape) != tuple(variable.shape):
                raise ValueError(
                    f"the smaller network does not fit into this one. Received: {path} of shape "
                    f"{tuple(variable.shape)}"
                )
        for path, variable in theirs.items():
            # A copy: JAX gives a variable's array away to a compiled step.
            mine[path].assign(np.array(ops.convert_to_numpy(variable)))
        return len(theirs)


def _own_path(model, variable):
    """A variable's path without the name of its model, which may differ."""
    return variable.path.removeprefix(f"{model.name}/")


def check_images(images, resolution, channels, owner):
    """Refuse images of another size than the network works at.

    Args:
        images: Tensor, should be (B, height, width, channels).
        resolution: (height, width).
        channels: Channels of an image.
        owner: Name for the message.

    Raises:
        ValueError: They are of another shape.
    """
    if len(images.shape) != 4 or tuple(images.shape[1:]) != (*resolution, channels):
        expected = f"(B, {resolution[0]}, {resolution[1]}, {channels})"
        raise ValueError(
            f"{owner} takes images of shape {expected}. Received: shape {tuple(images.shape)}"
        )


def built(layer, *shapes):
    """Build a layer for inputs of known channels and give it back.

    Args:
        layer: Layer.
        *shapes: Shape of each input, None where unknown.

    Returns:
        The layer.
    """
    layer.build(*shapes)
    return layer


def to_rgb_layer(channels, image_channels, name):
    """A linear 1x1 convolution of gain 1 to an image, in float32 under any policy.

    Args:
        channels: Input channels.
        image_channels: Channels of an image.
        name: Name of the layer.

    Returns:
        Built `EqualizedConv2D`.
    """
    layer = EqualizedConv2D(image_channels, 1, gain=1.0, dtype="float32", name=name)
    return built(layer, (None, None, None, channels))


def score_layer(channels, outputs, name="score"):
    """A linear dense layer of gain 1 to scores, in float32 under any policy.

    Args:
        channels: Input features.
        outputs: Number of outputs.
        name: Name of the layer.

    Returns:
        Built `EqualizedDense`.
    """
    layer = EqualizedDense(outputs, gain=1.0, dtype="float32", name=name)
    return built(layer, (None, channels))


def progressive_image(network, features, previous):
    """The current stage's image, faded with the enlarged one of the stage before.

    Args:
        network: Growing generator with a list `to_rgb` over stages.
        features: Tensor (B, H, W, C) of the current stage.
        previous: Tensor (B, H / 2, W / 2, C') of the stage before; unused at stage 0.

    Returns:
        Tensor (B, H, W, image channels), float32.
    """
    stage = network.stage
    image = network.to_rgb[stage](features)
    if stage == 0:
        return image
    return network.fade(upsample_nearest(network.to_rgb[stage - 1](previous)), image)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class BaseMap(keras.layers.Layer):
    """From a latent vector to the coarsest feature map: dense, one bias per channel, LeakyReLU.

    Args:
        base_shape: (height, width).
        filters: Channels of the map.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        latents: Tensor (B, D).

    Returns:
        Tensor (B, height, width, filters).

    Source: ProGAN (arXiv 1710.10196), table 2, "Conv 4x4" on a 1x1 map.
    """

    def __init__(self, base_shape, filters, **kwargs):
        super().__init__(**kwargs)
        self.base_shape, self.filters = tuple(base_shape), filters
        height, width = self.base_shape
        # sqrt(2) over the root of a fan-in that counts the kernel's pixels, as a padded
        # convolution of the single pixel would: in the official code sqrt(2) / 4 for 4x4.
        gain = (2.0 / (height * width)) ** 0.5
        self.dense = EqualizedDense(
            height * width * filters,
            gain=gain,
            use_bias=False,
            dtype=self.dtype_policy,
            name=f"{self.name}_dense",
        )

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.built = True

    def call(self, latents):
        x = ops.reshape(self.dense(latents), (-1, *self.base_shape, self.filters))
        return ops.leaky_relu(ops.add(x, self.bias), negative_slope=0.2)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.base_shape, self.filters)

    def get_config(self):
        return {**super().get_config(), "base_shape": self.base_shape, "filters": self.filters}
