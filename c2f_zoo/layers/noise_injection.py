"""Noise added to feature maps with a learned strength (StyleGAN)."""

import keras
from keras import ops

from c2f_zoo import checks


@keras.saving.register_keras_serializable(package="c2f_zoo")
class NoiseInjection(keras.layers.Layer):
    """Adds one map of Gaussian noise to all channels, scaled by learned strengths.

    The strengths start at 0: the layer starts as the identity.

    Args:
        per_channel: One strength per channel (StyleGAN) or one for all (StyleGAN2).
        seed: Integer seed of the noise drawn where none is given; None for a random one.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        x: Tensor (B, H, W, C).
        noise: Tensor (B, H, W, 1) or (1, H, W, 1), standard normal; None draws one. Under
            `MirroredStrategy` every replica draws the same noise, except in the steps of
            `AdversarialModel`, which seed each replica.

    Returns:
        Tensor (B, H, W, C).

    Raises:
        ValueError: If `x` is not of rank 4 or the noise does not fit it.

    Source: StyleGAN (arXiv 1812.04948), section 2; StyleGAN2 (arXiv 1912.04958), section 2.2.

    Example:
        >>> layer, x = NoiseInjection(), np.ones((2, 4, 4, 3), "float32")
        >>> bool(np.all(keras.ops.convert_to_numpy(layer(x)) == x))
        True
    """

    def __init__(self, per_channel=True, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.per_channel, self.seed = per_channel, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, x_shape, noise_shape=None):
        if len(x_shape) != 4:
            raise ValueError(f"x must have the shape (B, H, W, C). Received: shape {x_shape}")
        shape = (x_shape[-1],) if self.per_channel else ()
        self.strength = self.add_weight(shape=shape, initializer="zeros", name="strength")
        self.built = True

    def call(self, x, noise=None):
        batch, height, width, _ = ops.shape(x)
        if noise is None:
            noise = keras.random.normal((batch, height, width, 1), seed=self.seed_generator)
        else:
            allowed = f"(B, {height}, {width}, 1) or (1, {height}, {width}, 1)"
            checks.shape("noise", noise, allowed, (None, *x.shape[1:3], 1))
        return ops.add(x, ops.multiply(ops.cast(noise, x.dtype), self.strength))

    def compute_output_shape(self, x_shape, noise_shape=None):
        return x_shape

    def get_config(self):
        config = {"per_channel": self.per_channel, "seed": self.seed}
        return {**super().get_config(), **config}
