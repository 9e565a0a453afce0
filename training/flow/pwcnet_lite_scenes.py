"""Rebuilds `pwcnet_lite.scenes`: the lite PWC-Net on rendered scenes of free photographs.

    python training/collect/photographs.py photographs
    python training/flow/pwcnet_lite_scenes.py --textures photographs \
        --export models/pwcnet_lite.scenes

The second step continues the weights of such a run, or the shipped ones, with larger motion and the
robust loss:

    python training/flow/pwcnet_lite_scenes.py --textures photographs \
        --start models/pwcnet_lite.scenes

Running it again resumes it. `--tiny` runs a short version of everything in a minute or two.
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
    rates=((0, 2.4e-5), (0.4, 6e-4), (14, 6e-4), (28, 6e-7)),
    clip=20.0,
    # Faster on processors with AMX (docs/speed.md), and on GPUs; elsewhere try float32.
    precision="mixed_bfloat16",
)

# Mixtures of motion as (share of the scenes, median, spread): a third nearly rests, to keep small
# motion fine, and a third moves far, more so in larger frames.
NEAR = ((0.35, 1.2, 1.0), (0.4, 5.0, 1.0), (0.25, 14.0, 0.8))
WIDE = ((0.3, 1.5, 1.0), (0.4, 6.0, 1.0), (0.3, 18.0, 0.8))

# Three falls of the rate, each longer than the one before: after the first, some 5 % of the work,
# and after the second, 20 %, there are weights worth using.
CONTINUED = Recipe(
    preset="pwcnet_lite.scenes",
    variant="lite",
    stages=(
        Stage(epochs=8, size=(192, 256), batch_size=8, motion=NEAR),
        Stage(epochs=5, size=(256, 320), batch_size=8, motion=WIDE, loss="robust"),
        Stage(epochs=16, size=(192, 256), batch_size=8, motion=NEAR),
        Stage(epochs=12, size=(256, 320), batch_size=8, motion=WIDE),
        Stage(epochs=12, size=(384, 512), batch_size=4, motion=WIDE, loss="robust"),
        Stage(epochs=50, size=(192, 256), batch_size=8, motion=NEAR),
        Stage(epochs=40, size=(256, 320), batch_size=8, motion=WIDE),
        Stage(epochs=60, size=(384, 512), batch_size=4, motion=WIDE),
        Stage(epochs=30, size=(384, 512), batch_size=4, motion=WIDE, loss="robust"),
    ),
    steps_per_epoch=125,
    rates=(
        *((0, 1e-5), (1.6, 3e-4), (4, 3e-4), (8, 1e-4), (13, 1e-6)),
        *((14.6, 3e-4), (25, 3e-4), (41, 8e-5), (53, 1e-6)),
        *((54.6, 3e-4), (100, 3e-4), (203, 6e-5), (233, 1e-6)),
    ),
    clip=20.0,
    validation_motion=WIDE,
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv, continued=CONTINUED)


if __name__ == "__main__":
    main()
