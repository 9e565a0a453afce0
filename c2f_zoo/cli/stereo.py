"""`c2f stereo`: the disparity of a rectified pair of images, and the points in space."""

import time
from pathlib import Path

from c2f_zoo.cli.common import (
    DEFAULT_STEREO_PRESET,
    CommandError,
    UsageError,
    add_align_corners,
    add_max_disparity,
    check_folder_is_writable,
    check_inputs_survive,
    load_stereo_model,
    note,
    positive_number,
    say,
)

EXAMPLES = """written into the output folder (c2f_stereo/ unless -o says another):
  left.pfm            the disparity: what is at column x of the left image is at x - disparity of
                      the right one, in pixels
  left_kitti.png      the same as 16-bit png, disparity times 256; not written where one is beyond
                      255.996 pixels, which it cannot hold
  left_disparity.png  as a picture: dark blue is far, red is near
  left.ply            the points in space, in colour, where the cameras are known: by --calib, or by
                      --focal-length and --baseline
with --confidence, from the disparity of the right image, which takes twice the time:
  left_confidence.png  white where both agree, darker where less sure
  left_occlusion.png   white where they differ by more than a pixel: hidden in the right image,
                       or wrong

examples:
  c2f stereo left.png right.png -o out/
  c2f stereo im0.png im1.png --calib calib.txt
  c2f stereo l.png r.png --focal-length 721.5 --baseline 0.54 --preset ./psmnet.official"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "stereo",
        help="disparity and depth from two images side by side",
        description="Estimate the disparity of a rectified stereo pair.",
        epilog=EXAMPLES,
    )
    parser.add_argument("left", metavar="LEFT", help="image of the left camera")
    parser.add_argument("right", metavar="RIGHT", help="image of the right camera, of one size")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="folder to write to")
    parser.add_argument(
        "--preset",
        default=DEFAULT_STEREO_PRESET,
        help="model: a name (see c2f models), a folder (see c2f convert), hf://owner/repo or the "
        "authors' file of weights of psmnet (default: %(default)s)",
    )
    add_max_disparity(parser)
    add_align_corners(parser)
    parser.add_argument(
        "--color-range",
        type=positive_number,
        metavar="PX",
        help="disparity in pixels that gets the last colour, 0 the first (default: of the image)",
    )
    parser.add_argument(
        "--confidence", action="store_true", help="check by the disparity of the right image"
    )
    cameras = parser.add_argument_group("the cameras, for a point cloud")
    cameras.add_argument("--calib", metavar="FILE", help="a calib.txt of Middlebury or ETH3D")
    cameras.add_argument(
        "--focal-length", type=positive_number, metavar="PX", help="focal length in pixels"
    )
    cameras.add_argument(
        "--baseline",
        type=positive_number,
        metavar="B",
        help="distance of the cameras; the points get its unit",
    )
    parser.add_argument("--quiet", action="store_true", help="no report")
    return parser


def run(arguments):
    """Do what the command line says.

    Args:
        arguments: Namespace of the verb's parser.

    Raises:
        CommandError: The inputs or the output cannot be used.
    """
    from c2f_zoo.data.files.disparity import holds_disparity
    from c2f_zoo.data.files.images import check_same_size, load_image

    paths = [Path(path).expanduser() for path in (arguments.left, arguments.right)]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise CommandError(f"An input is not a file. Received: {', '.join(missing)}")
    calibration = _calibration(arguments)
    left, right = map(load_image, paths)
    check_same_size(left, right, tuple(map(str, paths)))
    folder = Path(arguments.output or "c2f_stereo").expanduser()
    if folder.suffix.lower() in (".pfm", ".png", ".ply") and not folder.is_dir():
        raise UsageError(f"-o names a folder. Received: {folder}")
    stem = folder / paths[0].stem
    suffixes = _suffixes(calibration, arguments.confidence)
    files = {kind: f"{stem}{suffix}" for kind, suffix in suffixes.items()}
    check_inputs_survive(files.values(), paths)
    check_folder_is_writable(folder)
    model = load_stereo_model(arguments.preset, arguments.max_disparity, arguments.align_corners)

    start = time.perf_counter()
    if arguments.confidence:
        disparity, *checked = model.disparity(left, right, confidence=True)
    else:
        disparity, checked = model.disparity(left, right), ()
    seconds = time.perf_counter() - start

    if not holds_disparity(disparity):
        note(
            f"{files.pop('kitti')} is not written: a 16-bit png holds disparities up to 255.996. "
            f"Received: {disparity.max():.6g}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(files, left, disparity, checked, calibration, arguments.color_range)
    if not arguments.quiet:
        height, width = disparity.shape[:2]
        say(
            *files.values(),
            f"disparity: {disparity.min():.2f} to {disparity.max():.2f} px",
            *(f"confirmed: {1 - occlusion.mean():.1%}" for occlusion in checked[1:]),
            f"time: {seconds:.2f} s for {width}x{height} with {arguments.preset} "
            "(the first call at a size includes compilation)",
        )


def _suffixes(calibration, confidence):
    suffixes = {"picture": "_disparity.png", "pfm": ".pfm", "kitti": "_kitti.png"}
    if confidence:
        suffixes |= {"confidence": "_confidence.png", "occlusion": "_occlusion.png"}
    return suffixes | ({"points": ".ply"} if calibration else {})


def _calibration(arguments):
    """The calibration that the command line gives, or None."""
    from c2f_zoo.data.stereo.calibration import Calibration, read_calibration

    given = [arguments.focal_length, arguments.baseline]
    if arguments.calib:
        if any(given):
            raise UsageError("Give --calib, or --focal-length and --baseline. Received: both")
        return read_calibration(Path(arguments.calib).expanduser())
    if any(given) and not all(given):
        raise UsageError("A point cloud needs --focal-length and --baseline. Received: one of them")
    return Calibration(*given) if all(given) else None


def _write(files, left, disparity, checked, calibration, color_range):
    from c2f_zoo.data.files.disparity import write_disparity
    from c2f_zoo.data.files.images import save_image
    from c2f_zoo.data.files.ply import write_ply
    from c2f_zoo.data.stereo.picture import disparity_picture

    limits = (0, color_range) if color_range else None
    save_image(files["picture"], disparity_picture(disparity, limits))
    for kind in {"pfm", "kitti"} & set(files):
        write_disparity(files[kind], disparity)
    for kind, image in zip(("confidence", "occlusion"), checked, strict=False):
        save_image(files[kind], image)
    if calibration:
        points = calibration.points(disparity)
        write_ply(files["points"], points.reshape(-1, 3), left.reshape(-1, 3))
