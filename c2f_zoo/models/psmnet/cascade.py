"""PSMNet's third head: a cascade of cost volumes, the finer ones of a narrow range."""

import keras
from keras import ops

from c2f_zoo.layers import concatenation_volume, narrow_volume, upsample_bilinear
from c2f_zoo.models.psmnet.aggregation import Classifier, Hourglass, computed
from c2f_zoo.models.psmnet.blocks import Block, apply_in_turn, convolution
from c2f_zoo.models.psmnet.features import CHANNELS, Features

# Of the stages at a quarter, a half and the full size: channels of the features that are matched
# and of the 3-D convolutions, and disparities of the finer volumes, in pixels of their size.
SCALES = (4, 2, 1)
MATCHED = (16, 8, 4)
WIDTHS = (32, 16, 8)
DISPARITIES = (None, 12, 8)
DECODED = 16  # channels of the features at a half and the full size


class CascadeFeatures(Features):
    """Features of an image at a quarter, a half and the full size, by a top-down path.

    Args, Call arguments: Those of `Features`.

    Returns:
        List of tensors (B, H / 4, W / 4, 16), (B, H / 2, W / 2, 8) and (B, H, W, 4).
    """

    def __init__(self, align_corners, dtype):
        super().__init__(align_corners, dtype)
        with keras.name_scope(self.name):
            # Each joins the enlarged features to what the size below it has seen of the image.
            self.side_2 = Block(2, 32, CHANNELS, False, dtype, "side_2", kernel_size=1)
            self.join_2 = Block(2, CHANNELS, DECODED, True, dtype, "join_2")
            self.side_1 = Block(2, 3, DECODED, False, dtype, "side_1")
            self.join_1 = Block(2, DECODED, DECODED, True, dtype, "join_1")
            self.matched = []
            channels = (CHANNELS, DECODED, DECODED)
            for scale, given, filters in zip(SCALES, channels, MATCHED, strict=True):
                with keras.name_scope(f"matched_{scale}"):
                    self.matched.append(convolution(2, given, filters, dtype, kernel_size=1))

    def call(self, images, training=None):
        quarter, seen = self.extract(images, training)
        half = upsample_bilinear(quarter, 2) + self.side_2(seen, training=training)
        half = self.join_2(ops.relu(half), training=training)
        full = upsample_bilinear(half, 2) + self.side_1(images, training=training)
        full = self.join_1(ops.relu(full), training=training)
        levels = zip(self.matched, (quarter, half, full), strict=True)
        return [layer(features) for layer, features in levels]


class Stage(keras.layers.Layer):
    """Costs (B, d, h, w) of a cost volume (B, d, h, w, C): two convolutions and an hourglass."""

    def __init__(self, channels, width, dtype, name):
        super().__init__(dtype=dtype, name=name)
        with keras.name_scope(name):
            self.entry = [
                Block(3, channels, width, True, dtype, "entry_0"),
                Block(3, width, width, True, dtype, "entry_1"),
            ]
            self.hourglass = Hourglass(dtype, "hourglass", width)
            self.classifier = Classifier(dtype, "classifier", width)
        self.built = True

    def call(self, volume, training=None):
        x = apply_in_turn(self.entry, volume, training)
        x = x + self.hourglass(x, training=training)[0]
        return self.classifier(x, training=training)


class Cascade(keras.layers.Layer):
    """Three stages, coarse to fine: the whole range at a quarter of the size, then narrow ranges.

    The first stage is PSMNet's with one hourglass. The others see, at a half and at the full size,
    12 and 8 disparities, a pixel apart, around the enlarged disparity of the stage before, and
    answer with their mean under a softmax. Each stage learns from its own loss alone: where it
    looks is no function to be trained.

    Args:
        dtype: Precision policy.
        rematerialize: Whether training computes each stage again for its gradient.

    Call arguments:
        left, right: Lists of what `CascadeFeatures` gives for each image.
        max_disparity: Disparities are in [0, max_disparity); a multiple of 16.
        training: Whether to normalize by the statistics of the batch.

    Returns:
        List of three disparities (B, H, W, 1), float32, in pixels.

    Source: CasStereo (arXiv 1912.06378), section 3.
    """

    stride = 4  # of which d, h and w have to be multiples, at a quarter of the size
    features = CascadeFeatures

    def __init__(self, dtype, rematerialize=False):
        super().__init__(autocast=False, dtype=dtype, name="aggregation")
        self.rematerialize = rematerialize
        with keras.name_scope(self.name):
            self.stages = [
                Stage(2 * channels, width, dtype, f"stage_{scale}")
                for scale, channels, width in zip(SCALES, MATCHED, WIDTHS, strict=True)
            ]
        self.built = True

    def call(self, left, right, max_disparity=192, training=None):
        levels, disparity = [], None
        for index, (scale, stage) in enumerate(zip(SCALES, self.stages, strict=True)):
            pair, limit = (left[index], right[index]), max_disparity // scale
            if disparity is None:
                lowest, volume = 0.0, concatenation_volume(*pair, limit)
            else:
                count = min(DISPARITIES[index], limit)
                centre = ops.stop_gradient(2 * upsample_bilinear(disparity, 2))
                lowest = ops.clip(centre - (count - 1) / 2, 0.0, float(limit - count))
                volume = narrow_volume(*pair, lowest, count)
            cost = ops.cast(computed(stage, self.rematerialize, training, volume), "float32")
            disparity = lowest + mean_index(cost)
            levels.append(scale * upsample_bilinear(disparity, scale))
        return levels


def mean_index(cost):
    """Mean index along axis 1 under the softmax of (B, d, h, w): (B, h, w, 1)."""
    index = ops.arange(cost.shape[1], dtype="float32")[:, None, None]
    return ops.sum(ops.softmax(cost, axis=1) * index, axis=1)[..., None]
