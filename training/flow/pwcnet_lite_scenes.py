"""Rebuilds `pwcnet_lite.scenes`: the lite PWC-Net on rendered scenes of free photographs.

    python training/collect/photographs.py photographs
    python training/flow/pwcnet_lite_scenes.py --textures photographs \
        --export models/pwcnet_lite.scenes

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.flow.recipe import Recipe, Stage, train

RECIPE = Recipe(
    preset="pwcnet_lite.scenes",
    variant="lite",
    stages=(
        # Coarse to fine in the network too: level 2 has three times the coarser ones' pixels.
        Stage(epochs=10, size=(128, 192), batch_size=8, motion=3.0, finest_level=3),
        Stage(epochs=14, size=(192, 256), batch_size=8, motion=3.5),
        Stage(epochs=4, size=(256, 320), batch_size=8, motion=4.0),
    ),
    steps_per_epoch=500,
    peak=6e-4,
    hold=0.5,
    warmup=200,
    clip=20.0,
    # Faster on processors with AMX (docs/speed.md), and on GPUs; elsewhere try float32.
    precision="mixed_bfloat16",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
