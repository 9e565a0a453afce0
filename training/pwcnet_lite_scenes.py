"""Rebuilds `pwcnet_lite.scenes`: the lite PWC-Net on rendered scenes of free photographs.

    python training/photographs.py photographs
    python training/pwcnet_lite_scenes.py --textures photographs --export models/pwcnet_lite.scenes

Resumes where it stopped. `--tiny` rehearses everything in seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from flow_training import Recipe, Stage, train

RECIPE = Recipe(
    preset="pwcnet_lite.scenes",
    variant="lite",
    stages=(
        Stage(epochs=20, size=(192, 256), batch_size=8, motion=8.0),
        Stage(epochs=10, size=(256, 384), batch_size=4, motion=10.0),
    ),
    steps_per_epoch=250,
    peak=5e-4,
    hold=0.5,
    warmup=200,
    clip=20.0,
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
