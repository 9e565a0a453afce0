"""Minibatch standard deviation: lets a discriminator see how varied a batch is (ProGAN)."""

import keras
from keras import ops

from c2f_zoo import backend

_NEEDED = (
    "The minibatch standard deviation needs a batch that its groups divide, or one smaller than "
    "a group"
)


def minibatch_stddev(x, group_size=4, num_features=1):
    """Append how much the samples of a group differ, as constant feature maps.

    The batch of N samples is cut into N / G groups of G; sample n belongs to group n mod (N / G),
    as in the official code, whose group is the slow axis. Within a group the standard deviation
    over samples (biased, 1e-8 under the root) is averaged over pixels and channels. Computed in
    float32 under any lower precision.

    Args:
        x: Tensor (N, H, W, C).
        group_size: Samples in a group, G; where the batch is smaller, the whole batch.
        num_features: Feature maps to append: the channels are averaged in as many parts.

    Returns:
        Tensor (N, H, W, C + num_features) of the dtype of `x`.

    Raises:
        ValueError: `x` has not rank 4, the group size does not divide the batch, or the number
            of features does not divide the channels.

    Source: ProGAN (arXiv 1710.10196), section 3; `num_features` as in StyleGAN's code.

    Example:
        >>> import numpy as np
        >>> batch = np.array([-1, 1], "float32").reshape(2, 1, 1, 1)
        >>> [float(v) for v in np.asarray(minibatch_stddev(batch))[0, 0, 0]]
        [-1.0, 1.0]
    """
    x = ops.convert_to_tensor(x)
    if len(x.shape) != 4:
        raise ValueError(
            f"minibatch_stddev takes a tensor (N, H, W, C). Received: shape {tuple(x.shape)}"
        )
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
    dtype = keras.backend.standardize_dtype(x.dtype)
    values = ops.cast(x, keras.backend.result_type(dtype, "float32"))
    values = ops.reshape(values, (group, -1, height, width, num_features, channels // num_features))
    values = values - ops.mean(values, axis=0, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(values), axis=0) + 1e-8)
    deviation = ops.mean(deviation, axis=(1, 2, 4))[:, None, None, :]
    deviation = ops.tile(ops.cast(deviation, dtype), (group, height, width, 1))
    return ops.concatenate([x, deviation], axis=-1)


def group_of(batch, group_size):
    """Samples in a group: G, or all of a smaller batch, as in the official code.

    Args:
        batch: Samples in a batch.
        group_size: Samples in a group, G.

    Returns:
        Integer.

    Raises:
        ValueError: The groups do not divide the batch.

    Example:
        >>> group_of(16, 4), group_of(3, 4)
        (4, 3)
    """
    group = min(group_size, batch)
    if batch % group:
        raise ValueError(f"{_NEEDED}. Received: a batch of {batch} for groups of {group_size}")
    return group


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MinibatchStddev(keras.layers.Layer):
    """`minibatch_stddev` as a layer.

    Args:
        group_size: Samples in a group; where the batch is smaller, the whole batch.
        num_features: Feature maps to append.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (N, H, W, C), N a multiple of `group_size` or smaller than it.

    Returns:
        Tensor (N, H, W, C + num_features).

    Raises:
        ValueError: `group_size` or `num_features` is below 1.

    Source: ProGAN (arXiv 1710.10196), section 3.

    Example:
        >>> import numpy as np
        >>> tuple(MinibatchStddev()(np.ones((8, 4, 4, 512), "float32")).shape)
        (8, 4, 4, 513)
    """

    def __init__(self, group_size=4, num_features=1, **kwargs):
        if group_size < 1 or num_features < 1:
            raise ValueError(
                "MinibatchStddev takes a group_size and num_features of at least 1. "
                f"Received: group_size={group_size}, num_features={num_features}"
            )
        super().__init__(**kwargs)
        self.group_size, self.num_features = group_size, num_features
        self.built = True

    def call(self, x):
        return minibatch_stddev(x, self.group_size, self.num_features)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + self.num_features)

    def get_config(self):
        config = {"group_size": self.group_size, "num_features": self.num_features}
        return {**super().get_config(), **config}
