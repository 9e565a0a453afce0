"""Small registered models for the tests of presets, and for the programs they start."""

import keras
import numpy as np

from c2f_zoo.hub import PresetMixin, register_model

GENERATOR = np.random.default_rng(0)


def initial(shape, dtype=None):
    """Random weights from NumPy: JAX would compile a program for each shape."""
    return (0.2 * GENERATOR.standard_normal(shape)).astype("float32")


RANDOM = {"kernel_initializer": initial, "bias_initializer": initial}


@register_model(task="optical_flow")
class TinyFlow(PresetMixin, keras.Model):
    """Creates its variables in its constructor, as the zoo's models do."""

    preset_defaults = {"input": "Two images (B, H, W, 3).", "paper": {"title": "Tiny flow"}}

    def __init__(self, channels=4, depth=2, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.depth, self.scale = channels, depth, scale
        self.stem = keras.layers.Conv2D(channels, 3, padding="same", **RANDOM)
        self.stem.build((None, None, None, 6))
        self.blocks = [[keras.layers.Dense(channels, **RANDOM)] for _ in range(depth)]
        for (block,) in self.blocks:
            block.build((None, None, None, channels))
        self.head = keras.layers.Dense(2, **RANDOM)
        self.head.build((None, None, None, channels))
        self.built = True

    def call(self, inputs):
        x = self.stem(keras.ops.concatenate(inputs, axis=-1))
        for (block,) in self.blocks:
            x = keras.ops.relu(block(x))
        return self.head(x) * self.scale

    def get_config(self):
        own = {"channels": self.channels, "depth": self.depth, "scale": self.scale}
        return {**super().get_config(), **own}


@register_model(task="image_restoration")
class TinyRestorer(PresetMixin, keras.Model):
    """Is built by Keras, from the shape of its first input."""

    def __init__(self, channels=3, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.normalization = keras.layers.BatchNormalization()
        self.dropout = keras.layers.Dropout(0.5)
        self.convolution = keras.layers.Conv2D(channels, 3, padding="same", **RANDOM)

    def call(self, image, training=False):
        x = self.dropout(self.normalization(image, training=training), training=training)
        return self.convolution(x)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


@register_model(task="optical_flow")
class GoldenFlow(PresetMixin, keras.Model):
    """Turns the mean colour of two images into a flow, by weights that float16 rounds."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(0.3001))
        self.head.build((None, 6))
        self.built = True

    def flow(self, image1, image2):
        pair = np.concatenate([image1, image2], axis=-1)[None].astype("float32")
        return keras.ops.convert_to_numpy(self.head(pair))[0]
