"""Compares training on growing images with training on full ones: equal images and equal time.

    python training/generation/data.py cifar10 packages/
    python benchmarks/resolution.py --cifar packages/ --json resolution.json
    python benchmarks/resolution.py --tiny                    a test, on random images

Each arm trains the same small residual network on CIFAR-10 from the same weights, with SGD whose
rate falls as half a cosine over its own steps. Images are padded, cropped and mirrored.

- full: 32x32 throughout;
- composer, linear: as many images, by the schedule of this name from 16x16;
- full (time of ...): 32x32, as many images as fit the time that arm took;
- layerwise: 32x32, the rates of `LayerwiseCurriculum` in the first fifth of the steps.

Time is that of the process's CPU in training steps with their data, so that other programs count
less; that of compiling and validation is left out. Accuracy is on test images of 32x32.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np

CURRICULA = ("composer", "linear")
ARMS = ("full", *CURRICULA, "layerwise")


def images_of(settings):
    """Training and test images, float32 in [0, 1], and labels."""
    if settings["tiny"]:
        random = np.random.default_rng(0)
        x, y = random.random((32, 32, 32, 3), dtype="float32"), random.integers(0, 10, 32)
        return (x[:24], y[:24]), (x[24:], y[24:])
    from c2f_zoo.data import read_cifar10

    found = []
    for split, count in (("train", settings["images"]), ("test", settings["test_images"])):
        x, y = read_cifar10(settings["cifar"], split)
        found.append((x[:count].astype("float32") / 255, y[:count]))
    return found


def network(width, seed):
    """A residual network of three stages, for any size."""
    import keras
    from keras import layers

    def unit(x, filters, strides):
        y = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        if strides > 1:
            x = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides)(x))
        return layers.Activation("relu")(layers.Add()([x, y]))

    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(layers.Rescaling(4.0, -2.0)(x))
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    for filters, strides in ((width, 1), (2 * width, 2), (4 * width, 2)):
        x = unit(x, filters, strides)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def crop_and_mirror(batch, state, random):
    """Shift by up to an eighth of the size, zeros beyond the border, and mirror half."""
    from c2f_zoo.backend import to_numpy

    images, labels = to_numpy(batch[0]), batch[1]
    count, size = len(images), state.resolution[0]
    most = size // 8
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    rows, columns = random.integers(0, 2 * most + 1, (2, count, 1)) + np.arange(size)[None, None]
    mirrored = random.random(count) < 0.5
    columns[mirrored] = columns[mirrored][:, ::-1]
    return padded[np.arange(count)[:, None, None], rows[..., None], columns[:, None]], labels


def schedule_of(arm, images, batch):
    """The schedule of an arm over so many images."""
    from c2f_zoo.training import ResolutionSchedule

    options = {"images": images, "batch_size": batch}
    if arm == "composer":
        return ResolutionSchedule.preset("composer", 32, **options)
    if arm == "linear":
        return ResolutionSchedule.linear(16, 32, 3, **options)
    return ResolutionSchedule.listed([32], **options)


def clock():
    """A callback that adds up the CPU seconds of steps, the compiling first two excepted."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seconds, self.steps = 0.0, 0

        def on_epoch_begin(self, epoch, logs=None):
            self.since = time.process_time()

        def on_train_batch_end(self, batch, logs=None):
            now = time.process_time()
            self.steps += 1
            self.seconds += now - self.since if self.steps > 2 else 0.0
            self.since = now

    return Clock()


def run_arm(arm, images, data, settings, seed):
    """Train one arm on so many images; return its figures."""
    import keras

    from c2f_zoo.training import LayerwiseCurriculum, ResolutionCurriculum

    (x, y), test = data
    schedule = schedule_of(arm, images, settings["batch"])
    steps = schedule.steps()
    rate = keras.optimizers.schedules.CosineDecay(settings["rate"], steps)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if arm == "layerwise":
        optimizer = LayerwiseCurriculum(optimizer, steps=max(1, steps // 5), lowest=1e-3)
    model = network(settings["width"], seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    curriculum, timer = ResolutionCurriculum(schedule, epochs=None), clock()
    stream = curriculum.stream((x, y), augment=crop_and_mirror, seed=seed)
    options = {"epochs": curriculum.epochs, "shuffle": False, "verbose": 0}
    model.fit(stream, callbacks=[curriculum, timer], **options)
    _, accuracy = model.evaluate(*test, batch_size=250, verbose=0)
    found = {"images": images, "pixels": schedule.cost, "seconds": timer.seconds}
    return {"arm": arm, "seed": seed, **found, "accuracy": float(accuracy)}


def run_seed(data, settings, seed):
    """Train all arms with one seed; return their figures."""
    images = settings["epochs"] * len(data[0][0])
    results = []
    for arm in settings["arms"]:
        results.append(run_arm(arm, images, data, settings, seed))
        print(results[-1], flush=True)
    full = next(r for r in results if r["arm"] == "full")
    for result in [r for r in results if r["arm"] in CURRICULA]:
        # As many images as would have taken the time.
        share = result["seconds"] / max(full["seconds"], 1e-9)
        same = run_arm("full", max(1, round(images * share)), data, settings, seed)
        results.append(same | {"arm": f"full (time of {result['arm']})"})
        print(results[-1], flush=True)
    return results


def report(results):
    """The figures as a Markdown table: means and ranges over the seeds."""
    lines = ["| arm | images | pixels | CPU s | accuracy, % |", "|---|---:|---:|---:|---:|"]
    for arm in dict.fromkeys(result["arm"] for result in results):
        runs = [result for result in results if result["arm"] == arm]

        def mean(name, runs=runs):
            return statistics.mean(run[name] for run in runs)

        values = [100 * run["accuracy"] for run in runs]
        spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
        lines.append(
            f"| {arm} | {mean('images'):,.0f} | {mean('pixels'):.2f} | {mean('seconds'):.0f} "
            f"| {statistics.mean(values):.1f}{spread} |"
        )
    return "\n".join(lines)


def main(argv=None):
    """Run the comparison; see `--help`. Returns the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--cifar", metavar="PATH", help="archive of generation/data.py's cifar10, or its folder")
    add("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--images", type=int, default=50_000, help="training images")
    add("--test-images", type=int, default=10_000)
    add("--epochs", type=int, default=20)
    add("--batch", type=int, default=64)
    add("--width", type=int, default=32, help="features of the first stage")
    add("--rate", type=float, default=0.1)
    add("--json", metavar="FILE", help="write the figures here after each seed")
    add("--tiny", action="store_true", help="a quick test")
    settings = vars(parser.parse_args(argv))
    if settings["tiny"]:
        settings |= {"epochs": 2, "batch": 8, "width": 4}
    elif not settings["cifar"]:
        parser.error("give --cifar")
    if "full" not in settings["arms"]:
        parser.error("--arms must have full, which the others are compared with")
    data, results = images_of(settings), []
    for seed in settings["seeds"]:
        results += run_seed(data, settings, seed)
        if settings["json"]:
            Path(settings["json"]).write_text(json.dumps(results, indent=1) + "\n")
    print(report(results))
    return results


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
