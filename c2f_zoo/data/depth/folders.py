"""Parts of all data sets of depth: samples, their files, decoding on demand."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.file_dataset import FileDataset
from c2f_zoo.data.files.depth import MILLIMETRES, read_depth
from c2f_zoo.data.files.images import load_image, resize_smoothly

# By how much the shapes of image and depth map may differ, relative: cameras have other sensors.
_SHAPE_TOLERANCE = 0.02


class DepthSample(NamedTuple):
    """An image and its depth.

    Attributes:
        image: float32 array (H, W, 3), RGB in [0, 1].
        depth: float32 array (H, W, 1), metres along the camera's axis, 0 where unknown.
        valid: float32 array (H, W, 1), 1 where the depth is known.
        name: What identifies the sample within its data set.
    """

    image: np.ndarray
    depth: np.ndarray
    valid: np.ndarray
    name: str = ""


class DepthFiles(NamedTuple):
    """The files of one sample.

    Attributes:
        name: What identifies the sample within its data set.
        image: Path of the image.
        depth: Path of the depth map.
    """

    name: str
    image: Path
    depth: Path


class DepthDataset(FileDataset):
    """A sequence of images with depth that are decoded when they are asked for.

    `dataset[i]` is a `DepthSample` of float32 arrays, (H, W, 3) and (H, W, 1), of the size of the
    depth map: a larger image of the same shape, as of ScanNet, is shrunk to it.

    Args:
        root: Folder the data set was found in, for messages.
        files: The files of each sample, a sequence of `DepthFiles`.
        scale: Steps of a 16-bit image in a metre.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data import save_image, write_depth
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_image(folder / "a.jpg", np.zeros((4, 6, 3)))
        >>> write_depth(folder / "a.png", np.ones((4, 6)))
        >>> files = [DepthFiles("a", folder / "a.jpg", folder / "a.png")]
        >>> DepthDataset(folder, files)[0].depth.shape
        (4, 6, 1)
    """

    def __init__(self, root, files, scale=MILLIMETRES):
        super().__init__(root, files)
        self.scale = checks.number("scale", scale, above=0)

    def _decode(self, files):
        depth, valid = read_depth(files.depth, self.scale)
        image = _of_size(load_image(files.image), depth.shape[:2], files)
        return DepthSample(image, depth, valid, files.name)


def _of_size(image, size, files):
    """The image (H, W, 3) shrunk, or enlarged, to the size of its depth map."""
    if image.shape[:2] == size:
        return image
    height, width = size
    shape = (image.shape[1] * height) / (image.shape[0] * width)
    if abs(shape - 1) > _SHAPE_TOLERANCE:
        raise ValueError(
            f"{files.image} and {files.depth} must have the same shape. Received (width x "
            f"height): {image.shape[1]}x{image.shape[0]} and {width}x{height}"
        )
    return resize_smoothly(image, size)
