"""`c2f evaluate` on images with depth."""

import time

from c2f_zoo.checks import plain_name
from c2f_zoo.cli.common import (
    UsageError,
    load_depth_model,
    note,
    positive_number,
    print_json,
    progress,
    say,
    start_backend,
    table,
)
from c2f_zoo.cli.evaluate_pairs import dataset_options

ABOUT = """depth
data sets: rgbd (folders rgb/ and depth/, 16-bit png; --option scale=1000), tum, nyu_depth_v2.
columns: AbsRel, RMSE in metres and the share with max(d / d*, d* / d) < 1.25, each after the
estimate was scaled to the median of the truth, image by image; SILog, which no factor changes; then
AbsRel and the share of the metres as estimated. Means over the images. --json has all metrics.
The baseline median is one depth everywhere, that of the median of each image's truth.
"""

EXAMPLES = """
  c2f evaluate ./depth_unet --dataset rgbd --root scene0000_00 --baseline median --max-depth 10"""

DATASETS = ("rgbd", "tum", "nyu_depth_v2")
BASELINES = {"median": "one depth everywhere, the median of each image's truth"}
_COLUMNS = {
    "abs_rel_scaled": "AbsRel s.",
    "rmse_scaled": "RMSE s.",
    "delta_1_scaled": "<1.25 s.",
    "silog": "SILog",
    "abs_rel": "AbsRel",
    "delta_1": "<1.25",
    "seconds_per_image": "s/image",
}


def add_arguments(parser):
    """Add the options of depth to the parser of `c2f evaluate`."""
    group = parser.add_argument_group("depth")
    group.add_argument(
        "--max-depth",
        type=positive_number,
        metavar="M",
        help="count only pixels up to so many metres, and clip estimates (default: 1000)",
    )


def is_asked_for(arguments):
    """Tell whether depth is to be measured; a mixture with other tasks is refused."""
    known = set(map(plain_name, DATASETS))
    ours = [name for name in arguments.dataset if plain_name(name) in known]
    foreign = ["--max-depth"] * (arguments.max_depth is not None)
    foreign += [f"--baseline {name}" for name in arguments.baseline if name in BASELINES]
    if not ours:
        if foreign:
            raise UsageError(
                f"{foreign[0]} is for depth, measured on {', '.join(DATASETS)}. "
                f"Received: --dataset {' '.join(arguments.dataset)}"
            )
        return False
    others = [name for name in arguments.dataset if name not in ours]
    others += [f"--baseline {name}" for name in arguments.baseline if name not in BASELINES]
    others += ["--pass"] * bool(arguments.pass_name)
    others += ["--iterations"] * (arguments.iterations is not None)
    others += ["--max-disparity"] * (arguments.max_disparity is not None)
    others += ["--confidence"] * bool(arguments.confidence)
    others += ["--align-corners"] * arguments.align_corners
    if others:
        raise UsageError(f"{others[0]} is not for depth. Received: --dataset {' '.join(ours)}")
    return True


def run(arguments):
    """Carry out the parsed command line."""
    backend, options = start_backend(), dataset_options(arguments)
    datasets = [
        (name, _opened(name, root, options))
        for name, root in zip(arguments.dataset, arguments.root, strict=True)
    ]
    methods = dict.fromkeys(arguments.baseline)
    methods |= {preset: load_depth_model(preset) for preset in arguments.presets}
    results = []
    for name, dataset in datasets:
        count = min(len(dataset), arguments.limit or len(dataset))
        if count < len(dataset):
            note(f"{name}: the first {count} of {len(dataset)} images")
        for method, model in methods.items():
            figures = _measure(dataset, count, model, method, arguments)
            about = {"method": method, "dataset": name, "options": options, "images": count}
            results.append(about | figures)
    if arguments.json:
        print_json({"backend": backend, "results": results})
        return
    rows = [
        [row["method"], row["dataset"], row["images"], *(row[key] for key in _COLUMNS)]
        for row in results
    ]
    say(*table(rows, ["method", "data set", "images", *_COLUMNS.values()]))


def _opened(name, root, options):
    import inspect

    from c2f_zoo.data.depth.datasets import DEPTH_DATASETS, open_depth_dataset

    kind = {plain_name(key): kind for key, kind in DEPTH_DATASETS.items()}[plain_name(name)]
    known = sorted(set(inspect.signature(kind).parameters) - {"root"})
    unknown = [key for key in options if key not in known]
    if unknown:
        raise UsageError(f"{name} has the options {', '.join(known)}. Received: {unknown[0]}")
    return open_depth_dataset(name, root, **options)


def _measure(dataset, count, model, title, arguments):
    """Means of the metrics over the first images of a data set, and the median seconds."""
    import itertools
    import statistics

    import numpy as np

    from c2f_zoo.metrics import depth_metrics

    limits = (1e-3, arguments.max_depth or 1e3)
    metrics = [*depth_metrics("median", limits), *depth_metrics(None, limits)]
    seconds, is_timed = [], False
    with progress(count, "image", arguments.quiet) as bar:
        bar.set_description(title)
        for sample in itertools.islice(dataset, count):
            if model is None:  # scaled to the median, whatever it is
                depth = np.ones_like(sample.depth)
            else:
                if not is_timed:  # the first call compiles, which no one wants timed
                    model.depth(sample.image)
                is_timed, start = True, time.perf_counter()
                depth = model.depth(sample.image)
                seconds.append(time.perf_counter() - start)
            for metric in metrics:
                metric.update_state(sample.depth[None], depth[None], sample.valid[None])
            bar.update()
    figures = {metric.name: float(metric.result()) for metric in metrics}
    if model is None:  # it has no metres of its own
        own = {key for key in figures if not key.endswith("_scaled") and key != "silog"}
        figures |= dict.fromkeys(own, float("nan"))
    return figures | {"seconds_per_image": statistics.median(seconds) if seconds else None}
