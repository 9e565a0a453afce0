"""`c2f evaluate`: the errors of presets and classical methods on published data sets."""

from c2f_zoo.cli import evaluate_depth, evaluate_pairs, evaluate_restoration
from c2f_zoo.cli.baselines import BASELINES, STEREO_BASELINES
from c2f_zoo.cli.common import (
    UsageError,
    add_align_corners,
    add_iterations,
    add_max_disparity,
    positive_count,
)

EXAMPLES = (
    evaluate_pairs.ABOUT
    + evaluate_depth.ABOUT
    + "\n"
    + evaluate_restoration.ABOUT
    + "\nexamples:\n"
    + evaluate_pairs.EXAMPLES
    + evaluate_restoration.EXAMPLES
    + evaluate_depth.EXAMPLES
)


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "evaluate",
        help="errors of presets and classical methods on data sets",
        description="Measure presets of optical flow, of stereo matching, of depth and of "
        "restoration, and classical methods, on published data sets.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "presets", nargs="*", metavar="PRESET", help="a name, a folder or hf://owner/repo"
    )
    parser.add_argument(
        "--dataset", action="append", required=True, metavar="NAME", help="may be given repeatedly"
    )
    parser.add_argument(
        "--root",
        action="append",
        required=True,
        metavar="DIR",
        help="folder of the data set; one for each --dataset, in the same order",
    )
    parser.add_argument("--split", help="split of the data set, such as train or val")
    parser.add_argument(
        "--pass",
        dest="pass_name",
        choices=("clean", "final", "both"),
        help="rendering pass, for sintel and flying_things3d (default: clean)",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the data set's class, such as flow=noc or exclude_invalid=True",
    )
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        choices=[
            *(*BASELINES, *STEREO_BASELINES),
            *(*evaluate_restoration.BASELINES, *evaluate_depth.BASELINES),
        ],
        help="a method to compare with; may be given repeatedly; farneback, dis, sgbm, nlmeans "
        "and telea need OpenCV",
    )
    parser.add_argument(
        "--limit", type=positive_count, metavar="N", help="only the first N pairs or images"
    )
    add_iterations(parser)
    add_max_disparity(parser)
    add_align_corners(parser)
    parser.add_argument(
        "--confidence",
        action="store_true",
        help="also the error of what the estimate of the opposite direction confirms",
    )
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    evaluate_depth.add_arguments(parser)
    evaluate_restoration.add_arguments(parser)
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    if not arguments.presets and not arguments.baseline:
        raise UsageError("Name a preset (c2f models lists them) or a --baseline. Received: neither")
    if len(arguments.dataset) != len(arguments.root):
        counts = f"{len(arguments.dataset)} and {len(arguments.root)}"
        raise UsageError(f"Each --dataset needs its --root. Received: {counts}")
    if evaluate_depth.is_asked_for(arguments):
        return evaluate_depth.run(arguments)
    if evaluate_restoration.is_asked_for(arguments):
        return evaluate_restoration.run(arguments)
    return evaluate_pairs.run(arguments)
