"""Smooth walks through a latent space, and films of them."""

import numpy as np

from c2f_zoo.data import image_grid, save_film
from c2f_zoo.data.files.picture_grid import check_film
from c2f_zoo.tasks.generation.seeds import seeded_generator, whole_number

_PATH = 5  # what these random numbers are for, see generation_task.py


class LatentWalk:
    """Mixin of a model with `generate` and `latent_size`."""

    def interpolation(
        self,
        frames=120,
        n=1,
        seed=None,
        truncation=1.0,
        smoothness=24,
        labels=None,
        batch_size=16,
    ):
        """Walk through the latent space on a smooth closed path.

        The path is white noise over time, smoothed by a Gaussian window that wraps around.

        Args:
            frames: Number of frames.
            n: Number of pictures that walk at the same time, each on a path of its own.
            seed: As for `generate`.
            truncation: As for `generate`.
            smoothness: Standard deviation of the window, in frames.
            labels: As for `generate`; the same in all frames.
            batch_size: Pictures of a frame computed at once.

        Yields:
            float32 arrays (n, H, W, C) in [0, 1], one per frame; the last leads to the first.

        Raises:
            ValueError: A number is out of range.

        Example:
            >>> from c2f_zoo.models import ProGAN
            >>> model = ProGAN(8, latent_size=4, num_filters=(8, 4))
            >>> [frame.shape for frame in model.interpolation(2, n=3, seed=0)]
            [(3, 8, 8, 3), (3, 8, 8, 3)]
        """
        frames = whole_number("frames", frames, 1)
        n = whole_number("n, the number of pictures,", n, 1)
        path = latent_path(frames, n, self.latent_size, seed, smoothness)
        options = {"truncation": truncation, "labels": labels, "batch_size": batch_size}
        # Drawn once: noise or classes that change from frame to frame would flicker.
        seed = int(np.random.default_rng().integers(1 << 31)) if seed is None else seed
        for latents in path:
            yield self.generate(latents=latents, seed=seed, **options)

    def film(
        self, path, seconds=5.0, fps=24, n=9, columns=None, seed=None, progress=False, **options
    ):
        """Write a walk through the latent space as a film that plays in a loop.

        Args:
            path: `.gif`, or `.mp4` and what else `c2f_zoo.data.save_film` writes.
            seconds: Length.
            fps: Frames per second.
            n: Pictures side by side.
            columns: Of these in a row; by default about a square of them.
            seed: As for `generate`.
            progress: Whether to show a bar.
            **options: `truncation`, `smoothness`, `labels` and `batch_size` of `interpolation`.

        Returns:
            Path of the film.

        Raises:
            ValueError: A number is out of range, or the suffix is not known.
            ImportError: A video needs imageio-ffmpeg.
        """
        from tqdm import tqdm

        check_film(path, fps)
        if not 0 < seconds < float("inf"):
            raise ValueError(f"seconds must be positive. Received: {seconds}")
        frames = max(1, round(seconds * fps))
        # A window as long as a short film would smooth all motion away.
        options.setdefault("smoothness", min(fps, frames / 8))
        walk = self.interpolation(frames, n, seed, **options)
        with tqdm(walk, total=frames, unit="frame", disable=not progress) as bar:
            return save_film(path, (image_grid(pictures, columns) for pictures in bar), fps)


def latent_path(frames, n, latent_size, seed=None, smoothness=24):
    """A smooth closed path of latents.

    Args:
        frames: Number of points.
        n: Number of paths.
        latent_size: Components of a latent.
        seed: Whole number of at least 0, or None.
        smoothness: Standard deviation, in frames, of the Gaussian window that smooths white
            noise over time, wrapping around.

    Returns:
        float32 array (frames, n, latent_size) of unit variance.

    Raises:
        ValueError: `smoothness` is negative.

    Source: the interpolation videos of Karras et al., arXiv 1710.10196.

    Example:
        >>> latent_path(30, 2, 5, seed=0).shape
        (30, 2, 5)
    """
    if smoothness < 0:
        raise ValueError(f"smoothness must not be negative. Received: {smoothness}")
    noise = seeded_generator(seed, _PATH).standard_normal((frames, n * latent_size))
    # A Gaussian window that wraps around is a Gaussian in the frequencies.
    frequencies = np.fft.rfftfreq(frames)[:, None]
    window = np.exp(-2 * (np.pi * smoothness * frequencies) ** 2)
    path = np.fft.irfft(np.fft.rfft(noise, axis=0) * window, frames, axis=0)
    path = path.reshape(frames, n, latent_size)
    return (path / np.sqrt(np.mean(path**2, axis=(0, 2), keepdims=True))).astype("float32")
