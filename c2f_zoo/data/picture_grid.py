"""Many pictures in one: grids, and films as animated GIF or video."""

import math
from pathlib import Path

import numpy as np

from c2f_zoo.data.atomic import atomic_write
from c2f_zoo.data.video import VideoWriter


def image_grid(images, columns=None, gap=0):
    """Lay pictures of one size out in rows.

    Args:
        images: Array (N, H, W, C), or a list of arrays (H, W, C), uint8 or float in [0, 1].
        columns: Pictures in a row; by default as near to a square of pictures as can be.
        gap: White pixels between them.

    Returns:
        Array (rows * H + gaps, columns * W + gaps, C) of the images' dtype. Places that are left
        over are white.

    Raises:
        ValueError: There are no images, or they differ in shape, or `columns` is below 1.

    Example:
        >>> image_grid(np.zeros((5, 4, 6, 3), "uint8"), columns=3, gap=1).shape
        (9, 20, 3)
    """
    images = [np.asarray(image) for image in images]
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise ValueError(
            "A grid takes pictures (H, W, C) of one shape. "
            f"Received: {len(images)} of the shapes {sorted(shapes)}"
        )
    columns = math.ceil(len(images) ** 0.5) if columns is None else columns
    if columns < 1 or gap < 0:
        raise ValueError(
            f"columns is at least 1, and gap at least 0. Received: {columns} and {gap}"
        )
    height, width, channels = images[0].shape
    rows = math.ceil(len(images) / columns)
    white = 255 if images[0].dtype == np.uint8 else 1
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    grid = np.full(size, white, images[0].dtype)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def enlarge_pixels(image, factor):
    """Repeat every pixel, so that a small picture can be seen as it is.

    Args:
        image: Array (H, W, C).
        factor: Whole number of at least 1.

    Returns:
        Array (factor * H, factor * W, C).

    Example:
        >>> enlarge_pixels(np.zeros((2, 3, 3)), 4).shape
        (8, 12, 3)
    """
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def save_film(path, frames, fps=24):
    """Write pictures as a film.

    Args:
        path: File to write: `.gif`, or `.mp4` and what else `VideoWriter` knows (which needs
            imageio-ffmpeg). A GIF has at most 256 colours a frame and plays in a loop.
        frames: Iterable of arrays (H, W, 3) or grey (H, W, 1), uint8 or float in [0, 1], all of
            one size.
        fps: Frames per second; a GIF counts in hundredths of a second and has at most 50.

    Returns:
        Path of the film.

    Raises:
        ValueError: There is no frame, the suffix or rate cannot be written.
        ImportError: A video needs imageio-ffmpeg.

    Example:
        >>> import tempfile
        >>> frames = np.random.default_rng(0).random((3, 8, 8, 3))
        >>> save_film(tempfile.mkdtemp() + "/noise.gif", frames).name
        'noise.gif'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".gif":
        return _save_gif(path, frames, fps)
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise ValueError(f"A film needs at least one frame. Received: none for {path}")
    with VideoWriter(path, fps, np.shape(first)[:2]) as video:
        video.write(_levels(first))
        for frame in iterator:
            video.write(_levels(frame))
    return path


def _save_gif(path, frames, fps):
    from PIL import Image

    if not 0 < fps <= 50:
        raise ValueError(f"A GIF has more than 0 and at most 50 frames a second. Received: {fps}")
    pictures = [Image.fromarray(_levels(frame)) for frame in frames]
    if len({picture.size for picture in pictures}) != 1:
        sizes = sorted({picture.size for picture in pictures})
        raise ValueError(
            "A film needs at least one frame, and all of one size. "
            f"Received: {len(pictures)} of the sizes {sizes} for {path}"
        )
    # Each frame with colours of its own: one palette for all would show in smooth places.
    pictures = [picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG) for picture in pictures]
    with atomic_write(path) as file:
        pictures[0].save(
            file,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=round(100 / fps) * 10,
            loop=0,
            optimize=False,
        )
    return path


def _levels(frame):
    frame = np.asarray(frame)
    if frame.shape[-1] == 1:
        frame = frame.repeat(3, axis=-1)
    if frame.dtype == np.uint8:
        return frame
    return np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8)
