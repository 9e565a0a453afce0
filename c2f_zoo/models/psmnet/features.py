"""PSMNet's feature extraction: dilated residual blocks and spatial pyramid pooling."""

import keras
from keras import ops

from c2f_zoo.layers import resize_bilinear, window_pool
from c2f_zoo.models.psmnet.blocks import Block, apply_in_turn, convolution

CHANNELS = 32  # of the features, and of each branch of the pyramid
WINDOWS = (64, 32, 16, 8)  # of the pyramid's branches, in pixels of a quarter of the image
# Name, blocks, channels, stride of the first block, dilation. (The paper's table 1 dilates two
# stages, the released code the last one alone.)
STAGES = (
    ("stage_1", 3, 32, 1, 1),
    ("stage_2", 16, 64, 2, 1),
    ("stage_3", 3, 128, 1, 1),
    ("stage_4", 3, 128, 1, 2),
)


class ResidualBlock(keras.layers.Layer):
    """Two 3x3 convolutions beside a shortcut; no activation follows their sum."""

    def __init__(self, channels, filters, strides, dilation, dtype, name):
        super().__init__(dtype=dtype, name=name)
        dilated = {"dilation_rate": dilation}
        with keras.name_scope(name):
            # A dilated convolution of Keras has stride 1, as all of PSMNet have.
            options = {"strides": strides} if dilation == 1 else dilated
            self.first = Block(2, channels, filters, True, dtype, "first", **options)
            self.second = Block(2, filters, filters, False, dtype, "second", **dilated)
            self.shortcut = None
            if strides != 1 or channels != filters:
                self.shortcut = Block(
                    2, channels, filters, False, dtype, "shortcut", kernel_size=1, strides=strides
                )
        self.built = True

    def call(self, x, training=None):
        residual = self.second(self.first(x, training=training), training=training)
        return residual + (self.shortcut(x, training=training) if self.shortcut else x)


class Features(keras.layers.Layer):
    """Features of an image at a quarter of its size.

    Args:
        align_corners: Where pixels lie when the branches of the pyramid are enlarged.
        dtype: Precision policy.

    Call arguments:
        images: Tensor (B, H, W, 3), normalized; H and W multiples of 4.
        training: Whether to normalize by the statistics of the batch.

    Returns:
        Tensor (B, H / 4, W / 4, 32).
    """

    def __init__(self, align_corners, dtype):
        super().__init__(dtype=dtype, name="features")
        self.align_corners = align_corners
        with keras.name_scope(self.name):
            self.stem = [
                Block(2, 3 if index == 0 else 32, 32, True, dtype, f"stem_{index}", strides=stride)
                for index, stride in enumerate((2, 1, 1))
            ]
            self.stages, channels = [], 32
            for name, count, filters, strides, dilation in STAGES:
                stage = []
                for index in range(count):
                    stride = strides if index == 0 else 1
                    block = ResidualBlock(
                        channels, filters, stride, dilation, dtype, f"{name}_{index}"
                    )
                    stage.append(block)
                    channels = filters
                self.stages.append(stage)
            self.branches = [
                Block(2, channels, CHANNELS, True, dtype, f"branch_{window}", kernel_size=1)
                for window in WINDOWS
            ]
            joined = STAGES[1][2] + channels + CHANNELS * len(WINDOWS)
            self.fusion = Block(2, joined, 128, True, dtype, "fusion")
            with keras.name_scope("projection"):
                self.projection = convolution(2, 128, CHANNELS, dtype, kernel_size=1)
        self.built = True

    def call(self, images, training=None):
        return self.extract(images, training)[0]

    def extract(self, images, training):
        """Features at a quarter of the size, and what the first stage gives at a half."""
        x = apply_in_turn(self.stem, images, training)
        half = apply_in_turn(self.stages[0], x, training)
        raw = apply_in_turn(self.stages[1], half, training)
        deep = apply_in_turn([*self.stages[2], *self.stages[3]], raw, training)
        height, width = ops.shape(deep)[1:3]
        pooled = []
        for window, branch in zip(WINDOWS, self.branches, strict=True):
            x = branch(window_pool(deep, window), training=training)
            pooled.append(resize_bilinear(x, height, width, self.align_corners))
        # The published kernels see the finest branch first.
        x = ops.concatenate([raw, deep, *reversed(pooled)], axis=-1)
        return self.projection(self.fusion(x, training=training)), half
