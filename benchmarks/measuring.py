"""Measures the time of networks, its ratio to that of their convolutions alone, and memory.

"The convolutions alone" are those of the network, with the same shapes, strides and dtypes, run one
after the other on random inputs. They alternate with the network in one process, and each figure is
the median of the rounds. Machines differ and are shared, so compare ratios. Every backend, dtype
and case runs in its own process. Memory is the peak of resident memory above the built model,
including compilation.
"""

import argparse
import functools
import importlib.util
import itertools
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


def alternate(functions, rounds, warm_up=2, clock=time.perf_counter, pick=statistics.median):
    """Return the median seconds of each function; they alternate, so that drift affects all."""
    for function in functions.values():
        for _ in range(warm_up):  # compile, then warm up
            function()
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return {name: pick(values) for name, values in seconds.items()}


def ready(result):
    """Wait for a tensor that is computed asynchronously."""
    from keras import ops

    if hasattr(result, "block_until_ready"):  # JAX
        return result.block_until_ready()
    return ops.convert_to_numpy(ops.cast(result[(0,) * len(result.shape)], "float32"))


def compiled(function, *arguments):
    """Return a function that calls the compiled function on fixed tensors."""
    from c2f_zoo.backend import jit

    function = jit(function)
    return lambda: ready(function(*arguments))


def recorded_convolutions(function):
    """List the convolutions that a call computes, by shapes, dtype and options."""
    import keras
    from keras import ops

    from c2f_zoo.layers import convolution

    # Keras' own layers take the operations from where they are defined.
    modules = ops, sys.modules["keras.src.ops"]
    calls, originals = [], {name: getattr(ops, name) for name in ("conv", "conv_transpose")}
    limits = convolution.KERNEL_BYTES, convolution.FEW_FILTERS
    # Kernels whole, and convolutions with few outputs as such.
    convolution.KERNEL_BYTES, convolution.FEW_FILTERS = float("inf"), 0

    def recorder(name):
        def record(x, kernel, **options):
            dtype = keras.backend.standardize_dtype(x.dtype)
            calls.append((name, tuple(x.shape), tuple(kernel.shape), dtype, options))
            return originals[name](x, kernel, **options)

        return record

    def put(functions):
        for name, module in itertools.product(functions, modules):
            setattr(module, name, functions[name])

    put({name: recorder(name) for name in originals})
    try:
        function()
    finally:
        convolution.KERNEL_BYTES, convolution.FEW_FILTERS = limits
        put(originals)
    return calls


def convolutions_alone(function):
    """Return a function without arguments that runs those convolutions on random inputs."""
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


def measure(function, passes, rounds, warm_up=2):
    """Measure the seconds of a case and of its convolutions, and its peak memory in MB.

    `passes` is a list of pairs (count, function): the convolutions of the function are run `count`
    times. It may also be a function that returns this list, whose memory is then not counted.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(warm_up):
        function()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    passes = passes() if callable(passes) else passes
    functions = {str(i): convolutions_alone(run) for i, (_, run) in enumerate(passes)}
    seconds = alternate({"case": function, **functions}, rounds, warm_up)
    alone = sum(number * seconds[str(i)] for i, (number, _) in enumerate(passes))
    return {"seconds": seconds["case"], "convolutions": alone, "memory": memory}


def run_inside(script, backend, *arguments, **environment):
    """Run a script in a process of its own, on a backend; the JSON of its last line."""
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, str(Path(script).resolve()), *arguments]
    output = subprocess.run(
        command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(output.splitlines()[-1])


def in_own_process(script, backend, case, dtype, rounds, small):
    asked = ["--backend", backend, "--cases", case, "--dtype", dtype, "--rounds", str(rounds)]
    return run_inside(script, backend, *asked, "--inside", *(["--small"] if small else []))


def table(figures, heading):
    """Format the figures as Markdown: one row per case and dtype, three columns per backend."""
    backends = [name for name in BACKENDS if any(entry["backend"] == name for entry in figures)]
    heads = [f"{name}: s | / convolutions | MB" for name in backends]
    lines = [
        heading,
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


def main(script, cases, measure_case, heading):
    """Measure the cases that the command line asks for, and print their table.

    Args:
        script: `__file__` of the benchmark, which is run again for each case.
        cases: Names of the cases.
        measure_case: Function of case, dtype, rounds and whether to be small.
        heading: Function of the latter that gives the line above the table.
    """
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked = os.environ.get("KERAS_BACKEND")
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default=asked,
        help="only this one (default: KERAS_BACKEND, or all)",
    )
    parser.add_argument("--cases", nargs="+", choices=cases, default=cases, metavar="CASE")
    parser.add_argument("--dtype", choices=DTYPES, help="only this one")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--small", "--tiny", action="store_true", help="small sizes, a quick test")
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each case")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rounds, small = arguments.rounds, arguments.small
    if arguments.inside:
        (case,) = arguments.cases
        return print(json.dumps(measure_case(case, arguments.dtype, rounds, small)))
    figures = []
    for backend in [arguments.backend] if arguments.backend else BACKENDS:
        if importlib.util.find_spec(backend) is None:
            print(f"{backend} is not installed", file=sys.stderr)
            continue
        for dtype in [arguments.dtype] if arguments.dtype else DTYPES:
            for case in arguments.cases:
                entry = in_own_process(script, backend, case, dtype, rounds, small)
                figures.append({"backend": backend, "dtype": dtype, "case": case, **entry})
                print(f"{backend} {dtype} {case}: {entry}", file=sys.stderr)
                if arguments.json:
                    Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures, heading(small)))
