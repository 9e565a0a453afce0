"""`c2f evaluate` on pairs of images: optical flow and stereo matching."""

import ast
import functools
import inspect
import time

from c2f_zoo.checks import plain_name, suggestion
from c2f_zoo.cli import baselines
from c2f_zoo.cli.common import (
    CommandError,
    UsageError,
    check_task,
    load_model_or_file,
    note,
    print_json,
    progress,
    say,
    set_iterations,
    start_backend,
    table,
)

ABOUT = """optical flow
columns:
  EPE        mean end-point error in pixels, over all pixels with ground truth; then the same by
             the length of the true motion: up to 10 px, 10 to 40 px, beyond
  Fl-all %   share of pixels off by more than 3 px and more than 5 % of the true motion (KITTI)
  AE deg     mean angular error
  s/pair     median seconds per pair
data sets: flying_chairs, flying_things3d, sintel, kitti2012, kitti2015, middlebury, hd1k, each a
folder as its authors publish it.

stereo matching
columns:
  EPE        mean error of the disparity in pixels, over all pixels with ground truth
  bad-1 to bad-3  share of the pixels off by more than 1, 2 and 3 px, in percent
  D1 %       share of those off by more than 3 px and more than 5 % of the true disparity (KITTI)
  noc        the same over the pixels that both cameras see, where the data set tells them
data sets: middlebury2001, middlebury2003, middlebury2005, middlebury2006, middlebury2014 (and
version 3), kitti2012, kitti2015, scene_flow, eth3d. A preset may also be the authors' file of
weights of PSMNet, with --align-corners if it was published before 2021. --max-disparity is the
range of a baseline too (default: 128).

with --confidence, of both
  kept %     share of the pixels that the estimate of the opposite direction confirms
  EPE kept   end-point error of these alone

"""

EXAMPLES = """\
  c2f evaluate pwcnet_lite.scenes --dataset sintel --root MPI-Sintel-complete --pass final
  c2f evaluate pwcnet_lite.scenes --baseline dis --baseline farneback \\
      --dataset flying_chairs --root FlyingChairs_release --limit 100
  c2f evaluate a.first b.second --dataset sintel --root SINTEL --dataset kitti2015 --root KITTI
  c2f evaluate pwcnet_lite.scenes --dataset kitti2015 --root KITTI --option flow=noc --json
  c2f evaluate pwcnet_lite.scenes --dataset flying_chairs --root FlyingChairs --confidence
  c2f evaluate psmnet.official --baseline sgbm --dataset middlebury2006 --root 2006
"""

MAX_DISPARITY = 128  # of a baseline


class Flow:
    """What the measurement of optical flow needs. `COLUMNS`: heading by key in --json."""

    purpose = "optical flow"
    BASELINES = baselines.BASELINES
    COLUMNS = {
        "epe": "EPE",
        "epe_0_10": "0-10",
        "epe_10_40": "10-40",
        "epe_40_plus": "40+",
        "fl_all": "Fl-all %",
        "angular_error": "AE deg",
    }

    @staticmethod
    def datasets():
        """Class and settled options of each data set, by name."""
        from c2f_zoo.data.flow.datasets import FLOW_DATASETS

        return {name: (kind, {}) for name, kind in FLOW_DATASETS.items()}

    @staticmethod
    def has_truth(dataset):
        """Whether a data set comes with ground truth."""
        return dataset.has_flow

    @staticmethod
    def baseline(name, max_disparity):
        """Make a baseline: two images to a flow."""
        return baselines.make_baseline(name)

    @staticmethod
    def method(model):
        """The method of a model that estimates a flow."""
        return model.flow

    @staticmethod
    def checked(estimate):
        """Turn a method into one that also tells what it confirms."""
        from c2f_zoo.tasks.confidence import checked_flow

        return lambda first, second: checked_flow(estimate(first, second), estimate(second, first))

    @staticmethod
    def parts(sample):
        """The images, the truth, and the weights of the pixels by suffix of the columns."""
        return sample.image1, sample.image2, sample.flow, {"": sample.valid}

    @staticmethod
    def metrics():
        """New metrics by key in --json, each for the weights of a suffix."""
        from c2f_zoo.metrics import flow_metrics

        return {metric.name: ("", metric) for metric in flow_metrics()}

    @staticmethod
    def error():
        """A new metric: the end-point error."""
        from c2f_zoo.metrics import EndPointError

        return EndPointError()


class Stereo:
    """What the measurement of stereo matching needs, as `Flow`."""

    purpose = "stereo matching"
    BASELINES = baselines.STEREO_BASELINES
    COLUMNS = {
        f"{key}{suffix}": f"{title}{suffix.replace('_', ' ')}"
        for suffix in ("", "_noc")
        for key, title in {
            **{"epe": "EPE", "bad_1": "bad-1", "bad_2": "bad-2", "bad_3": "bad-3"},
            "d1": "D1 %",
        }.items()
    }

    @staticmethod
    def datasets():
        """Class and settled options of each data set, by name."""
        from c2f_zoo.data.stereo.datasets import MIDDLEBURY_EDITIONS, STEREO_DATASETS

        middlebury = STEREO_DATASETS["middlebury"]
        editions = {
            f"middlebury{year}": (middlebury, {"edition": year}) for year in MIDDLEBURY_EDITIONS
        }
        return {name: (kind, {}) for name, kind in STEREO_DATASETS.items()} | editions

    @staticmethod
    def has_truth(dataset):
        """Whether a data set comes with ground truth."""
        return dataset.has_disparity

    @staticmethod
    def baseline(name, max_disparity):
        """Make a baseline: left and right image to a disparity."""
        return baselines.make_stereo_baseline(name, max_disparity or MAX_DISPARITY)

    @staticmethod
    def method(model):
        """The method of a model that estimates a disparity."""
        return model.disparity

    @staticmethod
    def checked(estimate):
        """Turn a method into one that also tells what it confirms."""
        from c2f_zoo.tasks.confidence import checked_disparity

        def method(left, right):
            mirrored = estimate(right[:, ::-1], left[:, ::-1])
            return checked_disparity(estimate(left, right), mirrored[:, ::-1])

        return method

    @staticmethod
    def parts(sample):
        """The images, the truth, and the weights of the pixels by suffix of the columns."""
        weights = {"": sample.valid}
        if sample.occlusion is not None:
            weights["_noc"] = sample.valid * (1 - sample.occlusion)
        return sample.left, sample.right, sample.disparity, weights

    @staticmethod
    def metrics():
        """New metrics by key in --json, each for the weights of a suffix."""
        from c2f_zoo.metrics import stereo_metrics

        return {
            f"{metric.name}{suffix}": (suffix, metric)
            for suffix in ("", "_noc")
            for metric in stereo_metrics()
        }

    @staticmethod
    def error():
        """A new metric: the end-point error."""
        from c2f_zoo.metrics import DisparityError

        return DisparityError()


def run(arguments):
    """Carry out the parsed command line."""
    backend = start_backend()  # the metrics need one too
    models = {
        preset: load_model_or_file(preset, arguments.max_disparity, arguments.align_corners)
        for preset in arguments.presets
    }
    task = _task(arguments, models)
    datasets = _open_datasets(arguments, task)
    methods = {}
    for name in arguments.baseline:
        methods[name] = task.baseline(name, arguments.max_disparity)
        if arguments.confidence:
            methods[name] = task.checked(methods[name])
    for preset, model in models.items():
        set_iterations(check_task(model, preset, task.purpose), arguments)
        methods[preset] = task.method(model)
        if arguments.confidence:
            methods[preset] = functools.partial(methods[preset], confidence=True)
    results = []
    for name, dataset, options in datasets:
        about = {"dataset": name, "options": options, "pairs": len(dataset)}
        measured = _measure(task, dataset, methods, name, arguments)
        results += [{"method": method} | about | numbers for method, numbers in measured.items()]
    if arguments.json:
        print_json({"backend": backend, "results": results})
        return
    kept = {"kept": "kept %", "epe_kept": "EPE kept"} if arguments.confidence else {}
    columns = task.COLUMNS | kept | {"seconds_per_pair": "s/pair"}
    rows = [
        [
            row["method"],
            " ".join([row["dataset"], *map(str, row["options"].values())]),
            row["pairs"],
            *(row[key] for key in columns),
        ]
        for row in results
    ]
    say(*table(rows, ["method", "data set", "pairs", *columns.values()]))


def _task(arguments, models):
    """`Flow` or `Stereo`, as presets, baselines or else data sets tell."""
    datasets = {task: set(map(plain_name, task.datasets())) for task in (Flow, Stereo)}
    signs = {Flow: [], Stereo: []}
    for task, other in ((Flow, Stereo), (Stereo, Flow)):
        names = [name for name in arguments.baseline if name in task.BASELINES]
        signs[task] += [f"--baseline {name}" for name in names]
        alone = datasets[task] - datasets[other]
        names = [name for name in arguments.dataset if plain_name(name) in alone]
        signs[task] += [f"--dataset {name}" for name in names]
    for preset, model in models.items():
        for task, verb in ((Flow, "flow"), (Stereo, "disparity")):
            signs[task] += [preset] * hasattr(model, verb)
    signs[Stereo] += ["--max-disparity"] * (arguments.max_disparity is not None)
    if all(signs.values()):
        flow, stereo = signs[Flow][0], signs[Stereo][0]
        raise UsageError(f"{flow} is for optical flow, {stereo} for stereo. Received: both")
    return Stereo if signs[Stereo] else Flow


def _open_datasets(arguments, task):
    """Open every data set; return a list of (name, data set, options it was opened with)."""
    known = {plain_name(name): entry for name, entry in task.datasets().items()}
    given, used, opened = dataset_options(arguments), set(), []
    for name, root in zip(arguments.dataset, arguments.root, strict=True):
        if plain_name(name) not in known:
            names = ", ".join(task.datasets())
            near = suggestion(name, task.datasets())
            raise CommandError(f"Data sets of {task.purpose} are {names}.{near} Received: {name!r}")
        kind, settled = known[plain_name(name)]
        # Of several data sets each takes the options that it has.
        options = {key: value for key, value in given.items() if key in _accepted(kind, settled)}
        used |= set(options)
        dataset = kind(root, **settled, **options)
        if not task.has_truth(dataset):
            needed = f"An evaluation needs ground truth, which this split of {name} withholds"
            raise CommandError(f"{needed}. Received: {dataset!r}")
        if arguments.limit and arguments.limit < len(dataset):
            note(f"{name}: the first {arguments.limit} of {len(dataset)} pairs")
            dataset = dataset[: arguments.limit]
        opened.append((name, dataset, options))
    unused = [key for key in given if key not in used]
    if unused:
        accepted = {name: sorted(_accepted(*known[plain_name(name)])) for name, *_ in opened}
        options = "; ".join(f"{name}: {', '.join(keys)}" for name, keys in accepted.items())
        near = suggestion(unused[0], set().union(*accepted.values()))
        raise UsageError(
            f"No data set here has that option ({options}).{near} Received: {unused[0]}"
        )
    return opened


def _accepted(kind, settled):
    return set(inspect.signature(kind).parameters) - {"root"} - set(settled)


def dataset_options(arguments):
    """Options of the data sets that the command line gives, a dictionary."""
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


def _measure(task, dataset, methods, title, arguments):
    """Run every method over a data set, decoded once; return {method: {key in --json: float}}."""
    found = {method: _Figures(task, arguments.confidence) for method in methods}
    with progress(len(dataset) * len(methods), "pair", arguments.quiet) as bar:
        bar.set_description(title)
        for sample in dataset:
            for method, estimate in methods.items():
                found[method].add(sample, estimate)
                bar.update()
    return {method: figures.result() for method, figures in found.items()}


class _Figures:
    """The figures of one method on one data set."""

    def __init__(self, task, confidence):
        self.task, self.confidence = task, confidence
        self.metrics, self.error_kept = task.metrics(), task.error()
        self.kept = self.known = 0.0
        self.seconds = []

    def add(self, sample, estimate):
        first, second, truth, weights = self.task.parts(sample)
        if not self.seconds:
            estimate(first, second)  # which compiles a network: no one wants that timed
        start = time.perf_counter()
        found = estimate(first, second)
        self.seconds.append(time.perf_counter() - start)
        values = found[0] if self.confidence else found
        for suffix, metric in self.metrics.values():
            if suffix in weights:
                self._update(metric, truth, values, weights[suffix])
        if self.confidence:
            kept = weights[""] * (1 - found.occlusion)
            self.kept += float(kept.sum())
            self.known += float(weights[""].sum())
            self._update(self.error_kept, truth, values, kept)

    @staticmethod
    def _update(metric, truth, estimate, weight):
        metric.update_state(truth[None], estimate[None], sample_weight=weight[None])

    def result(self):
        import statistics

        figures = {key: float(metric.result()) for key, (_, metric) in self.metrics.items()}
        if self.confidence:
            figures["kept"] = 100 * self.kept / max(self.known, 1)
            figures["epe_kept"] = float(self.error_kept.result())
        return figures | {"seconds_per_pair": statistics.median(self.seconds)}
