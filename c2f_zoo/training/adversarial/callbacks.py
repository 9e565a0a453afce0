"""Callbacks of a generative training: progress in images, sample grids, film, best preset."""

import math
import re
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

from c2f_zoo import backend
from c2f_zoo.data import image_grid, load_image, save_film, save_image
from c2f_zoo.data.files.picture_grid import check_film


class ImageProgress(keras.callbacks.Callback):
    """A progress bar in images, with resolution, phase, alpha and losses; ends the training too.

    Use it with `fit(..., verbose=0)`. A resumed training continues where its bar stood.

    Args:
        total: Real images to show in all; or a `GrowthSchedule`, whose `total` it is.
        stop: Whether to end training once they have been shown. Default True.

    Example:
        ```python
        model.fit(stream, verbose=0, callbacks=[ProgressiveGrowth(schedule),
                                                ImageProgress(schedule)])
        ```
    """

    def __init__(self, total, stop=True):
        super().__init__()
        self.schedule = total if hasattr(total, "at") else None
        self.total = total.total if self.schedule is not None else int(total)
        self.stop, self.bar = stop, None

    def on_train_begin(self, logs=None):
        from tqdm import tqdm

        shown = _images(self.model)
        # A bar that is written into a log file should not fill it.
        interval = 0.1 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=self.total,
            initial=shown,
            unit="image",
            dynamic_ncols=True,
            mininterval=interval,
        )
        if self.stop and shown >= self.total:
            self.model.stop_training = True

    def on_train_batch_end(self, batch, logs=None):
        images = _images(self.model)
        self.bar.update(images - self.bar.n)
        self.bar.set_postfix(self._postfix(logs or {}), refresh=False)
        if self.stop and images >= self.total:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.bar.close()

    def _postfix(self, logs):
        parts = {}
        if self.schedule is not None:
            state = self.schedule.at(int(backend.to_numpy(self.model.images_before)))
            height, width = state.resolution
            parts = {"size": f"{height}x{width}", "phase": state.phase}
            parts["alpha"] = f"{state.alpha:.2f}"
        names = (("d_loss", "d"), ("g_loss", "g"))
        return {**parts, **{short: f"{float(logs[n]):.2f}" for n, short in names if n in logs}}


class SampleGrids(keras.callbacks.Callback):
    """Writes a grid of the same pictures every so many images, and a film of them at the end.

    All grids have one size, so that the film shows the pictures grow. What an interrupted run
    wrote is part of the film of the run that continues it, as far as its grids have the size of
    the last one: other `n` and `height`, or a model grown further, begin a film anew.

    Args:
        folder: Where `images_0000012000.png` and so on go.
        every: Real images between grids; at least the last state is drawn.
        n: Pictures in a grid.
        seed: Seed of their latents (and labels and noise).
        height: Height of each picture in the grid, to which it is brought, smaller ones by
            repeating their pixels. By default that of the final resolution, or what makes a
            grid 2048 pixels high if that is less.
        film: File to write when training ends, `.gif` or `.mp4`; None for no film. If that
            fails, on a full disk for instance, a warning says so and `fit` returns.
        fps: Grids per second in it.

    Raises:
        ValueError: `every` or `n` is below 1; the film's suffix or rate cannot be written.
        ImportError: An `.mp4` needs imageio-ffmpeg.

    Warns:
        UserWarning: From `fit`: the film could not be written.

    Example:
        ```python
        grids = SampleGrids("run/grids", every=20_000, film="run/growth.gif")
        model.fit(stream, callbacks=[ProgressiveGrowth(schedule), grids])
        ```
    """

    def __init__(self, folder, every=20_000, n=36, seed=0, height=None, film=None, fps=8):
        super().__init__()
        if every < 1 or n < 1:
            raise ValueError(f"every and n are at least 1. Received: {every} and {n}")
        if film is not None:
            check_film(film, fps)
        self.folder, self.every, self.n, self.seed = Path(folder), int(every), int(n), seed
        self.height, self.film, self.fps = height, film, fps
        self.next = None

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.next = (_images(self.model) // self.every + 1) * self.every

    def on_train_batch_end(self, batch, logs=None):
        images = _images(self.model)
        if images >= self.next:
            self.draw(images)
            self.next = (images // self.every + 1) * self.every

    def on_train_end(self, logs=None):
        last = self.draw(_images(self.model))
        if self.film is None:
            return
        try:
            size = _size(last)
            files = sorted(self.folder.glob("images_*.png"))
            frames = (load_image(file) for file in files if _size(file) == size)
            save_film(self.film, frames, self.fps)
        except (OSError, ValueError) as error:
            # What follows `fit` is worth more: the grids are there, the film can be made of them.
            warnings.warn(f"No film was made of the grids in {self.folder}. {error}", stacklevel=2)

    def draw(self, images):
        """Write the grid of the averaged generator as it is now.

        Args:
            images: Real images shown, for the file's name.

        Returns:
            Path of the grid.
        """
        pictures = sample_pictures(self.model, self.n, self.seed)
        rows = math.ceil(self.n / math.ceil(self.n**0.5))
        height = self.height or min(_final_height(self.model), max(16, 2048 // rows))
        grid = image_grid([_of_height(picture, height) for picture in pictures])
        file = self.folder / f"images_{images:010d}.png"
        save_image(file, grid)
        return file


class BestPreset(keras.callbacks.Callback):
    """Measures the averaged generator every so many images and keeps the best as a preset.

    Logs get the monitored figure, NaN before the first measurement. The best value is read from
    the folder's own record when a run resumes.

    Args:
        folder: Folder of the preset, written by `model.save_pretrained`.
        metric: `SlicedWasserstein`, `FeatureDistances` or another of `c2f_zoo.metrics` with
            `update_real`, `update_fake`, `reset(keep_real=True)` and `result()`.
        monitor: Name of the figure to compare, `"swd"` or `"fid"` for instance.
        real: Array (N, H, W, C) of real images, uint8 or float in [0, 1], of the generator's
            final resolution and channels; nothing is measured before it has grown to them.
        every: Real images between measurements.
        num_images: Images of each kind per measurement, by default and at most as many as
            `real`.
        mode: `"min"` where smaller is better, or `"max"`.
        precision: Of the preset's weights, `"float16"` or `"float32"`.
        seed: Seed of the pictures, the same each time.

    Raises:
        ValueError: An option is out of range. From `fit`, before training: `real` is not of the
            generator's size, or the metric gives no such figure. The latter is found by measuring
            16 real images against themselves; where these are too few for the metric, it shows
            at the first measurement.
        TypeError: From `fit`: the model has no `save_pretrained`.

    Example:
        ```python
        best = BestPreset("run/best", SlicedWasserstein(), "swd", cache.images(), every=50_000)
        model.fit(stream, callbacks=[ProgressiveGrowth(schedule), best])
        ```
    """

    def __init__(
        self,
        folder,
        metric,
        monitor,
        real,
        every=50_000,
        num_images=None,
        mode="min",
        precision="float16",
        seed=1,
    ):
        super().__init__()
        if mode not in ("min", "max") or every < 1:
            raise ValueError(
                f"mode is 'min' or 'max', every at least 1. Received: {mode!r} and {every}"
            )
        num_images = len(real) if num_images is None else num_images
        if not 1 <= num_images <= len(real):
            raise ValueError(
                f"num_images is from 1 to the number of real images, {len(real)}. "
                f"Received: {num_images}"
            )
        self.folder, self.metric, self.monitor, self.real = Path(folder), metric, monitor, real
        self.every, self.num_images = int(every), num_images
        # Distances of sets of two sizes would compare the sizes too.
        self.real = self.real[: self.num_images]
        self.sign = 1.0 if mode == "min" else -1.0
        self.precision, self.seed = precision, seed
        self.best, self.next, self.figures, self.has_real = None, None, {}, False

    def on_train_begin(self, logs=None):
        if not hasattr(self.model, "save_pretrained"):
            raise TypeError(
                "BestPreset keeps models that have save_pretrained, such as ProGAN. "
                f"Received: {type(self.model).__name__}"
            )
        made = _final_shape(self.model)
        if made is not None and tuple(self.real.shape[1:]) != made:
            raise ValueError(
                f"The real images are compared with generated ones of (height, width, channels) "
                f"{made}. Received: {tuple(self.real.shape[1:])}"
            )
        if not self.has_real:
            self._check_monitor(_figures_of(self.metric, self.real[:16]))
        self.next = (_images(self.model) // self.every + 1) * self.every
        record = self.folder.with_name(f"{self.folder.name}.txt")
        if record.exists():
            found = re.search(rf"^{re.escape(self.monitor)} (\S+)", record.read_text(), re.M)
            self.best = float(found[1]) if found else None

    def on_train_batch_end(self, batch, logs=None):
        images = _images(self.model)
        if images < self.next:
            return
        self.next = (images // self.every + 1) * self.every
        resolution = self.real.shape[1:3]
        if tuple(getattr(self.model.generator, "current_resolution", resolution)) != resolution:
            return  # still growing
        self.measure(images)

    def on_epoch_end(self, epoch, logs=None):
        # From the first epoch on: CSVLogger takes no columns that come later.
        if logs is not None:
            logs[self.monitor] = float(self.figures.get(self.monitor, math.nan))

    def measure(self, images):
        """Measure now, and keep the model if it is the best so far.

        Args:
            images: Real images shown, for the record.
        """
        from c2f_zoo.metrics import measure_images

        fake = (
            sample_pictures(self.model, min(64, self.num_images - start), (self.seed, start))
            for start in range(0, self.num_images, 64)
        )
        self.metric.reset(keep_real=self.has_real)
        real = None if self.has_real else self.real
        self.figures = measure_images(self.metric, real, fake, progress=False)
        self.has_real = True
        self._check_monitor(self.figures)
        value = float(self.figures[self.monitor])
        if self.best is None or self.sign * value < self.sign * self.best:
            self.best = value
            self.model.save_pretrained(self.folder, precision=self.precision)
            record = self.folder.with_name(f"{self.folder.name}.txt")
            record.write_text(f"{self.monitor} {value!r} after {images} images\n")

    def _check_monitor(self, figures):
        if figures is not None and self.monitor not in figures:
            raise ValueError(
                f"The metric gives {', '.join(figures)}. Received: monitor={self.monitor!r}"
            )


def sample_pictures(model, n, seed):
    """Pictures of a model's averaged generator, of any `AdversarialModel`.

    Args:
        model: `AdversarialModel`; one with `generate` uses it.
        n: How many.
        seed: What `numpy.random.default_rng` takes.

    Returns:
        float32 array (n, H, W, C) in [0, 1]: the finest scale.
    """
    draw = np.random.default_rng(seed)
    latents = draw.standard_normal((n, model.latent_size)).astype("float32")
    if hasattr(model, "generate"):
        return model.generate(latents=latents, seed=int(draw.integers(1 << 31)))
    if getattr(model, "label_size", 0):
        latents = (latents, draw.integers(model.label_size, size=n))
    pictures = model.predict_on_batch(latents)
    pictures = pictures[-1] if isinstance(pictures, (list, tuple)) else pictures
    return backend.to_numpy(pictures).astype("float32")


def _images(model):
    return int(backend.to_numpy(model.images_shown))


def _final_height(model):
    resolutions = getattr(model.generator, "resolutions", None)
    return resolutions[-1][0] if resolutions else 64


def _final_shape(model):
    """(height, width, channels) of the pictures of a grown generator, None if it is not known."""
    generator = model.generator
    resolutions = getattr(generator, "resolutions", None)
    if not resolutions and hasattr(generator, "stage"):
        return None  # it grows to what only its later stages show
    channels = getattr(generator, "image_channels", None)
    if not resolutions or channels is None:
        *size, channels = sample_pictures(model, 1, 0).shape[1:]
    return (*(resolutions[-1] if resolutions else size), channels)


def _figures_of(metric, few):
    """What a metric gives, measured on a few images; None where they are too few for it."""
    from c2f_zoo.metrics import measure_images

    metric.reset(keep_real=False)
    try:
        return list(measure_images(metric, few, few, progress=False))
    except ValueError:
        return None
    finally:
        metric.reset(keep_real=False)


def _of_height(picture, height):
    from PIL import Image

    picture = np.rint(picture * 255).astype("uint8")
    picture = picture.repeat(3, axis=-1) if picture.shape[-1] == 1 else picture
    size = (max(1, round(picture.shape[1] * height / picture.shape[0])), height)
    is_larger = height >= picture.shape[0]
    filter_ = Image.Resampling.NEAREST if is_larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize(size, filter_))


def _size(file):
    from PIL import Image

    with Image.open(file) as image:
        return image.size
