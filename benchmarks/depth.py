"""Processor time of the depth networks: training images and estimates a second.

    TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 KERAS_BACKEND=tensorflow \\
        python benchmarks/depth.py
    python benchmarks/depth.py --tiny                             a quick test

The networks are those of the recipe of `depth_unet.scenes`, with attention: training steps on 8
images of 192x256, and `predict_on_batch` of one. The networks alternate, and each figure is the
median of the rounds, in seconds of all processors together: it hardly depends on what else runs.
"""

import argparse
import statistics
import time

VARIANTS = ("base", "lite")
POLICIES = ("float32", "mixed_bfloat16")


def functions_of(variant, policy, size, batch_size):
    """The number of parameters, a training step and an estimate of one network."""
    import keras
    import numpy as np

    from c2f_zoo import DepthUNet

    model = DepthUNet(variant, attention=4, residual=True, dtype=policy)
    model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=5.0))
    rng = np.random.default_rng(0)
    images = rng.random((batch_size, *size, 3), dtype="float32")
    depth = rng.uniform(1, 9, (batch_size, *size, 1)).astype("float32")
    return {
        "training": lambda: model.train_on_batch(images, depth),
        "estimate": lambda: model.predict_on_batch(images[:1]),
        "parameters": model.count_params(),
    }


def measure(size, batch_size, rounds):
    """Images per second of processor time, a list of dictionaries."""
    rows = [
        {"variant": variant, "policy": policy, **functions_of(variant, policy, size, batch_size)}
        for policy in POLICIES
        for variant in VARIANTS
    ]
    for kind, images in (("training", batch_size), ("estimate", 1)):
        seconds = [[] for _ in rows]
        for number in range(rounds + 2):
            for row, taken in zip(rows, seconds, strict=True):
                start = time.process_time()
                row[kind]()
                if number > 1:  # the first compiles, the second warms up
                    taken.append(time.process_time() - start)
        for row, taken in zip(rows, seconds, strict=True):
            row[kind] = images / statistics.median(taken)
    return rows


def main(argv=None):
    """Measure and print a table; see `--help`. Returns its rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, a quick test")
    arguments = parser.parse_args(argv)
    size, batch_size = ((32, 32), 2) if arguments.tiny else ((192, 256), 8)
    rows = measure(size, batch_size, arguments.rounds)
    print("| network | parameters | precision | training images / s | estimates / s |")
    print("|---|---:|---|---:|---:|")
    for row in rows:
        print(
            f"| {row['variant']} | {row['parameters']:,} | {row['policy'].removeprefix('mixed_')} "
            f"| {row['training']:.2f} | {row['estimate']:.1f} |"
        )
    return rows


if __name__ == "__main__":
    main()
