"""`c2f flow`: the motion between two images, or through a clip."""

import collections
import importlib.resources
import inspect
import math
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
    positive_count,
    positive_number,
    progress,
    say,
    say_contents,
    set_iterations,
)
from c2f_zoo.cli.flow_files import (
    FLOW_FILES,
    asked_check,
    check_files,
    check_options,
    note_lost,
    parts,
    summary,
    write_checks,
    write_flow,
)

EXAMPLES = """two frames give, in the output folder (c2f_flow/ unless -o says another):
  a.flo          the flow from a to b: for each pixel of a its motion (u, v) in pixels
  a_flow.png     the flow as a picture: hue is direction, saturation is speed; with legend
  a_warped.png   b warped back by the flow: a, rebuilt from the pixels of b. Where it differs
                 from a, the flow is wrong or the place is hidden in b; black lies outside b.
with --confidence, from the flow back from b to a, which takes twice the time:
  a_confidence.png  white where both agree, darker where less sure
  a_occlusion.png   white where the way there and back does not return: hidden in b, or wrong
with --uncertainty, of networks that estimate it (RAFT lite):
  a_uncertainty.png  white where the error that the network expects is least, 1 px, darker where
                     it is larger, grey at 2 px; a_uncertainty.pfm has the pixels
a video, or a folder of frames, gives clip_flow.mp4 beside it: frame left, flow right; with
--confidence or --uncertainty this as a third picture, and a file of each beside the flow files.
A KITTI file holds motions below 512 px; where one is larger, its pixel is marked as unknown.

examples:
  c2f flow                                   try it on two frames shipped with the package
  c2f flow a.png b.png -o out/
  c2f flow a.png b.png --format kitti        the flow as 16-bit png (a_kitti.png)
  c2f flow clip.mp4                          writes clip_flow.mp4
  c2f flow frames/ -o out/ --images          writes out/frames_flow/frame_000001.png, ...
  c2f flow clip.mp4 --only-flow --max-magnitude 20 -o flow.mp4
  c2f flow clip.mp4 --preset raft.things --warm-start
  c2f flow clip.mp4 --format flo             also writes clip_flow_files/000001.flo, ..."""

# Several flows at once pay on small frames; on large ones they only take memory.
_PIXELS_AT_ONCE = 2**20
_MOST_AT_ONCE = 8


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "flow",
        help="motion between two images, or through a video",
        description="Estimate optical flow between two images, or through a video or folder.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "frames",
        nargs="*",
        metavar="INPUT",
        help="two images of one size; or a video; or a folder of frames",
    )
    parser.add_argument(
        "-o", "--output", metavar="PATH", help="folder to write to; for a clip also a video's name"
    )
    parser.add_argument(
        "--preset",
        default=DEFAULT_FLOW_PRESET,
        help="model: a name (see c2f models), a folder or hf://owner/repo (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=FLOW_FILES,
        help="format of the flow file (default for two images: flo; for a clip: none is written)",
    )
    parser.add_argument(
        "--max-magnitude",
        type=positive_number,
        metavar="PX",
        help="motion in pixels that gets the full colour (default: the largest one)",
    )
    add_iterations(parser)
    parser.add_argument(
        "--confidence", action="store_true", help="check by the flow of the opposite direction"
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="also write the error that the network expects at each pixel (raft lite)",
    )
    clip = parser.add_argument_group("for a clip")
    clip.add_argument("--only-flow", action="store_true", help="the flow without the frame")
    clip.add_argument(
        "--images", action="store_true", help="write a folder of png files rather than a video"
    )
    clip.add_argument(
        "--warm-start",
        action="store_true",
        help="begin each flow from the one before (raft); frames are computed one at a time",
    )
    fps = "frames per second (default: the clip's; 24)"
    clip.add_argument("--fps", type=positive_number, help=fps)
    clip.add_argument(
        "--batch-size",
        type=positive_count,
        metavar="N",
        help=f"flows computed at once (default: 1 to {_MOST_AT_ONCE}, by the size of the frames)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no report")
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    paths = [Path(path).expanduser() for path in arguments.frames]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise CommandError(f"An input does not exist. Received: {', '.join(missing)}")
    if not paths:
        frames = importlib.resources.files("c2f_zoo") / "assets" / "frames"
        with (
            importlib.resources.as_file(frames / "frame_1.jpg") as first,
            importlib.resources.as_file(frames / "frame_2.jpg") as second,
        ):
            return _flow_of_pair(first, second, arguments)
    if len(paths) == 1:
        return _flow_of_clip(paths[0], arguments)
    if len(paths) == 2:
        return _flow_of_pair(*paths, arguments)
    raise UsageError(
        f"Give two images, or the video or folder of all frames. Received: {len(paths)} inputs"
    )


def _flow_of_pair(first_path, second_path, arguments):
    from c2f_zoo.data.files.images import check_same_size, load_image

    for name in ("only_flow", "images", "fps", "batch_size", "warm_start"):
        if getattr(arguments, name):
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is for a clip. Received: two images")
    first, second = load_image(first_path), load_image(second_path)
    check_same_size(first, second, (str(first_path), str(second_path)))
    folder = Path(arguments.output or "c2f_flow").expanduser()
    if folder.suffix.lower() in (".flo", ".pfm", ".png", ".jpg", ".jpeg") and not folder.is_dir():
        raise UsageError(f"-o names a folder, for three files. Received: {folder}")
    stem = folder / first_path.stem
    files = [f"{stem}{FLOW_FILES[arguments.format or 'flo']}", f"{stem}_flow.png"]
    files.append(f"{stem}_warped.png")
    files += check_files(stem, arguments)
    check_inputs_survive(files, [first_path, second_path])
    check_folder_is_writable(folder)
    model = load_flow_model(arguments.preset)
    set_iterations(model, arguments)
    options = check_options(model, arguments)
    start = time.perf_counter()
    flow, checked = parts(model.flow(first, second, **options), arguments)
    seconds = time.perf_counter() - start
    folder.mkdir(parents=True, exist_ok=True)
    _write_pair(files, second, flow, checked, arguments.max_magnitude)
    if not arguments.quiet:
        height, width = flow.shape[:2]
        contents = [
            f"the flow from {first_path.name} to {second_path.name}",
            "as a picture: hue is direction, saturation is speed",
            f"{second_path.name} warped back by the flow: {first_path.name} rebuilt",
        ]
        if arguments.confidence:
            contents.append("how far the flow back confirms it: white is sure")
            contents.append(f"white: hidden in {second_path.name}, or wrong")
        if arguments.uncertainty:
            contents += ["the errors that the network expects: white is least", "in pixels"]
        say_contents(list(zip(files, contents, strict=False)))
        say(
            f"motion: {_motion(flow)}",
            *summary(checked, arguments),
            f"time: {seconds:.2f} s for {width}x{height} with {arguments.preset} "
            "(the first call at a size includes compilation)",
        )


def _write_pair(files, second, flow, checked, max_magnitude):
    from c2f_zoo.data.files.images import save_image
    from c2f_zoo.data.flow.picture import flow_picture

    flow_file, picture_file, warped_file, *checked_files = files
    save_image(picture_file, flow_picture(flow, max_magnitude=max_magnitude))
    save_image(warped_file, _warp_back(second, flow))
    write_checks(checked_files, checked)
    note_lost(write_flow(flow_file, flow), flow_file)


def _flow_of_clip(source, arguments):
    from c2f_zoo.data.files.video import VideoWriter, read_frames

    check_is_clip(source, "One image has no motion: give two, or")
    output = clip_output(source, arguments.output, arguments.images, "flow")
    flow_folder = output.with_name(f"{output.stem}_files") if arguments.format else None
    frames = read_frames(source, fps=arguments.fps, min_frames=2)
    height, width = next(iter(frames)).shape[:2]
    size = (height, width * _panels(arguments))
    check_inputs_survive([output], [source])
    check_folder_is_writable(output.parent)
    if not arguments.images:
        check_ffmpeg()
    model = load_flow_model(arguments.preset)
    set_iterations(model, arguments)
    options = _stream_options(model, arguments)

    start = time.perf_counter()
    writer = VideoWriter(output, frames.fps, size)
    with writing(writer) as video:
        _write_clip(video, flow_folder, model, frames, options, arguments)
    seconds = time.perf_counter() - start
    if not arguments.quiet:
        if flow_folder:
            say(f"{flow_folder}  {writer.written} flow files")
        say(
            f"{output}  {writer.written} pictures of {size[1]}x{size[0]}, {frames.fps:g} a second",
            f"time: {seconds:.1f} s, {writer.written / seconds:.2f} frames per second with "
            f"{arguments.preset}",
        )


def _panels(arguments):
    """Number of pictures side by side: frame, flow, confidence or uncertainty."""
    return 1 + (not arguments.only_flow) + (asked_check(arguments) is not None)


def _stream_options(model, arguments):
    """Options of the model's `flow_stream` that the command line asks for."""
    options = check_options(model, arguments)
    if arguments.warm_start:
        if "warm_start" not in inspect.signature(model.flow_stream).parameters:
            name = type(model).__name__
            raise UsageError(f"--warm-start is for networks that refine a flow. Received: a {name}")
        options["warm_start"] = True
    return options


def _write_clip(video, flow_folder, model, frames, options, arguments):
    import numpy as np

    from c2f_zoo.data.flow.picture import flow_picture

    lost = 0
    height, width = video.size[0], video.size[1] // _panels(arguments)
    batch_size = arguments.batch_size or _flows_at_once(height, width)
    scale = ColorScale(arguments.max_magnitude)
    total = frames.count - 1 if frames.count else None
    if flow_folder:
        flow_folder.mkdir(parents=True, exist_ok=True)
    with progress(total, "frame", arguments.quiet) as bar:
        for frame, flow in _with_frames(model, frames, batch_size, options):
            flow, checked = parts(flow, arguments)
            pictures = [] if arguments.only_flow else [frame]
            pictures.append(flow_picture(flow, "corner", scale.follow(flow)))
            pictures += [np.repeat(image, 3, axis=-1) for image in checked[:1]]
            video.write(np.concatenate(pictures, axis=1))
            if flow_folder:
                stem = flow_folder / f"{video.written:06d}"
                lost += write_flow(f"{stem}{FLOW_FILES[arguments.format]}", flow)
                write_checks(check_files(stem, arguments), checked)
            bar.update()
    note_lost(lost, flow_folder)


class ColorScale:
    """A colour scale for the flows of a clip that neither saturates nor flickers.

    It follows a faster motion at once and a slower one gradually. A few wild pixels do not set
    it: it looks at the motion that 99.5 % of the pixels stay below. `fixed`, in pixels, is kept.
    """

    _SHARE, _RELEASE, _SMALLEST = 99.5, 0.95, 0.5

    def __init__(self, fixed=None):
        self._fixed, self._value = fixed, 0.0

    def follow(self, flow):
        """Return the motion in pixels that gets the full colour in this flow (H, W, 2)."""
        import numpy as np

        if self._fixed:
            return self._fixed
        speed = float(np.percentile(np.hypot(flow[..., 0], flow[..., 1]), self._SHARE))
        if not math.isfinite(speed):
            speed = 0.0
        # A still clip would otherwise show its noise in full colour.
        self._value = max(speed, self._RELEASE * self._value, self._SMALLEST)
        return self._value


def _with_frames(model, frames, batch_size, options):
    """Yield each flow with the frame it starts from; frames are read as they are needed."""
    waiting = collections.deque()

    def remembered():
        for frame in frames:
            waiting.append(frame)
            yield frame

    for flow in model.flow_stream(remembered(), batch_size=batch_size, **options):
        yield waiting.popleft(), flow


def _flows_at_once(height, width):
    return max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (height * width)))


def _warp_back(second, flow):
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.layers import warp

    # Rounding may leave the range by a hair.
    return to_numpy(warp(second[None], flow[None])).astype("float32")[0].clip(0, 1)


def _motion(flow):
    import numpy as np

    length = np.hypot(flow[..., 0], flow[..., 1])
    return f"mean {length.mean():.2f} px, largest {length.max():.2f} px"
