"""Makes the README's picture of samples: `python docs/make_generation_picture.py`."""

from pathlib import Path

import numpy as np

from c2f_zoo.data import image_grid, save_image
from c2f_zoo.hub import load

ROOT = Path(__file__).parents[1]
PRESETS = ("progan_64.fluent", "stylegan2_64.fluent")


def main():
    left, right = (image_grid(load(preset).generate(40, seed=7), 8) for preset in PRESETS)
    gap = np.ones((left.shape[0], 16, 3), "float32")
    save_image(ROOT / "docs/images/generated.png", np.concatenate([left, gap, right], axis=1))


if __name__ == "__main__":
    main()
