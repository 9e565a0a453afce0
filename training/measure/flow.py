"""Measures a flow preset beside OpenCV's methods and writes the figures into its card.

    python training/measure/flow.py models/pwcnet_lite.scenes --data ../shared/data/flow \\
        --photographs photographs --recipe "python training/flow/pwcnet_lite_scenes.py ..." \\
        --summary "Optical flow for CPUs: ..."

The data folder holds FlyingChairs_release, sintel and KITTI-2015 in their official layouts. The
figures come from one run of `c2f evaluate`, the command that the card names.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

# Name in `c2f evaluate`, folder below --data, title in the card.
DATASETS = (
    ("flying_chairs", "FlyingChairs_release", "FlyingChairs, 9 pairs (00001 to 00009)"),
    ("sintel", "sintel", "MPI-Sintel train clean, alley_1 frame 2"),
    ("kitti2015", "KITTI-2015", "KITTI 2015 train, pair 000000"),
)
BASELINES = {"zero": "zero flow", "farneback": "OpenCV Farneback", "dis": "OpenCV DIS medium"}


def main(argv=None):
    """Measure and write; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", help="folder of the preset")
    parser.add_argument("--data", required=True, help="folder of the data sets")
    parser.add_argument("--photographs", help="folder with ATTRIBUTION.json of the textures")
    parser.add_argument("--recipe", required=True, help="command that rebuilds the checkpoint")
    parser.add_argument("--summary", required=True, help="one sentence for the card")
    parser.add_argument("--notes", default="", help="what else to know about the training")
    arguments = parser.parse_args(argv)

    from c2f_zoo.hub import load

    figures = list(measure(arguments.preset, Path(arguments.data)))
    load(arguments.preset).save_pretrained(
        arguments.preset, metadata=metadata(arguments, figures), precision="float16", golden=True
    )


def measure(preset, data):
    """The figures of every data set, the baselines' beside them, from one command."""
    command = ["c2f", "evaluate", preset]
    command += [part for name in BASELINES for part in ("--baseline", name)]
    # As it reads in the folder of the data sets, for the preset that ships.
    shown = [*command[:2], Path(preset).resolve().name, *command[3:], "--pass", "clean"]
    for name, folder, _ in DATASETS:
        command += ["--dataset", name, "--root", str(data / folder)]
        shown += ["--dataset", name, "--root", folder]
    output = subprocess.run(
        [sys.executable, "-m", "c2f_zoo", *command[1:], "--pass", "clean", "--json", "--quiet"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    rows = {(row["dataset"], row["method"]): row for row in json.loads(output)["results"]}
    for name, _, title in DATASETS:
        for key, label, unit, digits in (("epe", "EPE", "px", 3), ("fl_all", "Fl-all", "%", 2)):
            yield {
                "name": label,
                "value": round(rows[name, preset][key], digits),
                "unit": unit,
                "dataset": title,
                "command": " ".join(shown),
                "compared_with": {
                    text: round(rows[name, baseline][key], digits)
                    for baseline, text in BASELINES.items()
                },
            }


def metadata(arguments, figures):
    """What the card says besides the figures."""
    return {
        "name": Path(arguments.preset).resolve().name,
        "summary": arguments.summary,
        "input": "two RGB images (B, H, W, 3), float in [0, 1] or uint8, any size from 16x16",
        "output": "flow (B, H, W, 2), pixels, u right and v down, of image 1 towards image 2",
        "licence": "apache-2.0",
        "recipe": {"command": arguments.recipe, "notes": arguments.notes},
        "metrics": figures,
        "training_data": textures_of(arguments.photographs, "scenes (c2f_zoo.data.Scenes)"),
        "limits": [
            "Trained on rendered scenes alone: no real motion was seen in training.",
            "Motion that is large against the image, repeated texture and transparent or "
            "reflecting surfaces are unreliable.",
        ],
    }


def textures_of(photographs, scenes):
    """The card's entries of the photographs that were textures, none without their folder."""
    if not photographs:
        return []
    used = {}
    for entry in json.loads((Path(photographs) / "ATTRIBUTION.json").read_text()):
        if entry["file"].startswith("train/"):
            key = entry["package"], entry["version"], entry["licence"]
            used.setdefault(key, []).append(entry.get("author"))
    return [
        {
            "name": f"{len(authors)} photographs of {package} {version}, as textures of rendered "
            f"{scenes}",
            "licence": licence,
            "attribution": ", ".join(sorted({*filter(None, authors)})) or package,
        }
        for (package, version, licence), authors in sorted(used.items())
    ]


if __name__ == "__main__":
    main()
