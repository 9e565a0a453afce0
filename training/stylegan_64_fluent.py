"""Rebuilds `stylegan_64.fluent`: a narrow StyleGAN of 64x64 on renders of Fluent Emoji.

    python training/gan_data.py fluent packages/
    python training/stylegan_64_fluent.py --data packages/ --export models/stylegan_64.fluent

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

It grows from 8x8 as the paper's does, with its loss and style mixing. R1 is lazy, as StyleGAN2's,
and its weight far below the paper's 10: small pictures need little of it, and with more the
pictures stay soft for long.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gan_training import GenerativeRecipe, train

RECIPE = GenerativeRecipe(
    preset="stylegan_64.fluent",
    architecture="StyleGAN",
    resolution=64,
    data="fluent",
    model={
        "latent_size": 128,
        "w_size": 128,
        "mapping_depth": 4,
        "num_filters": (128, 128, 128, 64, 32),
        "fused": True,
    },
    settings="stylegan",
    changes={"penalty_weight": 0.2, "penalty_interval": 16, "ema_half_life": 5_000.0},
    growth={
        "stabilise": {8: 20_000, 16: 20_000, 32: 30_000, 64: 50_000},
        "fade": {8: 0, 16: 20_000, 32: 30_000, 64: 20_000},
        "batch_sizes": {8: 64, 16: 32, 32: 32, 64: 16},
        "learning_rates": 2e-3,
        "first_stage": 1,
    },
    # For GPUs and processors that compute in it; elsewhere try float32.
    precision="mixed_bfloat16",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
