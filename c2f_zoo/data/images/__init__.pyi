from .archives import ImageZip as ImageZip
from .archives import read_cifar10 as read_cifar10
from .archives import read_stl10 as read_stl10
from .cache import ImageCache as ImageCache
from .cache_build import box_pyramid as box_pyramid
from .dataset import ImageDataset as ImageDataset
from .datasets import IMAGE_DATASETS as IMAGE_DATASETS
from .datasets import open_image_dataset as open_image_dataset
from .folder import (
    ImageFolder as ImageFolder,
)
from .folder import (
    UnfitImageError as UnfitImageError,
)
from .folder import (
    fit_image as fit_image,
)
from .sources import ImageArray as ImageArray
from .sources import TensorFlowDataset as TensorFlowDataset
from .stream import ImageStream as ImageStream
from .stream import fade_images as fade_images
