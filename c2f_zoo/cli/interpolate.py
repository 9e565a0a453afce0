"""`c2f interpolate`: slow motion, or a higher rate, by frames between the frames of a clip."""

import time
from pathlib import Path

from c2f_zoo.cli.clips import check_ffmpeg, check_is_clip, clip_output, writing
from c2f_zoo.cli.common import (
    DEFAULT_FLOW_PRESET,
    CommandError,
    UsageError,
    add_iterations,
    check_folder_is_writable,
    check_inputs_survive,
    load_flow_model,
    note,
    number_type,
    positive_number,
    progress,
    say,
    set_iterations,
)

EXAMPLES = """N frames give (N - 1) * factor + 1; the clip's own frames are among them as they are.
Between two frames whose motion is not found, such as at a cut, the nearer one is repeated.
In slow motion the sound is left out; with --keep-duration it is kept, and the last frame is held
so that the clip is as long as before.

examples:
  c2f interpolate clip.mp4                    writes clip_interpolated.mp4, twice as slow
  c2f interpolate clip.mp4 --factor 4 -o slow.mp4
  c2f interpolate clip.mp4 --keep-duration    as fast as before, twice the rate, with its sound
  c2f interpolate frames/ --images            writes frames_interpolated/frame_000001.png, ...
  c2f interpolate frames/ --fps 12 --factor 2 --keep-duration -o smooth.mp4"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "interpolate",
        help="slow motion: frames between the frames of a video",
        description="Compute the frames between those of a video or folder, by optical flow.",
        epilog=EXAMPLES,
    )
    parser.add_argument("clip", metavar="INPUT", help="a video; or a folder of frames")
    parser.add_argument("-o", "--output", metavar="PATH", help="the video, or a folder for it")
    parser.add_argument(
        "--factor",
        type=number_type(int, "whole number of at least 2", least=2),
        default=2,
        metavar="N",
        help="N - 1 new frames between any two (default: %(default)s)",
    )
    parser.add_argument(
        "--keep-duration",
        action="store_true",
        help="N times the rate and the sound, rather than N times the length",
    )
    parser.add_argument(
        "--preset",
        default=DEFAULT_FLOW_PRESET,
        help="model: a name (see c2f models), a folder or hf://owner/repo (default: %(default)s)",
    )
    add_iterations(parser)
    parser.add_argument(
        "--images", action="store_true", help="write a folder of png files rather than a video"
    )
    parser.add_argument(
        "--fps",
        type=positive_number,
        help="frames per second that the clip is taken to have (default: its own; 24 for a folder)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no report")
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    from c2f_zoo.data.files.video import VideoWriter, read_frames

    source = Path(arguments.clip).expanduser()
    if not source.exists():
        raise CommandError(f"The input does not exist. Received: {source}")
    check_is_clip(source, "One image has nothing between: give")
    if arguments.keep_duration and arguments.fps and not source.is_dir():
        raise UsageError("--keep-duration keeps a video's own rate. Received: --fps as well")
    output = clip_output(source, arguments.output, arguments.images, "interpolated")
    frames = read_frames(source, fps=arguments.fps, min_frames=2)
    size = next(iter(frames)).shape[:2]
    check_inputs_survive([output], [source])
    check_folder_is_writable(output.parent)
    if not arguments.images:
        check_ffmpeg()
    sound = _sound(source, arguments)
    model = load_flow_model(arguments.preset)
    set_iterations(model, arguments)

    start = time.perf_counter()
    fps = frames.fps * (arguments.factor if arguments.keep_duration else 1)
    with writing(VideoWriter(output, fps, size, sound)) as video:
        _write(video, model, frames, arguments)
    seconds = time.perf_counter() - start
    if not arguments.quiet:
        say(
            f"{output}  {video.written} frames of {size[1]}x{size[0]}, {fps:g} a second",
            f"time: {seconds:.1f} s, {video.written / seconds:.2f} frames per second with "
            f"{arguments.preset}",
        )


def _sound(source, arguments):
    """Path of the video whose sound is kept, or None; a note says so where it is lost."""
    from c2f_zoo.data.files import ffmpeg

    if source.is_dir() or not ffmpeg.has_sound(source):
        return None
    if arguments.keep_duration and not arguments.images:
        return source
    if not arguments.quiet:
        note(
            "the sound is left out: "
            + ("--images writes no video" if arguments.images else "slow motion has none")
        )
    return None


def _write(video, model, frames, arguments):
    from c2f_zoo.tasks.interpolation import interpolate_stream

    factor = arguments.factor
    held = factor - 1 if arguments.keep_duration else 0
    total = (frames.count - 1) * factor + 1 + held if frames.count else None
    with progress(total, "frame", arguments.quiet) as bar:
        for frame in interpolate_stream(model, frames, factor):
            video.write(frame)
            bar.update()
        for _ in range(held):
            video.write(frame)
            bar.update()
