"""PSMNet's 3-D networks, which turn the cost volume into costs per disparity."""

import keras
from keras import ops

from c2f_zoo.models.psmnet.blocks import Block, TransposedBlock, convolution
from c2f_zoo.models.psmnet.features import Features
from c2f_zoo.rematerialization import rematerialize

WIDTH = 32


def _residual(channels, dtype, name, activate=False):
    """Two convolutions; with `activate` the second has a ReLU too."""
    return [
        Block(3, channels, WIDTH, True, dtype, f"{name}_0"),
        Block(3, WIDTH, WIDTH, activate, dtype, f"{name}_1"),
    ]


def computed(layer, wanted, training, *inputs):
    """Call a layer; if `wanted`, in training once more for its gradient."""
    return rematerialize(
        lambda *inputs: layer(*inputs, training=training),
        *inputs,
        variables=layer.non_trainable_variables,
        when=wanted and training,
    )


class Classifier(keras.layers.Layer):
    """Costs (B, d, h, w) of features (B, d, h, w, `channels`)."""

    def __init__(self, dtype, name, channels=WIDTH):
        super().__init__(dtype=dtype, name=name)
        with keras.name_scope(name):
            self.hidden = Block(3, channels, channels, True, dtype, "hidden")
            with keras.name_scope("cost"):
                self.cost = convolution(3, channels, 1, dtype)
        self.built = True

    def call(self, x, training=None):
        return self.cost(self.hidden(x, training=training))[..., 0]


class Hourglass(keras.layers.Layer):
    """Encoder and decoder over two halvings of all three axes.

    Call arguments:
        x: Tensor (B, d, h, w, `channels`), d, h and w multiples of 4.
        before: `pre` of the first hourglass, (B, d / 2, h / 2, w / 2, 2 `channels`), or None.
        after: `post` of the hourglass before this one, of the same shape, or None.
        training: Whether to normalize by the statistics of the batch.

    Returns:
        The output, of the shape of `x`, and its own `pre` and `post`.
    """

    def __init__(self, dtype, name, channels=WIDTH):
        super().__init__(dtype=dtype, name=name)
        width = 2 * channels
        with keras.name_scope(name):
            self.down_1 = Block(3, channels, width, True, dtype, "down_1", strides=2)
            self.inner_1 = Block(3, width, width, False, dtype, "inner_1")
            self.down_2 = Block(3, width, width, True, dtype, "down_2", strides=2)
            self.inner_2 = Block(3, width, width, True, dtype, "inner_2")
            self.up_2 = TransposedBlock(3, width, width, False, dtype, "up_2")
            self.up_1 = TransposedBlock(3, width, channels, False, dtype, "up_1")
        self.built = True

    def call(self, x, before=None, after=None, training=None):
        pre = self.inner_1(self.down_1(x, training=training), training=training)
        pre = ops.relu(pre if after is None else pre + after)
        x = self.inner_2(self.down_2(pre, training=training), training=training)
        post = ops.relu(self.up_2(x, training=training) + (pre if before is None else before))
        return self.up_1(post, training=training), pre, post


class _Aggregation(keras.layers.Layer):
    """Layers that both variants begin with: two pairs of convolutions, the second residual."""

    features = Features  # whose volume it takes

    def __init__(self, dtype, rematerialize=False):
        super().__init__(dtype=dtype, name="aggregation")
        self.rematerialize = rematerialize
        with keras.name_scope(self.name):
            self.entry = _residual(2 * WIDTH, dtype, "entry", activate=True)
            self.first = _residual(WIDTH, dtype, "first")
            self._make(dtype)
        self.built = True

    def _enter(self, volume, training):
        x = self._in_turn(self.entry, volume, training)
        return x + self._in_turn(self.first, x, training)

    def _in_turn(self, layers, x, training):
        for layer in layers:
            x = computed(layer, self.rematerialize, training, x)
        return x


class BasicAggregation(_Aggregation):
    """Residual 3-D convolutions, one output.

    Args:
        dtype: Precision policy.
        rematerialize: Whether training computes each part again for its gradient.

    Call arguments:
        volume: Tensor (B, d, h, w, 64).
        training: Whether to normalize by the statistics of the batch.

    Returns:
        List of one tensor of costs (B, d, h, w).
    """

    stride = 1  # of which d, h and w have to be multiples

    def _make(self, dtype):
        self.residuals = [_residual(WIDTH, dtype, f"residual_{index}") for index in range(3)]
        self.classifier = Classifier(dtype, "classifier")

    def call(self, volume, training=None):
        x = self._enter(volume, training)
        for pair in self.residuals:
            x = x + self._in_turn(pair, x, training)
        return [computed(self.classifier, self.rematerialize, training, x)]


class StackedHourglass(_Aggregation):
    """Three hourglasses, an output after each; every output adds to the one before.

    Args:
        dtype: Precision policy.
        rematerialize: Whether training computes each part again for its gradient.

    Call arguments:
        volume: Tensor (B, d, h, w, 64), d, h and w multiples of 4.
        training: Whether to normalize by the statistics of the batch.

    Returns:
        List of three tensors of costs (B, d, h, w).
    """

    stride = 4

    def _make(self, dtype):
        self.hourglasses = [Hourglass(dtype, f"hourglass_{index}") for index in range(3)]
        self.classifiers = [Classifier(dtype, f"classifier_{index}") for index in range(3)]

    def call(self, volume, training=None):
        start = x = self._enter(volume, training)
        before = post = None
        costs = []
        for hourglass, classifier in zip(self.hourglasses, self.classifiers, strict=True):
            x, pre, post = computed(hourglass, self.rematerialize, training, x, before, post)
            # The released code hands the first hourglass' `pre` to the third too.
            before = pre if before is None else before
            x = x + start
            cost = computed(classifier, self.rematerialize, training, x)
            costs.append(cost + costs[-1] if costs else cost)
        return costs
