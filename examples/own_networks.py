"""Progressive growing of a custom generator and discriminator, written in plain Keras.

    python examples/own_networks.py                   samples.png, in less than a minute on a CPU
    python examples/own_networks.py --phase-images 20000 --output better.png

`AdversarialModel`, `GrowthSchedule` and `ProgressiveGrowth` work with any pair of networks if

- the generator maps latents (B, latent_size) to images (B, H, W, C) in [-1, 1], and the
  discriminator maps such images to scores (B, 1), both at the resolution of the current stage;
- both have an attribute `stage`, an integer, 0 for the coarsest; assigning it changes the stage;
- both have a variable `alpha`: at 0 the output is the enlarged output of the previous stage, and
  at 1 that of the current stage;
- both create the variables of all stages in the constructor;
- `get_config()` of the generator rebuilds it, for the moving average of its weights.
"""

import argparse
import tempfile

import keras
import numpy as np
from keras import ops
from PIL import Image

from c2f_zoo.data import ImageCache, ImageStream
from c2f_zoo.training import (
    AdversarialModel,
    AdversarialTraining,
    GrowthSchedule,
    ProgressiveGrowth,
)

SIZES = (4, 8, 16)
CHANNELS = 32
LATENT_SIZE = 16


def enlarge(x):
    """Repeat every pixel 2x2 times."""
    return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)


def shrink(x):
    """Average blocks of 2x2 pixels."""
    return ops.average_pool(x, 2, 2)


def convolution(kernel_size, channels, filters, activation: str | None = "leaky_relu"):
    """Return a built convolution: networks need the variables of all stages from the start."""
    layer = keras.layers.Conv2D(filters, kernel_size, padding="same", activation=activation)
    layer.build((None, None, None, channels))
    return layer


class Growing(keras.Model):
    """Base class of both networks, with `stage` and the fade variable `alpha`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stage = len(SIZES) - 1
        self.alpha = self.add_weight((), initializer="ones", trainable=False, name="alpha")

    def fade(self, old, new):
        return old + self.alpha * (new - old)


@keras.saving.register_keras_serializable(package="examples")
class Generator(Growing):
    """Generator with one convolution per stage, and one per stage that outputs an image."""

    latent_size = LATENT_SIZE

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.base = keras.layers.Dense(4 * 4 * CHANNELS, activation="leaky_relu")
        self.base.build((None, LATENT_SIZE))
        self.blocks = [convolution(3, CHANNELS, CHANNELS) for _ in SIZES]
        self.to_image = [convolution(1, CHANNELS, 3, activation=None) for _ in SIZES]
        self.built = True

    def call(self, latents):
        x = self.blocks[0](ops.reshape(self.base(latents), (-1, 4, 4, CHANNELS)))
        image = self.to_image[0](x)
        for stage in range(1, self.stage + 1):
            coarse, x = image, self.blocks[stage](enlarge(x))
            image = self.to_image[stage](x)
        return self.fade(enlarge(coarse), image) if self.stage else image


@keras.saving.register_keras_serializable(package="examples")
class Discriminator(Growing):
    """Discriminator with one convolution per stage, and one per stage that reads an image."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.from_image = [convolution(1, 3, CHANNELS) for _ in SIZES]
        self.blocks = [convolution(3, CHANNELS, CHANNELS) for _ in SIZES]
        self.score = keras.layers.Dense(1)
        self.score.build((None, 4 * 4 * CHANNELS))
        self.built = True

    def call(self, images):
        x = self.from_image[self.stage](images)
        for stage in range(self.stage, 0, -1):
            x = shrink(self.blocks[stage](x))
            if stage == self.stage:
                x = self.fade(self.from_image[stage - 1](shrink(images)), x)
        return self.score(ops.reshape(self.blocks[0](x), (-1, 4 * 4 * CHANNELS)))


def discs(count, size=SIZES[-1]):
    """Draw coloured discs on coloured backgrounds: uint8 (count, size, size, 3)."""
    random = np.random.default_rng(0)
    centre = random.uniform(0.3, 0.7, (2, count, 1, 1))
    radius = random.uniform(0.15, 0.3, (count, 1, 1))
    y, x = (np.mgrid[:size, :size][:, None] + 0.5) / size
    distance = np.hypot(y - centre[0], x - centre[1])
    inside = np.clip((radius - distance) * size + 0.5, 0, 1)[..., None]
    disc, background = random.uniform(0.5, 1, (count, 1, 1, 3)), random.uniform(0, 0.4, (count, 3))
    pictures = inside * disc + (1 - inside) * background[:, None, None]
    return np.uint8(np.rint(255 * pictures))


def save_grid(images, path, scale=4):
    """Write images (64, H, W, 3) in [0, 1] as an enlarged grid of 8 x 8."""
    _, height, width, _ = images.shape
    rows = images.reshape(8, 8, height, width, 3).swapaxes(1, 2)
    grid = np.uint8(np.rint(255 * rows.reshape(8 * height, 8 * width, 3)))
    Image.fromarray(grid).resize((8 * width * scale, 8 * height * scale), 0).save(path)


def train(phase_images, count, verbose=2):
    """Train a growing pair on `count` images and return the model."""
    schedule = GrowthSchedule.by_images(
        SIZES[-1], stabilise=phase_images, fade=phase_images, batch_sizes=16
    )
    print(schedule)
    model = AdversarialModel(Generator(), Discriminator(), seed=0)
    # ProGAN's settings, with a shorter moving average for this short run.
    model.compile(AdversarialTraining.named("progan", ema_decay=None, ema_half_life=800.0))
    with tempfile.TemporaryDirectory() as folder:
        cache = ImageCache.from_arrays(discs(count), cache=folder, progress=False)
        stream = ImageStream(cache, schedule)
        model.fit(
            stream,
            steps_per_epoch=stream.steps,
            callbacks=[ProgressiveGrowth(schedule)],
            verbose=verbose,
        )
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phase-images", type=int, default=3200, help="images in each phase")
    parser.add_argument("--count", type=int, default=2000, help="images in the data set")
    parser.add_argument("--output", default="samples.png")
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(0)
    model = train(options.phase_images, options.count)
    latents = np.random.default_rng(0).standard_normal((64, LATENT_SIZE), dtype="float32")
    save_grid(model.predict_on_batch(latents), options.output)
    print(f"64 samples are in {options.output}")
    return model


if __name__ == "__main__":
    main()
