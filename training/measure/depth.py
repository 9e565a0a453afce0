"""Measures a depth preset beside one depth everywhere and writes the figures into its card.

    python training/measure/depth.py models/depth_unet.scenes --data ../shared/data/depth \\
        --photographs photographs --rooms rooms --summary "Depth for CPUs: ..." \\
        --recipe "python training/depth/depth_unet_scenes.py ..."

The data folder holds RGB-D frames, `color/` and `depth/` (16-bit png of millimetres). The figures
come from one run of `c2f evaluate`, the command that the card names.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.measure.flow import textures_of

# Key in `c2f evaluate --json`, label, unit, digits.
FIGURES = (
    ("abs_rel_scaled", "AbsRel, scaled to the median", "", 3),
    ("rmse_scaled", "RMSE, scaled to the median", "m", 3),
    ("delta_1_scaled", "share below 1.25, scaled to the median", "", 3),
    ("silog", "SILog", "", 2),
    ("abs_rel", "AbsRel in metres", "", 3),
    ("delta_1", "share below 1.25 in metres", "", 3),
)


def main(argv=None):
    """Measure and write; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", help="folder of the preset")
    parser.add_argument("--data", required=True, help="folder of the RGB-D frames")
    parser.add_argument("--title", default="5 Redwood RGB-D frames", help="what the card calls it")
    parser.add_argument("--photographs", help="folder with ATTRIBUTION.json of the textures")
    parser.add_argument(
        "--rooms", help="folder of the rooms that Blender rendered, if they were used"
    )
    parser.add_argument("--recipe", required=True, help="command that rebuilds the checkpoint")
    parser.add_argument("--summary", required=True, help="one sentence for the card")
    parser.add_argument("--notes", default="", help="what else to know about the training")
    arguments = parser.parse_args(argv)

    from c2f_zoo.hub import load

    figures = measure(arguments.preset, Path(arguments.data), arguments.title)
    load(arguments.preset).save_pretrained(
        arguments.preset, metadata=metadata(arguments, figures), precision="float16", golden=True
    )


def measure(preset, data, title):
    """The figures, the baseline's beside them, from one command."""
    command = ["evaluate", preset, "--dataset", "rgbd", "--root", str(data), "--baseline", "median"]
    # As it reads beside the folder of the frames, for the preset that ships.
    shown = ["c2f", *command]
    shown[2], shown[6] = Path(preset).resolve().name, data.name
    output = subprocess.run(
        [sys.executable, "-m", "c2f_zoo", *command, "--json", "--quiet"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    ours, constant = (
        next(row for row in json.loads(output)["results"] if row["method"] == method)
        for method in (preset, "median")
    )
    return [
        {
            "name": label,
            "value": round(ours[key], digits),
            "unit": unit,
            "dataset": title,
            "command": " ".join(shown),
        }
        | (
            {}
            if constant[key] is None
            else {"compared_with": {"one depth everywhere": round(constant[key], digits)}}
        )
        for key, label, unit, digits in FIGURES
    ]


def metadata(arguments, figures):
    """What the card says besides the figures."""
    seen = "rooms of boxes and ellipsoids alone: it knows no real object"
    if arguments.rooms:
        seen = "rooms of boxes, ellipsoids and models of furniture: it knows no person"
    return {
        "name": Path(arguments.preset).resolve().name,
        "summary": arguments.summary,
        "input": "RGB image (B, H, W, 3), float in [0, 1] or uint8, any size",
        "output": "depth (B, H, W, 1), metres along the camera's axis",
        "licence": "apache-2.0",
        "recipe": {"command": arguments.recipe, "notes": arguments.notes},
        "metrics": figures,
        "training_data": [
            *textures_of(arguments.photographs, "rooms (c2f_zoo.data.DepthScenes)"),
            *furniture_of(arguments.rooms),
        ],
        "limits": [
            f"Trained on rendered {seen} and no outdoor scene.",
            "A single image does not tell its scale, nor the camera its field of view: metres are "
            "a guess from what rooms are like; scale them to a known distance where you can.",
        ],
    }


def furniture_of(rooms):
    """The card's entries of the models that stand in rendered rooms, by licence."""
    if not rooms:
        return []
    root = Path(rooms)
    records = (json.loads(path.read_text()) for path in root.glob("train/scenes/*.json"))
    used = {part for record in records for part in record["parts"]}
    authors = {}
    for line in (root / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines():
        name, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        if name in used and len(rest) == 2:
            authors.setdefault(rest[1], []).append(rest[0])
    return [
        {
            "name": f"{len(names)} models of Debian's sweethome3d-furniture, in rooms rendered "
            "with Blender and its CC0 environments",
            "licence": licence.replace(" ", "-"),
            "attribution": ", ".join(sorted({*names})),
        }
        for licence, names in sorted(authors.items())
    ]


if __name__ == "__main__":
    main()
