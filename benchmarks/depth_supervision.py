"""Compares depth supervised at every scale with depth supervised at the finest alone.

    python benchmarks/depth_supervision.py --json supervision.json
    python benchmarks/depth_supervision.py --tiny                   a test, in half a minute

Each arm trains the same network from the same weights on the same rendered rooms in the same order,
with Adam at a rate that falls as a cosine:

- multi: the loss at all five scales, weight 1 each;
- single: the loss at the full size alone; the heads of the coarse scales learn nothing;
- multi residual, single residual: the same with heads that add to the enlarged answer of the
  coarser scale, so that the coarse maps count in the finest answer.

Reported are, on held-out rooms, the mean of |log d - log d*| of the map of every scale as training
goes on, the final metrics of the full size, and the norms of the gradient of each arm's own loss,
by the part of the network, at the first weights and at the last.
"""

import argparse
import json
import math
import time
from pathlib import Path

ARMS = {
    "multi": ((1.0,) * 5, False),
    "single": ((0.0, 0.0, 0.0, 0.0, 1.0), False),
    "multi residual": ((1.0,) * 5, True),
    "single residual": ((0.0, 0.0, 0.0, 0.0, 1.0), True),
}
LIMITS = (0.25, 25.0)
SCALES = ("1/16", "1/8", "1/4", "1/2", "1")
PARTS = ("stem", *(f"{part}_{level}" for part in ("down", "up", "head") for level in range(5)))


def rooms(size, count, batch_size, seed):
    """Rendered batches (images, depth), numpy float32."""
    from c2f_zoo import backend
    from c2f_zoo.data import DepthScenes

    scenes = DepthScenes(size, batch_size, seed=seed)
    return [tuple(map(backend.to_numpy, scenes.batch(index))) for index in range(count)]


def make(arm, width, seed):
    """The network of an arm, and its loss."""
    import keras

    from c2f_zoo import DepthUNet
    from c2f_zoo.losses import MultiscaleDepthLoss

    weights, residual = ARMS[arm]
    keras.utils.set_random_seed(seed)
    model = DepthUNet(width=width, groups=width // 2, limits=LIMITS, residual=residual)
    return model, MultiscaleDepthLoss(weights, l1_weight=2.5, limits=LIMITS)


def gradient_norms(model, loss, batch):
    """Norm of the loss's gradient in each of `PARTS`: the step of plain descent of rate 1."""
    import keras
    import numpy as np

    from c2f_zoo.backend import to_numpy

    probe = type(model).from_config(model.get_config())
    probe.set_weights(model.get_weights())
    probe.compile(keras.optimizers.SGD(1.0), loss, metrics=[])
    before = [to_numpy(weight).copy() for weight in probe.trainable_variables]
    probe.train_on_batch(*batch)
    squares = dict.fromkeys(PARTS, 0.0)
    for weight, old in zip(probe.trainable_variables, before, strict=True):
        squares[part_of(weight.path)] += float(np.sum((to_numpy(weight) - old) ** 2))
    return {part: math.sqrt(square) for part, square in squares.items()}


def part_of(path):
    """The part of the network that a weight belongs to, by its path."""
    names = path.split("/")
    name = next(name for name in names if name.split("_")[0] in NAMES)
    kind, *rest = name.split("_")
    if kind == "stem":
        return "stem"
    level = next(int(text) for text in rest if text.isdigit())
    # What shrinks into a level and what enlarges into one count to it.
    return {"shrink": f"down_{level + 1}", "enlarge": f"up_{level}"}.get(kind, f"{kind}_{level}")


NAMES = ("stem", "down", "shrink", "up", "enlarge", "head")


def log_errors(model, batches):
    """Mean of |log d - log d*| at every scale, the truth being the mean log depth of a cell."""
    import numpy as np

    from c2f_zoo.backend import to_numpy
    from c2f_zoo.layers import encode_depth
    from c2f_zoo.losses import shrink_known

    total = np.zeros(len(SCALES))
    for images, depth in batches:
        code = encode_depth(depth, "log", LIMITS)
        ones = np.ones_like(depth)
        for scale, estimate in enumerate(model.codes(images)):
            truth, _ = shrink_known(code, ones, 2 ** (len(SCALES) - 1 - scale))
            total[scale] += np.abs(to_numpy(estimate) - to_numpy(truth)).mean()
    return (total / len(batches) * math.log(LIMITS[1] / LIMITS[0])).tolist()


def constant_error(batches):
    """Mean of |log d - log d*| of one depth everywhere, the best: the median of all."""
    import numpy as np

    logs = np.log(np.concatenate([depth for _, depth in batches]))
    return float(np.abs(logs - np.median(logs)).mean())


def run_arm(arm, training, held_out, settings, seed):
    """Train one arm; return its figures."""
    import keras

    from c2f_zoo.metrics import depth_metrics

    model, loss = make(arm, settings["width"], seed)
    probe_batch = held_out[0]
    result = {"arm": arm, "seed": seed, "gradients": [gradient_norms(model, loss, probe_batch)]}
    steps, start = len(training), time.perf_counter()
    rate = keras.optimizers.schedules.CosineDecay(settings["rate"], steps)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=5.0), loss, metrics=[])
    result["errors"] = [[0, *log_errors(model, held_out)]]
    every = max(1, steps // settings["evaluations"])
    for step, batch in enumerate(training, 1):
        model.train_on_batch(*batch)
        if step % every == 0:
            result["errors"].append([step, *log_errors(model, held_out)])
    result["seconds"] = time.perf_counter() - start
    result["gradients"].append(gradient_norms(model, loss, probe_batch))
    metrics = [*depth_metrics(limits=LIMITS), *depth_metrics("median", LIMITS)]
    for images, depth in held_out:
        estimate = model.predict_on_batch(images)
        for metric in metrics:
            metric.update_state(depth, estimate)
    return result | {"metrics": {metric.name: float(metric.result()) for metric in metrics}}


def mean_of(results, arm, pick):
    """Mean over the seeds of a figure of an arm."""
    values = [pick(result) for result in results if result["arm"] == arm]
    return sum(values) / len(values)


def report(results):
    """The figures as Markdown tables, means over the seeds."""
    arms = [arm for arm in ARMS if any(result["arm"] == arm for result in results)]
    some = results[0]["errors"]
    lines = [
        "Mean |log d - log d*| of every scale, held out:",
        "",
        f"| arm | step | {' | '.join(SCALES)} |",
        "|---|---:|" + "---:|" * len(SCALES),
    ]
    for arm in arms:
        for row, (step, *_) in enumerate(some):
            cells = [
                f"{mean_of(results, arm, lambda r, i=i, j=row: r['errors'][j][1 + i]):.3f}"
                for i in range(len(SCALES))
            ]
            lines.append(f"| {arm} | {step} | {' | '.join(cells)} |")
    names = ("abs_rel", "rmse", "delta_1", "abs_rel_scaled", "delta_1_scaled", "silog")
    lines += ["", "Full size at the end, held out:", "", f"| arm | {' | '.join(names)} | s |"]
    lines += ["|---|" + "---:|" * (len(names) + 1)]
    for arm in arms:
        cells = [f"{mean_of(results, arm, lambda r, n=n: r['metrics'][n]):.3f}" for n in names]
        cells.append(f"{mean_of(results, arm, lambda r: r['seconds']):.0f}")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    lines += ["", "Norms of the gradient, at the first and at the last weights:", ""]
    lines += [f"| part | {' | '.join(arms)} |", "|---|" + "---:|" * len(arms)]
    for part in PARTS:
        cells = [
            " / ".join(
                f"{mean_of(results, arm, lambda r, w=when, p=part: r['gradients'][w][p]):.2g}"
                for when in (0, 1)
            )
            for arm in arms
        ]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv=None):
    """Run the comparison; see `--help`. Returns the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128), metavar=("H", "W"))
    parser.add_argument("--width", type=int, default=8, help="features of the finest scale")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each arm")
    parser.add_argument("--evaluations", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each arm")
    parser.add_argument("--tiny", action="store_true", help="a quick test")
    settings = vars(parser.parse_args(argv))
    if settings["tiny"]:
        settings |= {"steps": 2, "size": (32, 32), "batch": 2, "width": 4, "evaluations": 1}
    size, batch_size = tuple(settings["size"]), settings["batch"]
    held_out = rooms(size, 1 if settings["tiny"] else 12, 4, seed=987_654)
    results = []
    for seed in range(settings["seeds"]):
        training = rooms(size, settings["steps"], batch_size, seed=seed)
        for arm in settings["arms"]:
            results.append(run_arm(arm, training, held_out, settings, seed))
            print(f"{arm}, seed {seed}: {results[-1]['metrics']}", flush=True)
            if settings["json"]:
                Path(settings["json"]).write_text(json.dumps(results, indent=1) + "\n")
    print(report(results))
    print(f"\nOne depth everywhere: {constant_error(held_out):.3f}")
    return results


if __name__ == "__main__":
    main()
