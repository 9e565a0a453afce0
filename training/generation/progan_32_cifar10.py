"""Rebuilds `progan_32.cifar10`: a narrow ProGAN of 32x32 on CIFAR-10.

    python training/generation/data.py cifar10 packages/
    python training/generation/progan_32_cifar10.py --data packages/ \
        --export models/progan_32.cifar10

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

It grows as the paper's does, with the non-saturating loss and lazy R1: docs/training.md says what
became of the paper's loss at this width and length.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.generation.recipe import GenerativeRecipe, train

RECIPE = GenerativeRecipe(
    preset="progan_32.cifar10",
    architecture="ProGAN",
    resolution=32,
    data="cifar10",
    model={"latent_size": 128, "num_filters": (128, 128, 128, 64), "fused": True},
    settings="progan",
    changes={
        "loss": "logistic-r1",
        "penalty_weight": 0.05,
        "penalty_interval": 16,
        "ema_decay": None,
        "ema_half_life": 5_000.0,
    },
    growth={
        "stabilise": {4: 20_000, 8: 20_000, 16: 30_000, 32: 130_000},
        "fade": {4: 0, 8: 20_000, 16: 30_000, 32: 30_000},
        "batch_sizes": {4: 64, 8: 64, 16: 32, 32: 32},
        "learning_rates": 2e-3,
    },
    # For GPUs and processors that compute in it; elsewhere try float32.
    precision="mixed_bfloat16",
    limits="Vehicles, animals and skies can be told in many samples; hardly one would pass for a "
    "picture of the data set.",
    hardware="one CPU core, an hour",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
