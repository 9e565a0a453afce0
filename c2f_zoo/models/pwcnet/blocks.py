"""The parts PWC-Net is built from: pyramid, decoders, context network."""

import math

import keras
import numpy as np
from keras import ops

from c2f_zoo.layers import Conv2D, Conv2DTranspose

LEVELS = (2, 3, 4, 5, 6)  # estimated levels; level l has stride 2^l
MAX_DISPLACEMENT = 4
COST_CHANNELS = (2 * MAX_DISPLACEMENT + 1) ** 2
CONTEXT_DILATIONS = (1, 2, 4, 8, 16, 1)


@keras.saving.register_keras_serializable(package="c2f_zoo")
def leaky_relu(x):
    """LeakyReLU of slope 0.1, everywhere in PWC-Net."""
    return ops.leaky_relu(x, negative_slope=0.1)


class ConvolutionFactory:
    """Creates built convolutions of one initialization, activation and weight decay."""

    def __init__(self, weight_decay, dtype, flow_scale=1.0):
        self.dtype, self.flow_scale = dtype, flow_scale
        # A solver's weight decay g adds g * w to the gradient: an L2 penalty of g / 2.
        self.regularizer = keras.regularizers.L2(weight_decay / 2) if weight_decay else None

    def _options(self, name, scale=2.0):
        return {
            "name": name,
            # Kaiming normal over fan-in; Keras' "he_normal" is truncated, this is not.
            "kernel_initializer": keras.initializers.VarianceScaling(
                scale, mode="fan_in", distribution="untruncated_normal"
            ),
            "kernel_regularizer": self.regularizer,
        }

    def convolution(
        self, channels, filters, name, strides=1, dilation=1, kernel_size=3, linear=False
    ):
        """A convolution followed by LeakyReLU 0.1, unless it is linear."""
        layer = Conv2D(
            filters,
            kernel_size,
            strides=strides,
            dilation_rate=dilation,
            activation=None if linear else leaky_relu,
            dtype=self.dtype,
            **self._options(name),
        )
        layer.build((None, None, None, channels))
        return layer

    def predictor(self, channels, name, filters=2):
        """A linear 3x3 convolution to a flow, in float32 under any policy."""
        options = self._options(name, 2.0 * self.flow_scale**2)
        layer = Conv2D(filters, 3, dtype="float32", **options)
        layer.build((None, None, None, channels))
        return layer

    def upsampler(self, channels, name):
        """A learned x2 upsampling to two channels, in float32 under any policy."""
        layer = Conv2DTranspose(2, dtype="float32", **self._options(name))
        layer.build((None, None, None, channels))
        return layer


class Decoder(keras.layers.Layer):
    """Optical flow estimator of one level.

    Takes a list of tensors (B, h, w, C_i): cost volume, features, upsampled flow and features, in
    the order of the published weights. Returns the flow (B, h, w, 2), float32, and the features
    from which it is predicted. With `dense` each convolution also sees the inputs of all before it;
    with `upsamples` it has the learned upsampling to the next finer level.
    """

    def __init__(self, make, channels, widths, dense, upsamples, **kwargs):
        super().__init__(autocast=False, dtype=make.dtype, **kwargs)
        self.dense = dense
        self.convolutions = []
        # Every weight needs a path of its own: on PyTorch, Keras resets gradients by path.
        with keras.name_scope(self.name):
            for index, width in enumerate(widths):
                self.convolutions.append(make.convolution(channels, width, f"conv_{index}"))
                channels = channels + width if dense else width
            self.output_channels = channels
            self.predict_flow = make.predictor(channels, "predict_flow")
            self.upsample_flow = make.upsampler(2, "upsample_flow") if upsamples else None
            self.upsample_features = (
                make.upsampler(channels, "upsample_features") if upsamples else None
            )
        self.built = True

    def call(self, known):
        x = ops.concatenate([ops.cast(part, self.compute_dtype) for part in known], axis=-1)
        for convolution in self.convolutions:
            # New channels come first: the published kernels are ordered so.
            x = ops.concatenate([convolution(x), x], axis=-1) if self.dense else convolution(x)
        return self.predict_flow(x), x

    def upsample(self, flow, features):
        """Upsample flow and features to the next finer grid by the learned layers."""
        return self.upsample_flow(flow), self.upsample_features(features)


class Matching(keras.layers.Layer):
    """Mean displacement under a softmax of the cost volume (soft argmax), with a learned weight.

    It gives the features a gradient before the decoder can read a cost volume; `docs/training.md`
    has observations, no proof. Takes a cost volume (B, h, w, 81) of features of unit power, returns
    the displacement (B, h, w, 2), float32, in pixels of the level.
    """

    def __init__(self, make, channels, **kwargs):
        super().__init__(autocast=False, dtype="float32", **kwargs)
        # Inverse temperature of the softmax over cosines; its logarithm is learned.
        self.log_sharpness = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(math.log(20.0)), name="log_sharpness"
        )
        self.predict_trust = make.predictor(channels, "predict_trust", filters=1)
        self.built = True

    def call(self, cost):
        sharpness = ops.exp(ops.convert_to_tensor(self.log_sharpness))
        probability = ops.softmax(ops.cast(cost, "float32") * sharpness, axis=-1)
        shifts = np.arange(-MAX_DISPLACEMENT, MAX_DISPLACEMENT + 1, dtype="float32")
        displacements = np.stack(np.meshgrid(shifts, shifts), -1).reshape(COST_CHANNELS, 2)
        match = ops.matmul(probability, displacements)
        # In a TensorFlow graph that does not know all sizes, matmul forgets those that are known.
        return ops.reshape(match, (*ops.shape(cost)[:3], 2))

    def trust(self, features):
        """Weight of the match, (B, h, w, 1) in (0, 1), from the decoder's features."""
        return ops.sigmoid(self.predict_trust(features))


def pyramid_layers(make, widths, convolutions):
    """Convolutions of levels 1 to 6, a list per level; the first of each has stride 2."""
    levels, channels = [], 3
    for level, width in enumerate(widths, start=1):
        layers = []
        for index in range(convolutions):
            name = f"pyramid_{level}_{index}"
            layers.append(make.convolution(channels, width, name, strides=2 if index == 0 else 1))
            channels = width
        levels.append(layers)
    return levels


def context_layers(make, channels, widths):
    """The dilated convolutions that refine the flow: receptive field 67 pixels at their level."""
    layers = []
    for index, (width, dilation) in enumerate(zip(widths, CONTEXT_DILATIONS, strict=True)):
        layers.append(make.convolution(channels, width, f"context_{index}", dilation=dilation))
        channels = width
    layers.append(make.predictor(channels, "context_flow"))
    return layers


def apply_in_turn(layers, x):
    """Apply each layer to the result of the one before."""
    for layer in layers:
        x = layer(x)
    return x


def normalize_together(query, key):
    """Normalize two feature maps (B, h, w, C) so that their correlation is close to a cosine.

    Each channel gets zero mean and unit variance over both maps, per sample; then each pixel's
    vector is divided by its root mean square. In an untrained network the channel means outweigh
    the differences between pixels: on rendered scenes the best of 81 displacements at level 3 was
    within 1.2 pixels of the truth for 9 % of the pixels with one mean and variance over the whole
    map, for 34 % with the first step here, for 56 % with both. After Jonschkowski et al., arXiv
    2006.04902, section 4.1, who take mean and variance over all channels.
    """
    both = ops.cast(ops.stack([query, key], axis=1), "float32")
    both = both - ops.mean(both, axis=(1, 2, 3), keepdims=True)
    # Not `ops.moments`: on PyTorch its variance is E[x^2] - E[x]^2, which rounds to less
    # than zero where features are large and nearly equal, as on a coarsest level of one pixel.
    variance = ops.mean(ops.square(both), axis=(1, 2, 3), keepdims=True)
    both = both * ops.rsqrt(variance + 1e-6)
    # The constant keeps flat regions, where there is nothing to match, from becoming noise.
    power = ops.mean(ops.square(both), axis=-1, keepdims=True)
    both = ops.cast(both * ops.rsqrt(power + 1e-2), query.dtype)
    return ops.unstack(both, 2, axis=1)
