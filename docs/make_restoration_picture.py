"""Makes the restoration picture of the README: `python docs/make_restoration_picture.py`.

It takes one row of the picture of each model card, made by `training/measure/restoration.py`.
"""

from pathlib import Path

import numpy as np

from c2f_zoo.data import load_image, save_image

ROOT = Path(__file__).parents[1]
# Two presets per row, and the row to take from the picture of each.
ROWS = (
    (("unet_denoise.real", 0), ("unet_deblur.photos", 0)),
    (("srnet_x2.photos", 0), ("unet_inpaint.photos", 1)),
)
SIDE, GAP = 192, 16


def main():
    rows = []
    for pair in ROWS:
        parts = []
        for preset, number in pair:
            strip = load_image(ROOT / f"models/{preset}/restored.png")
            parts += [strip[number * SIDE : (number + 1) * SIDE], np.ones((SIDE, GAP, 3))]
        rows += [np.concatenate(parts[:-1], axis=1), np.ones((GAP, 6 * SIDE + GAP, 3))]
    save_image(ROOT / "docs/images/restored.png", np.concatenate(rows[:-1]))


if __name__ == "__main__":
    main()
