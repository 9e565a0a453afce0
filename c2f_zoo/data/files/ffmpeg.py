"""The ffmpeg program as a decoder and an encoder of raw RGB frames.

imageio-ffmpeg says where the program is and installs it with pip. It is started from here and
not through imageio-ffmpeg's own functions, which report neither ffmpeg's exit status nor its
messages when writing, and which fork in a way that JAX warns about.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np

# A process group of its own, so that ctrl-C reaches Python, which then ends ffmpeg as it sees
# fit: an encoder is to finish its file.
_OWN_GROUP = (
    {"process_group": 0}
    if os.name == "posix"
    else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
)


def program():
    """Find the path of the ffmpeg program."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError(
            'Reading or writing a video needs imageio-ffmpeg: pip install "c2f_zoo[video]" '
            f"(a folder of images needs no extra). Received: {error}"
        ) from error
    return imageio_ffmpeg.get_ffmpeg_exe()


def describe(path):
    """Return the rate of a video and its estimated number of frames, each None where unknown."""
    text = _description(path)
    stream = re.search(r"Stream #.*Video:.*", text)
    # ffmpeg shows text files as a video of a terminal.
    if stream is None or "Video: ansi" in stream.group():
        raise _unreadable(path, text)
    rate = re.search(r"([\d.]+) fps", stream.group()) or re.search(r"([\d.]+) tbr", stream.group())
    fps = (_exact_rate(float(rate.group(1))) or None) if rate else None
    duration = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text)
    if not (fps and duration):
        return fps, None
    hours, minutes, seconds = (float(part) for part in duration.groups())
    return fps, max(1, round((3600 * hours + 60 * minutes + seconds) * fps))


def has_sound(path):
    """Tell whether a video has a track of sound."""
    return re.search(r"Stream #.*Audio:", _description(path)) is not None


def _description(path):
    # Without an output ffmpeg only describes the file, and exits with 1.
    command = [program(), "-hide_banner", "-nostdin", "-i", str(Path(path).resolve())]
    finished = subprocess.run(command, capture_output=True, check=False, **_OWN_GROUP)
    return finished.stderr.decode(errors="replace")


def _exact_rate(fps):
    """Undo the rounding to two digits of a rate such as 24000/1001, which sound would outrun."""
    exact = round(fps) * 1000 / 1001
    return exact if fps % 1 and abs(fps - exact) < 0.006 else fps


def decode(path):
    """Decode a video frame by frame: uint8 arrays (H, W, 3), RGB, upright.

    A damaged video gives the frames that ffmpeg gets out of it, and a warning.
    """
    # A stream of PPM images: each carries its own size, so rotated videos need no care.
    command = [program(), "-v", "error", "-nostdin", "-i", str(Path(path).resolve())]
    command += ["-map", "0:v:0", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages, **_OWN_GROUP)
        try:
            number = 0
            while (frame := _read_ppm(process.stdout)) is not None:
                number += 1
                yield frame
            status, text = process.wait(), _text(messages)
            if not number and status:
                raise _unreadable(path, text)
            if text.strip():
                reason = _last_line(text)
                warnings.warn(f"{path} is damaged after frame {number} ({reason})", stacklevel=2)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


class Encoder:
    """A running ffmpeg that encodes frames of `size` (height, width) into a video file.

    The file is incomplete until `finish` returns; its folder is created. Odd sizes gain one row or
    column, a repeated one, because the chroma of common video is stored at half the resolution.
    `sound` is None, or the path of a video whose sound, if it has any, goes in.
    """

    def __init__(self, path, fps, size, sound=None):
        height, width = size
        self._path, self._odd = Path(path), (height % 2, width % 2)
        command = [program(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{width + width % 2}x{height + height % 2}", "-r", f"{fps:.9g}"]
        command += ["-i", "-"]
        if sound is not None:
            # As it is where the kind of file is the same, else in the codec usual for the new one.
            same = self._path.suffix.lower() == Path(sound).suffix.lower()
            command += ["-i", str(Path(sound).resolve()), "-map", "0:v:0", "-map", "1:a?"]
            command += ["-c:a", "copy"] if same else []
        command += [*_codec(), "-pix_fmt", "yuv420p"]
        if self._path.suffix.lower() == ".avi":
            # It has no times of display: beside sound, frames out of order would delay the rest.
            command += ["-bf", "0"]
        # Say which matrix turns the colours into YUV and back: players guess differently.
        command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-color_range", "tv"]
        command += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
        if self._path.suffix.lower() in (".mp4", ".m4v", ".mov"):
            command += ["-movflags", "+faststart"]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._messages = tempfile.TemporaryFile()  # closed by discard()
        self._process = subprocess.Popen(
            [*command, str(self._path.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
            **_OWN_GROUP,
        )

    def write(self, frame):
        """Append one frame, uint8 (H, W, 3) RGB; an `OSError` carries ffmpeg's own message."""
        if any(self._odd):
            frame = np.pad(frame, ((0, self._odd[0]), (0, self._odd[1]), (0, 0)), mode="edge")
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except OSError as error:
            raise self._failure() from error

    def finish(self):
        """Wait until the file is complete; an `OSError` carries ffmpeg's own message."""
        try:
            self._process.stdin.close()
        except OSError as error:
            raise self._failure() from error
        if self._process.wait():
            raise self._failure()

    def move_to(self, destination):
        """Give the finished file its name; a file there is replaced."""
        os.replace(self._path, destination)

    def discard(self):
        """End ffmpeg and remove the file, unless it was moved. May be called at any time."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # what ffmpeg had not read is gone with it
            self._process.stdin.close()
        self._messages.close()
        self._path.unlink(missing_ok=True)

    def _failure(self):
        self._process.wait()
        reason = _last_line(_text(self._messages))
        return OSError(f"ffmpeg could not write the video. Received from it: {reason}")


def _codec():
    """The codec's arguments: H.264, or the MPEG-4 that every ffmpeg has."""
    command = [program(), "-hide_banner", "-encoders"]
    listed = subprocess.run(command, capture_output=True, check=False, **_OWN_GROUP)
    if b" libx264 " in listed.stdout:
        return ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18"]
    return ["-c:v", "mpeg4", "-q:v", "3"]


def _read_ppm(stream):
    """Read one binary PPM image as uint8 (H, W, 3); `None` at the end of the stream."""
    if not stream.readline().startswith(b"P6"):
        return None
    width, height = (int(part) for part in stream.readline().split())
    stream.readline()  # the largest value, 255
    data = stream.read(3 * width * height)
    if len(data) < 3 * width * height:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _unreadable(path, messages):
    reason = _last_line(messages)
    return ValueError(f"Expected a video that ffmpeg can read ({reason}). Received: {path}")


def _text(messages):
    messages.seek(0)
    return messages.read().decode(errors="replace")


def _last_line(messages):
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    # The complaint about the missing output comes last when ffmpeg only describes a file.
    lines = [line for line in lines if not line.startswith("At least one output")]
    return lines[-1] if lines else "it gave no reason"
