"""`c2f depth`: the depth of images, as files of metres and as pictures."""

import time
from pathlib import Path

from c2f_zoo.cli.common import (
    DEFAULT_DEPTH_PRESET,
    CommandError,
    UsageError,
    check_folder_is_writable,
    check_inputs_survive,
    load_depth_model,
    positive_number,
    progress,
    say,
)
from c2f_zoo.cli.restoring import (
    check_any_is_image,
    find_inputs,
    process_each,
    report_failures,
)

# What is added to a file's name; files that end with the second are left out as earlier results.
PICTURE, MAP = "_coloured_depth", "_depth"
FORMATS = ("png", "npy", "pfm")

EXAMPLES = """inputs: images, folders with their subfolders, quoted patterns such as 'photos/*.jpg'
written into the output folder (c2f_depth/ unless -o says another), for each image NAME:
  NAME_depth.png           16-bit grey, the depth in millimetres (up to 65.535 m), or with --scale N
                           in 1 / N metres; with --format npy or pfm in metres, without a limit
  NAME_coloured_depth.png  as a picture: red is near, dark blue is far
Files that cannot be read are named, the others processed, and the exit status is 1.

examples:
  c2f depth photo.jpg -o out/
  c2f depth photos/ -o out/ --format npy --preset ./my_depth
  c2f depth a.png --near 0.5 --far 8    colours that can be compared"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "depth",
        help="depth from single images",
        description="Estimate the depth of images, each by itself.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="IMAGE", help="images, folders, or quoted patterns"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="folder to write to")
    parser.add_argument(
        "--preset",
        default=DEFAULT_DEPTH_PRESET,
        help="model: a name (see c2f models), a folder or hf://owner/repo (default: %(default)s)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="png", help="of the depth maps (default: %(default)s)"
    )
    parser.add_argument(
        "--scale",
        type=positive_number,
        default=1000.0,
        metavar="N",
        help="steps of a png in a metre (default: %(default)g, millimetres)",
    )
    parser.add_argument(
        "--near", type=positive_number, metavar="M", help="depth in metres of the last colour"
    )
    parser.add_argument(
        "--far",
        type=positive_number,
        metavar="M",
        help="depth of the first colour (default of both: of each image)",
    )
    parser.add_argument("--quiet", action="store_true", help="no report")
    return parser


def run(arguments):
    """Do what the command line says.

    Args:
        arguments: Namespace of the verb's parser.

    Returns:
        Exit status: 1 if some of several images failed; they are named, the others written.

    Raises:
        CommandError: The inputs or the output cannot be used.
    """
    limits = _limits(arguments)
    folder = Path(arguments.output or "c2f_depth").expanduser()
    if folder.suffix[1:].lower() in FORMATS and not folder.is_dir():
        raise UsageError(f"-o names a folder. Received: {folder}")
    inputs, _ = find_inputs(arguments.inputs, MAP)
    outputs = _outputs(inputs, folder, arguments.format)
    paths = [path for path, _ in inputs]
    check_inputs_survive([file for files in outputs for file in files], paths)
    check_folder_is_writable(folder)
    check_any_is_image(paths)
    model = load_depth_model(arguments.preset)
    from c2f_zoo.data.files.images import load_image

    with progress(len(paths), "image", arguments.quiet or len(paths) == 1) as bar:

        def estimate_one(path, files, image):
            start = time.perf_counter()
            depth = model.depth(image)
            seconds = time.perf_counter() - start
            _write(files, depth, limits, arguments.scale)
            if not arguments.quiet:
                height, width = depth.shape[:2]
                say(
                    *map(str, files),
                    f"depth: {depth.min():.2f} to {depth.max():.2f} m",
                    f"time: {seconds:.2f} s for {width}x{height} with {arguments.preset} "
                    "(the first call at a size includes compilation)",
                )

        failed = process_each(paths, outputs, load_image, estimate_one, bar, arguments.debug)
    return report_failures(failed, len(paths))


def _limits(arguments):
    """Depths (near, far) of the colours, or None."""
    given = [arguments.near, arguments.far]
    if not any(given):
        return None
    if not all(given) or arguments.near >= arguments.far:
        raise UsageError(
            "The colours need --near and --far, the first smaller. "
            f"Received: --near {arguments.near} --far {arguments.far}"
        )
    return tuple(given)


def _outputs(inputs, folder, suffix):
    """The two files of each image, depth map and picture, below `folder`."""
    names = []
    for path, found_in in inputs:
        place = path.relative_to(found_in) if found_in else Path(path.name)
        names.append(folder / place.with_suffix(""))
    twice = {str(name) for name in names if names.count(name) > 1}
    if twice:
        raise CommandError(
            "Two images would be written to the same files: run the command for each. "
            f"Received: {', '.join(sorted(twice))}"
        )
    return [
        (name.with_name(f"{name.name}{MAP}.{suffix}"), name.with_name(f"{name.name}{PICTURE}.png"))
        for name in names
    ]


def _write(files, depth, limits, scale):
    from c2f_zoo.data.depth.picture import depth_picture
    from c2f_zoo.data.files.depth import write_depth
    from c2f_zoo.data.files.images import save_image

    file, picture = files
    file.parent.mkdir(parents=True, exist_ok=True)
    # First, because a png refuses what is too far.
    write_depth(file, depth, scale)
    save_image(picture, depth_picture(depth, limits))
