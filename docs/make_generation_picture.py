"""Makes the sample picture of the README: `python docs/make_generation_picture.py`."""

from pathlib import Path

import numpy as np

from c2f_zoo.data import enlarge_pixels, image_grid, save_image
from c2f_zoo.hub import load

ROOT = Path(__file__).parents[1]
PRESETS = ("progan_64.fluent", "progan_32.cifar10", "stylegan2_64.fluent")


def main():
    columns = []
    for preset in PRESETS:
        pictures = load(preset).generate(40, seed=7)
        grid = enlarge_pixels(image_grid(pictures, 8), 64 // pictures.shape[1])
        columns += [grid, np.ones((grid.shape[0], 16, 3), "float32")]
    save_image(ROOT / "docs/images/generated.png", np.concatenate(columns[:-1], axis=1))


if __name__ == "__main__":
    main()
