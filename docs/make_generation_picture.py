"""Makes the README's picture of samples: `python docs/make_generation_picture.py`."""

from pathlib import Path

import numpy as np

from c2f_zoo.data import image_grid, save_image
from c2f_zoo.hub import load

ROOT = Path(__file__).parents[1]
PRESETS = ("progan_64.fluent", "stylegan2_64.fluent", "progan_32.cifar10")


def main():
    grids = []
    for preset in PRESETS:
        pictures = load(preset).generate(20, seed=7)
        factor = 64 // pictures.shape[1]
        # The same height for all: small pictures are as many more.
        if factor > 1:
            pictures = load(preset).generate(20 * factor**2, seed=7)
        grids.append(image_grid(pictures, 5 * factor))
    gap = np.ones((grids[0].shape[0], 8, 3), "float32")
    save_image(
        ROOT / "docs/images/generated.png",
        np.concatenate([grids[0], gap, grids[1], gap, grids[2]], axis=1),
    )


if __name__ == "__main__":
    main()
