"""Speed of the low-pass filter of StyleGAN2, with first- and second-order gradients.

    python benchmarks/fir.py                                    every installed backend
    python benchmarks/fir.py --backend jax --rounds 3
    python benchmarks/fir.py --small --rounds 1                 a quick test, in seconds

Compares several implementations of the separable filter (1, 3, 3, 1) that compute the same values;
"library" is the one that `c2f_zoo.layers.fir` chooses. The implementations alternate in one
process. Each figure is the lowest processor time of the rounds in ms, which hardly depends on other
processes of the machine. "gradient" is the gradient for the images, and "second order" that of a
penalty on gradients (double backward), which R1 and path length regularisation need. The last rows
of a backend measure the kernel (k, k, C, F) of fused up- or downsampling, the sum of four shifts:
"library" by one matrix product, "slices" by slices.
"""

import argparse
import functools
import importlib.util
import itertools
import os
import subprocess
import sys
import time

import numpy as np
from measuring import BACKENDS, ready  # the file beside this one

TAPS = (0.125, 0.375, 0.375, 0.125)
ORDERS = ("forward", "gradient", "second order")
NAMES = ("library", "depthwise", "slices", "matrices")
SMALL = ((1, 8, 8, 4),)
SHAPES = ((4, 64, 64, 32), (4, 64, 64, 128), (1, 256, 256, 32), (1, 256, 256, 128))


def library(x, stride):
    """The implementation that the library chooses on this backend."""
    from c2f_zoo.layers import fir

    before = 2 if stride == 1 else 1
    return fir._filter(x, list(TAPS), before, 1, stride)


def depthwise(x, stride):
    """One depthwise convolution with the outer product of the taps."""
    from c2f_zoo.layers import fir

    return fir._filter_by_depthwise(_padded(x, stride), list(TAPS), stride)


def slices(x, stride):
    """Sums of shifted slices, rows then columns."""
    from c2f_zoo.layers import fir

    return fir._filter_by_slices(_padded(x, stride), list(TAPS), stride)


def matrices(x, stride):
    """Products with banded matrices, whose cost per pixel grows with the side."""
    from c2f_zoo.layers import fir

    return fir._filter_by_matrices(x, list(TAPS), 2 if stride == 1 else 1, 1, stride)


# XLA's grouped convolutions on CPUs take 10 to 100 times the slices.
FORMS = {
    "tensorflow": (library, depthwise, slices, matrices),
    "jax": (library, slices, matrices),
    "torch": (library, depthwise, slices, matrices),
}


def _padded(x, stride):
    from keras import ops

    around = (2 if stride == 1 else 1, 1)
    return ops.pad(x, ((0, 0), around, around, (0, 0)))


def derived(function, order):
    """Compile the function, its gradient, or the gradient of its gradient's squared norm."""
    import keras
    from keras import ops

    from c2f_zoo.backend import jit

    def loss(x):
        return ops.sum(ops.square(function(x)))

    if order == "forward":
        return jit(function)
    make = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    return make(loss, order == "second order")


def _jax(loss, is_second):
    import jax

    gradient = jax.grad(loss)
    return jax.jit(jax.grad(lambda x: (gradient(x) ** 2).sum()) if is_second else gradient)


def _torch(loss, is_second):
    import torch

    def gradient(x):
        x = x.detach().requires_grad_(True)
        (first,) = torch.autograd.grad(loss(x), x, create_graph=is_second)
        return torch.autograd.grad(first.square().sum(), x)[0] if is_second else first

    return gradient


def _tensorflow(loss, is_second):
    import tensorflow as tf

    @tf.function
    def gradient(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = loss(x)
            first = inner.gradient(value, x)
            penalty = tf.reduce_sum(tf.square(first))
        return outer.gradient(penalty, x) if is_second else first

    return gradient


def measure(shape, stride, order, rounds, forms):
    """Return the lowest processor time of each form in ms, after comparing their values."""
    import keras
    from keras import ops

    x = keras.random.normal(shape, seed=0)
    runs, lowest, expected = {}, {}, None
    for form in forms:
        run = derived(functools.partial(form, stride=stride), order)
        value = ops.convert_to_numpy(run(x))  # compiles
        expected = value if expected is None else expected
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-3)
        runs[form.__name__], lowest[form.__name__] = run, float("inf")
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            ready(run(x))
            lowest[name] = min(lowest[name], 1e3 * (time.process_time() - start))
    return lowest


def kernel_by_matrix(kernel, stride):
    """The library's kernel of fused up- or downsampling: the sum of four shifts."""
    from c2f_zoo.layers import fir

    return fir._sum_of_shifts(kernel)


def kernel_by_slices(kernel, stride):
    """The same kernel as a sum of slices."""
    from keras import ops

    kernel = ops.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    kernel = kernel[1:] + kernel[:-1]
    return kernel[:, 1:] + kernel[:, :-1]


def table(backend, rounds, small):
    """Rows of the Markdown table of one backend."""
    cases = [(shape, FORMS[backend], NAMES) for shape in (SMALL if small else SHAPES)]
    kernel = (3, 3, 4, 4) if small else (3, 3, 256, 256)
    kernels = (kernel_by_matrix, kernel_by_slices)
    cases.append((kernel, kernels, ("kernel_by_matrix", "", "kernel_by_slices", "")))
    for (shape, forms, names), order in itertools.product(cases, ORDERS):
        found = measure(shape, 1, order, rounds, forms)
        cells = [f"{found[name]:.1f}" if name in found else "" for name in names]
        size = " x ".join(map(str, shape))
        print(f"| {backend} | {size} | {order} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--small", action="store_true", help="small sizes, a quick test")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        return table(arguments.backend, arguments.rounds, arguments.small)
    print(f"| backend | images | | {' | '.join(NAMES)} |\n|---|---|---|{'---:|' * len(NAMES)}")
    for backend in [arguments.backend] if arguments.backend else BACKENDS:
        if importlib.util.find_spec(backend) is not None:
            environment = {**os.environ, "KERAS_BACKEND": backend}
            command = [sys.executable, __file__, *sys.argv[1:], "--inside", "--backend", backend]
            subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
