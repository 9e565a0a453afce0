"""Rebuilds `depth_unet.scenes`: depth from single images, from rendered rooms.

    python training/collect/photographs.py photographs
    blender/bin/python training/collect/blender_scenes.py --photographs photographs --out rooms \\
        --layout rgbd --size 240 320 --scenes 207 --held-out 42
    python training/depth/depth_unet_scenes.py --textures photographs --rooms rooms \\
        --export models/depth_unet.scenes

With `--rooms`, the folder of `collect/blender_scenes.py`, every second batch shows furnished rooms;
`training/README.md` says how to install Blender. Running it again resumes it. `--tiny` runs a short
version of everything in a minute or two.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.depth.recipe import Recipe, Stage, train

RECIPE = Recipe(
    preset="depth_unet.scenes",
    # The sizes of things, and so their distance, follow from the whole image: attention.
    model={
        "variant": "lite",
        "attention": 4,
        "residual": True,
        "limits": (0.25, 25.0),
        # Of 96 to 320 that of the least error on held-out rooms, once trained.
        "image_side": 160,
    },
    # Of the range of log depth, errors of a tenth are as much as a similarity of 1/2.
    loss={"l1_weight": 2.5},
    # From coarse to fine: four fifths of the images cost a quarter each.
    stages=(Stage(6, (96, 128), 16), Stage(3, (192, 256), 8)),
    steps_per_epoch=500,
    rates=((0, 2e-5), (0.4, 4e-4), (4, 4e-4), (9, 4e-7)),
    clip=5.0,
    # Faster on processors with AMX (docs/speed.md), and on GPUs; elsewhere try float32.
    precision="float32",
)


def main(argv=None):
    """Run or resume the recipe; returns the model."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
