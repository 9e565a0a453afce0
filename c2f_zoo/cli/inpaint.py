"""`c2f inpaint`: fill holes of photographs."""

from pathlib import Path

from c2f_zoo.cli import restoring
from c2f_zoo.cli.common import CommandError

ABOUT_MASKS = """\
masks: black and white images of their image's size, such as png: white (or 1) is known and stays
to the bit, black (0) is filled; --mask-invert for the reverse. Holes of up to about 32 pixels are
filled well; larger ones come out blurred, and a line says so.
"""
EXAMPLES = """\
  c2f inpaint photo.jpg --mask hole.png         writes photo_inpainted.png
  c2f inpaint photo.jpg --mask brushed.png --mask-invert -o filled.png
  c2f inpaint photos/ --mask masks/ -o filled/  masks/a.png is the mask of photos/a.jpg"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = restoring.add_parser(
        verbs,
        "inpaint",
        "fill holes of photographs",
        "Fill what a mask leaves out of photographs.",
        EXAMPLES,
        ABOUT_MASKS,
    )
    parser.add_argument(
        "--mask",
        required=True,
        metavar="PATH",
        help="mask of all images, or a folder of masks with the names of their images",
    )
    parser.add_argument(
        "--mask-invert", action="store_true", help="white is to be filled, black is known"
    )
    parser.add_argument(
        "--depth",
        type=restoring.whole,
        metavar="PX",
        help="fill what is further from known pixels than this on coarser meshes first; 0: never "
        "(default: 8, or never for models that look at the whole image)",
    )
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    masks = Path(arguments.mask).expanduser()
    if not masks.exists():
        raise CommandError(f"A mask does not exist. Received: {arguments.mask}")
    if not (masks.is_file() or masks.is_dir()):
        raise CommandError(
            f"A mask must be a file or a folder, not a pipe or a device. Received: {arguments.mask}"
        )
    arguments.mask_files = [masks] if masks.is_file() else sorted(_images(masks))

    def options(path):
        from c2f_zoo.data.files.pictures import read_mask, read_picture

        mask = read_picture(masks if masks.is_file() else _mask_of(path, masks))
        return {"mask": read_mask(mask, mask.size, arguments.mask_invert)}

    return restoring.run(arguments, "inpaint", {"depth": arguments.depth}, options)


def _images(folder):
    from c2f_zoo.data.images.folder import IMAGE_SUFFIXES

    return [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]


def _mask_of(path, folder):
    found = [str(one) for one in sorted(_images(folder)) if one.stem == path.stem]
    if len(found) != 1:
        raise CommandError(
            f"The folder {folder} must hold one mask called {path.stem}.png, or of another format. "
            f"Received: {', '.join(found) or 'none'}"
        )
    return found[0]
