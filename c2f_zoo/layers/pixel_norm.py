"""Pixelwise normalisation of feature vectors (ProGAN)."""

import keras
from keras import ops

from c2f_zoo import backend, checks


def pixel_norm(x, epsilon=1e-8):
    """Divide each pixel's feature vector by its root mean square, in float32.

    Args:
        x: Tensor (..., C), features on the last axis.
        epsilon: Added to the mean square.

    Returns:
        Tensor (..., C) of the dtype of `x`; the mean square of each vector is 1.

    Source: ProGAN (arXiv 1710.10196), section 4.2.

    Example:
        >>> [round(float(v), 3) for v in np.asarray(pixel_norm(np.array([3.0, 4.0], "float32")))]
        [0.849, 1.131]
    """
    x = ops.convert_to_tensor(x)
    values = backend.at_least_float32(x)
    power = ops.mean(ops.square(values), axis=-1, keepdims=True)
    return ops.cast(values * ops.rsqrt(power + epsilon), x.dtype)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class PixelNorm(keras.layers.Layer):
    """`pixel_norm` as a layer.

    Args:
        epsilon: Added to the mean square, positive.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (..., C).

    Returns:
        Tensor (..., C).

    Example:
        >>> float(PixelNorm()(np.full((1, 2, 2, 8), 5, "float32"))[0, 0, 0, 0])
        1.0
    """

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = checks.number("epsilon", epsilon, above=0)
        self.built = True

    def call(self, x):
        return pixel_norm(x, self.epsilon)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
