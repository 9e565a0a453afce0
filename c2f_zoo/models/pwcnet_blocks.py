"""The parts PWC-Net is built from: pyramid, decoders, context network."""

import keras
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
    """Makes the network's convolutions, built: one initialisation, activation, weight decay."""

    def __init__(self, weight_decay, dtype):
        self.dtype = dtype
        # A solver's weight decay g adds g * w to the gradient: an L2 penalty of g / 2.
        self.regularizer = keras.regularizers.L2(weight_decay / 2) if weight_decay else None

    def _options(self, name):
        return {
            "name": name,
            # Kaiming normal over fan-in; Keras' "he_normal" is truncated, this is not.
            "kernel_initializer": keras.initializers.VarianceScaling(
                2.0, mode="fan_in", distribution="untruncated_normal"
            ),
            "kernel_regularizer": self.regularizer,
        }

    def convolution(self, channels, filters, name, strides=1, dilation=1, kernel_size=3):
        """A convolution followed by LeakyReLU 0.1."""
        layer = Conv2D(
            filters,
            kernel_size,
            strides=strides,
            dilation_rate=dilation,
            activation=leaky_relu,
            dtype=self.dtype,
            **self._options(name),
        )
        layer.build((None, None, None, channels))
        return layer

    def predictor(self, channels, name):
        """A linear 3x3 convolution to a flow, in float32 under any policy."""
        layer = Conv2D(2, 3, dtype="float32", **self._options(name))
        layer.build((None, None, None, channels))
        return layer

    def upsampler(self, channels, name):
        """A learned x2 upsampling to two channels, in float32 under any policy."""
        layer = Conv2DTranspose(2, dtype="float32", **self._options(name))
        layer.build((None, None, None, channels))
        return layer


class Decoder(keras.layers.Layer):
    """Optical flow estimator of one level.

    Args:
        make: `ConvolutionFactory`.
        channels: Input channels.
        widths: Filters of its convolutions.
        dense: Each convolution sees, and passes on, everything before it (DenseNet).
        upsamples: Also holds the learned upsampling towards the next finer level.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        known: List of tensors (B, h, w, C_i): cost volume, features, upsampled flow and
            features, in the order of the published weights.

    Returns:
        Flow (B, h, w, 2), float32, and the features (B, h, w, C) it was read from.
    """

    def __init__(self, make, channels, widths, dense, upsamples, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.dense = dense
        self.convolutions = []
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
        """Bring flow and features to the next finer grid, by the learned layers."""
        return self.upsample_flow(flow), self.upsample_features(features)


def pyramid_layers(make, shape):
    """Convolutions of levels 1 to 6, a list per level; the first of each has stride 2."""
    levels, channels = [], 3
    for level, width in enumerate(shape.pyramid, start=1):
        layers = []
        for index in range(shape.convolutions):
            name = f"pyramid_{level}_{index}"
            layers.append(make.convolution(channels, width, name, strides=2 if index == 0 else 1))
            channels = width
        levels.append(layers)
    return levels


def decoders(make, shape):
    """One decoder per level, by its number as a string; one for all, `"all"`, if shared."""
    if shape.shared_features:
        channels = COST_CHANNELS + shape.shared_features + 2
        return {"all": Decoder(make, channels, shape.decoder, shape.dense, False, name="decoder")}
    coarsest, result = LEVELS[-1], {}
    for level in LEVELS:
        # The coarsest level knows the cost volume alone; the others also the first frame's
        # features and the upsampled flow (2) and features (2).
        channels = COST_CHANNELS + (0 if level == coarsest else shape.pyramid[level - 1] + 4)
        result[str(level)] = Decoder(
            make, channels, shape.decoder, shape.dense, level > LEVELS[0], name=f"decoder_{level}"
        )
    return result


def reducers(make, shape):
    """1x1 convolutions that bring each level's features to one width, if decoders are shared."""
    if not shape.shared_features:
        return {}
    return {
        str(level): make.convolution(
            shape.pyramid[level - 1], shape.shared_features, f"reduce_{level}", kernel_size=1
        )
        for level in LEVELS
    }


def context_layers(make, shape, channels):
    """The dilated convolutions that refine the flow: receptive field 67 pixels at their level."""
    layers = []
    for index, (width, dilation) in enumerate(zip(shape.context, CONTEXT_DILATIONS, strict=True)):
        layers.append(make.convolution(channels, width, f"context_{index}", dilation=dilation))
        channels = width
    layers.append(make.predictor(channels, "context_flow"))
    return layers


def normalize_together(query, key):
    """Give two feature maps zero mean and unit variance over both, per sample.

    Args:
        query: Tensor (B, h, w, C).
        key: Tensor (B, h, w, C).

    Returns:
        Two tensors of the same shapes and dtype.

    Source: Jonschkowski et al., What Matters in Unsupervised Optical Flow, arXiv 2006.04902,
    section 4.1 (cost volume normalisation).
    """
    both = ops.cast(ops.stack([query, key], axis=1), "float32")
    mean, variance = ops.moments(both, axes=(1, 2, 3, 4), keepdims=True)
    both = ops.cast((both - mean) * ops.rsqrt(variance + 1e-6), query.dtype)
    return both[:, 0], both[:, 1]
