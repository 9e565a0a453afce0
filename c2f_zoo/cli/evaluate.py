"""`c2f evaluate`: the errors of presets and classical methods on published data sets."""

import ast
import inspect
import time

from c2f_zoo.checks import plain_name, suggestion
from c2f_zoo.cli import evaluate_restoration
from c2f_zoo.cli.baselines import BASELINES, make_baseline
from c2f_zoo.cli.common import (
    CommandError,
    UsageError,
    add_iterations,
    load_flow_model,
    note,
    positive_count,
    print_json,
    progress,
    say,
    set_iterations,
    start_backend,
    table,
)

EXAMPLES = (
    """optical flow
columns:
  EPE        mean end-point error in pixels, over all pixels with ground truth; then the same by
             the length of the true motion: up to 10 px, 10 to 40 px, beyond
  Fl-all %   share of pixels off by more than 3 px and more than 5 % of the true motion (KITTI)
  AE deg     mean angular error
  s/pair     median seconds per pair

data sets: flying_chairs, flying_things3d, sintel, kitti2012, kitti2015, middlebury, hd1k, each a
folder as its authors publish it.

"""
    + evaluate_restoration.ABOUT
    + """
examples:
  c2f evaluate pwcnet_lite.scenes --dataset sintel --root MPI-Sintel-complete --pass final
  c2f evaluate pwcnet_lite.scenes --baseline dis --baseline farneback \\
      --dataset flying_chairs --root FlyingChairs_release --limit 100
  c2f evaluate a.first b.second --dataset sintel --root SINTEL --dataset kitti2015 --root KITTI
  c2f evaluate pwcnet_lite.scenes --dataset kitti2015 --root KITTI --option flow=noc --json
"""
    + evaluate_restoration.EXAMPLES
)

# Name of the metric, its column, and its key in --json.
COLUMNS = {
    "epe": "EPE",
    "epe_0_10": "0-10",
    "epe_10_40": "10-40",
    "epe_40_plus": "40+",
    "fl_all": "Fl-all %",
    "angular_error": "AE deg",
    "seconds_per_pair": "s/pair",
}


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "evaluate",
        help="errors of presets and classical methods on data sets",
        description="Measure presets of optical flow and of restoration, and classical methods, "
        "on published data sets.",
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
        choices=[*BASELINES, *evaluate_restoration.BASELINES],
        help="a method to compare with; may be given repeatedly; farneback, dis, nlmeans and "
        "telea need OpenCV",
    )
    parser.add_argument(
        "--limit", type=positive_count, metavar="N", help="only the first N pairs or images"
    )
    add_iterations(parser)
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    evaluate_restoration.add_arguments(parser)
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    if not arguments.presets and not arguments.baseline:
        raise UsageError("Name a preset (c2f models lists them) or a --baseline. Received: neither")
    if len(arguments.dataset) != len(arguments.root):
        counts = f"{len(arguments.dataset)} and {len(arguments.root)}"
        raise UsageError(f"Each --dataset needs its --root. Received: {counts}")
    if evaluate_restoration.is_asked_for(arguments):
        return evaluate_restoration.run(arguments)
    backend = start_backend()  # the metrics need one too
    datasets = _open_datasets(arguments)
    methods = {name: make_baseline(name) for name in arguments.baseline}
    for preset in arguments.presets:
        model = load_flow_model(preset)
        set_iterations(model, arguments)
        methods[preset] = model.flow
    results = []
    for name, dataset, options in datasets:
        about = {"dataset": name, "options": options, "pairs": len(dataset)}
        for method, numbers in _measure(dataset, methods, name, arguments.quiet).items():
            results.append({"method": method} | about | numbers)
    if arguments.json:
        print_json({"backend": backend, "results": results})
        return
    rows = [
        [
            row["method"],
            " ".join([row["dataset"], *map(str, row["options"].values())]),
            row["pairs"],
            *(row[key] for key in COLUMNS),
        ]
        for row in results
    ]
    say(*table(rows, ["method", "data set", "pairs", *COLUMNS.values()]))


def _open_datasets(arguments):
    """Open every data set; return a list of (name, data set, options it was opened with)."""
    from c2f_zoo.data.flow.datasets import open_flow_dataset

    given, used, opened = _dataset_options(arguments), set(), []
    for name, root in zip(arguments.dataset, arguments.root, strict=True):
        # Of several data sets each takes the options that it has.
        options = {key: value for key, value in given.items() if key in _accepted_options(name)}
        used |= set(options)
        dataset = open_flow_dataset(name, root, **options)
        if not dataset.has_flow:
            needed = f"An evaluation needs ground truth, which this split of {name} withholds"
            raise CommandError(f"{needed}. Received: {dataset!r}")
        if arguments.limit and arguments.limit < len(dataset):
            note(f"{name}: the first {arguments.limit} of {len(dataset)} pairs")
            dataset = dataset[: arguments.limit]
        opened.append((name, dataset, options))
    unused = [key for key in given if key not in used]
    if unused:
        accepted = {name: sorted(_accepted_options(name)) for name, *_ in opened}
        known = "; ".join(f"{name}: {', '.join(options)}" for name, options in accepted.items())
        near = suggestion(unused[0], set().union(*accepted.values()))
        raise UsageError(f"No data set here has that option ({known}).{near} Received: {unused[0]}")
    return opened


def _accepted_options(name):
    from c2f_zoo.data.flow.datasets import FLOW_DATASETS

    kind = {plain_name(key): kind for key, kind in FLOW_DATASETS.items()}.get(plain_name(name))
    # An unknown name is left to open_flow_dataset, which lists those there are.
    return set(inspect.signature(kind).parameters) - {"root"} if kind else set()


def _dataset_options(arguments):
    options = {"split": arguments.split, "pass_name": arguments.pass_name}
    options = {key: value for key, value in options.items() if value is not None}
    for pair in arguments.option:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UsageError(f"--option takes NAME=VALUE. Received: {pair}")
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):  # a plain word
            options[key] = value
    return options


def _measure(dataset, methods, title, quiet):
    """Run every method over a data set, decoded once; return {method: {key of COLUMNS: float}}."""
    import statistics

    from c2f_zoo.metrics import flow_metrics

    metrics = {method: flow_metrics() for method in methods}
    seconds = {method: [] for method in methods}
    with progress(len(dataset) * len(methods), "flow", quiet) as bar:
        bar.set_description(title)
        for sample in dataset:
            for method, estimate_flow in methods.items():
                if not seconds[method]:
                    # The first call of a network compiles it, which no one wants timed.
                    estimate_flow(sample.image1, sample.image2)
                start = time.perf_counter()
                flow = estimate_flow(sample.image1, sample.image2)
                seconds[method].append(time.perf_counter() - start)
                for metric in metrics[method]:
                    metric.update_state(
                        sample.flow[None], flow[None], sample_weight=sample.valid[None]
                    )
                bar.update()
    return {
        method: {metric.name: float(metric.result()) for metric in metrics[method]}
        | {"seconds_per_pair": statistics.median(seconds[method])}
        for method in methods
    }
