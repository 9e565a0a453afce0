"""Measures stereo presets on data sets beside OpenCV's matcher, and writes a preset's card.

    python training/measure/stereo.py psmnet_lite.scenes --baseline sgbm --data data/stereo
    python training/measure/stereo.py models/psmnet_lite.scenes --data data/stereo \\
        --baseline sgbm --baseline sgbm_padded --photographs photographs \\
        --recipe "python training/stereo/psmnet_lite_scenes.py ..." --summary "Stereo ..."

The data folder holds `middlebury/2006`, `middlebury/2003` and `middlebury/MiddEval3/trainingQ`;
those that are missing are left out. Figures are of all pixels whose disparity is known, and of
those that both cameras see, each over all pixels of a data set; seconds are the median over its
pairs, of the second call for each.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from c2f_zoo.cli.baselines import make_stereo_baseline
from c2f_zoo.data import open_stereo_dataset
from c2f_zoo.hub import load
from training.measure.flow import textures_of
from training.stereo.validation import DisparityErrors

# Folder below --data, edition, title in the card.
DATASETS = (
    ("middlebury/2006", "2006", "Middlebury 2006, third size"),
    ("middlebury/2003", "2003", "Middlebury 2003, quarter size"),
    ("middlebury/MiddEval3/trainingQ", "2014", "Middlebury v3 training, quarter size"),
)
BASELINES = {
    "sgbm": "OpenCV SGBM",
    "sgbm_padded": "OpenCV SGBM, left border padded",
}
FIGURES = {"epe": ("EPE", "px", 2), "bad_3": ("bad-3", "%", 1)}


def parse(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", help="names or folders")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--baseline", action="append", default=[], choices=BASELINES)
    parser.add_argument("--max-disparity", type=int, default=128, help="range of all methods")
    parser.add_argument("--recipe", help="command that rebuilds the checkpoint: writes the card")
    parser.add_argument("--summary", help="one sentence for the card")
    parser.add_argument("--notes", default="", help="what else to know about the training")
    parser.add_argument("--photographs", help="folder with ATTRIBUTION.json of the textures")
    arguments = parser.parse_args(argv)
    if arguments.recipe and not (len(arguments.presets) == 1 and arguments.summary):
        parser.error("a card needs one preset, --recipe and --summary")
    return arguments


def main(argv=None):
    """Measure, print and write; see `--help`."""
    arguments = parse(argv)
    limit = arguments.max_disparity
    methods = {name: make_stereo_baseline(name, limit) for name in arguments.baseline}
    methods |= {name: load(name, max_disparity=limit).disparity for name in arguments.presets}
    results = {}
    for folder, edition, title in DATASETS:
        if (arguments.data / folder).is_dir():
            dataset = open_stereo_dataset("middlebury", arguments.data / folder, edition=edition)
            results[title] = measure(f"{title}, {len(dataset)} pairs", dataset, methods)
    if not results:
        raise SystemExit(f"{arguments.data} holds none of {', '.join(d[0] for d in DATASETS)}")
    if arguments.recipe:
        [preset] = arguments.presets
        said = metadata(arguments, preset, results)
        load(preset).save_pretrained(preset, metadata=said, precision="float16", golden=True)
    return results


def measure(title, dataset, methods):
    """Measure and print the figures of every method on a data set; returns them by method."""
    columns = ("epe", "bad_1", "bad_3", "epe_visible", "bad_3_visible", "seconds")
    print(row(title, columns))
    results = {}
    for name, estimate in methods.items():
        errors, seconds = DisparityErrors(), []
        for sample in dataset:
            estimate(sample.left, sample.right)  # compiles
            start = time.perf_counter()
            disparity = estimate(sample.left, sample.right)
            seconds.append(time.perf_counter() - start)
            errors.update(sample.disparity, disparity, sample.valid, sample.occlusion)
        results[name] = {**errors.result(), "seconds": float(np.median(seconds))}
        print(row(name, [f"{results[name].get(column, np.nan):.3f}" for column in columns]))
    return results


def row(name, cells):
    """One line of a table."""
    return f"{name:48}" + "".join(f"{cell:>14}" for cell in cells)


def metadata(arguments, preset, results):
    """What the card says."""
    name = Path(preset).resolve().name
    flags = "".join(f" --baseline {baseline}" for baseline in arguments.baseline)
    limit = arguments.max_disparity
    command = f"python training/measure/stereo.py {name}{flags} --data . --max-disparity {limit}"
    return {
        "name": name,
        "summary": arguments.summary,
        "input": "rectified pair of RGB images (B, H, W, 3), left and right, float in [0, 1] or "
        "uint8, any size from 16x16",
        "output": "disparity (B, H, W, 1) of the left image, positive pixels",
        "licence": "apache-2.0",
        "recipe": {"command": arguments.recipe, "notes": arguments.notes},
        "metrics": [
            {
                "name": f"{label}{where}",
                "value": round(methods[preset][key + part], digits),
                "unit": unit,
                "dataset": title,
                "command": command,
                "compared_with": {
                    BASELINES[baseline]: round(methods[baseline][key + part], digits)
                    for baseline in arguments.baseline
                },
            }
            for title, methods in results.items()
            for part, where in (("", ", all pixels"), ("_visible", ", visible pixels"))
            for key, (label, unit, digits) in FIGURES.items()
            if key + part in methods[preset]
        ],
        "training_data": textures_of(arguments.photographs, "scenes (c2f_zoo.data.StereoScenes)"),
        "limits": [
            "Trained on rendered scenes alone: no real pair was seen in training.",
            "Images must be rectified. Surfaces that are transparent, that reflect or that have "
            "no texture, and things thinner than a few pixels, are unreliable.",
        ],
    }


if __name__ == "__main__":
    main()
