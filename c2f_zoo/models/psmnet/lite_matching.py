"""PSMNet lite's cost volumes and the network of 3-D convolutions that regularizes them."""

import math

import keras
from keras import ops

from c2f_zoo.layers import correlation_volume, instance_norm
from c2f_zoo.models.psmnet.blocks import Block, convolution
from c2f_zoo.models.psmnet.lite_features import EIGHTH, QUARTER, SIXTEENTH, plain_convolution

WIDTHS = (16, 32, 64)  # of the volumes at an eighth, a sixteenth and a thirty-second
GROUPS = {QUARTER: 1, EIGHTH: 8, SIXTEENTH: 16}  # of correlated channels
SHARPNESS = 10.0  # with which the network starts to trust the cosine
# Initial logarithm of how much less likely the next disparity (of a quarter of the size) is:
# without it an untrained network would answer with the middle of the range.
SLOPE = -0.1


class Matching(keras.layers.Layer):
    """Cosine similarity, by groups of channels, of the two images' features.

    Each channel gets zero mean and unit variance per image, then each group of each pixel unit
    power: in an untrained network the channel means outweigh the differences between pixels.

    Args:
        channels: Channels of the features.
        dtype: Precision policy.
        name: Name of the layer.

    Call arguments:
        features: Tensor (2 B, h, w, C), the left images, then the right ones.
        disparities: Number of disparities d.

    Returns:
        Tensor (B, h, w, d, groups) in [-1, 1].
    """

    def __init__(self, channels, dtype, name):
        super().__init__(dtype=dtype, name=name)
        self.groups = GROUPS[channels]
        with keras.name_scope(name):
            self.projection = plain_convolution(
                channels, channels, "projection", dtype, 1, gain=1.0, use_bias=False
            )
        self.built = True

    def call(self, features, disparities):
        x = instance_norm(self.projection(features), epsilon=1e-5)
        batch, height, width = ops.shape(x)[:3]
        size = x.shape[-1] // self.groups
        grouped = ops.reshape(x, (batch, height, width, self.groups, size))
        # The constant keeps flat regions, where there is nothing to match, from becoming noise.
        power = ops.mean(ops.square(ops.cast(grouped, "float32")), axis=-1, keepdims=True)
        grouped = grouped * ops.cast(ops.rsqrt(power + 1e-2), x.dtype)
        left, right = ops.split(ops.reshape(grouped, ops.shape(x)), 2)
        return correlation_volume(left, right, disparities, self.groups)


class Excitation(keras.layers.Layer):
    """Weights the channels of a volume (B, h, w, d, c) by features (B, h, w, C) of the left image.

    Source: CoEx (arXiv 2108.05773), section III-B.
    """

    def __init__(self, channels, filters, dtype, name):
        super().__init__(dtype=dtype, name=name)
        with keras.name_scope(name):
            self.gate = plain_convolution(channels, filters, "gate", dtype, 1, gain=1.0)
        self.built = True

    def call(self, volume, features):
        return volume * (2 * ops.sigmoid(self.gate(features)))[:, :, :, None]


class Aggregation(keras.layers.Layer):
    """Hourglass of 3-D convolutions over the volumes of three scales.

    The volume at a quarter of the size enters and leaves folded: each 2x2x2 cell of it is a voxel
    of 8 channels at an eighth, where most of the convolutions are. No weight depends on the number
    of disparities.

    Args:
        dtype: Precision policy.

    Call arguments:
        volumes: Tensors (B, H / 4, W / 4, D / 4, 1), (B, H / 8, W / 8, D / 8, 8) and
            (B, H / 16, W / 16, D / 16, 16); H, W and D multiples of 32.
        guides: Left features at the latter two sizes.
        training: Whether to normalize by the statistics of the batch.

    Returns:
        Logits (B, H / 4, W / 4, D / 4), float32; a large value is likely.
    """

    def __init__(self, dtype):
        super().__init__(autocast=False, dtype=dtype, name="aggregation")
        fine, middle, coarse = WIDTHS

        def block(channels, filters, name, **options):
            return Block(3, channels, filters, True, dtype, name, **options)

        with keras.name_scope(self.name):
            self.entry = block(8 + GROUPS[EIGHTH], fine, "entry")
            self.inner_8 = block(fine, fine, "inner_8")
            self.guide_8 = Excitation(EIGHTH, fine, dtype, "guide_8")
            self.down_16 = block(fine, middle - GROUPS[SIXTEENTH], "down_16", strides=2)
            self.join_16 = block(middle, middle, "join_16")
            self.inner_16 = block(middle, middle, "inner_16")
            self.guide_16 = Excitation(SIXTEENTH, middle, dtype, "guide_16")
            self.down_32 = block(middle, coarse, "down_32", strides=2)
            self.inner_32 = block(coarse, coarse, "inner_32")
            self.up_16 = keras.layers.Dense(middle, dtype=dtype, name="up_16")
            self.up_16.build((None, coarse))
            self.outer_16 = block(middle, middle, "outer_16")
            self.up_8 = keras.layers.Dense(fine, dtype=dtype, name="up_8")
            self.up_8.build((None, middle))
            self.outer_8 = block(fine, fine, "outer_8")
            with keras.name_scope("cost"):
                self.cost = convolution(3, fine, 8, dtype)
        self.log_sharpness = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(SHARPNESS)),
            dtype="float32",
            name="log_sharpness",
        )
        self.slope = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(SLOPE),
            dtype="float32",
            name="slope",
        )
        self.built = True

    def call(self, volumes, guides, training=None):
        quarter, eighth, sixteenth = volumes
        x = self.entry(ops.concatenate([fold(quarter), eighth], -1), training=training)
        x_8 = self.guide_8(x + self.inner_8(x, training=training), guides[0])
        x = ops.concatenate([self.down_16(x_8, training=training), sixteenth], -1)
        x = self.join_16(x, training=training)
        x_16 = self.guide_16(x + self.inner_16(x, training=training), guides[1])
        x = self.inner_32(self.down_32(x_16, training=training), training=training)
        x = ops.relu(x_16 + repeat(self.up_16(x)))
        x = self.outer_16(x, training=training)
        x = ops.relu(x_8 + repeat(self.up_8(x)))
        x = x + self.outer_8(x, training=training)
        cost = ops.cast(unfold(self.cost(x)), "float32")
        likely = ops.exp(ops.convert_to_tensor(self.log_sharpness))
        disparity = ops.arange(ops.shape(cost)[-1], dtype="float32")
        return cost + likely * ops.cast(quarter[..., 0], "float32") + self.slope * disparity


def fold(volume):
    """Make each 2x2x2 cell of (B, h, w, d, 1) a voxel (B, h / 2, w / 2, d / 2, 8)."""
    batch, height, width, disparities, _ = ops.shape(volume)
    cells = (batch, height // 2, 2, width // 2, 2, disparities // 2, 2)
    x = ops.transpose(ops.reshape(volume, cells), (0, 1, 3, 5, 2, 4, 6))
    return ops.reshape(x, (batch, height // 2, width // 2, disparities // 2, 8))


def unfold(volume):
    """Undo `fold`, to (B, h, w, d)."""
    batch, height, width, disparities, _ = ops.shape(volume)
    x = ops.reshape(volume, (batch, height, width, disparities, 2, 2, 2))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3, 6))
    return ops.reshape(x, (batch, 2 * height, 2 * width, 2 * disparities))


def repeat(volume):
    """Double a volume (B, h, w, d, C) along its three axes by repeating every voxel."""
    for axis in (1, 2, 3):  # one by one: TensorFlow broadcasts few axes at once
        shape = list(ops.shape(volume))
        shape[axis] = 2 * shape[axis]
        volume = ops.reshape(ops.stack([volume, volume], axis=axis + 1), shape)
    return volume
