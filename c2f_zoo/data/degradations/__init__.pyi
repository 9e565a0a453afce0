from .base import Degradation as Degradation
from .blur import (
    GaussianBlur as GaussianBlur,
)
from .blur import (
    KernelBlur as KernelBlur,
)
from .blur import (
    gaussian_blur as gaussian_blur,
)
from .jpeg import JPEG as JPEG
from .noise import GaussianNoise as GaussianNoise
from .noise import RandomBoxes as RandomBoxes
from .noise import box_mask as box_mask
from .resize import (
    Downsampling as Downsampling,
)
from .resize import (
    downsample as downsample,
)
from .resize import (
    upsample_bicubic as upsample_bicubic,
)
from .time import TimedNoise as TimedNoise
