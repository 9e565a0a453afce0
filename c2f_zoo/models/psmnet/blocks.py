"""The convolution block that PSMNet is built from, in two and three dimensions."""

import math

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers import Conv2D, Conv3D, Conv3DTranspose

# PyTorch's batch normalization: its momentum of 0.1 is Keras' 0.9.
_EPSILON, _MOMENTUM = 1e-5, 0.9


def convolution(dimensions, channels, filters, dtype, kernel_size=3, **options):
    """A built convolution without bias, its kernel drawn as in the released code."""
    options |= {"use_bias": False, "dtype": dtype, "name": "convolution"}
    options["kernel_initializer"] = keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )
    if dimensions == 2:
        layer = Conv2D(filters, kernel_size, **options)
    else:
        layer = Conv3D(filters, **options)
    layer.build((None,) * (dimensions + 1) + (channels,))
    return layer


class Block(keras.layers.Layer):
    """Convolution without bias, batch normalization and, where asked for, ReLU.

    Args:
        dimensions: 2 or 3.
        channels: Input channels.
        filters: Output channels.
        activate: Whether ReLU follows.
        dtype: Precision policy.
        name: Name of the layer.
        **options: Of the convolution: `kernel_size` (in two dimensions), `strides`,
            `dilation_rate`.

    Call arguments:
        x: Tensor (B, H, W, C) or (B, D, H, W, C).
        training: Whether to normalize by the statistics of the batch.

    Returns:
        Tensor of as many axes with `filters` channels.
    """

    def __init__(self, dimensions, channels, filters, activate, dtype, name, **options):
        super().__init__(dtype=dtype, name=name)
        self.activate = activate
        # Every weight needs a path of its own: on PyTorch, Keras resets gradients by path.
        with keras.name_scope(name):
            self.convolution = self._make(dimensions, channels, filters, dtype, options)
            self.normalization = keras.layers.BatchNormalization(
                epsilon=_EPSILON,
                momentum=_MOMENTUM,
                synchronized=backend.has_replicas(),  # JAX's is of the whole batch
                dtype=dtype,
                name="normalization",
            )
            self.normalization.build((None,) * (dimensions + 1) + (filters,))
        self.built = True

    def _make(self, dimensions, channels, filters, dtype, options):
        return convolution(dimensions, channels, filters, dtype, **options)

    def call(self, x, training=None):
        if training and self.normalization.trainable:
            x = self.normalization(self.convolution(x), training=True)
        else:
            x = self._normalized_convolution(x)
        return ops.relu(x) if self.activate else x

    def _normalized_convolution(self, x):
        """Convolution and normalization by the running statistics, as one convolution.

        The scale goes into the kernel, so that the map is not read and written again for it.
        """
        norm, layer = self.normalization, self.convolution
        scale = norm.gamma * ops.rsqrt(norm.moving_variance + norm.epsilon)
        shift = norm.beta - norm.moving_mean * scale
        kernel = ops.cast(ops.cast(layer.kernel, "float32") * scale, self.compute_dtype)
        x = layer.convolution_op(layer.padded(x), kernel)
        # TensorFlow fuses a bias of this shape, added so, with the convolution.
        shift = ops.reshape(shift, (1,) * (len(x.shape) - 1) + (-1,))
        return ops.add(x, ops.cast(shift, x.dtype))


class TransposedBlock(Block):
    """Transposed 3-D convolution that doubles the size, and batch normalization."""

    def _make(self, dimensions, channels, filters, dtype, options):
        bound = 1 / math.sqrt(27 * filters)  # PyTorch's default, which the release keeps here
        layer = Conv3DTranspose(
            filters,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
            dtype=dtype,
            name="convolution",
        )
        layer.build((None,) * 4 + (channels,))
        return layer

    def _normalized_convolution(self, x):
        return self.normalization(self.convolution(x), training=False)


def apply_in_turn(layers, x, training):
    """Apply each layer to the result of the one before."""
    for layer in layers:
        x = layer(x, training=training)
    return x
