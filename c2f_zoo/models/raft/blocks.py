"""The parts RAFT is built from: encoders, motion encoder, gated recurrent unit, heads."""

import math

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers import Conv2D, instance_norm


def convolution(channels, filters, kernel_size, name, dtype, strides=1, relu=False, fan_out=False):
    """A built convolution, initialized as PyTorch does, or for a ReLU by its fan-out."""
    height, width = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
    bound = 1 / math.sqrt(height * width * channels)
    if fan_out:
        kernel = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    else:
        kernel = keras.initializers.RandomUniform(-bound, bound)
    layer = Conv2D(
        filters,
        (height, width),
        strides=strides,
        activation="relu" if relu else None,
        kernel_initializer=kernel,
        bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        dtype=dtype,
        name=name,
    )
    layer.build((None, None, None, channels))
    return layer


class InstanceNorm(keras.layers.Layer):
    """Instance normalization without weights."""

    def call(self, x, training=None):
        return instance_norm(x, epsilon=1e-5)


class NoNorm(keras.layers.Layer):
    """Stands in for a normalization."""

    def call(self, x, training=None):
        return x


def normalization(kind, channels, name, dtype):
    """The built normalization layer of one kind: "instance", "batch" or "none"."""
    if kind == "batch":
        layer = keras.layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            synchronized=backend.has_replicas(),  # JAX's is of the whole batch
            name=name,
            dtype=dtype,
        )
        layer.build((None, None, None, channels))
        return layer
    return {"instance": InstanceNorm, "none": NoNorm}[kind](name=name, dtype=dtype)


class ResidualBlock(keras.layers.Layer):
    """Convolutions, each normalized and with ReLU, whose sum with a shortcut has one more ReLU.

    Args:
        channels: Channels of the input.
        convolutions: (filters, kernel size, strides) of each convolution.
        norm: Kind of normalization.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, h, w, C).
        training: Whether batch normalization uses the batch's own statistics.

    Returns:
        Tensor (B, h / s, w / s, filters of the last convolution).
    """

    def __init__(self, channels, convolutions, norm, **kwargs):
        super().__init__(**kwargs)
        self.convolutions, self.norms = [], []
        stride = math.prod(strides for *_, strides in convolutions)
        with keras.name_scope(self.name):
            inside = channels
            for index, (filters, size, strides) in enumerate(convolutions):
                self._add(inside, filters, size, strides, norm, str(index))
                inside = filters
            self.has_shortcut = stride > 1
            if self.has_shortcut:
                self._add(channels, inside, 1, stride, norm, "shortcut")
        self.built = True

    def _add(self, channels, filters, size, strides, norm, name):
        options = {"dtype": self.dtype_policy}
        self.convolutions.append(
            convolution(
                channels, filters, size, f"conv_{name}", strides=strides, fan_out=True, **options
            )
        )
        self.norms.append(normalization(norm, filters, f"norm_{name}", **options))

    def call(self, x, training=None):
        layers = list(zip(self.convolutions, self.norms, strict=True))
        y = x
        for conv, norm in layers[:-1] if self.has_shortcut else layers:
            y = ops.relu(norm(conv(y), training=training))
        if self.has_shortcut:
            conv, norm = layers[-1]
            x = norm(conv(x), training=training)
        return ops.relu(x + y)


class Encoder(keras.layers.Layer):
    """Features at 1/8 resolution: a strided convolution, residual blocks and a projection.

    Args:
        sizes: `Variant` of the network.
        output_channels: Of the projection.
        norm: Kind of normalization.
        images: Images that are seen at once.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        images: Tensor (B, H, W, 3 images) in [-1, 1], H and W multiples of 8.
        training: Whether batch normalization uses the batch's own statistics.

    Returns:
        Tensor (B, H / 8, W / 8, output_channels).
    """

    def __init__(self, sizes, output_channels, norm, images=1, **kwargs):
        super().__init__(**kwargs)
        dtype, self.blocks = self.dtype_policy, []
        self.stage_sizes = tuple(sizes.blocks)
        with keras.name_scope(self.name):
            channels = sizes.widths[0]
            self.stem = convolution(
                3 * images, channels, sizes.stem, "stem", dtype, strides=2, fan_out=True
            )
            self.stem_norm = normalization(norm, channels, "stem_norm", dtype)
            for stage, (width, count) in enumerate(zip(sizes.widths, sizes.blocks, strict=True)):
                for index in range(count):
                    strides = 2 if stage > 0 and index == 0 else 1
                    plain = ((width, 3, strides), (width, 3, 1))
                    narrow = ((width // 4, 1, 1), (width // 4, 3, strides), (width, 1, 1))
                    block = ResidualBlock(
                        channels,
                        narrow if sizes.bottleneck else plain,
                        norm,
                        dtype=dtype,
                        name=f"block_{stage}_{index}",
                    )
                    self.blocks.append(block)
                    channels = width
            self.output_layer = convolution(
                channels, output_channels, 1, "output", dtype, fan_out=True
            )
        self.built = True

    def call(self, images, training=None):
        return self.stages(images, training)[-1]

    def stages(self, images, training=None):
        """Features at 1/2, at 1/4 and, projected, at 1/8 of the size of images in [-1, 1]."""
        x = ops.relu(self.stem_norm(self.stem(images), training=training))
        stages, blocks = [], iter(self.blocks)
        for count in self.stage_sizes:
            for _ in range(count):
                x = next(blocks)(x, training=training)
            stages.append(x)
        return [*stages[:-1], self.output_layer(x)]


class ConvGRU(keras.layers.Layer):
    """Gated recurrent unit of convolutions; several kernel shapes are units in turn.

    `z = sigmoid(conv[h, x])`, `r = sigmoid(conv[h, x])`, `q = tanh(conv[r h, x])`,
    `h' = (1 - z) h + z q`. Kernels 1x5 and 5x1 are the paper's separable unit.

    The input x is [context, motion]. The context is the same at every refinement: what it adds to
    the convolutions is computed once, by `of_context`, which saves the large network a third of
    them.

    Args:
        hidden: Channels of the state.
        context: Channels of the context.
        motion: Channels of the motion features.
        kernels: (height, width) of each unit's convolutions.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        h: State (B, h, w, hidden).
        motion: Motion features (B, h, w, motion).
        of_context: What `of_context` returned.

    Returns:
        The new state.
    """

    def __init__(self, hidden, context, motion, kernels, **kwargs):
        super().__init__(**kwargs)
        self.parts = (hidden, context, motion)  # input channels of each convolution
        self.gates, self.candidates = [], []
        with keras.name_scope(self.name):
            for index, kernel in enumerate(kernels):
                # z and r are one convolution, which is faster.
                for layers, filters, name in (
                    (self.gates, 2 * hidden, "gates"),
                    (self.candidates, hidden, "candidate"),
                ):
                    name = f"{name}_{index}"
                    layers.append(
                        convolution(sum(self.parts), filters, kernel, name, self.dtype_policy)
                    )
        self.built = True

    def of_context(self, context):
        """Convolve the context, which every refinement sees.

        Args:
            context: Tensor (B, h, w, context).

        Returns:
            List of pairs of tensors (B, h, w, 2 hidden) and (B, h, w, hidden), one for each unit:
            what the context and the biases add to its convolutions.
        """
        return [
            [
                layer.convolution_op(context, self._kernels(layer)[1])
                + ops.cast(layer.bias, layer.compute_dtype)
                for layer in unit
            ]
            for unit in zip(self.gates, self.candidates, strict=True)
        ]

    def call(self, h, motion, of_context):
        for gates, candidate, (to_gates, to_candidate) in zip(
            self.gates, self.candidates, of_context, strict=True
        ):
            seen = self._without_context(gates, h, motion)
            z, r = ops.split(ops.sigmoid(seen + to_gates), 2, axis=-1)
            q = ops.tanh(self._without_context(candidate, r * h, motion) + to_candidate)
            h = (1 - z) * h + z * q
        return h

    def _kernels(self, layer):
        """The parts of a kernel that see the state, the context and the motion features."""
        hidden, context, _ = self.parts
        kernel = ops.cast(layer.kernel, layer.compute_dtype)
        return ops.split(kernel, [hidden, hidden + context], axis=2)

    def _without_context(self, layer, h, motion):
        of_state, _, of_motion = self._kernels(layer)
        kernel = ops.concatenate([of_state, of_motion], axis=2)
        return layer.convolution_op(ops.concatenate([h, motion], axis=-1), kernel)


class UpdateBlock(keras.layers.Layer):
    """One refinement: motion features, recurrent unit, change of the flow.

    Args:
        sizes: `Variant` of the network.
        correlation_channels: Channels of the lookup.
        mixture: Channels that are estimated beside the change of the flow.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        hidden: State (B, h, w, sizes.hidden).
        of_context: What `of_context` made of the context.
        correlation: Lookup (B, h, w, correlation_channels).
        flow: Flow so far (B, h, w, 2), in pixels of this grid.

    Returns:
        The new state, and what `estimate` reads from it.
    """

    def __init__(self, sizes, correlation_channels, mixture=0, **kwargs):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        with keras.name_scope(self.name):
            self.correlation_layers, seen = self._stack(
                "correlation", correlation_channels, sizes.correlation_encoder
            )
            self.flow_layers, moved = self._stack("flow", 2, sizes.flow_encoder)
            self.merge = convolution(seen + moved, sizes.motion - 2, 3, "merge", dtype, relu=True)
            self.unit = ConvGRU(
                sizes.hidden, sizes.context, sizes.motion, sizes.kernels, dtype=dtype, name="unit"
            )
            self.flow_head = [
                convolution(sizes.hidden, sizes.head, 3, "head_0", dtype, relu=True),
                # The change of the flow is added up in float32 under any policy.
                convolution(sizes.head, 2 + mixture, 3, "head_1", "float32"),
            ]
            if mixture:
                # A scale that was cut off at 0 for all pixels would have no gradient.
                start = ops.one_hot(ops.array(mixture + 1), mixture + 2)
                self.flow_head[1].bias.assign(self.flow_head[1].bias + start)
        self.built = True

    def _stack(self, name, channels, layers):
        """Convolutions with ReLU by (filters, kernel size), and the channels of the last."""
        made = []
        for index, (filters, size) in enumerate(layers):
            name_of = f"{name}_{index}"
            made.append(convolution(channels, filters, size, name_of, self.dtype_policy, relu=True))
            channels = filters
        return made, channels

    def of_context(self, context):
        """Compute what does not change between refinements.

        Args:
            context: Tensor (B, h, w, sizes.context).

        Returns:
            What the call takes.
        """
        return self.unit.of_context(ops.cast(context, self.compute_dtype))

    def call(self, hidden, of_context, correlation, flow):
        motion = ops.concatenate(
            [_in_turn(self.correlation_layers, correlation), _in_turn(self.flow_layers, flow)],
            axis=-1,
        )
        motion = ops.concatenate([self.merge(motion), flow], axis=-1)
        hidden = self.unit(hidden, motion, of_context)
        return hidden, self.estimate(hidden)

    def estimate(self, hidden):
        """Read a state.

        Args:
            hidden: State (B, h, w, sizes.hidden).

        Returns:
            Tensor (B, h, w, 2 + mixture), float32: the change of the flow in pixels of this grid,
            and the mixture's parameters.
        """
        return _in_turn(self.flow_head, hidden)


class UpsamplingHead(keras.layers.Layer):
    """Logits of the convex upsampling, from the state.

    Args:
        hidden: Channels of the state.
        factor: Of the upsampling.
        width: Channels inside.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        hidden: State (B, h, w, hidden).

    Returns:
        Tensor (B, h, w, 9 factor^2), float32.
    """

    def __init__(self, hidden, factor, width=256, **kwargs):
        super().__init__(**kwargs)
        dtype, logits = self.dtype_policy, 9 * factor**2
        with keras.name_scope(self.name):
            self.convolutions = [
                convolution(hidden, width, 3, "conv_0", dtype, relu=True),
                convolution(width, logits, 1, "conv_1", dtype),
            ]
        self.built = True

    def call(self, hidden):
        # The released code scales the logits, "to balance gradients".
        return 0.25 * ops.cast(_in_turn(self.convolutions, hidden), "float32")


def _in_turn(layers, x):
    for layer in layers:
        x = layer(x)
    return x
