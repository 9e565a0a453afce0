"""Shared parts of `c2f denoise`, `deblur`, `inpaint` and `upscale`: files and options."""

import collections
import glob
import time
import warnings
from pathlib import Path

from c2f_zoo.cli.common import (
    DEFAULT_RESTORATION_PRESETS,
    FAILED,
    OK,
    CommandError,
    UsageError,
    check_folder_is_writable,
    check_inputs_survive,
    load_model,
    note,
    number_type,
    progress,
    quality,
    say,
    say_contents,
)

# What is added to a file's name.
SUFFIXES = {
    "denoise": "_denoised",
    "deblur": "_deblurred",
    "inpaint": "_inpainted",
    "upscale": "_upscaled",
}
METHODS = {"denoise": "restore", "deblur": "restore", "inpaint": "inpaint", "upscale": "upscale"}
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF"}
_EXTENSIONS = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}
_EXTENSIONS |= {".tif": "tif", ".tiff": "tif"}
_VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
_BESIDE = "_side_by_side"

whole = number_type(int, "number of pixels", least=0)

_ABOUT_FILES = """\
files: images, folders (with their subfolders) and quoted patterns such as 'photos/*.jpg'.
Without -o each result lies beside its image, as NAME{suffix}.png; inputs are never overwritten.
Images of folders and patterns with such a name are left out, as results of an earlier run, and
replaced with --overwrite only.
Grey images stay grey and transparency is kept; so are colour profile and EXIF data, the
orientation applied. Results have 8 bits a channel; 16-bit grey is read as such, of 16-bit colour
the upper 8 bits. Files that cannot be read are named, the others processed, and the exit status is
1.
"""


def add_parser(verbs, verb, help_line, description, examples, about=""):
    """Add a verb, with the options that all of them have, and return its parser."""
    files = _ABOUT_FILES.format(suffix=SUFFIXES[verb])
    parser = verbs.add_parser(
        verb,
        help=help_line,
        description=description,
        epilog=f"{files}{about}\nexamples:\n{examples}",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="images, folders, or quoted patterns"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="folder to write to, or for one image the file (default: beside each image)",
    )
    parser.add_argument(
        "--preset",
        default=DEFAULT_RESTORATION_PRESETS[verb],
        help="model: a name (see c2f models), a folder or hf://owner/repo (default: %(default)s)",
    )
    parser.add_argument("--format", choices=FORMATS, help="format of the results (default: png)")
    parser.add_argument(
        "--quality",
        type=quality,
        default=95,
        metavar="Q",
        help="1 to 100, of jpg and webp (default: %(default)s)",
    )
    parser.add_argument(
        "--side-by-side",
        action="store_true",
        help=f"also write NAME{SUFFIXES[verb]}{_BESIDE}: input left, result right",
    )
    parser.add_argument(
        "--tile",
        type=whole,
        metavar="PX",
        help="side of the tiles in which a large image is computed; 0: none (default: by its size)",
    )
    parser.add_argument(
        "--overlap",
        type=whole,
        metavar="PX",
        help="pixels that tiles share (default: what the model needs, at most 128)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=f"replace images called NAME{SUFFIXES[verb]} that were found among the inputs",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no report")
    if verb != "inpaint":
        parser.add_argument(
            "--time",
            type=float,
            metavar="T",
            help="for models that take the noise of an image: the time of TimedNoise, 0 to 1",
        )
    return parser


def run(arguments, verb, settings=None, options=None):
    """Process every input; `options(path)` returns further settings for one of them."""
    files, passed_over = find_inputs(arguments.inputs, SUFFIXES[verb])
    outputs = name_outputs(files, arguments, SUFFIXES[verb])
    read = [path for path, _ in files] + list(getattr(arguments, "mask_files", ()))
    written = [output for output in outputs if output is not None]
    beside = [_beside(output) for output in written] if arguments.side_by_side else []
    check_inputs_survive([*written, *beside], read)
    if not arguments.overwrite:
        _check_passed_over_survive([*written, *beside], passed_over)
    for folder in dict.fromkeys(output.parent for output in written):
        check_folder_is_writable(folder)
    check_any_is_image([path for path, _ in files])
    model = load_restoration_model(arguments.preset, METHODS[verb])
    from c2f_zoo.data.files.pictures import read_picture

    settings = {**(settings or {}), "tile": arguments.tile, "overlap": arguments.overlap}
    is_alone = len(files) == 1
    if arguments.quiet or not is_alone:
        settings["progress"] = False  # the bar counts files
    lines, seconds = [], []
    with progress(len(files), "image", arguments.quiet or is_alone) as bar:

        def restore_one(path, output, picture):
            start = time.perf_counter()
            extra = options(path) if options else {}
            size = _restore(model, path, picture, output, arguments, verb, settings | extra, bar)
            seconds.append(time.perf_counter() - start)
            lines.append((output, f"{size}, {seconds[-1]:.1f} s"))

        paths = [path for path, _ in files]
        failed = process_each(paths, outputs, read_picture, restore_one, bar, arguments.debug)
    if not arguments.quiet and lines:
        say_contents(lines)
        if not is_alone:
            say(f"{len(lines)} images, {sum(seconds) / len(seconds):.2f} s each on average")
    return report_failures(failed, len(files))


def process_each(paths, outputs, read, process, bar, debug=False):
    """Call `process(path, output, read(path))` for each file; what fails is noted, others go on.

    Files are read in a thread while the one before is processed. The error of a file that is alone,
    and with `debug` that of any, is raised instead. Returns the list of the paths that failed;
    `bar` is moved.
    """
    from c2f_zoo.tasks.several import read_ahead

    failed = []
    for path, output, image in zip(paths, outputs, read_ahead(paths, read), strict=True):
        try:
            process(path, output, image.result())
        except Exception as error:
            if len(paths) == 1 or debug:
                raise
            failed.append(path)
            bar.clear()
            note(f"{path}: {' '.join(str(error).split()) or type(error).__name__}")
        bar.update()
    return failed


def report_failures(failed, count):
    """Say how many of `count` images failed; return the exit status."""
    if failed:
        note(f"{len(failed)} of {count} images failed, {count - len(failed)} were written")
    return FAILED if failed else OK


def check_any_is_image(paths):
    """Raise if no input is an image, such as a video, before a model is loaded for nothing."""
    from PIL import Image, UnidentifiedImageError

    from c2f_zoo.data.files.pictures import read_picture

    for path in paths:
        try:
            with Image.open(path):
                return
        except UnidentifiedImageError:
            continue
        except Exception:  # of an image that is damaged; reading it says how
            return
    if is_video(paths[0]):
        raise CommandError(
            "Inputs must be images. Of a video, its frames: ffmpeg -i VIDEO frame_%04d.png. "
            f"Received: {paths[0]}"
        )
    read_picture(paths[0])  # which says why it cannot be read


def is_video(path):
    """Whether a file has the name of a video."""
    return path.suffix.lower() in _VIDEO_SUFFIXES


def load_restoration_model(preset, verb=None):
    """Load a preset whose `image_verb` is `verb`, or any that restores images."""
    model = load_model(preset)
    found = getattr(model, "image_verb", None)
    if found is None or (verb is not None and found != verb):
        kinds = {
            "restore": "restores images (c2f denoise, c2f deblur)",
            "upscale": "enlarges images (c2f upscale)",
            "inpaint": "fills holes of images (c2f inpaint)",
        }
        of_it = f", which {kinds[found]}" if found else ""
        raise CommandError(
            f"A preset that {kinds[verb] if verb else 'restores images'} is needed; c2f models "
            f"lists all presets. Received: {preset}, a {type(model).__name__}{of_it}"
        )
    return model


def find_inputs(inputs, suffix):
    """Find images as (path, folder it was found in or None), and the results left out."""
    found, passed_over = {}, {}  # by the path without links: a file has many names
    for given in inputs:
        path = Path(given).expanduser()
        if path.is_dir():
            new, folder = _images_of(path), path
        elif path.exists():
            new, folder = [path], None
        elif glob.has_magic(str(path)):
            from c2f_zoo.data.images.folder import IMAGE_SUFFIXES

            matches = sorted(map(Path, glob.glob(str(path), recursive=True)))
            new = [one for one in matches if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file()]
            folder = None
            if not new:
                raise CommandError(f"No image matches this pattern. Received: {given}")
        else:
            raise CommandError(f"An input does not exist. Received: {given}")
        for one in new:
            if one != path and one.stem.removesuffix(_BESIDE).endswith(suffix):
                passed_over.setdefault(one.resolve(), one)
            else:
                found.setdefault(one.resolve(), (one, folder))
    if passed_over:
        note(f"{len(passed_over)} images called NAME{suffix} are left out as earlier results")
    if not found:
        raise CommandError(f"There is no image to process. Received: {', '.join(inputs)}")
    return list(found.values()), list(passed_over.values())


def name_outputs(files, arguments, suffix):
    """Choose the file that each result is written to; equal names keep their format."""
    output = Path(arguments.output).expanduser() if arguments.output else None
    suffix_given = output.suffix.lower() if output and not output.is_dir() else None
    if suffix_given in _EXTENSIONS:
        if len(files) > 1 or files[0][1] is not None:
            raise UsageError(f"-o must be a folder for several images. Received: {output}")
        if arguments.format not in (None, _EXTENSIONS[suffix_given]):
            raise UsageError(
                f"--format and the extension of -o must agree. Received: --format "
                f"{arguments.format} and {output}"
            )
        return [output]
    if suffix_given in _read_only_extensions():
        raise UsageError(
            f"-o must be a folder, or a file that ends with {', '.join(_EXTENSIONS)}. "
            f"Received: {output}"
        )
    extension = arguments.format or "png"

    def name(path, folder, detail=""):
        parent = path.parent
        if output:
            parent = output / (parent.relative_to(folder) if folder else "")
        return parent / f"{path.stem}{detail}{suffix}.{extension}"

    names = [name(path, folder) for path, folder in files]
    names = [
        name(path, folder, path.suffix.replace(".", "_")) if names.count(one) > 1 else one
        for one, (path, folder) in zip(names, files, strict=True)
    ]
    sources = collections.defaultdict(list)
    for one, (path, _) in zip(names, files, strict=True):
        sources[one].append(str(path))
    for one, paths in sources.items():
        if len(paths) > 1:
            raise CommandError(
                f"Two images would be written to {one}; pass their folder, or run the command for "
                f"each. Received: {', '.join(paths)}"
            )
    return names


def _read_only_extensions():
    from c2f_zoo.data.images.folder import IMAGE_SUFFIXES

    return IMAGE_SUFFIXES - set(_EXTENSIONS)


def _check_passed_over_survive(outputs, passed_over):
    """Raise if an image would be replaced that merely has the name of a result."""
    taken = {path.resolve() for path in passed_over}
    lost = [str(path) for path in outputs if path.resolve() in taken]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise CommandError(
            "Results would replace existing images: allow it with --overwrite, or choose another "
            f"folder with -o. Received: {lost[0]}{more}"
        )


def _images_of(folder):
    from c2f_zoo.data.images.folder import ImageFolder

    try:
        return [folder / name for name in ImageFolder(folder).names]
    except ValueError as error:
        raise CommandError(str(error)) from error


def _restore(model, path, picture, output, arguments, verb, settings, bar):
    """Restore one file, which was read; return the size of the result as text."""
    from c2f_zoo.data.files.pictures import write_picture

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        made = getattr(model, METHODS[verb])(picture, **settings)
    for message in dict.fromkeys(str(one.message) for one in caught):
        bar.clear()
        note(f"{path}: {message}")
    output.parent.mkdir(parents=True, exist_ok=True)
    image_format = FORMATS[_EXTENSIONS[output.suffix.lower()]]
    write_picture(output, made, picture, image_format, arguments.quality)
    if arguments.side_by_side:
        both = side_by_side(picture, made)
        write_picture(_beside(output), both, picture, image_format, arguments.quality)
    return f"{made.shape[1]}x{made.shape[0]}"


def side_by_side(picture, made):
    """A `Picture`, enlarged if need be, and its result side by side, as uint8."""
    import numpy as np
    from PIL import Image

    from c2f_zoo.data.files.pictures import as_bytes

    given = as_bytes(picture.pixels())  # a quarter of the memory of floats
    if given.shape[:2] != made.shape[:2]:
        size = (made.shape[1], made.shape[0])
        given = np.asarray(Image.fromarray(given).resize(size, Image.Resampling.BICUBIC))
    return np.concatenate([given, as_bytes(made)], axis=1)


def _beside(output):
    return output.with_name(f"{output.stem}{_BESIDE}{output.suffix}")
