"""Trains `raft_lite.scenes`: the lite RAFT on rendered scenes of free photographs.

    python training/collect/photographs.py photographs
    python training/flow/raft_lite_scenes.py --textures photographs

It has not been run to its end yet, so there is no checkpoint. Resumes where it stopped; `--start`
begins with the weights of a preset; `--tiny` rehearses it in a minute or two.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.flow.pwcnet_lite_scenes import NEAR, WIDE
from training.flow.recipe import Recipe, Stage, train

# As `NEAR`, for frames of 128x192.
SLOW = ((0.35, 1.0, 1.0), (0.4, 3.5, 1.0), (0.25, 9.0, 0.8))


class RaftRecipe(Recipe):
    """A recipe of a network without levels, whose own loss sees every refinement."""

    def network(self, start=None):
        """The network with its first weights, or with a preset's."""
        from c2f_zoo import RAFT

        if start:
            return RAFT.from_pretrained(start, dtype=self.precision)
        return RAFT(self.variant, dtype=self.precision)

    def stop_at(self, model, level):
        """Every refinement is at one level."""


RECIPE = RaftRecipe(
    preset="raft_lite.scenes",
    variant="lite",
    stages=(
        Stage(epochs=20, size=(128, 192), batch_size=8, motion=SLOW),
        Stage(epochs=14, size=(192, 256), batch_size=8, motion=NEAR),
        Stage(epochs=3, size=(256, 320), batch_size=8, motion=WIDE),
        Stage(epochs=50, size=(192, 256), batch_size=8, motion=NEAR),
        Stage(epochs=40, size=(256, 320), batch_size=8, motion=WIDE),
        # The last frames have the size of those that it is meant for.
        Stage(epochs=30, size=(384, 512), batch_size=4, motion=WIDE),
    ),
    steps_per_epoch=125,
    # Two falls of the rate: after the first, a quarter of the pairs and a tenth of the work, there
    # are weights worth using. The highest rate and the clipping are SEA-RAFT's (arXiv 2405.14793).
    rates=(
        *((0, 1.6e-5), (2, 4e-4), (12, 4e-4), (37, 1e-6)),
        *((39, 3e-4), (80, 3e-4), (157, 1e-6)),
    ),
    clip=1.0,
    validation_motion=WIDE,
    precision="mixed_bfloat16",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
