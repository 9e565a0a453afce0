"""Trains `unet_denoise.real`: `unet_denoise.photos` made to take noise as photographs have it.

    python training/collect/photographs.py photos/ --lossless
    python training/restoration/unet_denoise_real.py --photos photos/

Resumes where it stopped. `--tiny` rehearses everything in a minute or two. `noise.py` describes the
noise.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.restoration.recipe import LOCAL_UNET, PhotoRecipe, train

RECIPE = PhotoRecipe(
    preset="unet_denoise.real",
    architecture="MultiscaleUNet",
    degradation="photo_noise",
    model=LOCAL_UNET,
    options={"level": (0.0, 55.0)},
    average=0.999,
    steps_per_epoch=125,
    iterations=8_000,
    learning_rate=4e-4,
    precision="float32",
    start="unet_denoise.photos",
    summary="Takes noise as photographs have it, grey, coarse or kept as JPEG, up to a standard "
    "deviation of 55 of 255, from photographs of any size.",
    limits="White noise that was neither clipped nor kept as JPEG is taken 0.2 to 0.6 dB better by "
    "`unet_denoise.photos`, which knows no other. Fine textures are smoothed where noise is "
    "strong, above all where it is coarser than a pixel.",
    hardware="a CPU core, 1.6 hours, beginning with the weights of `unet_denoise.photos`",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
