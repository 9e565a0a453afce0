"""PSMNet lite's feature pyramid: instance-normalized residual convolutions and a top-down path."""

import keras
from keras import ops

from c2f_zoo.layers import Conv2D, instance_norm, upsample_bilinear

HALF, QUARTER, EIGHTH, SIXTEENTH = 16, 32, 64, 96  # channels at these parts of the size


def plain_convolution(channels, filters, name, dtype, kernel_size=3, gain=2.0, **options):
    """A built convolution with bias, drawn for a ReLU (`gain` 2) or none (1)."""
    layer = Conv2D(
        filters,
        kernel_size,
        kernel_initializer=keras.initializers.VarianceScaling(
            gain, mode="fan_in", distribution="untruncated_normal"
        ),
        dtype=dtype,
        name=name,
        **options,
    )
    layer.build((None, None, None, channels))
    return layer


class NormalizedConvolution(keras.layers.Layer):
    """Convolution, instance normalization with a learned scale and shift, ReLU where asked for.

    Instances are normalized by themselves, so that a batch of any size and images unlike those of
    the training are treated as in it.
    """

    def __init__(self, channels, filters, dtype, name, strides=1, activate=True):
        super().__init__(dtype=dtype, name=name)
        self.activate = activate
        with keras.name_scope(name):
            self.convolution = plain_convolution(
                channels, filters, "convolution", dtype, strides=strides, use_bias=False
            )
        self.scale = self.add_weight(shape=(filters,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(filters,), initializer="zeros", name="shift")
        self.built = True

    def call(self, x):
        x = instance_norm(self.convolution(x), epsilon=1e-5)
        x = x * ops.cast(self.scale, x.dtype) + ops.cast(self.shift, x.dtype)
        return ops.relu(x) if self.activate else x


class FeaturePyramid(keras.layers.Layer):
    """Features of images at a half, a quarter, an eighth and a sixteenth of their size.

    Args:
        dtype: Precision policy.

    Call arguments:
        images: Tensor (B, H, W, 3), normalized; H and W multiples of 16.

    Returns:
        List of tensors (B, H / 2^l, W / 2^l, C_l), l = 1 to 4; those at a quarter and an eighth
        know of all coarser ones.
    """

    def __init__(self, dtype):
        super().__init__(dtype=dtype, name="features")
        with keras.name_scope(self.name):
            make = NormalizedConvolution
            self.stem = make(3, HALF, dtype, "stem", strides=2)
            self.down, self.first, self.second = [], [], []
            channels = HALF
            for filters in (QUARTER, EIGHTH, SIXTEENTH):
                self.down.append(make(channels, filters, dtype, f"down_{filters}", strides=2))
                self.first.append(make(filters, filters, dtype, f"first_{filters}"))
                self.second.append(
                    make(filters, filters, dtype, f"second_{filters}", activate=False)
                )
                channels = filters
            self.reduce, self.merge = [], []
            for coarse, fine in ((SIXTEENTH, EIGHTH), (EIGHTH, QUARTER)):
                self.reduce.append(
                    plain_convolution(coarse, fine, f"reduce_{fine}", dtype, 1, gain=1.0)
                )
                self.merge.append(make(fine, fine, dtype, f"merge_{fine}"))
        self.built = True

    def call(self, images):
        levels = [self.stem(images)]
        for down, first, second in zip(self.down, self.first, self.second, strict=True):
            x = down(levels[-1])
            levels.append(ops.relu(x + second(first(x))))
        x = levels[-1]
        for index, (reduce, merge) in enumerate(zip(self.reduce, self.merge, strict=True)):
            x = merge(upsample_bilinear(reduce(x), 2) + levels[2 - index])
            levels[2 - index] = x
        return levels
