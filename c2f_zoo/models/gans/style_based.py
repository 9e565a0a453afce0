"""What style-based generators share: mapping network, truncation, mixing, noise."""

import keras
from keras import ops

from c2f_zoo.layers import EqualizedDense, pixel_norm, scaled_leaky_relu
from c2f_zoo.models.gans.growing import Staged, built

W_AVERAGE_BETA = 0.995


def mix_styles(w, other, cutoff):
    """Style mixing: the first layers follow one w, the layers from `cutoff` on another.

    Args:
        w: Tensor (B, L, D), of the coarse layers.
        other: Tensor (B, L, D), of the fine layers.
        cutoff: Integer, or integer tensor, a scalar or of shape (B,): first layer of `other`.

    Returns:
        Tensor (B, L, D).

    Source: StyleGAN (arXiv 1812.04948), section 3.1.

    Example:
        >>> import numpy as np
        >>> w = mix_styles(np.zeros((1, 4, 1), "float32"), np.ones((1, 4, 1), "float32"), 1)
        >>> [float(v) for v in np.asarray(w).ravel()]
        [0.0, 1.0, 1.0, 1.0]
    """
    w, other = ops.convert_to_tensor(w), ops.convert_to_tensor(other)
    cutoff = ops.reshape(ops.cast(cutoff, "int32"), (-1, 1, 1))
    layers = ops.arange(w.shape[1], dtype="int32")[None, :, None]
    return ops.where(layers < cutoff, w, other)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MappingNetwork(keras.Model):
    """Maps latent vectors z to the intermediate latent space W, repeated for every layer.

    Args:
        latent_size: Components of a latent vector.
        w_size: Components of w, and width of the dense layers.
        num_layers: Copies of w: one per layer of the synthesis network.
        depth: Dense layers.
        lr_multiplier: Speed of these layers relative to others.
        scaled: Activations, not kernels, are multiplied by sqrt(2) (StyleGAN2).
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Call arguments:
        latents: Tensor (B, latent_size), standard normal.

    Returns:
        Tensor (B, num_layers, w_size), float32.

    Raises:
        ValueError: The latents are of another shape.

    Source: StyleGAN (arXiv 1812.04948), section 2, appendix C.

    Example:
        >>> import numpy as np
        >>> tuple(MappingNetwork(16, 16, num_layers=6)(np.ones((2, 16), "float32")).shape)
        (2, 6, 16)
    """

    def __init__(
        self,
        latent_size=512,
        w_size=512,
        num_layers=18,
        depth=8,
        lr_multiplier=0.01,
        scaled=False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.latent_size, self.w_size, self.num_layers = latent_size, w_size, num_layers
        self.depth, self.lr_multiplier, self.scaled = depth, lr_multiplier, scaled
        options = {
            "gain": 1.0 if scaled else 2**0.5,
            "activation": scaled_leaky_relu if scaled else "leaky_relu",
            "lr_multiplier": lr_multiplier,
            "dtype": "float32",  # cheap, and w decides everything that follows
        }
        self.dense_layers = [
            built(
                EqualizedDense(w_size, name=f"mapping_{index}", **options),
                (None, w_size if index else latent_size),
            )
            for index in range(depth)
        ]
        self.built = True

    def call(self, latents):
        latents = ops.cast(ops.convert_to_tensor(latents), "float32")
        if len(latents.shape) != 2 or latents.shape[-1] != self.latent_size:
            raise ValueError(
                f"the mapping network takes latents (B, {self.latent_size}). "
                f"Received: shape {tuple(latents.shape)}"
            )
        w = pixel_norm(latents)
        for layer in self.dense_layers:
            w = layer(w)
        return ops.tile(w[:, None, :], (1, self.num_layers, 1))

    def compute_output_shape(self, latents_shape):
        return (latents_shape[0], self.num_layers, self.w_size)

    def get_config(self):
        config = {
            "latent_size": self.latent_size,
            "w_size": self.w_size,
            "num_layers": self.num_layers,
            "depth": self.depth,
            "lr_multiplier": self.lr_multiplier,
            "scaled": self.scaled,
        }
        return {**super().get_config(), **config}


class StyleBased(Staged):
    """Mixin of a generator that synthesises images from w: truncation and noise.

    Attributes:
        constant: Variable (1, height, width, C), which the generator itself makes: its features
            before the first layer.
        mapping: `MappingNetwork`, latents to w (B, num_layers, w_size).
        w_average: Variable (w_size,), moving average of w; trained by nothing.
    """

    def setup_style(self, latent_size, w_size, mapping_depth, scaled):
        """Make the mapping network and the average of w; called after `setup_stages`.

        Args:
            latent_size: Components of a latent vector.
            w_size: Components of w.
            mapping_depth: Dense layers of the mapping network.
            scaled: As of `MappingNetwork`.
        """
        self.latent_size, self.w_size, self.mapping_depth = latent_size, w_size, mapping_depth
        self.num_layers = 2 * len(self.resolutions)  # that take a w
        self.mapping = MappingNetwork(
            latent_size, w_size, self.num_layers, mapping_depth, scaled=scaled, name="mapping"
        )
        self.w_average = self.add_weight(
            shape=(w_size,), initializer="zeros", trainable=False, dtype="float32", name="w_average"
        )

    @property
    def current_layers(self):
        """Number of layers of w in use: all. The cutoff of mixing is below it."""
        return self.num_layers

    def first_features(self, w):
        """Repeat the learned constant for each sample.

        Args:
            w: Tensor (B, L, w_size) or (B, w_size).

        Returns:
            Tensor (B, base height, base width, widths[0]).
        """
        constant = ops.cast(ops.convert_to_tensor(self.constant), self.compute_dtype)
        return ops.tile(constant, (ops.shape(w)[0], 1, 1, 1))

    def update_w_average(self, w, beta=W_AVERAGE_BETA):
        """Move the tracked average of w towards the mean of a batch; once per training step.

        Args:
            w: Tensor (B, L, w_size) or (B, w_size), what the mapping network gave, unmixed.
            beta: What remains of the old average.

        Source: StyleGAN (arXiv 1812.04948), appendix B; 0.995 as in its code.
        """
        w = ops.convert_to_tensor(w)
        batch = ops.mean(w[:, 0] if len(w.shape) == 3 else w, axis=0)
        old = ops.convert_to_tensor(self.w_average)
        self.w_average.assign(batch + (old - batch) * beta)

    def truncate(self, w, truncation, cutoff=None):
        """Pull w towards its average: fewer extremes, less variety.

        Args:
            w: Tensor (B, L, w_size).
            truncation: Factor psi, 1 for none, 0 for the average; a scalar.
            cutoff: Layers before it are truncated; None for all.

        Returns:
            Tensor (B, L, w_size): average + psi * (w - average).

        Source: StyleGAN (arXiv 1812.04948), appendix B.
        """
        w = ops.convert_to_tensor(w)
        if isinstance(truncation, (int, float)) and truncation == 1:
            return w
        average = ops.convert_to_tensor(self.w_average)
        truncated = average + (w - average) * truncation
        if cutoff is None or cutoff >= w.shape[1]:
            return truncated
        return mix_styles(truncated, w, cutoff)

    def style_of(self, w, layer):
        """The w of one layer.

        Args:
            w: Tensor (B, L, w_size), or (B, w_size) for one w in all layers.
            layer: Index of the layer.

        Returns:
            Tensor (B, w_size).

        Raises:
            ValueError: w is of another shape or holds too few layers.
        """
        if w.shape[-1] != self.w_size or len(w.shape) not in (2, 3):
            raise ValueError(
                f"synthesis takes w (B, layers, {self.w_size}). Received: shape {tuple(w.shape)}"
            )
        if len(w.shape) == 2:
            return w
        if layer >= w.shape[1]:
            raise ValueError(
                f"synthesis needs w for layer {layer} too. Received: shape {tuple(w.shape)}"
            )
        return w[:, layer]

    def noise_of(self, noise, layer):
        """The noise map of one layer.

        Args:
            noise: None, or list of tensors (B, h, w, 1), one per entry of `noise_shapes`.
            layer: Index of the layer.

        Returns:
            Tensor (B, h, w, 1), or None: draw it.

        Raises:
            ValueError: The list is too short.
        """
        if noise is None:
            return None
        if layer >= len(noise):
            raise ValueError(
                f"noise is a list of one map for each of {len(self.noise_shapes)} layers. "
                f"Received: {len(noise)} maps"
            )
        return noise[layer]

    def get_config(self):
        config = {
            "latent_size": self.latent_size,
            "w_size": self.w_size,
            "mapping_depth": self.mapping_depth,
        }
        return {**super().get_config(), **config}
