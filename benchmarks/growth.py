"""Compares progressive growing with training at full resolution, for the same ProGAN.

    python training/generation/data.py cifar10 packages/     downloads the images for --cifar
    python benchmarks/growth.py --cifar packages/ --resolution 32 --minutes 30
    python benchmarks/growth.py --folder FOLDER_OR_ARCHIVE --resolution 64 --minutes 60
    python benchmarks/growth.py --out growth --report            only the table and the plot

Each arm trains for `--minutes` in its own process, including compilation and excluding evaluation.
The SWD between the data and the averaged generator's images is measured `--evaluations` times;
images of a stage below the last are first enlarged (nearest) to full size. Results record both
time and images shown, so one run compares arms at equal time and at equal images.

Both arms have the same networks, data and optimizers. By default they train with the
non-saturating loss and lazy R1 (`--loss logistic-r1`), which needs second-order gradients only in
every 16th step; `--loss wgan-gp` is the loss of the paper.

All phases of the growing arm have the same number of images: `--phase-images`, or chosen from the
measured speed of each stage so that the last fade ends after `--grow-share` of the minutes.

Results are written to `--out` after every evaluation, one file per arm and seed; finished runs are
not repeated. The report is `growth.md` and `growth.png` there.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

from growth_report import ARMS, report  # the file beside this one

sys.path.insert(0, str(Path(__file__).parents[1]))

# Differences from the settings of the paper. The half-life of the average suits short runs.
LOSSES = {
    "wgan-gp": {"ema_decay": None, "ema_half_life": 2_000.0},
    "logistic-r1": {
        "loss": "logistic-r1",
        "penalty_weight": 0.05,
        "penalty_interval": 16,
        "generator_learning_rate": 2e-3,
        "discriminator_learning_rate": 2e-3,
        "ema_decay": None,
        "ema_half_life": 2_000.0,
    },
}

# Data


def unpacked(path, out):
    """Return the folder of a data set that is given as a folder or a tar or zip archive."""
    path = Path(path).expanduser()
    if path.is_dir():
        return path
    folder = out / "data" / path.name.split(".")[0]
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.part{os.getpid()}")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(partial)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(partial, filter="data")
        partial.rename(folder)
    return folder


def open_cache(options):
    """Return the `ImageCache` of the chosen data, which the first call builds.

    The arms open the existing cache: reading the source would dominate their peak memory.
    """
    from c2f_zoo.data import ImageCache
    from training.generation.data import image_cache

    out = Path(options.out)
    built = out / "data.json"
    asked = [options.cifar, options.folder, options.resolution]
    if built.exists():
        *found, folder = json.loads(built.read_text())
        if found != asked:
            raise SystemExit(f"{out} holds results on other data, {found}: give another --out")
        return ImageCache(folder)
    settings = {"cache": out / "cache", "progress": False}
    if options.cifar:
        source = Path(options.cifar).expanduser()
        cache = image_cache("cifar10", source, options.resolution, **settings)
    else:
        folder, white = unpacked(options.folder, out), (255, 255, 255)
        cache = ImageCache.from_folder(
            folder, options.resolution, background=white, skip_broken=True, **settings
        )
    built.write_text(json.dumps([*asked, str(cache.folder.resolve())]) + "\n")
    return cache


# One arm


def make_model(options, seed):
    """Build the pair of networks that both arms train."""
    import keras

    from c2f_zoo.data.resolutions import stage_resolutions
    from c2f_zoo.models.gans.progan import ProGANDiscriminator, ProGANGenerator
    from c2f_zoo.training import AdversarialModel, AdversarialTraining

    keras.utils.set_random_seed(seed)
    if options.filters and len(options.filters) != len(stage_resolutions(options.resolution)):
        raise SystemExit(f"--filters takes one width a stage. Received: {options.filters}")
    widths = {"channel_base": 2048, "channel_max": 128, "num_filters": options.filters}
    common = {"dtype": options.precision, **widths}
    latent_size = options.filters[0] if options.filters else 128
    generator = ProGANGenerator(options.resolution, latent_size=latent_size, **common)
    model = AdversarialModel(
        generator, ProGANDiscriminator(options.resolution, **common), seed=seed
    )
    model.compile(AdversarialTraining.named("progan", **LOSSES[options.loss]))
    return model


def make_schedule(options, arm, phase_images):
    """Return the phases of both arms; the last one is longer than the training time."""
    from c2f_zoo.training import GrowthSchedule

    never = 10**12
    lengths = {"stabilise": phase_images, "fade": phase_images, "batch_sizes": options.batch}
    if arm == "growing":
        return GrowthSchedule.by_images(options.resolution, total=never, **lengths)
    stages = len(GrowthSchedule.by_images(options.resolution).resolutions)
    return GrowthSchedule.by_images(
        options.resolution, first_stage=stages - 1, **{**lengths, "stabilise": never}
    )


def seconds_per_image(options, cache):
    """Measure the training time per image at each stage: the fastest of some compiled steps."""
    from c2f_zoo.data import ImageStream

    model, found = make_model(options, 0), []
    for stage, resolution in enumerate(cache.resolutions):
        model.set_stage(stage)
        images = ImageStream(cache, batch_size=options.batch, resolution=resolution).batch(0)
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            model.train_on_batch(images)
            seconds.append(time.perf_counter() - start)
        found.append(min(seconds[1:]) / options.batch)
    return found


def length_of_phases(options, cache):
    """Return the images per phase: as given, or so that growing takes its share of the time."""
    file = Path(options.out) / "phases.json"
    if options.phase_images:
        return options.phase_images
    if not file.exists():
        speed = seconds_per_image(options, cache)
        # Stage 0 has one phase before the last fade ends, the last stage too, all others two.
        once = sum(speed) + sum(speed[1:-1])
        images = int(options.grow_share * options.minutes * 60 / once)
        file.write_text(json.dumps({"images": images, "seconds_per_image": speed}) + "\n")
    return json.loads(file.read_text())["images"]


def make_clock(options, record, file, metric, schedule):
    """Return a callback that times the phases, evaluates, saves and ends the training."""
    import keras
    import numpy as np

    from c2f_zoo import backend
    from c2f_zoo.metrics import measure_images

    budget = options.minutes * 60

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.seconds, self.cpu = 0.0, 0.0
            self.since, self.cpu_since = time.perf_counter(), time.process_time()
            self.evaluate()

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # wait for a step that is computed in the background
            now, cpu = time.perf_counter(), time.process_time()
            self.count_step(now - self.since)
            self.seconds += now - self.since
            self.cpu += cpu - self.cpu_since
            images = int(backend.to_numpy(self.model.images_shown))
            if self.seconds >= budget and images >= options.images:
                self.evaluate()
                self.model.stop_training = True
            elif self.seconds >= self.due:
                self.evaluate()
            self.since, self.cpu_since = time.perf_counter(), time.process_time()

        def count_step(self, seconds):
            """Add a step to its phase."""
            state = schedule.at(int(backend.to_numpy(self.model.images_before)))
            name = f"{state.resolution[0]}x{state.resolution[1]} {state.phase}"
            blank = {"first_step": seconds, "steps": 0, "seconds": 0.0, "peak_mb": 0.0}
            phase = record["phases"].setdefault(name, blank)
            phase["steps"] += 1
            phase["seconds"] += seconds
            phase["peak_mb"] = max(phase["peak_mb"], peak_memory())
            reset_peak_memory()  # so that earlier phases and evaluations do not count

        def evaluate(self):
            """Measure the SWD of the averaged generator's images and save all results."""
            interval = budget / options.evaluations
            self.due = (self.seconds // interval + 1) * interval
            metric.reset(keep_real=True)
            random = np.random.default_rng(0)
            images = int(backend.to_numpy(self.model.images_shown))
            height = self.model.generator.current_resolution[0]
            remaining = options.eval_images
            while remaining:
                count = min(remaining, 64)
                latents = random.standard_normal((64, self.model.latent_size), "float32")
                fakes = backend.to_numpy(self.model.predict_on_batch(latents))[:count]
                factor = options.resolution // height
                metric.update_fake(fakes.repeat(factor, axis=1).repeat(factor, axis=2))
                remaining -= count
            record["evaluations"].append(
                {
                    "seconds": self.seconds,
                    "cpu_seconds": self.cpu,
                    "images": images,
                    "resolution": height,
                    **measure_images(metric, progress=False),
                }
            )
            save(file, record)
            last = record["evaluations"][-1]
            print(f"{record['arm']} {record['seed']}: {last}", file=sys.stderr, flush=True)
            reset_peak_memory()
            self.since, self.cpu_since = time.perf_counter(), time.process_time()

    return Clock()


def reset_peak_memory():
    """Reset the peak memory of the process to its current memory (Linux only)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory():
    """Return the peak resident memory in MB: on Linux since the last reset."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def save(file, record):
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.rename(file)


def settings_of(options):
    """Return the settings that must be equal for results to be comparable."""
    names = "resolution minutes images batch filters loss precision backend eval_images".split()
    return {name: getattr(options, name) for name in names}


def run_arm(options, arm, seed):
    """Train one arm with one seed and write its results."""
    from c2f_zoo.data import ImageStream
    from c2f_zoo.metrics import SlicedWasserstein
    from c2f_zoo.training import ProgressiveGrowth

    cache = open_cache(options)
    phase_images = length_of_phases(options, cache)
    if arm is None:  # only the above
        return
    schedule = make_schedule(options, arm, phase_images)
    record = {"arm": arm, "seed": seed, "finished": False, "settings": settings_of(options)}
    record |= {"data": len(cache), "phase_images": phase_images, "phases": {}, "evaluations": []}
    metric, count = SlicedWasserstein(min_resolution=min(16, options.resolution)), len(cache)
    chosen = cache.images()[:: max(1, count // options.eval_images)]
    if len(chosen) < options.eval_images:
        raise SystemExit(f"--eval-images exceeds the {count} images of the data")
    chosen = chosen[: options.eval_images]
    metric.update_real(chosen)
    if count >= 2 * options.eval_images:
        others = cache.images()[1 :: count // options.eval_images][: options.eval_images]
        metric.update_fake(others)
        record["data_to_data"] = metric.result()["swd"]
    stream = ImageStream(cache, schedule, mirror=True, seed=seed)
    model = make_model(options, seed)
    model.set_stage(schedule.at(0).stage)
    file = Path(options.out) / f"{arm}-{seed}.json"
    clock = make_clock(options, record, file, metric, schedule)
    callbacks = [ProgressiveGrowth(schedule), clock]
    # One endless epoch: the clock ends it.
    model.fit(stream, callbacks=callbacks, steps_per_epoch=10**9, verbose=0)
    record["finished"] = True
    save(file, record)


# Command line


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--cifar",
        metavar="PATH",
        help="archive of generation/data.py's cifar10, or its folder",
    )
    add("--folder", metavar="PATH", help="folder or archive of images, on white if transparent")
    add("--out", default="growth", help="folder of results (default growth)")
    add("--resolution", type=int, default=32)
    add("--minutes", type=float, default=30, help="training clock of each run (default 30)")
    add("--images", type=int, default=0, help="also continue until this many images were shown")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--arms", nargs="+", choices=ARMS, default=ARMS)
    add("--batch", type=int, default=16, help="batch size of both arms (default 16)")
    add("--filters", type=int, nargs="+", help="feature maps per stage (default at most 128)")
    add("--loss", choices=LOSSES, default="logistic-r1")
    add("--precision", choices=("float32", "mixed_bfloat16"), default="mixed_bfloat16")
    add("--backend", choices=("tensorflow", "jax", "torch"), default="tensorflow")
    add(
        "--grow-share",
        type=float,
        default=0.5,
        help="share of the minutes for growing (default 0.5)",
    )
    add("--phase-images", type=int, help="images in each phase instead")
    add("--evaluations", type=int, default=10, help="number of evaluations (default 10)")
    add("--eval-images", type=int, default=2048, help="images for the SWD (default 2048)")
    add("--report", action="store_true", help="only report the existing results")
    add("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report:
        return report(options.out)
    if not options.cifar and not options.folder:
        parser.error("give --cifar or --folder")
    Path(options.out).mkdir(parents=True, exist_ok=True)
    if options.inside:
        arm, seed = options.inside.split("-")
        return run_arm(options, None if arm == "prepare" else arm, int(seed))
    # One seed after the other, so that an unfinished benchmark already compares the arms.
    for name in ("prepare-0", *(f"{arm}-{seed}" for seed in options.seeds for arm in options.arms)):
        file = Path(options.out) / f"{name}.json"
        if file.exists() and json.loads(file.read_text())["finished"]:
            continue
        environment = {**os.environ, "KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]]
        subprocess.run([*command, "--inside", name], env=environment, check=True)
    report(options.out)


if __name__ == "__main__":
    main()
