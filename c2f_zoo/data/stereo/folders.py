"""Parts of all stereo data sets: samples, their files, decoding on demand."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2f_zoo.data.file_dataset import FileDataset
from c2f_zoo.data.files.disparity import read_disparity
from c2f_zoo.data.files.images import check_same_size, load_image
from c2f_zoo.data.stereo.consistency import left_right_check

_VISIBLE = 0.75  # of a mask in [0, 1]: 255 is visible, 128 occluded, 0 unknown


class StereoSample(NamedTuple):
    """A rectified pair and the disparity of its left image.

    Attributes:
        left: float32 array (H, W, 3), RGB in [0, 1].
        right: float32 array (H, W, 3).
        disparity: float32 array (H, W, 1), pixels, 0 where unknown. None in a test split.
        valid: float32 array (H, W, 1), 1 where the disparity is known. None where it is None.
        occlusion: float32 array (H, W, 1), 1 where a pixel with known disparity is hidden in the
            right image; `valid * (1 - occlusion)` are the pixels of the figures called "noc".
            None where the data set does not say.
        name: What identifies the sample within its data set.
    """

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray | None = None
    valid: np.ndarray | None = None
    occlusion: np.ndarray | None = None
    name: str = ""


class StereoFiles(NamedTuple):
    """The files of one sample, None for those that it lacks.

    Attributes:
        name: What identifies the sample within its data set.
        left: Path of the left image.
        right: Path of the right image.
        disparity: Path of the disparity map of the left image.
        right_disparity: Path of that of the right image, which tells what is occluded.
        visible: Path of the map that tells it otherwise: a mask, 255 where visible, or a disparity
            map of the visible pixels alone.
        calibration: Path of a `calib.txt`.
    """

    name: str
    left: Path
    right: Path
    disparity: Path | None = None
    right_disparity: Path | None = None
    visible: Path | None = None
    calibration: Path | None = None


class StereoDataset(FileDataset):
    """A sequence of stereo samples that are decoded when they are asked for.

    `dataset[i]` is a `StereoSample` of float32 arrays (images (H, W, 3) in [0, 1], disparity and
    masks (H, W, 1)); otherwise as `FileDataset`.

    Args:
        root: Folder the data set was found in, for messages.
        files: The files of each sample, a sequence of `StereoFiles`.
        scale: By what the values of 8-bit disparity images are divided.
        visible_is_mask: Whether `visible` files are masks rather than disparity maps.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data.files.images import save_image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("l.png", "r.png"):
        ...     save_image(folder / name, np.zeros((4, 6, 3)))
        >>> dataset = StereoDataset(folder, [StereoFiles("a", folder / "l.png", folder / "r.png")])
        >>> dataset[0].left.shape, dataset.has_disparity
        ((4, 6, 3), False)
    """

    def __init__(self, root, files, scale=None, visible_is_mask=False):
        super().__init__(root, files)
        self.scale, self.visible_is_mask = scale, visible_is_mask

    @property
    def has_disparity(self):
        """Whether every sample comes with its disparity (H, W, 1); False for a test split."""
        return all(files.disparity is not None for files in self.files)

    def _decode(self, files):
        left, right = load_image(files.left), load_image(files.right)
        check_same_size(left, right, (str(files.left), str(files.right)))
        if files.disparity is None:
            return StereoSample(left, right, name=files.name)
        disparity, valid = read_disparity(files.disparity, self.scale)
        check_same_size(left, disparity, (str(files.left), str(files.disparity)))
        visible = self._read_visible(files, disparity)
        occlusion = None if visible is None else valid * (1 - visible)
        return StereoSample(left, right, disparity, valid, occlusion, files.name)

    def _read_visible(self, files, disparity):
        """Mask (H, W, 1) of the pixels seen by both cameras, or None."""
        path = files.visible or files.right_disparity
        if path is None:
            return None
        if files.visible is not None and self.visible_is_mask:
            visible = (load_image(path)[..., :1] > _VISIBLE).astype(np.float32)
        elif files.visible is not None:
            visible = read_disparity(path, self.scale)[1]
        else:
            visible, _ = read_disparity(path, self.scale)
        check_same_size(visible, disparity, (str(path), str(files.disparity)))
        return visible if files.visible is not None else left_right_check(disparity, visible)
