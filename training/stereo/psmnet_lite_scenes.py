"""Rebuilds `psmnet_lite.scenes`: the lite PSMNet on rendered stereo scenes of free photographs.

    python training/collect/photographs.py photographs
    python training/stereo/psmnet_lite_scenes.py --textures photographs \
        --export models/psmnet_lite.scenes

Running it again resumes it. `--tiny` runs a short version of everything in a minute or two.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.stereo.recipe import Recipe, Stage, train

RECIPE = Recipe(
    preset="psmnet_lite.scenes",
    architecture="PSMNetLite",
    stages=(
        # Coarse to fine in the data too: small images and a short range first, which cost little.
        Stage(epochs=6, size=(128, 256), nearest=(4.0, 60.0), max_disparity=64),
        Stage(epochs=5, size=(192, 320), nearest=(8.0, 112.0), max_disparity=128),
    ),
    steps_per_epoch=250,
    rates=((0, 4e-5), (0.6, 1e-3), (4, 1e-3), (11, 1e-6)),
    clip=5.0,
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
