"""Compression as a degradation: on the host, by Pillow."""

import io

import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.backend import to_numpy
from c2f_zoo.data.degradations.base import Degradation, as_images

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")


class JPEG(Degradation):
    """Save images as JPEG and load them again. Not for a compiled step: it runs on the host.

    Args:
        quality: 1 to 100, or a range (low, high) of whole numbers from which each image draws its
            own, uniformly. Pillow's tables of libjpeg.
        seed: Non-negative integer.
        subsampling: `"4:2:0"`, colours at half resolution; `"4:2:2"`, at half the width; or
            `"4:4:4"`, at full resolution.

    Call arguments:
        images: Array or tensor (B, H, W, C), uint8 or float in [0, 1] (values beyond are clipped),
            C 1 or 3; index: as for `Degradation`.

    Returns:
        float32 tensor (B, H, W, C), of 256 levels.

    Raises:
        ValueError: If `quality` or `subsampling` is out of range, or images have other channels.

    Example:
        >>> images = np.random.default_rng(0).random((1, 16, 24, 3))
        >>> tuple(JPEG(quality=(30, 95))(images, index=3).shape)
        (1, 16, 24, 3)
    """

    on_host = True

    def __init__(self, quality=(30, 95), seed=0, subsampling="4:2:0"):
        super().__init__(seed)
        self.quality = checks.whole_interval("quality", quality, least=1, most=100)
        self.subsampling = checks.one_of("subsampling", subsampling, SUBSAMPLINGS)

    def draw_sample(self, rng, size):
        return {"quality": rng.integers(self.quality[0], self.quality[1] + 1, dtype="int32")}

    def apply(self, images, numbers):
        levels = np.clip(to_numpy(images), 0, 1) * 255
        qualities = to_numpy(numbers["quality"]).tolist()
        saved = [
            _compress(image, quality, self.subsampling)
            for image, quality in zip(np.rint(levels).astype("uint8"), qualities, strict=True)
        ]
        return ops.convert_to_tensor(np.stack(saved).astype("float32") / 255)

    def __call__(self, images, index=0):
        """Compress a batch; arguments and results are in the class's documentation."""
        images = as_images(images, "JPEG")
        count, *size, channels = images.shape
        if channels not in (1, 3):
            raise ValueError(f"JPEG takes 1 or 3 channels. Received: shape {tuple(images.shape)}")
        return self.apply(images, self.draw(count, size, index))


def _compress(image, quality, subsampling):
    from PIL import Image

    file = io.BytesIO()
    grey = image.shape[-1] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
    again = np.asarray(Image.open(file))
    return again[..., None] if grey else again
