"""Minibatch standard deviation: shows a discriminator how varied a batch is (ProGAN)."""

import keras
from keras import ops

from c2f_zoo import backend, checks

_NEEDED = "x must have a batch size that group_size divides, or a smaller one"


def minibatch_stddev(x, group_size=4, num_features=1):
    """Append how much the samples of a group differ, as constant feature maps.

    The N samples form N / G groups of G; sample n is in group n mod (N / G), as in the official
    code. Within a group the standard deviation over samples (biased, 1e-8 under the root) is
    averaged over pixels and channels. Computed in float32.

    Args:
        x: Tensor (N, H, W, C), N at least 1.
        group_size: Samples in a group, G, or the whole batch where it is smaller.
        num_features: Feature maps to append; each averages an equal part of the channels.

    Returns:
        Tensor (N, H, W, C + num_features) of the dtype of `x`.

    Raises:
        ValueError: If `x` is empty or not of rank 4, `group_size` does not divide the batch, or
            `num_features` the channels.

    Source: ProGAN (arXiv 1710.10196), section 3; `num_features` as in StyleGAN's code.

    Example:
        >>> batch = np.array([-1, 1], "float32").reshape(2, 1, 1, 1)
        >>> [float(v) for v in np.asarray(minibatch_stddev(batch))[0, 0, 0]]
        [-1.0, 1.0]
    """
    x = ops.convert_to_tensor(x)
    checks.shape("x", x, "(N, H, W, C), N >= 1", (checks.SOME, None, None, None))
    batch, height, width, channels = ops.shape(x)
    if channels % num_features:
        raise ValueError(
            f"num_features must divide the {channels} channels. Received: {num_features}"
        )
    if isinstance(batch, int):
        group = group_of(batch, group_size)
    else:  # TensorFlow, batch known only at run time
        group = ops.minimum(group_size, batch)
        message = f"{_NEEDED}. Received: for groups of {group_size} a batch of"
        x = backend.check_at_run_time(x, ops.equal(batch % group, 0), message, batch)
    values = backend.at_least_float32(x)
    values = ops.reshape(values, (group, -1, height, width, num_features, channels // num_features))
    values = values - ops.mean(values, axis=0, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(values), axis=0) + 1e-8)
    deviation = ops.mean(deviation, axis=(1, 2, 4))[:, None, None, :]
    deviation = ops.tile(ops.cast(deviation, x.dtype), (group, height, width, 1))
    return ops.concatenate([x, deviation], axis=-1)


def group_of(batch, group_size):
    """Samples in a group: `group_size`, or the whole batch where it is smaller."""
    group = min(group_size, batch)
    if batch % group:
        raise ValueError(f"{_NEEDED}. Received: a batch of {batch} for groups of {group_size}")
    return group


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MinibatchStddev(keras.layers.Layer):
    """`minibatch_stddev` as a layer.

    Args:
        group_size: Samples in a group, or the whole batch where it is smaller.
        num_features: Feature maps to append.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (N, H, W, C), N a multiple of `group_size` or smaller than it.

    Returns:
        Tensor (N, H, W, C + num_features).

    Example:
        >>> tuple(MinibatchStddev()(np.ones((8, 4, 4, 512), "float32")).shape)
        (8, 4, 4, 513)
    """

    def __init__(self, group_size=4, num_features=1, **kwargs):
        super().__init__(**kwargs)
        self.group_size = checks.whole("group_size", group_size, least=1)
        self.num_features = checks.whole("num_features", num_features, least=1)
        self.built = True

    def call(self, x):
        return minibatch_stddev(x, self.group_size, self.num_features)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + self.num_features)

    def get_config(self):
        config = {"group_size": self.group_size, "num_features": self.num_features}
        return {**super().get_config(), **config}
