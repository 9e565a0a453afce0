"""Rebuilds `unet_denoise.photos`: a U-Net that takes noise of unknown strength from photographs.

    python training/collect/photographs.py photos/ --lossless
    python training/restoration/unet_denoise_photos.py --photos photos/ \
        --export models/unet_denoise.photos

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

Why the network is what it is stands in `recipe.py`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.restoration.recipe import LOCAL_UNET, PhotoRecipe, train

RECIPE = PhotoRecipe(
    preset="unet_denoise.photos",
    architecture="MultiscaleUNet",
    degradation="noisy",
    model=LOCAL_UNET,
    options={"level": (0.0, 55.0)},
    validation={"level": (25.0, 25.0)},
    iterations=20_000,
    summary="Takes Gaussian noise of unknown strength, up to a standard deviation of 55 of 255, "
    "from photographs of any size.",
    limits="It knows white Gaussian noise alone: that of cameras is coarser, and that of JPEG "
    "files another thing. Fine textures are smoothed where noise is strong.",
    hardware="a CPU core, an hour and a half",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
