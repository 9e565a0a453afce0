"""Trains PSMNet's three heads, and PSMNet lite, equally and briefly, and compares their errors.

    python benchmarks/stereo_heads.py --textures photographs --json heads.json
    python benchmarks/stereo_heads.py --tiny                  a quick test, in a minute

Each network sees the same rendered scenes in the same order and learns by its default loss and
Adam, with the rate falling from 1e-3 along half a cosine. Errors are of all pixels of scenes with
other photographs. `--textures` is a folder with train/ and validation/ photographs, as
`training/collect/photographs.py` makes it; without it textures are painted. This tells how fast the
heads learn, not how good they become. `stereo.py` has their time and memory.
"""

import argparse
import json
import sys
import time
from pathlib import Path

HEADS = ("basic", "stacked_hourglass", "cascade", "lite")
THRESHOLDS = (1, 3)


def scenes(options, part):
    """The scenes of one part, train or validation, of another seed each."""
    import numpy as np

    from c2f_zoo.data import StereoScenes, Surfaces
    from c2f_zoo.data.scenes.textures import load_textures, procedural_textures

    textures = procedural_textures(8 if options.tiny else 40)
    if options.textures:
        textures = np.concatenate([load_textures(str(Path(options.textures) / part)), textures])
    return StereoScenes(
        size=options.size,
        batch_size=options.batch,
        textures=textures,
        surfaces=Surfaces((4.0, 0.9 * options.range), (0.05, 0.7)),
        seed=1 if part == "train" else 2,
    )


def network(head, options):
    """A network with its first weights, compiled."""
    import keras

    from c2f_zoo import PSMNet, PSMNetLite

    keras.utils.set_random_seed(0)
    limit = {"max_disparity": options.range}
    model = PSMNetLite(**limit) if head == "lite" else PSMNet(head, **limit)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, options.steps)
    model.compile(keras.optimizers.Adam(rate))
    return model


def errors(model, held_out, batches):
    """Mean error in pixels and shares of bad pixels in percent, of all pixels of some batches."""
    import numpy as np

    from c2f_zoo.backend import to_numpy

    found = []
    for index in range(batches):
        pair, truth = held_out.batch(index)[:2]
        estimate = to_numpy(model.predict_on_batch(list(pair)))
        found.append(np.abs(estimate - to_numpy(truth)).ravel())
    error = np.concatenate(found)
    bad = {f"bad_{t}": 100 * float((error > t).mean()) for t in THRESHOLDS}
    return {"epe": float(error.mean()), **bad}


def train(head, options):
    """Train one head; returns its figures."""
    import numpy as np

    model, training = network(head, options), scenes(options, "train")
    seconds = 0.0
    for step in range(options.steps):
        pair, truth = training.batch(step)[:2]
        begun = time.process_time()
        model.train_on_batch(list(pair), truth)
        seconds += (time.process_time() - begun) if step > 0 else 0.0  # the first one compiles
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    held_out = errors(model, scenes(options, "validation"), options.held_out)
    return {
        "parameters": parameters,
        "cpu_seconds_a_step": seconds / max(1, options.steps - 1),
        **held_out,
    }


def table(figures):
    """Format the figures as Markdown."""
    lines = [
        "| network | parameters | CPU s a step | EPE, px | bad-1, % | bad-3, % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for head, found in figures.items():
        lines.append(
            f"| {head} | {found['parameters']:,} | {found['cpu_seconds_a_step']:.2f} "
            f"| {found['epe']:.2f} | {found['bad_1']:.1f} | {found['bad_3']:.1f} |"
        )
    return "\n".join(lines)


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=HEADS, metavar="HEAD")
    parser.add_argument("--textures", metavar="FOLDER", help="photographs (default: painted)")
    parser.add_argument("--steps", type=int, default=250, help="(default 250)")
    parser.add_argument("--batch", type=int, default=4, help="pairs a step (default 4)")
    parser.add_argument("--size", type=int, nargs=2, default=(64, 128), metavar=("H", "W"))
    parser.add_argument("--range", type=int, default=32, help="disparities (default 32)")
    parser.add_argument("--held-out", type=int, default=16, help="batches (default 16)")
    parser.add_argument("--tiny", action="store_true", help="a quick test")
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each head")
    options = parser.parse_args(argv)
    options.size = tuple(options.size)
    if options.tiny:
        options.steps, options.batch, options.size, options.held_out = 2, 2, (32, 48), 1
    return options


def main(argv=None):
    """Train the heads that the command line asks for, and print their table."""
    options, figures = parse(argv), {}
    for head in options.heads:
        figures[head] = train(head, options)
        print(f"{head}: {figures[head]}", file=sys.stderr, flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))
    return figures


if __name__ == "__main__":
    main()
