"""Data sets of images with depth: folders of RGB-D cameras, and NYU Depth V2.

Nothing is downloaded but by `tensorflow_datasets`: the data sets have their own terms.
"""

import operator
import re
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.depth.folders import DepthDataset, DepthFiles, DepthSample
from c2f_zoo.data.file_dataset import class_named
from c2f_zoo.data.files.images import as_float
from c2f_zoo.data.flow.folders import check_complete, find_folder, subfolders
from c2f_zoo.data.images.sources import TensorFlowDataset

IMAGE_FOLDERS = ("rgb", "color", "colour", "image", "images")
DEPTH_FOLDERS = ("depth", "depths", "depth_gt")
_IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp", ".tif", ".tiff")
_DEPTHS = (".png", ".npy", ".pfm", ".tif", ".tiff", ".pgm")


class RGBDFolder(DepthDataset):
    """Folders of colour images and of depth maps, as RGB-D cameras' recordings are published.

    Expected: `rgb/` (or `color`, `image`, `images`) and `depth/` (or `depths`, `depth_gt`) in
    `root`, or in each of its subfolders; files of one name, or with the same number at the end of
    the name: `rgb/00012.jpg` and `depth/00012.png`, `color/frame-12.jpg` and `depth/depth-12.png`.
    Such are ScanNet's frames, Redwood's, ARKitScenes' and 7-Scenes' once sorted into folders.

    Args:
        root: Folder of a recording, or of several.
        scale: Steps of the 16-bit images in a metre. Default: 1000, millimetres.

    Raises:
        FileNotFoundError: If the folder has another layout, or an image lacks its depth or the
            reverse (named).
        ValueError: If the scale is not positive.

    Example:
        ```python
        sample = RGBDFolder("scene0000_00")[0]
        ```
    """

    def __init__(self, root, scale=1000.0):
        folder = find_folder(root, ["."], "RGB-D frames")
        recordings = [folder, *subfolders(folder)]
        recordings = [one for one in recordings if all(_parts_of(one))]
        if not recordings:
            # Says which folders were looked for, and what is there.
            for names in (IMAGE_FOLDERS, DEPTH_FOLDERS):
                find_folder(folder, names, "RGB-D frames")
        files, problems = [], []
        for recording in recordings:
            prefix = "" if recording == folder else f"{recording.name}/"
            found, lacking = _paired(*_parts_of(recording), prefix)
            files += found
            problems += lacking
        check_complete("RGB-D frames", folder, files, problems)
        super().__init__(root, files, scale)


def _parts_of(folder):
    """The folders of images and of depth maps in a folder, None where there is none."""
    return [
        next((folder / name for name in names if (folder / name).is_dir()), None)
        for names in (IMAGE_FOLDERS, DEPTH_FOLDERS)
    ]


def _paired(images, depths, prefix):
    """Samples by the name, or else the number, of their files; a sentence for each without one."""
    found = [
        [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]
        for folder, suffixes in ((images, _IMAGES), (depths, _DEPTHS))
    ]
    for key in (_stem, _number):
        by_key = [{key(path): path for path in paths} for paths in found]
        if set(by_key[0]) & set(by_key[1]):
            break
    files, problems = [], []
    for name in sorted(set(by_key[0]) | set(by_key[1])):
        image, depth = (one.get(name) for one in by_key)
        if image and depth:
            files.append(DepthFiles(f"{prefix}{image.stem}", image, depth))
        else:
            lacks = "a depth map" if image else "an image"
            problems.append(f"{prefix}{(image or depth).name} lacks {lacks}")
    return sorted(files), problems


def _stem(path):
    return path.stem


def _number(path):
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else path.stem


class TUMDepth(DepthDataset):
    """Recordings of the TUM RGB-D benchmark, 640x480, whose two cameras have clocks of their own.

    Expected: `rgb/1305031102.175304.png` and `depth/1305031102.160407.png`, named by their times
    in seconds. Each image gets the depth map nearest in time, each depth map one image.

    Args:
        root: Folder of a recording, such as `rgbd_dataset_freiburg1_desk`.
        scale: Steps in a metre. Default: 5000, as published.
        max_difference: Seconds between image and depth map, above 0; farther ones are left out.

    Raises:
        FileNotFoundError: If the folder has another layout, or no two times are so near.
        ValueError: If an option is out of range, or a file is not named by a time.

    Source: Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012.

    Example:
        ```python
        dataset = TUMDepth("rgbd_dataset_freiburg1_desk")
        ```
    """

    def __init__(self, root, scale=5000.0, max_difference=0.02):
        limit = checks.number("max_difference", max_difference, above=0)
        images, depths = (
            _by_time(find_folder(root, [name], "TUM RGB-D")) for name in ("rgb", "depth")
        )
        pairs = sorted(
            (abs(time - other), time, other)
            for time in images
            for other in _near(sorted(depths), time, limit)
        )
        files = []
        for _, time, other in pairs:  # the nearest first, each but once
            if time in images and other in depths:
                image = images.pop(time)
                files.append(DepthFiles(image.stem, image, depths.pop(other)))
        check_complete("TUM RGB-D", Path(root), files, [])
        super().__init__(root, sorted(files), scale)


def _by_time(folder):
    """Files of a folder by the time that is their name."""
    found = {}
    for path in sorted(folder.glob("*.png")):
        try:
            found[float(path.stem)] = path
        except ValueError:
            raise ValueError(
                f"A file of TUM RGB-D is named by its time. Received: {path}"
            ) from None
    return found


def _near(times, time, limit):
    first, last = np.searchsorted(times, (time - limit, time + limit))
    return times[first:last]


class NYUDepth:
    """NYU Depth V2 by `tensorflow_datasets` (`nyu_depth_v2`): 47,584 frames, 480x640, of Kinect.

    A sequence of `DepthSample`, images (480, 640, 3) and depth (480, 640, 1), where the data set
    was prepared with random access (`array_record`); otherwise it can be iterated alone.

    Args:
        root: Where `tensorflow_datasets` keeps its data sets. Default: its own choice.
        split: "train" (default), "validation" (654 frames), or a slice such as "train[:100]".

    Raises:
        ImportError: `tensorflow_datasets` is not installed; the message names the extra.

    Source: Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images",
    ECCV 2012; the split of Eigen et al., arXiv 1406.2283.

    Example:
        ```python
        for sample in NYUDepth(split="validation"):
            depth = model.depth(sample.image)
        ```
    """

    def __init__(self, root=None, split="train"):
        self.source = TensorFlowDataset("nyu_depth_v2", split, data_dir=root)

    def __len__(self):
        return len(self.source)

    def __iter__(self):
        examples = enumerate(self.source.examples())
        return (_nyu_sample(index, example) for index, example in examples)

    def __getitem__(self, index):
        if not self.source.can_repeat:
            raise TypeError(
                "nyu_depth_v2 was prepared without random access: iterate, or prepare it with "
                f"array_record. Received: index {index!r}"
            )
        if not -len(self) <= operator.index(index) < len(self):
            raise IndexError(f"There is no sample of this index. Received: {index}")
        index = operator.index(index) % len(self)
        return _nyu_sample(index, self.source.examples()[index])


def _nyu_sample(index, example):
    depth = np.asarray(example["depth"], np.float32)[..., None]
    known = np.isfinite(depth) & (depth > 0)
    image, depth = as_float(np.asarray(example["image"])), np.where(known, depth, np.float32(0))
    return DepthSample(image, depth, known.astype(np.float32), f"image {index}")


DEPTH_DATASETS = {"rgbd": RGBDFolder, "tum": TUMDepth, "nyu_depth_v2": NYUDepth}


def open_depth_dataset(name, root=None, **options):
    """Open a data set of images with depth by its name.

    Args:
        name: A key of `DEPTH_DATASETS`; case, `-`, `_` and spaces do not matter.
        root: Folder of the files; of `nyu_depth_v2` that of `tensorflow_datasets`, or None.
        **options: Options of the data set's class, such as `scale=5000`.

    Returns:
        A sequence of `DepthSample` (image (H, W, 3), depth (H, W, 1)).

    Raises:
        ValueError: If there is no data set of this name; the message lists all.
        FileNotFoundError: If the folder does not exist or has another layout.

    Example:
        ```python
        dataset = open_depth_dataset("rgbd", "scene0000_00")
        ```
    """
    return class_named(name, DEPTH_DATASETS)(root, **options)
