"""Rebuilds `unet_deblur.photos`: a U-Net that sharpens photographs blurred in an unknown way.

    python training/collect/photographs.py photos/ --lossless
    python training/restoration/unet_deblur_photos.py --photos photos/ \
        --export models/unet_deblur.photos

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

The network is that of `unet_denoise.photos`. Blur is a Gaussian of up to 3 pixels, smeared along a
line of up to 9 for half the images, with a little noise.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.restoration.recipe import LOCAL_UNET, PhotoRecipe, train

RECIPE = PhotoRecipe(
    preset="unet_deblur.photos",
    architecture="MultiscaleUNet",
    degradation="blurred",
    model=LOCAL_UNET,
    iterations=8_000,
    learning_rate=4e-4,
    summary="Sharpens photographs that a Gaussian of up to 3 pixels or a short motion has blurred.",
    limits="It knows blur of up to 3 pixels (a motion of up to 9) and noise of up to 4 of 255; "
    "what is blurred more, it makes a little sharper only. Detail that blur has wiped out does not "
    "come back, and noise stronger than that is sharpened too.",
    hardware="a CPU core, an hour",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
