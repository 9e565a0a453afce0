"""The papers' operations, as functions and Keras layers."""

from c2f_zoo.layers.convolution import Conv2D, Conv2DTranspose
from c2f_zoo.layers.correlation import local_correlation
from c2f_zoo.layers.padding import crop_to, pad_to_stride
from c2f_zoo.layers.resampling import Upsampling, average_pool, max_pool, upsample_bilinear
from c2f_zoo.layers.warp import warp

__all__ = [
    "Conv2D",
    "Conv2DTranspose",
    "Upsampling",
    "average_pool",
    "crop_to",
    "local_correlation",
    "max_pool",
    "pad_to_stride",
    "upsample_bilinear",
    "warp",
]
