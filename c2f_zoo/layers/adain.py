"""Adaptive instance normalisation (StyleGAN)."""

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.layers.equalized import style_layer


def instance_norm(x, epsilon=1e-8):
    """Bring each channel of each sample to zero mean and unit variance, in float32.

    Args:
        x: Tensor (B, H, W, C).
        epsilon: Added to the (biased) variance.

    Returns:
        Tensor (B, H, W, C) of the dtype of `x`.

    Raises:
        ValueError: If `x` is not of rank 4.

    Source: StyleGAN (arXiv 1812.04948), equation 1, epsilon as in its code.

    Example:
        >>> x = np.array([2.0, 4.0], "float32").reshape(1, 1, 2, 1)
        >>> [float(v) for v in np.asarray(instance_norm(x)).ravel()]
        [-1.0, 1.0]
    """
    x = ops.convert_to_tensor(x)
    checks.shape("x", x, "(B, H, W, C)", (None,) * 4)
    centred, scale = _centred(x, epsilon)
    return ops.cast(centred * scale, x.dtype)


def _centred(x, epsilon):
    """Values minus channel means (B, H, W, C), and the scale to unit variance (B, 1, 1, C)."""
    values = backend.at_least_float32(x)
    centred = values - _mean_of_pixels(values)
    variance = _mean_of_pixels(ops.square(centred))
    return centred, ops.rsqrt(variance + epsilon)


def _mean_of_pixels(x):
    """Mean of each channel of each sample: (B, H, W, C) to (B, 1, 1, C)."""
    if backend.backend() != "tensorflow" or backend.on_accelerator():
        return ops.mean(x, axis=(1, 2), keepdims=True)
    # A product with ones takes TensorFlow a third of the time of its own mean on CPUs.
    batch, height, width, channels = ops.shape(x)
    pixels = height * width
    total = ops.matmul(
        ops.ones((batch, 1, pixels), dtype=x.dtype), ops.reshape(x, (batch, pixels, channels))
    )
    return ops.reshape(total, (batch, 1, 1, channels)) / ops.cast(pixels, x.dtype)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class AdaIN(keras.layers.Layer):
    """Instance normalisation, then a scale and a shift per channel computed from w.

    y = norm(x) * (s + 1) + b with [s, b] = dense(w), an equalised dense layer of gain 1.

    Args:
        epsilon: Added to the variance, positive.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C).
        w: Tensor (B, D), of the intermediate latent space.

    Returns:
        Tensor (B, H, W, C).

    Raises:
        ValueError: If an input does not have the rank above.

    Source: StyleGAN (arXiv 1812.04948), equation 1; the 1 as in its code.

    Example:
        >>> w = np.zeros((2, 16), "float32")
        >>> y = AdaIN()(np.random.default_rng(0).random((2, 8, 8, 3)), w)
        >>> y = keras.ops.convert_to_numpy(y)
        >>> bool(np.allclose(y.std((1, 2)), 1, atol=1e-3))
        True
    """

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = checks.number("epsilon", epsilon, above=0)
        self.style = None

    def build(self, x_shape, w_shape):
        self.style = style_layer(x_shape, w_shape, 2 * x_shape[-1], self.dtype_policy)
        self.built = True

    def call(self, x, w):
        x = ops.convert_to_tensor(x)
        centred, norm = _centred(x, self.epsilon)
        style = ops.cast(self.style(w)[:, None, None, :], centred.dtype)
        scale, shift = ops.split(style, 2, axis=-1)
        # Both scales at once save a pass over the map.
        return ops.cast(centred * (norm * (scale + 1.0)) + shift, x.dtype)

    def compute_output_shape(self, x_shape, w_shape):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
