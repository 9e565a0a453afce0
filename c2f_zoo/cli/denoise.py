"""`c2f denoise`: remove the noise of photographs, or of a video."""

import time
from pathlib import Path

from c2f_zoo.cli import restoring
from c2f_zoo.cli.clips import clip_output, writing
from c2f_zoo.cli.common import (
    DEFAULT_FLOW_PRESET,
    UsageError,
    check_folder_is_writable,
    check_inputs_survive,
    load_flow_model,
    number_type,
    progress,
    say,
)

_ABOUT_CLIPS = """
A video gives NAME_denoised.mp4, with its sound: frames are steadied by those before them, along the
optical flow, so that they do not flicker.
"""

EXAMPLES = """\
  c2f denoise photo.jpg                   writes photo_denoised.png
  c2f denoise photos/ -o clean/ --format jpg --quality 90
  c2f denoise 'photos/*.jpg' --side-by-side
  c2f denoise scan.tif --tile 512 --overlap 64
  c2f denoise clip.mp4                    writes clip_denoised.mp4
  c2f denoise clip.mp4 --strength 0.9 -o clean.mp4"""

_OF_PHOTOGRAPHS = ("format", "side_by_side", "overwrite")
_OF_CLIPS = ("strength", "flow_preset")
_STRENGTH = 0.8


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = restoring.add_parser(
        verbs,
        "denoise",
        "remove the noise of photographs, or of a video",
        "Remove the noise of photographs, or of a video.",
        EXAMPLES,
        _ABOUT_CLIPS,
    )
    clip = parser.add_argument_group("for a video")
    clip.add_argument(
        "--strength",
        type=number_type(float, "number from 0 to below 1", least=0, most=0.999),
        metavar="S",
        help=f"largest weight of the frame before; 0: frame by frame (default: {_STRENGTH})",
    )
    clip.add_argument(
        "--flow-preset",
        metavar="PRESET",
        help=f"model of the optical flow (default: {DEFAULT_FLOW_PRESET})",
    )
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    path = Path(arguments.inputs[0]).expanduser()
    if len(arguments.inputs) == 1 and path.is_file() and restoring.is_video(path):
        return _denoise_clip(path, arguments)
    _refuse(arguments, _OF_CLIPS, "for a video. Received: images")
    return restoring.run(arguments, "denoise", {"time": arguments.time})


def _refuse(arguments, names, reason):
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value is not False:
            raise UsageError(f"--{name.replace('_', '-')} is {reason}")


def _denoise_clip(source, arguments):
    from c2f_zoo.data.files.video import VideoWriter, read_frames
    from c2f_zoo.tasks.restoration import restore_stream

    _refuse(arguments, _OF_PHOTOGRAPHS, "for images. Received: a video")
    output = clip_output(source, arguments.output, False, "denoised")
    frames = read_frames(source)
    size = next(iter(frames)).shape[:2]
    check_inputs_survive([output], [source])
    check_folder_is_writable(output.parent)
    model = restoring.load_restoration_model(arguments.preset, "restore")
    strength = _STRENGTH if arguments.strength is None else arguments.strength
    flow_model = load_flow_model(arguments.flow_preset or DEFAULT_FLOW_PRESET) if strength else None
    options = {"time": arguments.time, "tile": arguments.tile, "overlap": arguments.overlap}

    start = time.perf_counter()
    with (
        writing(VideoWriter(output, frames.fps, size, sound=source)) as video,
        progress(frames.count, "frame", arguments.quiet) as bar,
    ):
        for frame in restore_stream(model, flow_model, frames, strength, **options):
            video.write(frame)
            bar.update()
    seconds = time.perf_counter() - start
    if not arguments.quiet:
        say(
            f"{output}  {video.written} frames of {size[1]}x{size[0]}, {frames.fps:g} a second",
            f"time: {seconds:.1f} s, {video.written / seconds:.2f} frames per second with "
            f"{arguments.preset}",
        )
