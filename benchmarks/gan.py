"""Speed and memory of the growing GANs, as ratios to their convolutions alone.

    python benchmarks/gan.py                                  every backend, float32 and bfloat16
    python benchmarks/gan.py --backend tensorflow --cases progan-step --dtype float32
    python benchmarks/gan.py --small --rounds 1               seconds: whether it runs at all

"The convolutions alone" are those that the network computes, each of the same shape, stride and
dtype with its kernel whole, one after the other on random inputs. Both take turns in one process.
A training step of WGAN-GP is compared to as many forward convolutions as it has passes, see
`STEP_PASSES`. Each figure is the median of the rounds; machines differ and are shared, so compare
the ratios. Every backend, dtype and case runs in a process of its own, whose peak of resident
memory above the built model is the case's, compilation included.
"""

import argparse
import functools
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
DTYPES = ("float32", "mixed_bfloat16")
CASES = (
    "progan-generator",
    "progan-generator-fused",
    "progan-discriminator",
    "stylegan-generator",
    "stylegan2-generator",
    "stylegan2-discriminator",
    "modulated",
    "modulated-fused",
    "modulated-up",
    "modulated-up-fused",
    "progan-step",
    "progan-step-fused",
)

# Passes over each network's convolutions in one step of WGAN-GP, a gradient for inputs or for
# kernels being one. Discriminator: real and fake 3 each (forward, inputs, kernels), penalty 6
# (forward and inputs, then the gradients of both, for inputs and for kernels), generator's loss
# 2 (forward, inputs). Generator: 1 for the discriminator's fakes, 3 for its own loss.
STEP_PASSES = {"discriminator": 14, "generator": 4}


def alternate(functions, rounds):
    """Median seconds of each function, called in turn so that drift meets all alike."""
    for function in functions.values():
        function(), function()  # compile, then warm up
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def ready(result):
    """Wait for a tensor that a backend computes in the background."""
    from keras import ops

    if hasattr(result, "block_until_ready"):  # JAX
        return result.block_until_ready()
    return ops.convert_to_numpy(ops.cast(result[(0,) * len(result.shape)], "float32"))


def compiled(function, *arguments):
    """A call of the compiled function on fixed tensors."""
    from c2f_zoo.backend import jit

    function = jit(function)
    return lambda: ready(function(*arguments))


def recorded_convolutions(function):
    """Every convolution that a call of the function computes, by shapes, dtype and options."""
    import keras
    from keras import ops

    from c2f_zoo.layers import convolution

    calls, originals = [], {name: getattr(ops, name) for name in ("conv", "conv_transpose")}
    limit, convolution.KERNEL_BYTES = convolution.KERNEL_BYTES, float("inf")  # kernels whole

    def recorder(name):
        def record(x, kernel, **options):
            dtype = keras.backend.standardize_dtype(x.dtype)
            calls.append((name, tuple(x.shape), tuple(kernel.shape), dtype, options))
            return originals[name](x, kernel, **options)

        return record

    for name in originals:
        setattr(ops, name, recorder(name))
    try:
        function()
    finally:
        convolution.KERNEL_BYTES = limit
        for name, original in originals.items():
            setattr(ops, name, original)
    return calls


def convolutions_alone(function):
    """A function of nothing that runs those convolutions on random inputs."""
    import keras
    from keras import ops

    calls = []
    for name, x_shape, kernel_shape, dtype, options in recorded_convolutions(function):
        x, kernel = (
            ops.cast(keras.random.normal(shape), dtype) for shape in (x_shape, kernel_shape)
        )

        operation = functools.partial(getattr(ops, name), **options)

        # Each by itself, so that its output is freed before the next one's is taken.
        calls.append(compiled(operation, x, kernel))

    def run():
        for call in calls:
            call()

    return run


class Sizes:
    """What is measured: the issue's sizes, or tiny ones."""

    def __init__(self, small):
        self.resolution, self.batch = (16, 2) if small else (256, 4)
        self.step_resolution, self.step_batch = (8, 4) if small else (64, 16)
        self.features, self.channels = (8, 16) if small else (32, 512)
        self.options = {"channel_max": 32} if small else {}


def network_case(case, dtype, sizes):
    """Forward pass of a network, and its convolutions alone."""
    import numpy as np

    from c2f_zoo.models import progan, stylegan, stylegan2

    networks = {
        "progan-generator": progan.ProGANGenerator,
        "progan-discriminator": progan.ProGANDiscriminator,
        "stylegan-generator": stylegan.StyleGANGenerator,
        "stylegan2-generator": stylegan2.StyleGAN2Generator,
        "stylegan2-discriminator": stylegan2.StyleGAN2Discriminator,
    }
    options = {**sizes.options, **({"fused": True} if case.endswith("-fused") else {})}
    network = networks[case.removesuffix("-fused")](sizes.resolution, dtype=dtype, **options)
    network.compile()
    shape = (sizes.batch, sizes.resolution, sizes.resolution, 3)
    if "generator" in case:
        shape = (sizes.batch, network.latent_size)
    inputs = np.random.default_rng(0).standard_normal(shape, dtype="float32")
    return lambda: network.predict_on_batch(inputs), [(1, lambda: network(inputs))]


def modulated_case(case, dtype, sizes):
    """One modulated convolution, and the convolution in it."""
    import keras
    from keras import ops

    from c2f_zoo.layers import modulated_conv2d

    dtype = "bfloat16" if dtype == "mixed_bfloat16" else dtype
    channels, side = sizes.channels, sizes.features
    shapes = (
        (sizes.batch, side, side, channels),
        (3, 3, channels, channels),
        (sizes.batch, channels),
    )
    tensors = [ops.cast(keras.random.normal(shape), dtype) for shape in shapes]
    resample = "up" if "-up" in case else None

    modulated = functools.partial(modulated_conv2d, resample=resample)
    as_asked = functools.partial(modulated, fused=case.endswith("-fused"))

    # Fused or not, the yardstick is one ordinary convolution of the batch.
    return compiled(as_asked, *tensors), [(1, lambda: modulated(*tensors))]


def step_case(case, dtype, sizes):
    """One step of both networks, and as many convolutions as it has passes."""
    import numpy as np

    from c2f_zoo.models.progan import ProGANDiscriminator, ProGANGenerator
    from c2f_zoo.training import AdversarialModel

    side, batch = sizes.step_resolution, sizes.step_batch
    options = {"dtype": dtype, "fused": case.endswith("-fused"), **sizes.options}
    generator = ProGANGenerator(side, **options)
    discriminator = ProGANDiscriminator(side, **options)
    model = AdversarialModel(generator, discriminator, seed=0)
    model.compile("progan")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), dtype="uint8")
    latents = random.standard_normal((batch, generator.latent_size), dtype="float32")
    signed = images.astype("float32") / 127.5 - 1
    passes = [
        (STEP_PASSES["generator"], lambda: generator(latents)),
        (STEP_PASSES["discriminator"], lambda: discriminator(signed)),
    ]
    return lambda: model.train_on_batch(images), passes


def measure(case, dtype, rounds, sizes):
    """Seconds of a case and of its convolutions, and its peak memory in MB."""
    kind = {"modulated": modulated_case}.get(case.split("-")[0], network_case)
    function, passes = (step_case if "-step" in case else kind)(case, dtype, sizes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    function(), function()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    functions = {str(i): convolutions_alone(run) for i, (_, run) in enumerate(passes)}
    seconds = alternate({"case": function, **functions}, rounds)
    alone = sum(number * seconds[str(i)] for i, (number, _) in enumerate(passes))
    return {"seconds": seconds["case"], "convolutions": alone, "memory": memory}


def in_own_process(backend, case, dtype, rounds, small):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).resolve()), "--backend", backend]
    command += ["--cases", case, "--dtype", dtype, "--rounds", str(rounds), "--inside"]
    command += ["--small"] if small else []
    output = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(output.splitlines()[-1])


def table(figures, sizes):
    """The figures as Markdown: a row a case and dtype, three columns a backend."""
    backends = [name for name in BACKENDS if any(entry["backend"] == name for entry in figures)]
    heads = [f"{name}: s | / convolutions | MB" for name in backends]
    lines = [
        f"Networks at {sizes.resolution}x{sizes.resolution} batch {sizes.batch}, modulated "
        f"convolutions {sizes.channels} to {sizes.channels} at {sizes.features}x{sizes.features} "
        f"batch {sizes.batch}, steps at {sizes.step_resolution}x{sizes.step_resolution} batch "
        f"{sizes.step_batch}.",
        "",
        f"| case | dtype | {' | '.join(heads)} |",
        "|---|---|" + "---:|---:|---:|" * len(backends),
    ]
    found = {(entry["case"], entry["dtype"], entry["backend"]): entry for entry in figures}
    for case, dtype in dict.fromkeys((entry["case"], entry["dtype"]) for entry in figures):
        cells = []
        for backend in backends:
            entry = found.get((case, dtype, backend))
            cells += ["", "", ""] if entry is None else _cells(entry)
        lines.append(f"| {case} | {dtype.removeprefix('mixed_')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(entry):
    ratio = entry["seconds"] / entry["convolutions"]
    return [f"{entry['seconds']:.3f}", f"{ratio:.2f}", f"{entry['memory']:.0f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    parser.add_argument("--dtype", choices=DTYPES, help="only this one")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each case")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = Sizes(arguments.small)
    if arguments.inside:
        (case,) = arguments.cases
        return print(json.dumps(measure(case, arguments.dtype, arguments.rounds, sizes)))
    figures = []
    for backend in [arguments.backend] if arguments.backend else BACKENDS:
        if importlib.util.find_spec(backend) is None:
            print(f"{backend} is not installed", file=sys.stderr)
            continue
        for dtype in [arguments.dtype] if arguments.dtype else DTYPES:
            for case in arguments.cases:
                entry = in_own_process(backend, case, dtype, arguments.rounds, arguments.small)
                figures.append({"backend": backend, "dtype": dtype, "case": case, **entry})
                print(f"{backend} {dtype} {case}: {entry}", file=sys.stderr)
                if arguments.json:
                    Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures, sizes))


if __name__ == "__main__":
    main()
