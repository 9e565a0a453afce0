"""Rebuilds `progan_64.fluent`: a narrow ProGAN of 64x64 on renders of Fluent Emoji.

    python training/generation/data.py fluent packages/
    python training/generation/progan_64_fluent.py --data packages/ --export models/progan_64.fluent

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

It grows as the paper's does, with the non-saturating loss and lazy R1 in place of WGAN-GP, whose
second-order gradients at every step are much of its time on a CPU.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.generation.recipe import GenerativeRecipe, train

RECIPE = GenerativeRecipe(
    preset="progan_64.fluent",
    architecture="ProGAN",
    resolution=64,
    data="fluent",
    model={"latent_size": 128, "num_filters": (128, 128, 128, 64, 32), "fused": True},
    settings="progan",
    changes={
        "loss": "logistic-r1",
        "penalty_weight": 1.0,
        "penalty_interval": 16,
        "ema_decay": None,
        "ema_half_life": 5_000.0,
    },
    growth={
        "stabilise": {4: 20_000, 8: 20_000, 16: 30_000, 32: 30_000, 64: 50_000},
        "fade": {4: 0, 8: 20_000, 16: 30_000, 32: 30_000, 64: 20_000},
        "batch_sizes": {4: 64, 8: 64, 16: 32, 32: 32, 64: 16},
        "learning_rates": 2e-3,
    },
    # For GPUs and processors that compute in it; elsewhere try float32.
    precision="mixed_bfloat16",
    limits="Some faces, persons and objects can be told; most samples are coloured shapes without "
    "detail.",
    hardware="two CPU cores, 37 minutes",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
