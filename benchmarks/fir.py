"""Speed of the separable low-pass filters, with gradients of first and second order.

    python benchmarks/fir.py                       every backend
    python benchmarks/fir.py --backend jax         one of them
    python benchmarks/fir.py --small --rounds 1    seconds: whether it runs at all

The filter of StyleGAN2, taps (1, 3, 3, 1), keeping the size or halving it, written in different
ways that all give the same values. "library" is what `c2f_zoo.layers.fir` chooses on the backend.
The forms take turns in one process; each figure is the median of the rounds in ms. "gradient" is
one gradient for the images, "second order" the gradient of an R1 penalty (double backward).
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
from measuring import BACKENDS, ready  # the file beside this one
import time

TAPS = (0.125, 0.375, 0.375, 0.125)
ORDERS = ("forward", "gradient", "second order")


def depthwise(x, taps, before, after, stride):
    """One depthwise convolution with the outer product of the taps."""
    from keras import ops

    kernel = np.tile(np.outer(taps, taps)[:, :, None, None], (1, 1, x.shape[-1], 1))
    x = ops.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    kernel = ops.cast(kernel, x.dtype)
    return ops.depthwise_conv(x, kernel, stride, padding="valid", data_format="channels_last")


def two_depthwise(x, taps, before, after, stride):
    """A depthwise convolution along the rows, then one along the columns."""
    from keras import ops

    x = ops.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    for shape, strides in (((-1, 1, 1, 1), (stride, 1)), ((1, -1, 1, 1), (1, stride))):
        if stride == 2:
            strides = (1, 1)  # TensorFlow takes equal strides only
        kernel = np.tile(np.array(taps).reshape(shape), (1, 1, x.shape[-1], 1))
        kernel = ops.cast(kernel, x.dtype)
        x = ops.depthwise_conv(x, kernel, strides, padding="valid", data_format="channels_last")
    return x[:, ::stride, ::stride]


def slices(x, taps, before, after, stride):
    """Weighted sums of shifted slices."""
    from keras import ops

    x = ops.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    for axis in (1, 2):
        outputs = (x.shape[axis] - len(taps)) // stride + 1
        lead = (slice(None),) * axis
        last = (outputs - 1) * stride + 1
        x = sum(w * x[(*lead, slice(k, k + last, stride))] for k, w in enumerate(taps))
    return x


def matrices(x, taps, before, after, stride):
    """Products with banded matrices, whose cost per pixel grows with the side."""
    from keras import ops

    batch, height, width, channels = x.shape
    bands = []
    for size in (height, width):
        outputs = (size + before + after - len(taps)) // stride + 1
        band = np.zeros((outputs, size), "float32")
        for row in range(outputs):
            for k, weight in enumerate(taps):
                column = row * stride - before + k
                if 0 <= column < size:
                    band[row, column] = weight
        bands.append(ops.convert_to_tensor(band))
    x = ops.matmul(bands[0], ops.reshape(x, (batch, height, width * channels)))
    rows = bands[0].shape[0]
    x = ops.matmul(bands[1], ops.reshape(x, (batch * rows, width, channels)))
    return ops.reshape(x, (batch, rows, bands[1].shape[0], channels))


def one_channel(x, taps, before, after, stride):
    """Ordinary convolutions of a single channel, on views that need no transposition."""
    from keras import ops

    batch, height, width, channels = x.shape
    kernel = ops.cast(np.array(taps).reshape(-1, 1, 1, 1), x.dtype)
    for axis in (1, 2):
        view = (batch, height, width * channels, 1)
        if axis == 2:
            view = (batch * height, width, channels, 1)
        x = ops.pad(ops.reshape(x, view), ((0, 0), (before, after), (0, 0), (0, 0)))
        x = ops.conv(x, kernel, padding="valid", data_format="channels_last")[:, ::stride]
        if axis == 1:
            height = x.shape[1]
        else:
            width = x.shape[1]
    return ops.reshape(x, (batch, height, width, channels))


def library(x, taps, before, after, stride):
    """What the library chooses on this backend."""
    from c2f_zoo.layers import fir

    return fir._filter(x, list(taps), before, after, stride)


FORMS = (library, depthwise, two_depthwise, slices, matrices, one_channel)


def derived(function, order):
    """The function, its gradient, or the gradient of the gradient's squared norm, compiled."""
    import keras
    from keras import ops

    from c2f_zoo.backend import jit

    backend = keras.backend.backend()

    def loss(x):
        return ops.sum(ops.square(function(x)))

    if order == "forward":
        return jit(function)
    if backend == "jax":
        import jax

        gradient = jax.grad(loss)
        if order == "gradient":
            return jax.jit(gradient)
        return jax.jit(jax.grad(lambda x: ops.sum(ops.square(gradient(x)))))
    if backend == "torch":
        import torch

        def torch_gradient(x):
            x = x.detach().requires_grad_(True)
            (first,) = torch.autograd.grad(loss(x), x, create_graph=order != "gradient")
            if order == "gradient":
                return first
            return torch.autograd.grad(first.square().sum(), x)[0]

        return torch_gradient
    import tensorflow as tf

    @tf.function
    def tensorflow_gradient(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = loss(x)
            first = inner.gradient(value, x)
            if order == "gradient":
                return first
            penalty = tf.reduce_sum(tf.square(first))
        return outer.gradient(penalty, x)

    return tensorflow_gradient


def lowest(calls, rounds):
    """Shortest time of each call over alternating rounds: other processes only add to it."""
    seconds = {name: float("inf") for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def measure_all(rounds, small, forms):
    """Median ms of each form, by size, stride and order; checks that the values agree."""
    import keras
    from keras import ops

    shapes = [(4, 64, 64, 32), (4, 64, 64, 128), (1, 256, 256, 32), (1, 256, 256, 128)]
    for shape in [(1, 8, 8, 4)] if small else shapes:
        for stride in (1, 2):
            x = keras.random.normal(shape, seed=0)
            around = (2, 1) if stride == 1 else (1, 1)
            for order in ORDERS:
                calls, values = {}, {}
                for form in FORMS:
                    if forms and form.__name__ not in forms:
                        continue

                    def function(x, form=form):
                        return form(x, TAPS, *around, stride)

                    run = derived(function, order)
                    values[form.__name__] = ops.convert_to_numpy(run(x))
                    calls[form.__name__] = lambda run=run, x=x: ready(run(x))
                expected = next(iter(values.values()))
                for value in values.values():
                    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)
                seconds = lowest(calls, rounds)
                row = {name: round(1e3 * value, 2) for name, value in seconds.items()}
                print(json.dumps({"shape": shape, "stride": stride, "order": order, **row}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--forms", nargs="*")
    a = parser.parse_args()
    if a.backend:
        os.environ["KERAS_BACKEND"] = a.backend
    measure_all(a.rounds, a.small, a.forms)
