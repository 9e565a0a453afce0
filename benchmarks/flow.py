"""Speed of the optical flow networks and their operations, as ratios within one run.

    python benchmarks/flow.py                      every installed backend
    python benchmarks/flow.py --backend jax --rounds 3

Each figure is the median of alternating rounds. Machines differ and are shared: compare the
ratios. Each backend and each measurement of memory runs in its own process.
"""

import argparse
import importlib.util
import itertools
import json
import resource
import sys
from pathlib import Path

from measuring import BACKENDS, alternate, run_inside  # the file beside this one

FORWARD = (1, 448, 1024, 3)
TRAINING = (2, 384, 448, 3)
LEVEL2 = (1, 112, 256, 32)  # features of level 2 at the forward pass's size
RENDERED = (8, 256, 320)  # pairs of scenes


def ready(result):
    """Wait for a result that is computed asynchronously."""
    import keras
    from keras import ops

    tensors = keras.tree.flatten(result)
    for tensor in tensors:
        if hasattr(tensor, "block_until_ready"):  # JAX
            tensor.block_until_ready()
    # TensorFlow and PyTorch keep the order of work: what came last is ready last.
    ops.convert_to_numpy(tensors[-1][(0,) * len(tensors[-1].shape)])
    return result


def compiled(function, *arguments):
    """Return a function that calls the compiled function on fixed tensors."""
    from keras import ops

    from c2f_zoo.backend import jit

    function, tensors = jit(function), [ops.convert_to_tensor(a) for a in arguments]
    return lambda: ready(function(*tensors))


def images(shape):
    import numpy as np

    return tuple(np.random.default_rng(i).random(shape, dtype="float32") for i in range(2))


def convolutions_alone(model, pair):
    """Return a function that runs all convolutions of a forward pass on inputs of equal shapes."""
    import keras
    import numpy as np
    from keras import ops

    calls, convolution = [], (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    original = {cls: cls.__call__ for cls in convolution}

    def record(cls):
        def call(self, x, *args, **kwargs):
            calls.append((self, tuple(x.shape)))
            return original[cls](self, x, *args, **kwargs)

        return call

    for cls in convolution:
        cls.__call__ = record(cls)
    try:
        model(tuple(ops.convert_to_tensor(image) for image in pair))
    finally:
        for cls in convolution:
            cls.__call__ = original[cls]
    inputs = [np.random.default_rng(0).random(shape, dtype="float32") for _, shape in calls]
    layers = [layer for layer, _ in calls]
    return compiled(lambda *xs: [layer(x) for layer, x in zip(layers, xs, strict=True)], *inputs)


def shifted_products(query, key, d=4):
    """The cost volume as 81 products of the query with a shifted key."""
    from keras import ops

    height, width = query.shape[1:3]
    key = ops.pad(key, ((0, 0), (d, d), (d, d), (0, 0)))
    shifts = [(y, x) for y in range(2 * d + 1) for x in range(2 * d + 1)]
    return ops.stack(
        [ops.mean(query * key[:, y : y + height, x : x + width], axis=-1) for y, x in shifts], -1
    )


def warp_by_map_coordinates(image, flow):
    """The warp by `keras.ops.image.map_coordinates`, one channel at a time."""
    from keras import ops

    height, width, channels = image.shape[1:]
    x = flow[0, ..., 0] + ops.arange(width, dtype="float32")[None]
    y = flow[0, ..., 1] + ops.arange(height, dtype="float32")[:, None]
    grid = [ops.broadcast_to(axis[..., None], (height, width, channels)) for axis in (y, x)]
    channel = ops.arange(channels, dtype="float32")
    grid.append(ops.broadcast_to(channel[None, None], (height, width, channels)))
    return ops.image.map_coordinates(image[0], ops.stack(grid), order=1)[None]


def large_kernel(random):
    """The first convolution of the context network, whole and in two halves of its outputs."""
    from keras import ops

    features = random.random((*LEVEL2[:3], 565), dtype="float32")
    kernel = random.random((3, 3, 565, 128), dtype="float32")

    def halves(x, kernel):
        parts = [ops.conv(x, half, padding="same") for half in ops.split(kernel, 2, axis=-1)]
        return ops.concatenate(parts, axis=-1)

    return {
        "large kernel": compiled(lambda x, k: ops.conv(x, k, padding="same"), features, kernel),
        "large kernel in two halves": compiled(halves, features, kernel),
    }


def few_outputs(random):
    """The convolution that predicts the finest flow, and the same by a product for all taps."""
    from keras import ops

    from c2f_zoo.layers.convolution import convolve_by_taps

    features = random.random((*LEVEL2[:3], 565), dtype="float32")
    kernel = random.random((3, 3, 565, 2), dtype="float32")
    return {
        "few outputs": compiled(lambda x, k: ops.conv(x, k, padding="same"), features, kernel),
        "few outputs by taps": compiled(convolve_by_taps, features, kernel),
    }


def predictor(model, pair):
    return lambda: model.predict_on_batch(pair)


def measure_backend(rounds):
    """Measure the seconds of each operation on one backend."""
    import numpy as np

    from c2f_zoo import PWCNet, PWCNetLite
    from c2f_zoo.data import Scenes
    from c2f_zoo.layers import local_correlation, warp

    random = np.random.default_rng(0)
    query, key = (random.normal(size=LEVEL2).astype("float32") for _ in range(2))
    flow = random.normal(scale=3, size=(*LEVEL2[:3], 2)).astype("float32")
    result = alternate(
        {
            "correlation": compiled(local_correlation, query, key),
            "correlation as 81 shifts": compiled(shifted_products, query, key),
            "warp": compiled(warp, query, flow),
            "warp by map_coordinates": compiled(warp_by_map_coordinates, query, flow),
            **large_kernel(random),
            **few_outputs(random),
        },
        2 * rounds,
    )
    scenes, count = Scenes(size=RENDERED[1:], batch_size=RENDERED[0]), itertools.count()
    result |= alternate({"rendering 8 pairs": lambda: ready(scenes.batch(next(count)))}, rounds)
    pair = images(FORWARD)
    model, lite = PWCNet("released"), PWCNetLite()
    bfloat16, bfloat16_lite = (network(dtype="mixed_bfloat16") for network in (PWCNet, PWCNetLite))
    for network in (model, lite, bfloat16, bfloat16_lite):
        network.compile()
    result |= alternate(
        {
            "forward": predictor(model, pair),
            "forward, convolutions alone": convolutions_alone(model, pair),
            "forward, mixed_bfloat16": predictor(bfloat16, pair),
            "forward, lite": predictor(lite, pair),
        },
        rounds,
    )
    batch, truth = images(TRAINING), np.ones((*TRAINING[:3], 2), "float32")
    steps = {
        name: (lambda network=network: network.train_on_batch(batch, truth))
        for name, network in (
            ("training step", model),
            ("training step, mixed_bfloat16", bfloat16),
            ("training step, lite", lite),
            ("training step, lite, mixed_bfloat16", bfloat16_lite),
        )
    }
    return result | alternate(steps, max(1, rounds // 2))


def measure_memory(part):
    """Measure the peak MB of one forward pass or training step above the built model."""
    import numpy as np

    from c2f_zoo import PWCNet

    model = PWCNet("released")
    model.compile()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if part == "forward":
        model.predict_on_batch(images(FORWARD))
    else:
        model.train_on_batch(images(TRAINING), np.ones((*TRAINING[:3], 2), "float32"))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {f"peak memory, {part} (MB)": (after - before) / 1024}


def in_own_process(backend, *arguments):
    return run_inside(__file__, backend, "--backend", backend, *arguments)


RATIOS = (
    ("forward / its convolutions alone", "forward", "forward, convolutions alone"),
    ("81 shifts / correlation", "correlation as 81 shifts", "correlation"),
    ("map_coordinates / warp", "warp by map_coordinates", "warp"),
    ("bfloat16 / float32, forward", "forward, mixed_bfloat16", "forward"),
    ("bfloat16 / float32, training", "training step, mixed_bfloat16", "training step"),
    (
        "bfloat16 / float32, lite, training",
        "training step, lite, mixed_bfloat16",
        "training step, lite",
    ),
    ("halves / whole, large kernel", "large kernel in two halves", "large kernel"),
    ("by taps / as it is, few outputs", "few outputs by taps", "few outputs"),
    ("lite / released, forward", "forward, lite", "forward"),
    ("lite / released, training", "training step, lite", "training step"),
)


def report(figures):
    """Print a table with one row per figure and one column per backend."""
    names = list(figures)
    print(
        f"{'448x1024 batch 1; training 384x448 batch 2':44s}" + "".join(f"{n:>12s}" for n in names)
    )
    for row in next(iter(figures.values())):
        unit = 1 if "(MB)" in row else 1000
        label = row if "(MB)" in row else f"{row} (ms)"
        print(f"{label:44s}" + "".join(f"{figures[n][row] * unit:12.1f}" for n in names))
    for label, above, below in RATIOS:
        ratios = (figures[n][above] / figures[n][below] for n in names)
        print(f"{label:44s}" + "".join(f"{ratio:11.2f}x" for ratio in ratios))
    rates = (RENDERED[0] / figures[n]["rendering 8 pairs"] for n in names)
    print(f"{'rendered pairs a second, 256x320':44s}" + "".join(f"{rate:12.1f}" for rate in rates))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (default 7)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--part", choices=("speed", "forward", "training"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part == "speed":
        return print(json.dumps(measure_backend(arguments.rounds)))
    if arguments.part:
        return print(json.dumps(measure_memory(arguments.part)))
    chosen = [arguments.backend] if arguments.backend else BACKENDS
    figures = {}
    for backend in chosen:
        if importlib.util.find_spec(backend) is None:
            print(f"{backend} is not installed", file=sys.stderr)
            continue
        figures[backend] = in_own_process(
            backend, "--part", "speed", "--rounds", str(arguments.rounds)
        )
        for part in ("forward", "training"):
            figures[backend] |= in_own_process(backend, "--part", part)
    report(figures)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
