"""Peak memory and time of a training step: activations kept or computed again, batches in parts.

Each way of each case runs in a process of its own, since the peak of resident memory never falls.
It is that of the steps above the built model, with compilation. Seconds are of processor time on
one thread, the lowest of the rounds after a first step.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from dense_prediction import ONE_THREAD  # the files beside this one
from measuring import BACKENDS, alternate, run_inside

WHOLE, AGAIN, PARTS = "whole", "computed again", "4 parts"
CASES = {
    "raft-small": (WHOLE, AGAIN),
    "psmnet": (WHOLE, AGAIN),
    "psmnet-basic": (WHOLE, AGAIN),
    "pwcnet-lite": (WHOLE, PARTS),
    "depth-unet": (WHOLE, PARTS),
}


def setting(case, tiny):
    """The network's maker, its task's channels, batch, height and width of a case."""
    from c2f_zoo import models

    if case == "raft-small":
        iterations = 2 if tiny else 12
        size = (1, 64, 64) if tiny else (1, 368, 496)
        return lambda **more: models.RAFT("small", iterations=iterations, **more), 2, *size
    if case.startswith("psmnet"):
        variant = "basic" if case.endswith("basic") else "stacked_hourglass"
        limit, size = (16, (1, 32, 32)) if tiny else (192, (1, 256, 512))
        return lambda **more: models.PSMNet(variant, max_disparity=limit, **more), 1, *size
    size = (8, 64, 64) if tiny else (8, 256, 320)
    return (models.PWCNetLite, 2, *size) if case == "pwcnet-lite" else (models.DepthUNet, 1, *size)


def measure_case(case, way, rounds, tiny):
    """Measure one way of a case on the backend in use: processor seconds, and MB."""
    import keras
    import numpy as np

    make, channels, batch, height, width = setting(case, tiny)
    model = make(**({"rematerialize": True} if way == AGAIN else {}))
    model.compile(keras.optimizers.SGD(1e-4), metrics=[], micro_batches=4 if way == PARTS else 1)
    random = np.random.default_rng(0)
    images = tuple(random.random((2, batch, height, width, 3), dtype="float32"))
    truth = random.uniform(1, 9, (batch, height, width, channels)).astype("float32")
    inputs = images[0] if case.startswith("depth") else images
    model.predict_on_batch(keras.tree.map_structure(lambda array: array[:1, :64, :64], inputs))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def step():
        model.train_on_batch(inputs, truth)

    seconds = alternate({"step": step}, rounds, 1, time.process_time, min)["step"]
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": seconds, "memory": memory}


def table(figures):
    """Format figures, a list of dictionaries, as Markdown: a row for each backend and case."""
    lines = [
        "| backend | case | | MB | MB of whole | s | s of whole |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    whole = {(one["backend"], one["case"]): one for one in figures if one["way"] == WHOLE}
    for one in figures:
        base = whole.get((one["backend"], one["case"]), {})
        shares = [
            f"{one[name] / base[name]:.2f}" if base.get(name) else ""
            for name in ("memory", "seconds")
        ]
        cells = (f"{one['memory']:.0f}", shares[0], f"{one['seconds']:.2f}", shares[1])
        lines.append(f"| {one['backend']} | {one['case']} | {one['way']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def in_own_process(backend, case, way, rounds, tiny):
    asked = ["--inside", way, "--cases", case, "--rounds", str(rounds)]
    found = run_inside(__file__, backend, *asked, *(["--tiny"] if tiny else []), **ONE_THREAD)
    return {"backend": backend, "case": case, "way": way, **found}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--rounds", type=int, default=2, help="rounds (default 2)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, a quick test")
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each way")
    parser.add_argument("--inside", choices=(WHOLE, AGAIN, PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        (case,) = options.cases
        return print(json.dumps(measure_case(case, options.inside, options.rounds, options.tiny)))
    figures = []
    for backend in [options.backend] if options.backend else BACKENDS:
        for case in options.cases:
            for way in CASES[case]:
                asked = backend, case, way, options.rounds, options.tiny
                figures.append(in_own_process(*asked))
                print(figures[-1], file=sys.stderr)
                if options.json:
                    Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    return print(table(figures))


if __name__ == "__main__":
    main()
