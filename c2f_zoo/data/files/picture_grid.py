"""Many pictures in one: grids, and films as animated GIF or video."""

import itertools
import math
import struct
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files import ffmpeg
from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.video import WRITABLE_VIDEO_SUFFIXES, VideoWriter


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
        ValueError: If there are no images, they differ in shape, or a number is out of range.

    Example:
        >>> image_grid(np.zeros((5, 4, 6, 3), "uint8"), columns=3, gap=1).shape
        (9, 20, 3)
    """
    images = [np.asarray(image) for image in images]
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise ValueError(
            "images must be pictures (H, W, C) of one shape. "
            f"Received: {len(images)} of the shapes {sorted(shapes)}"
        )
    columns = math.ceil(len(images) ** 0.5) if columns is None else columns
    columns, gap = checks.whole("columns", columns, least=1), checks.whole("gap", gap, least=0)
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


def check_film(path, fps):
    """Refuse a film that `save_film` cannot write, before its frames are made."""
    suffix = Path(path).suffix.lower()
    known = (".gif", *WRITABLE_VIDEO_SUFFIXES)
    if suffix and suffix not in known:
        raise ValueError(
            f"path must end with one of {', '.join(known)}, or have no suffix for a folder of "
            f"frames. Received: {path}"
        )
    if suffix == ".gif":
        checks.number("fps of a GIF", fps, least=0.01, most=50)
    checks.number("fps", fps, above=0)
    if suffix in WRITABLE_VIDEO_SUFFIXES:
        ffmpeg.program()


def save_film(path, frames, fps=24):
    """Write pictures as a film, of which a few frames at a time are in memory.

    Args:
        path: File to write: `.gif`, or `.mp4` and what else `VideoWriter` knows. A GIF has at most
            256 colours a frame and plays in a loop.
        frames: Iterable of arrays (H, W, 3) or grey (H, W, 1), uint8 or float in [0, 1], all of
            one size.
        fps: Frames per second; a GIF counts in hundredths of a second and has at most 50.

    Returns:
        Path of the film.

    Raises:
        ValueError: If there is no frame, frames differ in size, or the suffix or rate cannot be
            written.
        ImportError: A video needs imageio-ffmpeg.

    Example:
        >>> import tempfile
        >>> frames = np.random.default_rng(0).random((3, 8, 8, 3))
        >>> save_film(tempfile.mkdtemp() + "/noise.gif", frames).name
        'noise.gif'
    """
    path = Path(path)
    check_film(path, fps)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"A film needs at least one frame. Received: none for {path}")
    size = np.shape(first)[:2]
    frames = (_levels(frame, size) for frame in itertools.chain([first], frames))
    if path.suffix.lower() == ".gif":
        with atomic_write(path) as file:
            _write_gif(file, frames, size, fps)
        return path
    with VideoWriter(path, fps, size) as video:
        for frame in frames:
            video.write(frame)
    return path


def _write_gif(file, frames, size, fps):
    # By hand, because Pillow's `save_all` holds every frame until the last has come.
    from PIL import GifImagePlugin, Image

    height, width = size
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
    file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", 0, 0))  # a loop without end
    for frame in frames:
        # Each with colours of its own: one palette for all would show in smooth places.
        picture = Image.fromarray(frame).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
        duration = round(100 / fps) * 10
        blocks = GifImagePlugin.getdata(picture, duration=duration, include_color_table=True)
        file.writelines(blocks)
    file.write(b";")


def _levels(frame, size):
    frame = np.asarray(frame)
    if frame.shape[:2] != size:
        raise ValueError(
            f"All frames of a film must have one size, {size} so far. Received: shape {frame.shape}"
        )
    if frame.shape[-1] == 1:
        frame = frame.repeat(3, axis=-1)
    if frame.dtype == np.uint8:
        return frame
    return np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8)
