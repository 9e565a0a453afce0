"""Data sets of images by name, from their authors' files or by TensorFlow Datasets."""

import re
from pathlib import Path, PurePosixPath

from c2f_zoo import checks
from c2f_zoo.data.images.archives import ImageZip, read_cifar10, read_stl10
from c2f_zoo.data.images.dataset import ImageDataset
from c2f_zoo.data.images.folder import ImageFolder
from c2f_zoo.data.images.sources import ImageArray, ImageSource, TensorFlowDataset

# First image of CelebA's validation and test parts, by the number in a file's name: the official
# partition where its file is not there.
_CELEBA_FIRST = {"train": 1, "validation": 162_771, "test": 182_638, None: 202_600}


def open_image_dataset(name, root=None, split=None, size=None, data_dir=None, **options):
    """Open a data set of images by its name.

    Args:
        name: A key of `IMAGE_DATASETS`; case, `-`, `_` and spaces do not matter.

            - `"cifar10"`: splits train, test; 32x32. Files: see `read_cifar10`.
            - `"stl10"`: train, unlabeled, train+unlabeled, test; 96x96. Files: see `read_stl10`.
            - `"celeba"`: train, validation, test, all; 178x218. Files: `img_align_celeba.zip` or
              the folder of it, or a folder that holds either; the partition is that of
              `list_eval_partition.txt` beside them, and the official one without it.
            - `"div2k"`: train, validation. Files: a folder with `DIV2K_train_HR` and
              `DIV2K_valid_HR` or their zip archives, or one of these itself.
            - `"urban100"`: test. Files: a folder of images or a zip archive; of images named HR and
              LR those of high resolution alone, of the first folder that has them.
            - `"folder"`: all. Files: any folder of images, with its subfolders, or a zip archive.
        root: The files. None takes the data set from `tensorflow_datasets` (extra `data`), which
            downloads it; not for urban100 and folder.
        split: By default the first of the list.
        size: (height, width) that images are brought to, one number for a square, or None.
        data_dir: Where `tensorflow_datasets` keeps its data sets.
        **options: Of `ImageDataset`, such as `patch` and `skip_broken`.

    Returns:
        `ImageDataset`.

    Raises:
        ValueError: If `name` or `split` is unknown, or as `ImageDataset`.
        FileNotFoundError: If the files are missing.
        ImportError: `tensorflow_datasets` is not installed; the message names the extra.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data import save_image
        >>> folder = tempfile.mkdtemp()
        >>> save_image(folder + "/a.png", np.zeros((20, 30, 3)))
        >>> open_image_dataset("folder", folder, size=(8, 12), progress=False).samples([0]).shape
        (1, 8, 12, 3)
    """
    known = {checks.plain_name(key): value for key, value in IMAGE_DATASETS.items()}
    plain = checks.plain_name(name)
    if plain not in known:
        checks.one_of("name", name, IMAGE_DATASETS)
    splits, of_tfds, of_files = known[plain]
    split = checks.one_of(f"split of {name}", splits[0] if split is None else split, splits)
    if root is not None:
        source = of_files(Path(root).expanduser(), split)
    elif of_tfds is None:
        raise ValueError(f"{name} is opened from a folder: give root. Received: root=None")
    else:
        called, names, feature = of_tfds
        split = names.get(split, split)
        source = TensorFlowDataset(called, split, data_dir=data_dir, feature=feature)
    return ImageDataset(source, size, **options)


def _folder(root, split=None):
    return ImageFolder(root) if root.is_dir() else ImageZip(root)


def _celeba(root, split):
    archive = root / "img_align_celeba.zip"
    source = _folder(archive if archive.is_file() else root)
    if split == "all":
        return source
    part = _celeba_partition(root)

    def is_wanted(name):
        path = PurePosixPath(name)
        if part is not None:
            if path.name not in part:
                raise ValueError(f"CelebA's partition does not list an image. Received: {name}")
            return part[path.name] == split
        if not path.stem.isdigit():
            raise ValueError(
                "Without list_eval_partition.txt, CelebA's files must be named 000001.jpg to "
                f"202599.jpg; split='all' takes any. Received: {name}"
            )
        found = [known for known, first in _CELEBA_FIRST.items() if int(path.stem) >= first]
        return bool(found) and found[-1] == split

    return _Selected(source, is_wanted, f"CelebA's {split} part")


def _celeba_partition(root):
    """Part of each image by file name, or None where the partition's file is not there."""
    parts = ("train", "validation", "test")
    for folder in (root, root.parent, root / "Eval", root.parent / "Eval"):
        for name in ("list_eval_partition.txt", "list_eval_partition.csv"):
            if not (folder / name).is_file():
                continue
            lines = [re.split(r"[,\s]+", line) for line in (folder / name).read_text().splitlines()]
            found = {line[0]: line[1] for line in lines if len(line) > 1}
            return {key: parts[int(value)] for key, value in found.items() if value in "012"}
    return None


def _div2k(root, split):
    name = {"train": "DIV2K_train_HR", "validation": "DIV2K_valid_HR"}[split]
    for path in (root / name, root / f"{name}.zip", root):
        if path.is_dir() and path.name == name or path.is_file() and path.suffix == ".zip":
            return _folder(path)
    raise FileNotFoundError(
        f"DIV2K's {split} part is a folder {name} or {name}.zip. Received: {root}"
    )


def _urban100(root, split):
    source = _folder(root)

    def resolution(name):
        found = re.findall(r"(?:^|[_/])(HR|LR)(?=[_./]|$)", name, re.IGNORECASE)
        return found[-1].upper() if found else ""

    has_high = any(resolution(name) == "HR" for name in source.names)
    wanted = ("HR",) if has_high else ("HR", "")
    high = {name for name in source.names if resolution(name) in wanted}
    if has_high:  # there may be one folder for each factor
        first = min(PurePosixPath(name).parent for name in high)
        high = {name for name in high if PurePosixPath(name).parent == first}
    return _Selected(source, high.__contains__, "images of high resolution")


class _Selected(ImageSource):
    """Some of a source's images."""

    def __init__(self, source, is_wanted, what):
        self._load = source._load
        self.names = [name for name in source.names if is_wanted(name)]
        if not self.names:
            raise ValueError(f"There is none of {what}. Received: {len(source)} other images")


# Splits, the first by default; name, splits and feature of tensorflow_datasets; reader of files.
IMAGE_DATASETS = {
    "cifar10": (
        ("train", "test"),
        ("cifar10", {}, "image"),
        lambda root, split: ImageArray(read_cifar10(root, split)[0]),
    ),
    "stl10": (
        ("train", "unlabeled", "train+unlabeled", "test"),
        ("stl10", {"unlabeled": "unlabelled", "train+unlabeled": "train+unlabelled"}, "image"),
        lambda root, split: ImageArray(read_stl10(root, split)),
    ),
    "celeba": (
        ("train", "validation", "test", "all"),
        ("celeb_a", {"all": "train+validation+test"}, "image"),
        _celeba,
    ),
    "div2k": (("train", "validation"), ("div2k", {}, "hr"), _div2k),
    "urban100": (("test",), None, _urban100),
    "folder": (("all",), None, _folder),
}
