"""Measures flow presets by how far things move: translated photographs, and data sets by length.

    python training/measure/motion.py pwcnet_lite.scenes --baseline dis \\
        --photographs photographs/validation \\
        --dataset flying_chairs --root FlyingChairs_release --dataset sintel --root sintel

Photographs are moved by whole pixels, the figure is the median error of the pixels that stay in
the frame. A data set's figures are mean end-point errors by the length of the true motion, with
the share of its pixels in each range.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from c2f_zoo.cli.baselines import BASELINES, make_baseline
from c2f_zoo.data import open_flow_dataset
from c2f_zoo.hub import load
from training.flow.validation import LengthErrors, length_names, photographs_of, translation_error

SHIFTS = (0, 1, 4, 16, 64)


def parse(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", help="names or folders")
    parser.add_argument("--baseline", action="append", default=[], choices=BASELINES)
    parser.add_argument("--photographs", type=Path, help="folder of photographs to translate")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(384, 512), help="of their frames: height width"
    )
    parser.add_argument("--dataset", action="append", default=[], help="may be given repeatedly")
    parser.add_argument("--root", action="append", default=[], help="one for each --dataset")
    parser.add_argument("--pass", dest="pass_name", default="clean", help="of sintel")
    arguments = parser.parse_args(argv)
    if len(arguments.dataset) != len(arguments.root):
        parser.error("each --dataset needs its --root")
    return arguments


def main(argv=None):
    """Measure and print; see `--help`."""
    arguments = parse(argv)
    methods = {name: make_baseline(name) for name in arguments.baseline}
    methods |= {preset: load(preset).flow for preset in arguments.presets}
    if arguments.photographs:
        photographs = photographs_of(arguments.photographs)
        print(row("median on photographs", [f"{shift} px" for shift in SHIFTS]))
        for name, estimate in methods.items():
            figures = [
                translation_error(estimate, photographs, shift, arguments.size) for shift in SHIFTS
            ]
            print(row(name, [f"{figure:.3f}" for figure in figures]))
    for name, root in zip(arguments.dataset, arguments.root, strict=True):
        options = {"pass_name": arguments.pass_name} if name == "sintel" else {}
        measure_dataset(name, open_flow_dataset(name, root, **options), methods)


def measure_dataset(title, dataset, methods):
    """Print the errors of every method on a data set, by the length of the true motion."""
    errors = {name: LengthErrors() for name in methods}
    for sample in dataset:
        for name, estimate in methods.items():
            flow = estimate(sample.image1, sample.image2)
            errors[name].update(sample.flow, flow, sample.valid)
    print(row(f"{title}, EPE", ["all", *length_names()]))
    for name, error in errors.items():
        print(row(name, [f"{value:.3f}" for value in error.result().values()]))
    count = next(iter(errors.values())).count
    print(row("share of the pixels", ["100 %", *(f"{share:.1%}" for share in count / count.sum())]))


def row(name, cells):
    """One line of a table."""
    return f"{name:40}" + "".join(f"{cell:>9}" for cell in cells)


if __name__ == "__main__":
    main()
