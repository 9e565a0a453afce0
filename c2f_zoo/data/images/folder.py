"""Folders of image files."""

import hashlib
import os
from pathlib import Path

import numpy as np

from c2f_zoo.data.images.fit import open_image
from c2f_zoo.data.images.sources import ImageSource

# What Pillow reads and people keep pictures in. Other files of a folder are not looked at.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)


class ImageFolder(ImageSource):
    """The image files of a folder and its subfolders, in the order of their names.

    Hidden files and folders are left out, and so are files whose name is not that of an image.

    Args:
        folder: Path of the folder.
        labels: Whether the folders right inside it are classes, whose number in alphabetical
            order is each image's label.

    Attributes:
        names: Path of each file, relative to the folder.
        labels: int64 array (N,), or None.
        classes: Names of the classes, in the order of their numbers, or None.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it holds no image; or with `labels`, an image lies in no class's folder.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data import save_image
        >>> folder = tempfile.mkdtemp()
        >>> save_image(folder + "/a.png", np.zeros((8, 8, 3)))
        >>> ImageFolder(folder).names
        ['a.png']
    """

    def __init__(self, folder, labels=False):
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder of this name. Received: {self.folder}")
        self.names = sorted(_image_files(self.folder))
        if not self.names:
            raise ValueError(
                "The folder and its subfolders hold no image file "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}). Received: {self.folder}"
            )
        if labels:
            self.classes, self.labels = self._classes()

    def _classes(self):
        loose = [name for name in self.names if "/" not in name]
        if loose:
            raise ValueError(
                "With labels every image must lie in the folder of its class. "
                f"Received: {len(loose)} that do not, the first {loose[0]}"
            )
        classes, labels = np.unique(
            [name.partition("/")[0] for name in self.names], return_inverse=True
        )
        return classes.tolist(), labels.astype(np.int64)

    def _load(self, name):
        return open_image(self.folder / name)

    def fingerprint(self):
        """Digest the names, sizes and times of all files, and the folder's path.

        Returns:
            Hexadecimal text.
        """
        digest = hashlib.sha256(str(self.folder.resolve()).encode())
        for name in self.names:
            about = (self.folder / name).stat()
            digest.update(f"\0{name}\0{about.st_size}\0{about.st_mtime_ns}".encode())
        return digest.hexdigest()


def _image_files(folder):
    # os.walk, unlike rglob, can be kept out of hidden folders and follows links to folders.
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, name).relative_to(folder).as_posix()
