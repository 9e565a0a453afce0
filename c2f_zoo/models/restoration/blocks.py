"""The parts of the restoration networks: convolutions, residual blocks, attention."""

import math

import keras
from keras import ops

from c2f_zoo.layers import Conv2D, PixelNorm

# Factors of PyTorch's initialisation that keep the size of features without normalisation: their
# variance is 3 times that, and 6 times behind a SiLU (He et al., arXiv 1502.01852, for the ReLU).
KEEPING, KEEPING_ACTIVATED = math.sqrt(3), math.sqrt(6)

PAPER = {
    "paper": {
        "title": "Multiscale Training of Convolutional Neural Networks",
        "arxiv": "2501.12739",
    },
}


def to_network_range(images):
    """Scale images from [0, 1] to [-1, 1]."""
    return 2.0 * images - 1.0


def uniform_kernel(gain=1.0):
    """PyTorch's default initialisation of kernels: uniform within `gain / sqrt(fan-in)`."""
    return keras.initializers.VarianceScaling(gain**2 / 3, mode="fan_in", distribution="uniform")


def convolution(channels, filters, kernel_size, name, dtype, strides=1, kernel=None):
    """A convolution, built; its kernel from an initializer, by default PyTorch's."""
    kernel = uniform_kernel() if kernel is None else kernel
    layer = Conv2D(filters, kernel_size, strides, kernel_initializer=kernel, dtype=dtype, name=name)
    layer.build((None, None, None, channels))
    return layer


def dense(channels, width, name, dtype, activation=None):
    """A dense layer, built."""
    layer = keras.layers.Dense(
        width, activation, kernel_initializer=uniform_kernel(), dtype=dtype, name=name
    )
    layer.build((None, channels))
    return layer


def normalization(kind, channels, groups, name, dtype):
    """A normalisation, built: `"group"` (float32), `"pixel"`, or None for `"none"`."""
    if kind == "none":
        return None
    if kind == "pixel":
        return PixelNorm(epsilon=1e-5, dtype=dtype, name=name)
    layer = keras.layers.GroupNormalization(groups, epsilon=1e-5, dtype=dtype, name=name)
    layer.build((None, None, None, channels))
    return layer


def activated(x, norm):
    """`silu(norm(x))`; None normalises nothing."""
    return ops.silu(x if norm is None else norm(x))


def inside_of(images, size):
    """Mark the pixels (B, H, W, 1) of padded images within their `size` (B, 2); None if that is."""
    if size is None:
        return None
    rows, columns = (
        ops.arange(side, dtype="int32")[None] < size[:, axis : axis + 1]
        for axis, side in enumerate(ops.shape(images)[1:3])
    )
    both = ops.logical_and(rows[:, :, None], columns[:, None])
    return ops.cast(both, "float32")[..., None]


def within(x, inside):
    """Features with zeros outside, as a convolution finds them beyond the edge of an image."""
    return x if inside is None else x * ops.cast(inside, x.dtype)


# Blocks build their layers within their own name scope: PyTorch finds parameters by path, and
# would otherwise keep the gradients of all blocks but one from step to step.


class ResidualBlock(keras.layers.Layer):
    """Two normalised convolutions around which the input passes: `x + f(x, time)`.

    `x` is (B, h, w, channels), `time` (B, time_width) or None, `inside` from `inside_of`; the
    result is (B, h, w, filters). `norm` is `"group"`, of `groups`, `"pixel"` or `"none"`.
    """

    def __init__(self, channels, filters, groups, dropout, time_width=None, norm="group", **kwargs):
        super().__init__(**kwargs)
        dtype, is_group = self.dtype_policy, norm == "group"
        with keras.name_scope(self.name):
            self.norm_in = normalization(norm, channels, groups, "norm_in", dtype)
            kernel = uniform_kernel(1.0 if is_group else KEEPING_ACTIVATED)
            self.conv_in = convolution(channels, filters, 3, "conv_in", dtype, kernel=kernel)
            self.embed = dense(time_width, filters, "embed", dtype) if time_width else None
            self.norm_out = normalization(norm, filters, groups, "norm_out", dtype)
            self.dropout = keras.layers.Dropout(dropout, dtype=dtype, name="dropout")
            # The block starts as the identity.
            self.conv_out = convolution(filters, filters, 3, "conv_out", dtype, kernel="zeros")
            self.skip = None
            if channels != filters:
                kernel = uniform_kernel(1.0 if is_group else KEEPING)
                self.skip = convolution(channels, filters, 1, "skip", dtype, kernel=kernel)
        self.built = True

    def call(self, x, time=None, inside=None, training=None):
        h = self.conv_in(within(activated(x, self.norm_in), inside))
        if self.embed is not None:
            h = h + self.embed(ops.silu(time))[:, None, None, :]
        h = self.dropout(activated(h, self.norm_out), training=training)
        return (x if self.skip is None else self.skip(x)) + self.conv_out(within(h, inside))


class SelfAttention(keras.layers.Layer):
    """Every pixel looks at every other: `x + projection(softmax(q k / sqrt(d)) v)`.

    Source: Vaswani et al., arXiv 1706.03762; Ho et al., arXiv 2006.11239, for images.
    """

    def __init__(self, channels, groups, heads=1, norm="group", **kwargs):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.heads = heads
        with keras.name_scope(self.name):
            self.norm = normalization(norm, channels, groups, "norm", dtype)
            self.query_key_value = convolution(channels, 3 * channels, 1, "query_key_value", dtype)
            self.projection = convolution(
                channels, channels, 1, "projection", dtype, kernel="zeros"
            )
        self.built = True

    def call(self, x):
        shape = ops.shape(x)
        normal = x if self.norm is None else self.norm(x)
        length, channels = shape[1] * shape[2], x.shape[-1]
        query, key, value = (
            ops.reshape(part, (-1, length, self.heads, channels // self.heads))
            for part in ops.split(self.query_key_value(normal), 3, axis=-1)
        )
        scale = 1.0 / math.sqrt(channels // self.heads)
        attended = ops.dot_product_attention(query, key, value, scale=scale)
        return x + self.projection(ops.reshape(attended, shape))
