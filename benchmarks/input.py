"""Images a second that each data source serves, and the share of a training step spent waiting.

    python benchmarks/input.py --backend tensorflow --json FILE
    python benchmarks/input.py --tiny --rounds 1                   a quick test

Every source is that of a recipe, with its batch and the size of its images; files lie in a
temporary folder, in the page cache. "0 workers" asks for one batch after the other, "N workers" has
N threads do so, as Keras does with `workers=N`. "waiting" compares, in turn, `fit` on the source,
with its own worker, and `fit` on one batch that is in memory. Where both compute on one processor
it also holds what the worker takes away from the step. Rendered scenes are computed on the device
of the training. Figures are medians of the rounds.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from measuring import BACKENDS, run_inside  # the file beside this one

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WORKERS = (0, 1, 2, 4)
BATCHES = 2  # that every source has


def pairs(folder, count, size):
    """Write pairs with flow in FlyingChairs' layout."""
    from c2f_zoo.data import save_image, write_flo

    random = np.random.default_rng(0)
    (folder / "data").mkdir()
    for index in range(1, count + 1):
        stem = folder / "data" / f"{index:05d}"
        for frame in (1, 2):
            save_image(f"{stem}_img{frame}.ppm", random.random((*size, 3), dtype="float32"))
        write_flo(f"{stem}_flow.flo", random.normal(0, 5, (*size, 2)).astype("float32"))
    (folder / "FlyingChairs_train_val.txt").write_text("1\n" * count)


def flow_files(folder, tiny):
    from c2f_zoo import PWCNetLite
    from c2f_zoo.data import FlowAugmentation, FlowStream, open_flow_dataset

    pairs(folder, 8, (72, 72) if tiny else (384, 512))
    stream = FlowStream(open_flow_dataset("flying_chairs", folder, split="train"), batch_size=4)
    crop = (64, 64) if tiny else (320, 448)
    return FlowAugmentation.chairs(size=crop).map(stream), PWCNetLite(), 4


def stereo_files(folder, tiny):
    from c2f_zoo import PSMNetLite
    from c2f_zoo.data import StereoStream, open_stereo_dataset, save_image, write_disparity

    random, size = np.random.default_rng(0), (40, 96) if tiny else (375, 1242)
    for part in ("image_2", "image_3", "disp_occ_0", "disp_noc_0"):
        (folder / "training" / part).mkdir(parents=True)
        for index in range(4):
            path = folder / "training" / part / f"{index:06d}_10.png"
            if "disp" in part:
                write_disparity(path, random.uniform(1, 60, (*size, 1)).astype("float32"))
            else:
                save_image(path, random.random((*size, 3), dtype="float32"))
    crop = (32, 64) if tiny else (256, 512)
    stream = StereoStream(open_stereo_dataset("kitti2015", folder), 2, crop)
    return stream, PSMNetLite(max_disparity=32 if tiny else 192), 2


def depth_files(folder, tiny):
    from c2f_zoo import DepthUNet
    from c2f_zoo.data import DepthStream, RGBDFolder, save_image, write_depth

    random, size = np.random.default_rng(0), (32, 48) if tiny else (480, 640)
    for part in ("rgb", "depth"):
        (folder / part).mkdir()
        for index in range(16):
            path = folder / part / f"{index}.png"
            if part == "rgb":
                save_image(path, random.random((*size, 3), dtype="float32"))
            else:
                write_depth(path, random.uniform(1, 9, (*size, 1)).astype("float32"))
    crop = (32, 32) if tiny else (192, 256)
    return DepthStream(RGBDFolder(folder), 8, crop), DepthUNet("lite"), 8


def image_cache(folder, tiny):
    from c2f_zoo import ProGAN
    from c2f_zoo.data import ImageCache, ImageStream

    size, filters = (8, (8, 8)) if tiny else (32, (128, 128, 128, 64))
    images = np.random.default_rng(0).integers(0, 256, (512, size, size, 3), "uint8")
    cache = ImageCache.from_arrays(images, size, cache=folder, progress=False)
    return ImageStream(cache, batch_size=32, mirror=True), ProGAN(size, num_filters=filters), 32


def noisy_photographs(folder, tiny):
    from c2f_zoo import MultiscaleUNet
    from training.restoration.noise import BORDER, NoisyPhotos
    from training.restoration.patches import NoisePatches
    from training.restoration.recipe import LOCAL_UNET

    side, batch_size = (32, 2) if tiny else (64, 16)
    source = NoisyPhotos(NoisePatches(side + BORDER), side)
    return Sampled(source, batch_size), MultiscaleUNet(**LOCAL_UNET), batch_size


def rendered(name, architecture, size, batch_size, **options):
    """A source of rendered scenes, and the network that its recipe trains."""

    def make(folder, tiny):
        import c2f_zoo
        from c2f_zoo import data

        batch = 2 if tiny else batch_size
        scenes = getattr(data, name)(size=(64, 64) if tiny else size, batch_size=batch, **options)
        model = getattr(c2f_zoo, architecture)
        return scenes.stream(64), model("lite") if architecture == "DepthUNet" else model(), batch

    return make


# Made in a folder: a stream, the network that is trained on it, and the samples of a batch.
CASES = {
    "FlyingChairs files, augmented": flow_files,
    "KITTI stereo files": stereo_files,
    "RGB-D files": depth_files,
    "image cache": image_cache,
    "noise of photographs": noisy_photographs,
    "Scenes": rendered("Scenes", "PWCNetLite", (192, 256), 8),
    "StereoScenes": rendered("StereoScenes", "PSMNetLite", (192, 256), 4),
    "DepthScenes": rendered("DepthScenes", "DepthUNet", (192, 256), 8),
}


def Sampled(source, batch_size):
    """A stream of the batches that a source of `MultilevelStream` draws, clean ones in [0, 1]."""
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 64

        def __getitem__(self, index):
            indices = np.arange(batch_size) % len(source)
            noisy, clean = source.samples(indices, np.random.default_rng(index))
            return noisy, np.float32(clean) / np.float32(255)

    return Batches()


def Cycled(batches, number, count):
    """A stream of `count` batches: the first `number` ones of another, again and again."""
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return count

        def __getitem__(self, index):
            return batches[index % number]

    return Batches()


def serve(stream, workers, count):
    """Seconds of `count` batches, asked for by so many threads."""
    from c2f_zoo import backend

    def batch(index):
        for part in leaves(stream[index % BATCHES]):
            backend.to_numpy(part)

    start = time.perf_counter()
    if workers:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(batch, range(count)))
    else:
        for index in range(count):
            batch(index)
    return time.perf_counter() - start


def leaves(batch):
    import keras

    return keras.tree.flatten(batch)


def fitted(model, stream, steps):
    """Seconds of a step of `fit`."""
    start = time.perf_counter()
    model.fit(stream, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    return (time.perf_counter() - start) / steps


def measure_case(case, rounds, tiny):
    """Images a second by number of workers, seconds of a step, and the share spent waiting."""
    steps = 2 if tiny else 8
    with tempfile.TemporaryDirectory() as folder:
        stream, model, batch_size = CASES[case](Path(folder), tiny)
        loss = {"loss": "mean_absolute_error"} if case == "noise of photographs" else {}
        model.compile(**loss)
        served, still = Cycled(stream, BATCHES, steps), Cycled([stream[0]], 1, steps)
        for source in (served, still):
            fitted(model, source, steps)  # compiles
        serve(stream, 0, 1)
        speeds, ours, others = {workers: [] for workers in WORKERS}, [], []
        for _ in range(rounds):
            for workers in WORKERS:
                speeds[workers].append(batch_size * steps / serve(stream, workers, steps))
            ours.append(fitted(model, served, steps))
            others.append(fitted(model, still, steps))
    step, alone = statistics.median(ours), statistics.median(others)
    images = {str(workers): statistics.median(values) for workers, values in speeds.items()}
    return {"images": images, "step": step, "waiting": max(0.0, 1 - alone / step)}


def table(figures):
    """Format figures, a list of dictionaries, as Markdown."""
    names = " | ".join(f"{workers} workers" for workers in WORKERS)
    lines = [f"| source | {names} | step, s | waiting |", "|---|" + "---:|" * (len(WORKERS) + 2)]
    for entry in figures:
        speeds = " | ".join(f"{speed:.1f}" for speed in entry["images"].values())
        share = f"{100 * entry['waiting']:.0f} %"
        lines.append(f"| {entry['case']} | {speeds} | {entry['step']:.2f} | {share} |")
    return "\n".join(lines)


def in_own_process(backend, case, rounds, tiny):
    asked = ["--inside", "--cases", case, "--rounds", str(rounds)]
    found = run_inside(__file__, backend, *asked, *(["--tiny"] if tiny else []))
    return {"backend": backend, "case": case, **found}


def main(arguments=None):
    """Measure and print a table; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, default="tensorflow")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds (default 3)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, a quick test")
    parser.add_argument("--json", metavar="FILE", help="write the figures here after each case")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        (case,) = options.cases
        return print(json.dumps(measure_case(case, options.rounds, options.tiny)))
    figures = []
    for case in options.cases:
        figures.append(in_own_process(options.backend, case, options.rounds, options.tiny))
        print(figures[-1], file=sys.stderr)
        if options.json:
            Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    return print(table(figures))


if __name__ == "__main__":
    main()
