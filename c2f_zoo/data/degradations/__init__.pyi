from .base import Degradation as Degradation
from .blur import (
    GaussianBlur as GaussianBlur,
    KernelBlur as KernelBlur,
    gaussian_blur as gaussian_blur,
)
from .jpeg import JPEG as JPEG
from .noise import GaussianNoise as GaussianNoise, RandomBoxes as RandomBoxes, box_mask as box_mask
from .resize import (
    Downsampling as Downsampling,
    downsample as downsample,
    upsample_bicubic as upsample_bicubic,
)
from .time import TimedNoise as TimedNoise
