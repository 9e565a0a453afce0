"""Callbacks of generative training: progress in images, sample grids, film, best preset."""

import math
import re
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

from c2f_zoo import backend, checks, hosts
from c2f_zoo.data import image_grid, load_image, save_film, save_image
from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.picture_grid import check_film
from c2f_zoo.training.planned_steps import images_of


class ImageProgress(keras.callbacks.Callback):
    """A progress bar in images, with resolution, phase, alpha and losses; also ends training.

    Use it with `fit(..., verbose=0)`. In a resumed training the bar continues.

    Args:
        total: Real images to show in all, or a `GrowthSchedule` with its `total`.
        stop: Whether to end training once they have been shown.

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

        shown = _images(self)
        # A bar that is written into a log file should not fill it.
        interval = 0.1 if sys.stderr.isatty() else 30.0
        options = {"dynamic_ncols": True, "mininterval": interval}
        options["disable"] = not hosts.is_first_host()
        self.bar = tqdm(total=self.total, initial=shown, unit="image", **options)
        if self.stop and shown >= self.total:
            self.model.stop_training = True

    def on_train_batch_end(self, batch, logs=None):
        images = _images(self)
        # The losses only where the bar is redrawn: reading them waits for the device.
        if self.bar.update(images - self.bar.n):
            self.bar.set_postfix(self._postfix(logs or {}))
        if self.stop and images >= self.total:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.bar.set_postfix(self._postfix(logs or {}), refresh=False)
        self.bar.close()

    def _postfix(self, logs):
        parts = {}
        if self.schedule is not None:
            state = self.schedule.at(images_of(self)[0])
            height, width = state.resolution
            parts = {"size": f"{height}x{width}", "phase": state.phase}
            parts["alpha"] = f"{state.alpha:.2f}"
        names = (("d_loss", "d"), ("g_loss", "g"))
        return {**parts, **{short: f"{float(logs[n]):.2f}" for n, short in names if n in logs}}


class _EveryImages(keras.callbacks.Callback):
    """Calls `_act(images)` each time that `every` more real images have been shown."""

    def __init__(self, every):
        super().__init__()
        self.every, self.next = checks.whole("every", every, least=1), None

    def on_train_begin(self, logs=None):
        self.next = (_images(self) // self.every + 1) * self.every

    def on_train_batch_end(self, batch, logs=None):
        images = _images(self)
        if images >= self.next:
            self.next = (images // self.every + 1) * self.every
            self._act(images)


class SampleGrids(_EveryImages):
    """Writes a grid of the same samples every so many images, and a film of the grids at the end.

    All grids have one size, so that the film shows the samples grow. The film includes the grids
    of the interrupted runs that this one continues, if they have the size of the last grid.

    Args:
        folder: Where `images_0000012000.png` and so on go.
        every: Real images between grids; at least the last state is drawn.
        n: Samples in a grid.
        seed: Seed of their latents (and labels and noise).
        height: Height of each sample in the grid; smaller ones are enlarged by repeating their
            pixels. By default the final resolution, or less so that a grid has 2048 pixels.
        film: File to write when training ends, `.gif` or `.mp4`; None for no film.
        fps: Grids per second of the film.

    Raises:
        ValueError: If `every` or `n` is below 1, or the film's suffix or rate cannot be written.
        ImportError: If an `.mp4` needs imageio-ffmpeg.

    Warns:
        UserWarning: From `fit`, if the film could not be written.

    Example:
        ```python
        grids = SampleGrids("run/grids", every=20_000, film="run/growth.gif")
        model.fit(stream, callbacks=[ProgressiveGrowth(schedule), grids])
        ```
    """

    def __init__(self, folder, every=20_000, n=36, seed=0, height=None, film=None, fps=8):
        super().__init__(every)
        self.n = checks.whole("n", n, least=1)
        if film is not None:
            check_film(film, fps)
        self.folder, self.seed = Path(folder), seed
        self.height, self.film, self.fps = height, film, fps

    def on_train_begin(self, logs=None):
        if hosts.is_first_host():
            self.folder.mkdir(parents=True, exist_ok=True)
        super().on_train_begin(logs)

    def _act(self, images):
        self.draw(images)

    def on_train_end(self, logs=None):
        last = self.draw(_images(self))
        if self.film is None or not hosts.is_first_host():
            return
        try:
            size = _size(last)
            files = sorted(self.folder.glob("images_*.png"))
            frames = (load_image(file) for file in files if _size(file) == size)
            save_film(self.film, frames, self.fps)
        except (OSError, ValueError) as error:
            # Not an error: the grids are there, and what follows `fit` is worth more.
            warnings.warn(f"No film was made of the grids in {self.folder}. {error}", stacklevel=2)

    def draw(self, images):
        """Write a grid of the averaged generator.

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
        if hosts.is_first_host():
            save_image(file, grid)
        return file


class BestPreset(_EveryImages):
    """Measures the averaged generator every so many images and saves the best as a preset.

    Logs get the monitored figure, NaN before a run's first measurement. A resumed run reads the
    best value so far from a text file beside the folder.

    Args:
        folder: Folder of the preset, written by `model.save_pretrained`.
        metric: `SlicedWasserstein`, `FeatureDistances` or another of `c2f_zoo.metrics` with
            `update_real`, `update_fake`, `reset(keep_real=True)` and `result()`.
        monitor: Name of the figure to compare, `"swd"` or `"fid"` for instance.
        real: Array (N, H, W, C) of real images, uint8 or float in [0, 1], of the generator's
            final resolution and channels; nothing is measured before it has grown to them.
        every: Real images between measurements.
        num_images: Images of each kind per measurement; all of `real` by default.
        mode: `"min"` where smaller is better, or `"max"`.
        precision: Of the preset's weights, `"float16"` or `"float32"`.
        seed: Seed of the samples, the same each time.

    Raises:
        ValueError: If an option is out of range. From `fit`: if `real` has another size than the
            generator's images, or the metric has no such figure.
        TypeError: From `fit`, if the model has no `save_pretrained`.

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
        super().__init__(every)
        checks.one_of("mode", mode, ("min", "max"))
        num_images = len(real) if num_images is None else num_images
        self.num_images = checks.whole("num_images", num_images, least=1, most=len(real))
        self.folder, self.metric, self.monitor = Path(folder), metric, monitor
        # Distances between sets of two sizes would depend on the sizes.
        self.real = real[: self.num_images]
        self.sign = 1.0 if mode == "min" else -1.0
        self.precision, self.seed = precision, seed
        self.best, self.figures, self.has_real = None, {}, False
        self.record = self.folder.with_name(f"{self.folder.name}.txt")

    def on_train_begin(self, logs=None):
        if not hasattr(self.model, "save_pretrained"):
            raise TypeError(
                "BestPreset needs a model with save_pretrained, such as ProGAN. "
                f"Received: {type(self.model).__name__}"
            )
        made = _final_shape(self.model)
        if made is not None and tuple(self.real.shape[1:]) != made:
            raise ValueError(
                f"The real images must have the (height, width, channels) of the generated ones, "
                f"{made}. Received: {tuple(self.real.shape[1:])}"
            )
        if not self.has_real:
            self._check_monitor(_figures_of(self.metric, self.real[:16]))
        super().on_train_begin(logs)
        if self.record.exists():
            found = re.search(rf"^{re.escape(self.monitor)} (\S+)", self.record.read_text(), re.M)
            self.best = float(found[1]) if found else None

    def _act(self, images):
        resolution = self.real.shape[1:3]
        made = getattr(self.model.generator, "current_resolution", resolution)
        if tuple(made) == resolution:  # else it is still growing
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
            if hosts.is_first_host():
                text = f"{self.monitor} {value!r} after {images} images\n"
                with atomic_write(self.record) as file:
                    file.write(text.encode())

    def _check_monitor(self, figures):
        if figures is not None and self.monitor not in figures:
            raise ValueError(
                f"monitor must be one of {', '.join(figures)}. Received: {self.monitor!r}"
            )


def sample_pictures(model, n, seed):
    """Samples (n, H, W, C), float32 in [0, 1], of the averaged generator of any model."""
    draw = np.random.default_rng(seed)
    latents = draw.standard_normal((n, model.latent_size)).astype("float32")
    if hasattr(model, "generate"):
        return model.generate(latents=latents, seed=int(draw.integers(1 << 31)))
    if getattr(model, "label_size", 0):
        latents = (latents, draw.integers(model.label_size, size=n))
    pictures = backend.predict_on_batch(model, latents)
    pictures = pictures[-1] if isinstance(pictures, (list, tuple)) else pictures
    return backend.to_numpy(pictures).astype("float32")


def _images(callback):
    return images_of(callback)[1]


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
