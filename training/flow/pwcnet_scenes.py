"""Rebuilds `pwcnet.scenes`: the released PWC-Net on rendered scenes of free photographs.

    python training/collect/photographs.py photographs
    KERAS_BACKEND=jax python training/flow/pwcnet_scenes.py --textures photographs

Meant for an accelerator: a training step costs four times that of the lite network in float32
(docs/speed.md). It has not been run to its end yet, so there is no checkpoint. Resumes where it
stopped; `--tiny` rehearses it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.flow.recipe import Recipe, Stage, train

RECIPE = Recipe(
    preset="pwcnet.scenes",
    variant="released",
    stages=(
        Stage(epochs=20, size=(192, 256), batch_size=16, motion=3.5),
        Stage(epochs=30, size=(320, 448), batch_size=8, motion=6.0),
    ),
    steps_per_epoch=1000,
    rates=((0, 1.6e-5), (1, 4e-4), (25, 4e-4), (50, 4e-7)),
    clip=20.0,
    # As in the lite network, which learned nothing in 500 steps from features that were normalised
    # over the whole map only (docs/training.md).
    normalize_features=True,
    weight_decay=4e-4,
    precision="mixed_bfloat16",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
