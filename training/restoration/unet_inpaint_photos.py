"""Rebuilds `unet_inpaint.photos`: a U-Net that fills what is missing from photographs.

    python training/collect/photographs.py photos/ --lossless
    python training/restoration/unet_inpaint_photos.py --photos photos/ \
        --export models/unet_inpaint.photos

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

The network is that of `unet_denoise.photos`, and is given the mask too. Boxes and strokes are left
out.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.restoration.recipe import LOCAL_UNET, PhotoRecipe, train

RECIPE = PhotoRecipe(
    preset="unet_inpaint.photos",
    architecture="MultiscaleUNet",
    degradation="masked",
    model={**LOCAL_UNET, "mask": True},
    patch=96,
    batch_size=8,
    iterations=6_000,
    learning_rate=4e-4,
    summary="Fills small holes, scratches and lettering in photographs of any size.",
    limits="It continues edges and plain surfaces and does not know what things look like: large "
    "holes, filled from coarse to fine, come out blurred.",
    hardware="a CPU core, an hour",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
