"""`c2f generate`: pictures, films and sheets of a generative model."""

import re
from pathlib import Path

from c2f_zoo.cli.common import (
    DEFAULT_GENERATOR_PRESET,
    CommandError,
    UsageError,
    check_folder_is_writable,
    load_model,
    number_type,
    positive_count,
    positive_number,
    say_contents,
)

EXAMPLES = """in the output folder (c2f_generate/ unless -o says another):
  seed0000_001.png, ...   the pictures
  grid.png                all of them in one
  film.mp4 (or .gif)      with --film: a walk through the latent space that plays in a loop
  truncation.png          with --sheets, of style-based models: rows are pictures, columns
                          factors 1, 0.7, 0.5, 0, -0.5, -1
  mixing_coarse.png, ...  with --sheets: the left picture's styles in the top picture's place
  projected.png           with --project, of StyleGAN and StyleGAN2: the picture, and the nearest
                          one that the model makes
  projected.npz           with --project: the style w and the noise maps noise_0, noise_1, ... of
                          that; both make it: model.synthesize says how

examples:
  c2f generate                                  16 pictures of a model shipped with the package
  c2f generate progan_64.fluent -n 16 -o out/
  c2f generate progan_64.fluent --film --seconds 8
  c2f generate stylegan2_64.fluent --truncation 0.7 --sheets
  c2f generate stylegan2_64.fluent --project photo.png"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "generate",
        help="pictures of a generative model, films and sheets",
        description="Make pictures with a generative model.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "preset",
        nargs="?",
        default=DEFAULT_GENERATOR_PRESET,
        metavar="PRESET",
        # Written out: argparse hides the default of an argument that options may stand beside.
        help="model: a name (see c2f models), a folder or hf://owner/repo "
        f"(default: {DEFAULT_GENERATOR_PRESET})",
    )
    parser.add_argument(
        "-n",
        type=positive_count,
        metavar="N",
        help="pictures (default: 16), or walks side by side in a film (default: 9)",
    )
    parser.add_argument(
        "-o", "--output", default="c2f_generate", metavar="FOLDER", help="folder to write to"
    )
    seed = number_type(int, "seed (a whole number of at least 0)", least=0)
    parser.add_argument("--seed", type=seed, default=0, help="default: %(default)s")
    parser.add_argument(
        "--truncation",
        type=float,
        default=1.0,
        metavar="PSI",
        help="0.5 to 0.7 for fewer but better pictures (style-based models; default: 1)",
    )
    parser.add_argument(
        "--style-mixing",
        type=number_type(float, "probability", 0, 1),
        default=0.0,
        metavar="P",
        help="share of pictures that mix the styles of two (style-based models; default: 0)",
    )
    parser.add_argument(
        "--label", type=int, metavar="CLASS", help="class of the pictures (labelled models)"
    )
    parser.add_argument("--sheets", action="store_true", help="also truncation and mixing sheets")
    parser.add_argument(
        "--project", metavar="IMAGE", help="also find the nearest picture (StyleGAN, StyleGAN2)"
    )
    parser.add_argument(
        "--background",
        type=_colour,
        metavar="COLOUR",
        help="colour beneath transparent pixels of that picture: a name or #rrggbb",
    )
    film = parser.add_argument_group("film")
    film.add_argument("--film", action="store_true", help="write a film instead of pictures")
    film.add_argument("--seconds", type=positive_number, default=5.0, help="default: %(default)s")
    film.add_argument("--fps", type=positive_number, default=24.0, help="default: %(default)s")
    film.add_argument(
        "--gif", action="store_true", help="as a GIF, rather than an mp4 video (extra: video)"
    )
    parser.add_argument(
        "--batch-size",
        type=positive_count,
        default=16,
        metavar="N",
        help="pictures computed at once (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no report")
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    folder = Path(arguments.output).expanduser()
    if folder.suffix.lower() in (".png", ".jpg", ".gif", ".mp4") and not folder.is_dir():
        raise UsageError(f"-o names a folder. Received: {folder}")
    if arguments.gif and not arguments.film:
        raise UsageError("--gif is for a film. Received: no --film")
    if arguments.gif and arguments.fps > 50:
        raise UsageError(f"A GIF has at most 50 frames a second. Received: --fps {arguments.fps:g}")
    if arguments.film and arguments.style_mixing:
        raise UsageError("--style-mixing is for pictures. Received: --film")
    if arguments.background and not arguments.project:
        raise UsageError("--background is for a projected picture. Received: no --project")
    if arguments.project and not Path(arguments.project).expanduser().exists():
        raise CommandError(f"An input does not exist. Received: {arguments.project}")
    check_folder_is_writable(folder)
    model = load_model(arguments.preset)
    if not hasattr(model, "generate"):
        raise CommandError(
            "A preset that generates images is needed (c2f models --task image_generation). "
            f"Received: {arguments.preset}, a {type(model).__name__}"
        )
    able = {
        "sheets": ("a style-based model", hasattr(model.generator, "synthesis")),
        "project": ("a StyleGAN or StyleGAN2", hasattr(model, "project")),
    }
    for option, (what, is_able) in able.items():
        if getattr(arguments, option) and not is_able:
            raise CommandError(
                f"--{option} needs {what}. Received: {arguments.preset}, a {type(model).__name__}"
            )
    # First, so that a picture that cannot be projected costs no other work.
    target = _target(model, arguments) if arguments.project else None
    folder.mkdir(parents=True, exist_ok=True)
    written = _pictures_or_film(model, folder, arguments)
    written += _extras(model, folder, arguments, target)
    if not arguments.quiet:
        say_contents(written)


def _pictures_or_film(model, folder, arguments):
    from c2f_zoo.data import image_grid, save_image

    options = {
        "seed": arguments.seed,
        "truncation": arguments.truncation,
        "labels": arguments.label,
        "batch_size": arguments.batch_size,
        "progress": not arguments.quiet,
    }
    if arguments.film:
        path = folder / ("film.gif" if arguments.gif else "film.mp4")
        n = arguments.n or 9
        model.film(path, arguments.seconds, arguments.fps, n, **options)
        return [(path, f"{arguments.seconds:g} s, {n} walks through the latent space")]
    pictures = model.generate(arguments.n or 16, style_mixing=arguments.style_mixing, **options)
    stem = folder / f"seed{arguments.seed:04d}"
    files = [f"{stem}_{index + 1:03d}.png" for index in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        save_image(file, _rgb(picture))
    grid = folder / "grid.png"
    save_image(grid, _rgb(image_grid(pictures)))
    height, width = pictures.shape[1:3]
    last = f" to {re.sub('.*_', '', files[-1])}" if len(files) > 1 else ""
    return [
        (files[0] + last, f"{len(files)} pictures of {width}x{height} by {arguments.preset}"),
        (grid, "all of them"),
    ]


def _target(model, arguments):
    from c2f_zoo.tasks.generation.projection import projection_target

    size = model.ema_generator.noise_shapes[-1]
    return projection_target(arguments.project, size, arguments.background)


def _extras(model, folder, arguments, target):
    import numpy as np

    from c2f_zoo.data import image_grid, save_image

    if arguments.sheets:
        options = {"seed": arguments.seed, "batch_size": arguments.batch_size}
        path = folder / "truncation.png"
        save_image(path, _rgb(model.truncation_sheet(**options)))
        yield path, "columns: factors 1, 0.7, 0.5, 0, -0.5, -1"
        for layers in model.style_groups():
            sheet = model.style_mixing_sheet(
                layers=layers, truncation=arguments.truncation, **options
            )
            path = folder / f"mixing_{layers}.png"
            save_image(path, _rgb(sheet))
            yield path, f"the left picture's {layers} styles in the top one"
    if arguments.project:
        found = model.project(
            Path(arguments.project).expanduser(),
            seed=arguments.seed,
            progress=not arguments.quiet,
            background=arguments.background,
        )
        path = folder / "projected.png"
        save_image(path, image_grid([target / np.float32(255), _rgb(found.image)], 2))
        noise = {f"noise_{index}": map_ for index, map_ in enumerate(found.noise)}
        np.savez(folder / "projected.npz", w=found.w, **noise)
        yield path, "the picture, and the nearest that the model makes"
        yield folder / "projected.npz", "its style w and noise maps, for model.synthesize"


def _rgb(picture):
    return picture.repeat(3, axis=-1) if picture.shape[-1] == 1 else picture


def _colour(text):
    from c2f_zoo.data.images.fit import check_fit_options

    return check_fit_options(text, "area")


_colour.__name__ = "colour (a name or #rrggbb)"  # argparse: "invalid colour (...) value"
