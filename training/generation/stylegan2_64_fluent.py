"""Rebuilds `stylegan2_64.fluent`: a narrow StyleGAN2 of 64x64 on renders of Fluent Emoji.

    python training/generation/data.py fluent packages/
    python training/generation/stylegan2_64_fluent.py --data packages/ \
        --export models/stylegan2_64.fluent

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

Losses and lazy regularisation are the paper's; the penalty's weight is 1 rather than 10, as small
pictures need less of it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.generation.recipe import GenerativeRecipe, train

RECIPE = GenerativeRecipe(
    preset="stylegan2_64.fluent",
    architecture="StyleGAN2",
    resolution=64,
    data="fluent",
    model={
        "latent_size": 128,
        "w_size": 128,
        "mapping_depth": 4,
        "num_filters": (128, 128, 128, 64, 32),
    },
    settings="stylegan2",
    changes={"penalty_weight": 1.0, "ema_half_life": 5_000.0},
    images=244_000,
    batch_size=16,
    # For GPUs and processors that compute in it; elsewhere try float32.
    precision="mixed_bfloat16",
    limits="In some samples one can tell a person, a smiley or a hand; most are coloured shapes.",
    hardware="one to two CPU cores, shared, 3 hours in all",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
