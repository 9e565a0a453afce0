"""Smooth walks through a latent space, and films of them."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data import image_grid, save_film
from c2f_zoo.data.files.picture_grid import check_film
from c2f_zoo.tasks.generation.seeds import PATH, seeded_generator


def interpolation(
    model,
    frames=120,
    n=1,
    seed=None,
    truncation=1.0,
    smoothness=24,
    labels=None,
    batch_size=16,
):
    """Walk through the latent space on a smooth closed path, see `latent_path`.

    Args:
        model: Model with `generate` and `latent_size`.
        frames: Number of frames.
        n: Number of images that walk at the same time, each on a path of its own.
        seed: As for `generate`.
        truncation: As for `generate`.
        smoothness: Standard deviation of the smoothing window, in frames.
        labels: As for `generate`; the same in all frames.
        batch_size: Images of a frame computed at once.

    Yields:
        float32 arrays (n, H, W, C) in [0, 1], one per frame; the last leads to the first.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from c2f_zoo.models import ProGAN
        >>> model = ProGAN(8, latent_size=4, num_filters=(8, 4))
        >>> [frame.shape for frame in model.interpolation(2, n=3, seed=0)]
        [(3, 8, 8, 3), (3, 8, 8, 3)]
    """
    frames = checks.whole("frames", frames, least=1)
    n = checks.whole("n, the number of images,", n, least=1)
    path = latent_path(frames, n, model.latent_size, seed, smoothness)
    options = {"truncation": truncation, "labels": labels, "batch_size": batch_size}
    # Drawn once: noise or classes that change from frame to frame would flicker.
    seed = int(np.random.default_rng().integers(1 << 31)) if seed is None else seed
    for latents in path:
        yield model.generate(latents=latents, seed=seed, **options)


def film(model, path, seconds=5.0, fps=24, n=9, columns=None, seed=None, progress=False, **options):
    """Write a walk through the latent space as a film that plays in a loop.

    Args:
        model: Model with `generate` and `latent_size`.
        path: `.gif`, `.mp4` or another format of `c2f_zoo.data.save_film`.
        seconds: Length.
        fps: Frames per second.
        n: Images side by side.
        columns: Of these in a row; by default about a square of them.
        seed: As for `generate`.
        progress: Whether to show a progress bar.
        **options: `truncation`, `smoothness`, `labels` and `batch_size` of `interpolation`.

    Returns:
        Path of the film.

    Raises:
        ValueError: If a number is out of range, or the suffix is unknown.
        ImportError: If a video needs imageio-ffmpeg.
    """
    from tqdm import tqdm

    check_film(path, fps)
    frames = max(1, round(checks.number("seconds", seconds, above=0) * fps))
    # A window as long as a short film would smooth all motion away.
    options.setdefault("smoothness", min(fps, frames / 8))
    walk = interpolation(model, frames, n, seed, **options)
    with tqdm(walk, total=frames, unit="frame", disable=not progress) as bar:
        return save_film(path, (image_grid(images, columns) for images in bar), fps)


def latent_path(frames, n, latent_size, seed=None, smoothness=24):
    """A smooth closed path of latents: white noise over time, smoothed by a Gaussian window.

    The window, whose standard deviation is `smoothness` frames, wraps around. As in the
    interpolation videos of Karras et al. (arXiv 1710.10196). Returns a float32 array (frames, n,
    latent_size) of unit variance.
    """
    checks.number("smoothness", smoothness, least=0)
    noise = seeded_generator(seed, PATH).standard_normal((frames, n * latent_size))
    # A Gaussian window that wraps around is a Gaussian in the frequencies.
    frequencies = np.fft.rfftfreq(frames)[:, None]
    window = np.exp(-2 * (np.pi * smoothness * frequencies) ** 2)
    path = np.fft.irfft(np.fft.rfft(noise, axis=0) * window, frames, axis=0)
    path = path.reshape(frames, n, latent_size)
    return (path / np.sqrt(np.mean(path**2, axis=(0, 2), keepdims=True))).astype("float32")
