"""Time of PWC-Net, RAFT and PSMNet beside PyTorch forward passes of the same networks.

    python benchmarks/dense_prediction.py --backend tensorflow --json FILE
    python benchmarks/dense_prediction.py --tiny --rounds 1        a quick test

The PyTorch passes are those that the tests compare with, written from the papers; they run under
`torch.inference_mode`, with kernels in channels-last order or not, whichever is faster, and enlarge
RAFT's last flow alone. Every case is a process of its own, in which the network, its convolutions
alone (see `measuring.py`) and the PyTorch pass take turns on one thread each. Figures are seconds
of processor time, the lowest of the rounds; memory is the peak above the built model.

- pwcnet: the released variant at 448x1024; pwcnet-training: a step with four pairs of 192x448,
  beside PyTorch's forward and backward pass, which has neither the paper's loss nor an optimizer;
- raft-large, raft-small: 12 iterations at 440x1024; raft-lite: 4. "an iteration" is the difference
  that further ones make, divided by their number;
- psmnet-basic, -stacked_hourglass, -cascade, -lite: 256x512 with 192 disparities.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from measuring import (  # the file beside this one
    BACKENDS,
    alternate,
    convolutions_alone,
    run_inside,
)

ROOT = Path(__file__).resolve().parents[1]
PSMNETS = ("basic", "stacked_hourglass", "cascade", "lite")
CASES = (
    "pwcnet",
    "pwcnet-training",
    *(f"raft-{variant}" for variant in ("large", "small", "lite")),
    *(f"psmnet-{variant}" for variant in PSMNETS),
)
PUBLISHED = (
    "pwcnet",
    "pwcnet-training",
    "raft-large",
    "raft-small",
    "psmnet-basic",
    "psmnet-stacked_hourglass",
)
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


def size_of(case, tiny):
    """Height and width of a case's images."""
    if case.startswith("psmnet"):
        return (64, 128) if tiny else (256, 512)
    if case == "pwcnet-training":
        return (64, 64) if tiny else (192, 448)
    height = 448 if case == "pwcnet" else 440
    return (64, 128) if tiny else (height, 1024)


def disparities(tiny):
    return 32 if tiny else 192


def network(case, tiny):
    """The network of a case."""
    from c2f_zoo import RAFT, PSMNet, PSMNetLite, PWCNet

    family, _, variant = case.partition("-")
    if family == "pwcnet":
        return PWCNet("released")
    if family == "raft":
        return RAFT(variant)
    options = {"max_disparity": disparities(tiny)}
    return PSMNetLite(**options) if variant == "lite" else PSMNet(variant, **options)


def in_channels_last(weights):
    """The same arrays, those of four axes with their channels last in memory."""
    import numpy as np

    return {
        name: np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        if array.ndim == 4
        else array
        for name, array in weights.items()
    }


def reference_passes(case, pair, tiny):
    """The PyTorch forward pass of a published network, in both orders of the kernels' axes."""
    import numpy as np
    import torch

    sys.path.insert(0, str(ROOT))
    torch.set_num_threads(1)
    family, _, variant = case.partition("-")
    planes = [np.ascontiguousarray(image.transpose(0, 3, 1, 2)) for image in pair]
    if case == "pwcnet-training":
        from tests.models.pwcnet.official import forward, random_weights

        tensors = [torch.from_numpy(image) for image in planes]

        def make(weights):
            weights = {
                name: torch.from_numpy(array).requires_grad_() for name, array in weights.items()
            }
            return lambda: forward(weights, "released", *tensors, "prepended").mean().backward()

        weights = random_weights("released")
        return [make(kernels) for kernels in (weights, in_channels_last(weights))]
    if family == "pwcnet":
        from tests.models.pwcnet.official import random_weights, reference_flow

        weights = random_weights("released")

        def make(weights):
            return lambda: reference_flow(weights, "released", *planes, "prepended")
    elif family == "raft":
        from tests.models.raft.reference import Reference, random_weights

        weights = random_weights(variant)

        def make(weights):
            model, tensors = Reference(weights, variant), map(torch.from_numpy, planes)
            tensors = tuple(tensors)
            return lambda: model(*tensors, 2 if tiny else 12, keep_all=False)
    else:
        from tests.models.psmnet.official import random_weights, reference_disparities

        weights = random_weights(variant)

        def make(weights):
            return lambda: reference_disparities(weights, variant, *pair, disparities(tiny))

    def inferring(run):
        def call():
            with torch.inference_mode():
                run()

        return call

    return [inferring(make(kernels)) for kernels in (weights, in_channels_last(weights))]


def faster(passes):
    """The faster one of functions that are not measured for longer than once."""
    seconds = [alternate({"": run}, 1, 0, time.process_time)[""] for run in passes]
    return passes[seconds.index(min(seconds))]


def measure_case(case, rounds, tiny):
    """Measure one case on the backend in use: seconds of each part, and MB."""
    import numpy as np

    model = network(case, tiny)
    model.compile()
    trains = case.endswith("training")
    shape = (2, 4 if trains else 1, *size_of(case, tiny), 3)
    pair = tuple(np.random.default_rng(0).random(shape, dtype="float32"))
    functions = {"network": lambda: model.predict_on_batch(pair)}
    if trains:
        truth = np.zeros((*shape[1:-1], 2), "float32")
        functions = {"network": lambda: model.train_on_batch(pair, truth)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    functions["network"]()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if not trains:
        functions["convolutions"] = convolutions_alone(lambda: model(pair, training=False))
    if case.startswith("raft"):
        few = network(case, tiny)
        few.iterations = model.iterations // 2
        few.compile()
        functions["half of the iterations"] = lambda: few.predict_on_batch(pair)
    if case in PUBLISHED:
        functions["PyTorch"] = faster(reference_passes(case, pair, tiny))
    found = alternate(functions, rounds, 1, time.process_time, min)
    if "half of the iterations" in found:
        more = found["network"] - found.pop("half of the iterations")
        found["an iteration"] = more / (model.iterations - model.iterations // 2)
    return {**found, "memory": memory}


def table(figures):
    """Format figures, a list of dictionaries, as Markdown."""
    lines = [
        "| backend | network | s | / PyTorch | / convolutions | convolutions / PyTorch "
        "| an iteration, s | peak MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in figures:
        ratios = (
            f"{entry[part] / entry[whole]:.2f}" if part in entry and whole in entry else ""
            for part, whole in (
                ("network", "PyTorch"),
                ("network", "convolutions"),
                ("convolutions", "PyTorch"),
            )
        )
        cells = [
            f"{entry['network']:.2f}",
            *ratios,
            f"{entry['an iteration']:.3f}" if "an iteration" in entry else "",
            f"{entry['memory']:.0f}",
        ]
        lines.append(f"| {entry['backend']} | {entry['case']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def in_own_process(backend, case, rounds, tiny):
    asked = ["--inside", "--cases", case, "--rounds", str(rounds)]
    found = run_inside(__file__, backend, *asked, *(["--tiny"] if tiny else []), **ONE_THREAD)
    return {"backend": backend, "case": case, **found}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds (default 3)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, a quick test")
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each case")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        (case,) = options.cases
        return print(json.dumps(measure_case(case, options.rounds, options.tiny)))
    figures = []
    for backend in [options.backend] if options.backend else BACKENDS:
        for case in options.cases:
            figures.append(in_own_process(backend, case, options.rounds, options.tiny))
            print(figures[-1], file=sys.stderr)
            if options.json:
                Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    return print(table(figures))


if __name__ == "__main__":
    main()
