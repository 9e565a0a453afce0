"""Shared parts of the verbs that make a clip from a clip: its name, its end on ctrl-C."""

import contextlib
from pathlib import Path

from c2f_zoo.cli.common import CommandError, UsageError, note


def check_is_clip(source, why):
    """Raise a UsageError that begins with `why` if the input is a single image."""
    from c2f_zoo.data.files.video import IMAGE_SUFFIXES

    if source.is_file() and source.suffix.lower() in IMAGE_SUFFIXES:
        raise UsageError(f"{why} a video or a folder. Received: {source}")


def clip_output(source, given, images, ending):
    """Return the path of the video, or with `images` of the folder, that is written.

    Args:
        source: Path of the clip.
        given: What `-o` says, the name of a video or a folder for it, or None.
        images: Whether a folder of pictures is written.
        ending: What the clip's name gets, such as `"flow"`.
    """
    from c2f_zoo.data.files.video import WRITABLE_VIDEO_SUFFIXES

    if source.name in ("", ".."):  # of `c2f flow .`
        source = source.resolve()
    name = f"{source.name if source.is_dir() else source.stem}_{ending}"
    given = Path(given).expanduser() if given else None
    if given and given.suffix.lower() in WRITABLE_VIDEO_SUFFIXES and not given.is_dir():
        if images:
            raise UsageError(f"--images writes a folder, not a video. Received: -o {given}")
        return given
    if given and given.suffix.lower() in (".gif", ".webm", ".wmv", ".mpg", ".mpeg", ".ogv"):
        raise UsageError(
            f"A video is written as {', '.join(WRITABLE_VIDEO_SUFFIXES)}. Received: -o {given}"
        )
    folder = given or source.parent
    return folder / (name if images else f"{name}.mp4")


def check_ffmpeg():
    """Raise a CommandError unless videos can be written."""
    from c2f_zoo.data.files import ffmpeg

    try:
        ffmpeg.program()
    except ImportError as error:
        raise CommandError(f"{error}. With --images no video is written") from error


@contextlib.contextmanager
def writing(writer):
    """Open a `VideoWriter`; on ctrl-C say where what is done so far is."""
    try:
        with writer:
            yield writer
    except KeyboardInterrupt:
        if writer.result:
            note(f"the {writer.written} frames done so far are in {writer.result}")
        raise
