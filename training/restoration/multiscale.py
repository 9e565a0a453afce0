"""Trains a restoration network as in the multiscale paper, on one mesh or on several.

    python training/restoration/multiscale.py --task denoising --mode fullmultiscale \
        --dataset cifar10 --data cifar-10-python.tar.gz

Resumes where it stopped. `--tiny` rehearses everything in a minute, on noise without `--data`.
docs/multilevel.md explains the modes.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.restoration.multiscale_training import (
    MODES,
    NETWORKS,
    TASKS,
    RestorationRecipe,
    default_steps,
    train,
)

DATASETS = ("cifar10", "stl10", "celeba", "urban100", "div2k", "folder")


def parser():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="denoising")
    parser.add_argument("--mode", choices=MODES, default="fullmultiscale")
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        help="default: unet, or resnet for superresolution; paraconv is for superresolution only",
    )
    parser.add_argument(
        "--dataset",
        choices=DATASETS,
        help="default: cifar10, or urban100 for superresolution; `folder`: any folder of images",
    )
    parser.add_argument(
        "--data",
        help="folder or archive of the data set as published; without it tensorflow_datasets "
        "downloads it (extra `data`)",
    )
    parser.add_argument(
        "--skip_broken",
        action="store_true",
        help="leave out images that are broken, transparent or too small instead of stopping",
    )
    parser.add_argument("--run_id", type=int, default=0, help="number of the run, part of its name")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights, order, degradations")
    parser.add_argument("--size", type=int, default=128, help="side of the images (default 128)")
    parser.add_argument(
        "--interpolation",
        choices=("bilinear", "nearest"),
        default="bilinear",
        help="of resizing: bilinear (default), or nearest as in the released code",
    )
    parser.add_argument(
        "--patch", type=int, help="side of patches to cut, instead of resizing the images"
    )
    parser.add_argument(
        "--num_patches", type=int, default=1, help="patches of each image in an epoch"
    )
    parser.add_argument("--levels", type=int, default=3, help="how often the mesh is halved")
    parser.add_argument(
        "--batch_size", type=int, help="samples of the finest term (16; 8 for superresolution)"
    )
    parser.add_argument(
        "--batch_factor",
        type=float,
        default=2.0,
        help="samples of a coarser term over those of the term before (2; released code: 1)",
    )
    parser.add_argument(
        "--iterations",
        help="steps: a number, or one for each stage as 2000,1000,500,250, or x0.1 for a tenth "
        "of the default, the paper's: 8000, and for fullmultiscale the four above",
    )
    parser.add_argument(
        "--learning_rate", type=float, help="of Adam (5e-4; 1e-3 for superresolution), a cosine"
    )
    parser.add_argument(
        "--validate_every",
        type=int,
        default=50,
        help="steps between validations (50; the released code validates after every step)",
    )
    parser.add_argument("--validation_samples", type=int, default=512)
    parser.add_argument("--out", help="folder of the run (default: runs/NAME)")
    parser.add_argument("--tiny", action="store_true", help="rehearse the whole run in a minute")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes, to resume later")
    return parser


def recipe_of(arguments):
    """The recipe that the options describe."""
    enlarges = arguments.task == "superresolution"
    patch = arguments.patch or (arguments.size if enlarges else None)
    names = ("task", "mode", "run_id", "seed", "num_patches", "interpolation", "levels")
    names += ("batch_factor", "validate_every", "validation_samples")
    recipe = RestorationRecipe(
        **{name: getattr(arguments, name) for name in names},
        network=arguments.network or ("resnet" if enlarges else "unet"),
        dataset=arguments.dataset or ("urban100" if enlarges else "cifar10"),
        size=patch or arguments.size,
        is_patch=patch is not None,
        batch_size=arguments.batch_size or (8 if enlarges else 16),
        iterations=steps_of(arguments),
        learning_rate=arguments.learning_rate or (1e-3 if enlarges else 5e-4),
    )
    return recipe.tiny() if arguments.tiny else recipe


def steps_of(arguments):
    """Steps of each stage."""
    default, text = default_steps(arguments.mode, arguments.levels), arguments.iterations
    if text is None:
        return default
    try:
        if text.startswith("x"):
            return tuple(max(1, round(float(text[1:]) * steps)) for steps in default)
        steps = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise SystemExit(
            f"--iterations must be like 8000, 2000,1000 or x0.1. Received: {text}"
        ) from error
    steps = (sum(steps),) if arguments.mode != "fullmultiscale" else steps
    if len(steps) != len(default) or min(steps) < 1:
        raise SystemExit(
            f"--iterations must have an integer >= 1 for each of the {len(default)} stages. "
            f"Received: {text}"
        )
    return steps


def main(argv=None):
    """Run, or resume, a training; see `--help`."""
    options = parser()
    arguments = options.parse_args(argv)
    try:
        recipe = recipe_of(arguments)
        recipe.check()
    except ValueError as error:
        options.error(str(error))
    out = Path(arguments.out or f"runs/{recipe.name}")
    # A rehearsal gets its own folder: the real run must not resume from it.
    out = out.with_name(f"{out.name}_tiny") if arguments.tiny else out
    names = ("data", "tiny", "minutes", "skip_broken")
    return train(recipe, out, **{name: getattr(arguments, name) for name in names})


if __name__ == "__main__":
    main()
