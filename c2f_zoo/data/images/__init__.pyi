from .archives import ImageZip as ImageZip, read_cifar10 as read_cifar10, read_stl10 as read_stl10
from .cache import ImageCache as ImageCache
from .cache_build import box_pyramid as box_pyramid
from .dataset import ImageDataset as ImageDataset
from .datasets import IMAGE_DATASETS as IMAGE_DATASETS, open_image_dataset as open_image_dataset
from .fit import UnfitImageError as UnfitImageError, fit_image as fit_image
from .folder import ImageFolder as ImageFolder
from .sources import ImageArray as ImageArray, TensorFlowDataset as TensorFlowDataset
from .stream import ImageStream as ImageStream, fade_images as fade_images
