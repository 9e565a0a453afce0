"""Frames from a video or a folder of images, one at a time, and pictures back into a video.

Videos are decoded and encoded by ffmpeg, which the package imageio-ffmpeg brings along
(`pip install "c2f_zoo[video]"`). Folders of images need only Pillow.
"""

import os
import re
import shutil
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files import ffmpeg
from c2f_zoo.data.files.atomic import remove_abandoned, temporary_beside
from c2f_zoo.data.files.checks import regular_file

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
WRITABLE_VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4")
VIDEO_SUFFIXES = (*WRITABLE_VIDEO_SUFFIXES, ".mpeg", ".mpg", ".ogv", ".webm", ".wmv")

# Folders of images carry no rate; this is the rate of film, and of MPI-Sintel.
DEFAULT_FPS = 24.0


def read_frames(source, fps=None, min_frames=1):
    """Open a video or a folder of images for reading, frame by frame.

    Args:
        source: Path of a video file, or of a folder of images, which are taken in natural order of
            their names (`frame_2.png` before `frame_10.png`); other and hidden files are passed
            over.
        fps: Frames per second to report. Default: the video's own; 24 for a folder.
        min_frames: Fewer frames than this are an error, found on opening for a folder, at the
            end of the iteration for a video.

    Returns:
        `Frames`: iterate over it (as often as you like) for float32 arrays of shape (H, W, 3),
        RGB in [0, 1].

    Raises:
        FileNotFoundError: If there is nothing at `source`.
        ImportError: If a video is to be read and imageio-ffmpeg is not installed.
        ValueError: If there are too few frames, `source` is not a video ffmpeg can read, or
            the frames differ in size.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data import save_image
        >>> folder = tempfile.mkdtemp()
        >>> save_image(folder + "/0.png", np.zeros((6, 8, 3)))
        >>> [frame.shape for frame in read_frames(folder)]
        [(6, 8, 3)]
    """
    if fps is not None:
        checks.number("fps", fps, above=0)
    if os.path.isdir(source):
        return _folder_frames(Path(source), fps, min_frames)
    path = regular_file(source, "a video or a folder of images")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        received = f"{path}, a single image"
        raise ValueError(f"Expected a video or a folder of images. Received: {received}")
    return _video_frames(path, fps, min_frames)


class Frames:
    """Frames of one size in order, decoded only when asked for; made by `read_frames`.

    Iterating gives float32 arrays of shape (H, W, 3), RGB in [0, 1]. `count` is exact for a folder,
    estimated for a video, None where the video does not say; `decode()` yields (name, frame).
    """

    def __init__(self, source, fps, count, decode, min_frames=1):
        self.source, self.fps, self.count = Path(source), float(fps), count
        self._decode, self._min_frames = decode, min_frames

    def __length_hint__(self):
        return self.count or 0

    def __iter__(self):
        shape, given = None, 0
        for name, frame in self._decode():
            shape = shape or frame.shape
            if frame.shape != shape:
                raise ValueError(
                    f"All frames must have one size, here {shape[1]}x{shape[0]}. "
                    f"Received: {name} of {frame.shape[1]}x{frame.shape[0]}"
                )
            given += 1
            yield frame
        check_frame_count(given, self._min_frames, self.source)


def check_frame_count(number, needed, source):
    """Raise a `ValueError` if fewer frames than needed were found in `source`."""
    if number < needed:
        raise ValueError(
            f"Expected at least {needed} frame{'s' if needed > 1 else ''}. "
            f"Received: {number or 'none'} in {source}"
        )


def _folder_frames(folder, fps, min_frames):
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    paths = [path for path in visible if path.suffix.lower() in IMAGE_SUFFIXES]
    paths.sort(key=lambda path: natural_key(path.name))
    check_frame_count(len(paths), min_frames, folder)

    def decode():
        from c2f_zoo.data.files.images import load_image

        for path in paths:
            yield path.name, load_image(path)

    return Frames(folder, fps or DEFAULT_FPS, len(paths), decode, min_frames)


def _video_frames(path, fps, min_frames):
    own_fps, count = ffmpeg.describe(path)

    def decode():
        for number, frame in enumerate(ffmpeg.decode(path), start=1):
            yield f"frame {number}", frame.astype(np.float32) / np.float32(255)

    return Frames(path, fps or own_fps or DEFAULT_FPS, count, decode, min_frames)


class VideoWriter:
    """Write pictures, one after the other, as a video or as a folder of numbered png files.

    Use it as a context manager. Until the end everything goes to a temporary name beside the
    destination, which is replaced only by a complete result. On ctrl-C what was written so far
    is kept as a playable part (`clip.part.mp4`, or the folder `clip.part`); on any other error
    nothing is kept.

    Args:
        path: Destination: `.mp4`, `.m4v`, `.mov`, `.mkv` or `.avi` for a video (needs
            imageio-ffmpeg); without a suffix a folder of `frame_000001.png` and so on. A video
            of that name, or a folder that holds nothing but such frames, is replaced.
        fps: Frames per second, > 0. Ignored for a folder.
        size: (height, width) of the pictures. Odd sizes of a video gain a row or column.
        sound: Path of a video whose sound, if it has any, the new one gets; not for a folder.
            It is copied into a file of the same suffix, and encoded anew for another.

    Attributes:
        written: Number of frames written so far.
        result: Path of what was kept: the destination, the part, or `None`.

    Raises:
        ValueError: If the suffix, the rate or the size cannot be written.
        FileExistsError: If the destination is a folder with other content.
        ImportError: If imageio-ffmpeg is needed and not installed.
        OSError: If the destination cannot be written, or ffmpeg fails.

    Example:
        >>> import tempfile
        >>> with VideoWriter(tempfile.mkdtemp() + "/frames", fps=24, size=(6, 8)) as video:
        ...     video.write(np.zeros((6, 8, 3), np.float32))
        >>> video.written
        1
    """

    def __init__(self, path, fps, size, sound=None):
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix and suffix not in WRITABLE_VIDEO_SUFFIXES:
            raise ValueError(
                f"path must end with one of {', '.join(WRITABLE_VIDEO_SUFFIXES)}, or have no "
                f"suffix for a folder of frames. Received: {self.path}"
            )
        if sound is not None and not suffix:
            raise ValueError(f"A folder of frames has no sound. Received: sound={sound!r}")
        self.fps = checks.number("fps", fps, above=0)
        self.size = checks.whole_pair("size", size, least=1)
        self.written, self.result = 0, None
        remove_abandoned(self.path.parent)
        temporary = temporary_beside(self.path, suffix)
        if suffix:
            if self.path.is_dir():
                received = f"{self.path}, a folder"
                raise FileExistsError(f"Expected the name of a file. Received: {received}")
            self._sink = ffmpeg.Encoder(temporary, self.fps, self.size, sound)
        else:
            _check_replaceable(self.path)
            self._sink = _FolderSink(temporary)

    def write(self, picture):
        """Append one picture.

        Args:
            picture: Array of shape (H, W, 3), RGB: float in [0, 1] (clipped to it), or uint8.
        """
        shape = (*self.size, 3)
        picture = checks.shape("picture", np.asarray(picture), str(shape), shape)
        if picture.dtype != np.uint8:
            picture = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
        self._sink.write(picture)
        self.written += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if self.written and (kind is None or interrupted):
                self._sink.finish()
                part = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
                destination = part if interrupted else self.path
                self._sink.move_to(destination)
                self.result = destination
        finally:
            self._sink.discard()
        if kind is None and not self.written:
            raise ValueError(f"A video needs at least 1 frame. Received: none for {self.path}")


class _FolderSink:
    """A temporary folder that fills with numbered png files."""

    def __init__(self, path):
        self._path, self._complete = path, 0
        path.mkdir(parents=True)

    def _file(self, number):
        return self._path / f"frame_{number:06d}.png"

    def write(self, picture):
        from PIL import Image

        Image.fromarray(picture).save(self._file(self._complete + 1))
        self._complete += 1

    def finish(self):
        # Ctrl-C may have come in the middle of a file.
        self._file(self._complete + 1).unlink(missing_ok=True)

    def move_to(self, destination):
        _check_replaceable(destination)
        shutil.rmtree(destination, ignore_errors=True)
        os.replace(self._path, destination)

    def discard(self):
        shutil.rmtree(self._path, ignore_errors=True)


def natural_key(name):
    """Sorting key of file names that puts `frame_2` before `frame_10`."""
    # Every second part is a run of digits, so that keys compare number with number. The name
    # itself decides between `f1` and `f01`.
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _check_replaceable(folder):
    if folder.is_dir():
        foreign = [
            p.name for p in folder.iterdir() if not re.fullmatch(r"frame_\d{6}\.png", p.name)
        ]
        if not foreign:
            return
        raise FileExistsError(
            f"Only a folder of nothing but earlier frames is replaced. Received: {folder}, which "
            f"holds {foreign[0]}"
        )
    if folder.exists():
        raise FileExistsError(f"Expected the name of a folder. Received: {folder}, a file")
