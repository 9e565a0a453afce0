"""From an image back to the style that makes it."""

import os
import typing
from pathlib import Path

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.data import as_numpy, load_image
from c2f_zoo.data.images.fit import UnfitImageError, check_fit_options, fit_image
from c2f_zoo.layers import average_pool
from c2f_zoo.tasks.generation.seeds import PROJECTION, seeded_generator
from c2f_zoo.training.steps import value_and_gradients

SPACES = ("w", "w+")
_STYLES_AVERAGED = 10_000
_NOISE_WEIGHT = 1e5  # of the regularisation of the noise maps
_INITIAL_NOISE = 0.05  # on w, as a share of its standard deviation, gone after
_NOISE_LENGTH = 0.75  # of the steps
_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps


class Projection(typing.NamedTuple):
    """Result of `project`.

    Attributes:
        image: float32 (H, W, C), RGB in [0, 1]: the nearest image that the model makes.
        w: float32 (1, layers, w_size): its style, for `synthesize`.
        noise: List of float32 (1, h, w, 1): its noise maps, for `synthesize`.
        losses: List of float: the distance at each step, of the style tried there, exploring
            noise included.
    """

    image: np.ndarray
    w: np.ndarray
    noise: list
    losses: list


def project(
    model,
    image,
    steps=1000,
    loss="perceptual",
    space="w",
    features=None,
    learning_rate=0.1,
    seed=0,
    progress=True,
    background=None,
):
    """Find the style and the noise maps whose image is nearest to a given one.

    Args:
        model: `AdversarialModel` whose generator makes one image of a style; for "perceptual",
            its discriminator has `features` of an image.
        image: Path, PIL image or array (H, W), (H, W, 1 to 4), uint8 or float in [0, 1], of any
            size; its centred part of the model's shape is taken.
        steps: Steps of the optimisation.
        loss: `"perceptual"`: distance of features; `"pixel"`: mean squared error; or a function
            of two tensors (1, H, W, C) in [0, 1] that returns a scalar.
        space: `"w"`: one style for all layers, which stays among the images that the model has
            learned; `"w+"`: a style for each layer, which comes nearer to the image but leaves
            them.
        features: What `"perceptual"` compares: a function of images (1, H, W, C) in [0, 1] that
            returns a tensor (1, ..., D) or a list of them, such as a Keras model. By default the
            discriminator's features of every scale.
        learning_rate: Largest rate of Adam, reached after a warm-up.
        seed: Seed of the start.
        progress: Whether to show a progress bar.
        background: Colour beneath transparent pixels: a name or #rrggbb that Pillow knows, or
            (r, g, b) from 0 to 255. None (default) refuses images that have any.

    Returns:
        `Projection`.

    Raises:
        ValueError: If the image is unreadable, empty or transparent, or an option is out of
            range.
        TypeError: If the image is none of these types.

    Source: StyleGAN2 (arXiv 1912.04958), appendix D: the schedule of rate and noise; the
    regularisation of the noise maps as in the released code, which halves them by averages.

    Example:
        >>> from c2f_zoo.models import StyleGAN2
        >>> model = StyleGAN2(8, latent_size=4, w_size=4, num_filters=(8, 4))
        >>> picture = np.zeros((30, 40, 3), "uint8")
        >>> found = model.project(picture, steps=2, progress=False)
        >>> found.image.shape, found.w.shape, len(found.losses)
        ((8, 8, 3), (1, 4, 4), 2)
    """
    steps = checks.whole("steps", steps, least=1)
    seed = checks.whole("seed", seed, least=0)
    checks.number("learning_rate", learning_rate, above=0)
    checks.one_of("space", space, SPACES)
    distance = _distance(model, loss, features)
    resolution = model.ema_generator.noise_shapes[-1]
    target = projection_target(image, resolution, background)
    target = target[None].astype("float32") / 255
    if model.ema_generator.image_channels == 1:
        target = target.mean(axis=-1, keepdims=True)
    descent = _Descent(model, distance, target, steps, space, learning_rate, seed)
    losses = descent.run(progress)
    w, noise = descent.styles(), descent.noise
    image = model.synthesize(w, noise=noise)[0]
    return Projection(image, w, [np.asarray(map_) for map_ in noise], losses)


def _distance(model, loss, features):
    if callable(loss):
        return loss
    if loss == "pixel":
        return lambda a, b: ops.mean(ops.square(a - b))
    if loss != "perceptual":
        raise ValueError(f"loss must be 'perceptual', 'pixel' or a function. Received: {loss!r}")
    if features is None:

        def features(images):
            return model.discriminator.features(2.0 * images - 1.0)

    return lambda a, b: feature_distance(features(a), features(b))


def projection_target(image, size, background=None):
    """Crop and resize an image to the centred part that is projected, uint8 (height, width, 3).

    `image` and `background` are as for `project`, which raises the same errors; `size` is
    (height, width).
    """
    background = check_fit_options(background, "area")
    pixels, opacity = load_image(image), _opacity(image)
    if opacity is not None:
        # The colours beneath are not visible: the projection should not come near to them.
        pixels = np.concatenate([pixels, opacity], axis=-1)
    try:
        return fit_image(pixels, size, background, resample="area", upscale=True)
    except UnfitImageError as error:
        raise ValueError(
            f"The image cannot be projected: {error}. Received: {_described(image)}"
        ) from error


def _opacity(image):
    """The alpha channel (H, W, 1) of what `load_image` takes, in [0, 1]; None if it has none."""
    if hasattr(image, "shape"):
        pixels = as_numpy(image)
        has_alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4)
        return load_image(pixels[..., -1:])[..., :1] if has_alpha else None
    from PIL import Image, ImageOps

    if isinstance(image, (str, os.PathLike)):
        with Image.open(Path(image).expanduser()) as file:
            return _opacity(ImageOps.exif_transpose(file))
    # Pillow brings 16-bit grey to no other mode.
    if image.mode.startswith("I") or not image.has_transparency_data:
        return None
    alpha = ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")
    return load_image(alpha)[..., :1]


def _described(image):
    if isinstance(image, (str, os.PathLike)):
        return str(image)
    return f"shape {tuple(image.shape)}" if hasattr(image, "shape") else f"mode {image.mode}"


def feature_distance(features, others):
    """Mean squared distance of unit feature vectors (B, ..., D), averaged over places and lists.

    Equation 1 of Zhang et al. (arXiv 1801.03924) without learned weights; 0 to 4.
    """
    sides = map(keras.tree.flatten, (features, others))
    distances = [
        ops.mean(ops.sum(ops.square(_unit(a) - _unit(b)), axis=-1))
        for a, b in zip(*sides, strict=True)
    ]
    return sum(distances) / len(distances)


def _unit(x):
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-8)


class _Descent:
    """Adam on w and the noise maps of one image."""

    def __init__(self, model, distance, target, steps, space, learning_rate, seed):
        self.model, self.steps, self.learning_rate = model, steps, learning_rate
        self.target = ops.convert_to_tensor(target)
        self.draw = seeded_generator(seed, PROJECTION)
        generator = model.ema_generator
        latents = self.draw.standard_normal((_STYLES_AVERAGED, model.latent_size))
        styles = backend.to_numpy(generator.mapping(latents.astype("float32")))[:, 0]
        average = styles.mean(axis=0)
        # The length of w - average, not the spread of a component: appendix D's sigma_w.
        self.spread = float(np.sqrt(np.mean(np.sum((styles - average) ** 2, axis=-1))))
        self.layers = generator.current_layers
        layers = self.layers if space == "w+" else 1
        self.w = np.tile(average[None, None], (1, layers, 1)).astype("float32")
        self.noise = [
            self.draw.standard_normal((1, height, width, 1)).astype("float32")
            for height, width in generator.noise_shapes
        ]

        def objective(w, *noise):
            w = ops.tile(w, (1, self.layers // layers, 1))
            # Not clipped: a pixel beyond the range would have no gradient to come back by.
            image = (generator.synthesis(w, list(noise)) + 1.0) / 2.0
            apart = distance(image, self.target)
            return apart + _NOISE_WEIGHT * sum(map(_autocorrelation, noise)), apart

        # A loss or features of the user's may read other models: these are constants on JAX.
        variables = [*generator.variables, *model.discriminator.variables]
        self.differentiate = value_and_gradients(objective, variables)

    def styles(self):
        """The style of every layer: float32 array (1, layers, w_size)."""
        return np.tile(self.w, (1, self.layers // self.w.shape[1], 1))

    def run(self, progress):
        """Take all steps and return the distance at each."""
        from tqdm import trange

        moments = [(np.zeros_like(x), np.zeros_like(x)) for x in (self.w, *self.noise)]
        losses = []
        with trange(self.steps, unit="step", desc="projecting", disable=not progress) as bar:
            for step in bar:
                done = step / self.steps
                rate = self.learning_rate * min(1.0, (1 - done) / _RAMP_DOWN)
                rate = 0.5 - 0.5 * np.cos(np.pi * rate / self.learning_rate)
                rate *= self.learning_rate * min(1.0, (step + 1) / max(1, _RAMP_UP * self.steps))
                amount = self.spread * _INITIAL_NOISE * max(0.0, 1 - done / _NOISE_LENGTH) ** 2
                moved = self.w + amount * self.draw.standard_normal(self.w.shape)
                points = [moved.astype("float32"), *self.noise]
                apart, gradients = self.differentiate(*points)
                before = zip((self.w, *self.noise), gradients, moments, strict=True)
                updated = [
                    _adam(x, np.asarray(gradient), moment, rate, step)
                    for x, gradient, moment in before
                ]
                self.w = updated[0]
                # Kept at mean 0 and variance 1, or they would store the image themselves.
                self.noise = [_standardized(map_) for map_ in updated[1:]]
                losses.append(float(apart))
                bar.set_postfix(distance=f"{losses[-1]:.4f}")
        return losses


def _adam(x, gradient, moment, rate, step, betas=(0.9, 0.999), epsilon=1e-8):
    for values, beta, new in zip(moment, betas, (gradient, gradient**2), strict=True):
        values += (1 - beta) * (new - values)
    mean, square = (v / (1 - b ** (step + 1)) for v, b in zip(moment, betas, strict=True))
    return (x - rate * mean / (np.sqrt(square) + epsilon)).astype("float32")


def _standardized(map_):
    return (map_ - map_.mean()) / max(float(map_.std()), 1e-8)


def _autocorrelation(map_):
    """Squared correlations of a noise map with its neighbours, at every scale down to 8."""
    total = 0.0
    while True:
        for axis in (1, 2):
            total = total + ops.square(ops.mean(map_ * ops.roll(map_, 1, axis)))
        if min(map_.shape[1:3]) <= 8:
            return total
        map_ = average_pool(map_, 2)
