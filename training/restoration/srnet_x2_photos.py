"""Rebuilds `srnet_x2.photos`: a residual network that doubles the size of photographs.

    python training/collect/photographs.py photos/ --lossless
    python training/restoration/srnet_x2_photos.py --photos photos/ --export models/srnet_x2.photos

Resumes where it stopped. `--tiny` rehearses everything in a minute or two.

The paper's network for super-resolution without normalisation, working on the image as given: the
last convolution makes the pixels of the larger one.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.restoration.recipe import PhotoRecipe, train

RECIPE = PhotoRecipe(
    preset="srnet_x2.photos",
    architecture="RestorationResNet",
    degradation="small",
    model={
        "width": 48,
        "blocks": 8,
        "time_embedding": False,
        "scale": 2,
        "normalize": False,
        "enlarge": "last",
    },
    patch=96,
    iterations=6_000,
    summary="Doubles the height and width of photographs.",
    limits="It undoes bicubic shrinking: images that were blurred otherwise are sharpened less, "
    "and the artefacts of JPEG files are sharpened too.",
    hardware="a CPU core, 25 minutes",
)


def main(argv=None):
    """Run the recipe; see `--help`."""
    return train(RECIPE, __doc__.splitlines()[0], argv)


if __name__ == "__main__":
    main()
