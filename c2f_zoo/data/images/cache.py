"""A cache of images at every resolution of a growing network, as memory-mapped arrays."""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.checks import regular_file
from c2f_zoo.data.images.cache_build import ABOUT, FORMAT, LABELS, build_cache, file_name
from c2f_zoo.data.images.fit import UnfitImageError, check_fit_options, fit_image, is_grey
from c2f_zoo.data.images.folder import ImageFolder
from c2f_zoo.data.images.reading import first_few, refuse, warn_skipped
from c2f_zoo.data.images.sources import ImageArray, TensorFlowDataset
from c2f_zoo.data.resolutions import stage_resolutions


class ImageCache:
    """Images at every resolution from the base to the final one, opened from a built cache.

    Each resolution is one memory-mapped uint8 file of 1, 3 or 4 channels, made from the final one
    by exact averages of 2x2, 4x4, ... pixels, each channel by itself, rounded once. `from_folder`,
    `from_arrays` and `from_tfds` build it, whole or not at all, or open it where the same source
    was cached with the same settings before. Other processes open the files themselves.

    Args:
        folder: Folder of one cache, `cache.folder`.

    Attributes:
        folder: Where the files are.
        resolutions: (height, width) of every stage, base first.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        skipped: (name, reason) of each image left out with `skip_broken=True`.
        grey: Names of the images whose one channel was made into three equal ones. Where these
            are only some of the images, a warning says so.
        classes: Names of the classes, or None.

    Raises:
        FileNotFoundError: If the folder holds no cache.
        ValueError: If the cache is damaged.

    Source: the multi-resolution TFRecords of Karras et al.'s released code (arXiv 1710.10196).

    Example:
        >>> import tempfile
        >>> photographs = np.random.default_rng(0).random((5, 20, 24, 3))
        >>> options = {"resolution": 16, "cache": tempfile.mkdtemp(), "progress": False}
        >>> cache = ImageCache.from_arrays(photographs, **options)
        >>> len(cache), cache.resolutions, cache.images(8).shape
        (5, ((4, 4), (8, 8), (16, 16)), (5, 8, 8, 3))
    """

    def __init__(self, folder):
        self.folder = Path(folder).expanduser()
        try:
            about = regular_file(self.folder / ABOUT).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            message = f"The folder holds no image cache. Received: {self.folder}"
            raise FileNotFoundError(message) from error
        except ValueError as error:
            raise self._damaged(error) from error
        try:
            self._take(json.loads(about))
        # Wrong types and lengths raise whatever they meet.
        except Exception as error:
            raise self._damaged(f"{ABOUT}: {error!r}") from error
        self._arrays = {}
        for size in self.resolutions:
            self._open(size)
        self._labels = None
        if (self.folder / LABELS).exists():
            # Mapped first: numpy would take the memory that a damaged header asks for.
            labels = self._load(LABELS, (self._count,), "int64", mmap_mode="r")
            self._labels = np.array(labels)

    def _take(self, about):
        self.resolutions = tuple((int(rows), int(cols)) for rows, cols in about["resolutions"])
        self.channels = about.get("channels", 3)  # which older caches do not say
        self.skipped = [(str(name), str(reason)) for name, reason in about["skipped"]]
        self.grey = [str(name) for name in about["grey"]]
        self.classes = about["classes"] and [str(name) for name in about["classes"]]
        self._count = checks.whole("count", about["count"], least=1)
        if not self.resolutions:
            raise ValueError("no resolutions")

    def __len__(self):
        """Return the number of images."""
        return self._count

    def __getstate__(self):
        # A pickled memory map would carry all its pixels along.
        return {**self.__dict__, "_arrays": {}}

    @property
    def labels(self):
        """Label of each image: int64 array (N,), or None."""
        return self._labels

    def images(self, resolution=None):
        """Give all images of one resolution.

        Args:
            resolution: Height, or (height, width); the final one by default.

        Returns:
            Read-only memory-mapped uint8 array (N, height, width, channels).

        Raises:
            ValueError: If the cache lacks the resolution.
        """
        size = self.resolutions[-1] if resolution is None else resolution
        size = tuple(size) if isinstance(size, (tuple, list)) else size
        found = [known for known in self.resolutions if size in (known, known[0])]
        if not found:
            known = ", ".join(f"{height}x{width}" for height, width in self.resolutions)
            allowed = f"one of the cache's, {known}"
            raise ValueError(f"resolution must be {allowed}. Received: {resolution}")
        if found[0] not in self._arrays:
            self._open(found[0])
        return self._arrays[found[0]]

    def _open(self, size):
        shape = (self._count, *size, self.channels)
        self._arrays[size] = self._load(file_name(size), shape, "uint8", mmap_mode="r")

    def _load(self, name, shape, dtype, **options):
        try:
            array = np.load(regular_file(self.folder / name), **options)
        except PermissionError:
            raise
        # numpy reports damage as OSError, ValueError, EOFError, tokenize.TokenError and others.
        except Exception as error:
            raise self._damaged(f"{name}: {error!r}") from error
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
            found = f"{getattr(array, 'dtype', type(array))}, shape {getattr(array, 'shape', None)}"
            raise self._damaged(f"{name}: {found} instead of {dtype}, shape {shape}")
        return array

    def _damaged(self, error):
        return ValueError(
            f"The image cache {self.folder} is damaged: delete the folder and it is built anew. "
            f"Received: {error}"
        )

    @classmethod
    def from_folder(cls, folder, resolution, base_shape=(4, 4), *, labels=False, **options):
        """Cache the images of a folder and its subfolders.

        Args:
            folder: Path of the folder. If a file in it comes, goes or changes, the next call
                builds a new cache.
            resolution: Final height, `base_shape[0]` times a power of two.
            base_shape: (height, width) of the base.
            labels: Whether the folders inside are classes, each image's label.
            **options: `cache`: folder of all caches, by default one in Keras' own;
                `channels`: 3 for RGB (default), 1 for grey, or 4 for RGBA;
                `background`: colour beneath transparent pixels, which are refused by default;
                `resample`: `"lanczos"` (default) or `"area"`, to the final size;
                `upscale`: enlarge images that are too small, default False;
                `allow_grey`: keep images of one channel among coloured ones, default True;
                `skip_broken`: leave unfit images out, warn, and list them in `skipped`, rather
                than raise, default False;
                `threads`: number of decoding threads; `progress`: show a bar, default True.

        Returns:
            `ImageCache`.

        Raises:
            FileNotFoundError: If the folder does not exist.
            ValueError: The folder holds no image; one is broken, animated, transparent, CMYK or
                too small, and is named; or an option is out of range.

        Example:
            ```python
            cache = ImageCache.from_folder("faces", resolution=64, skip_broken=True)
            ```
        """
        return cls._of(ImageFolder(folder, labels), resolution, base_shape, **options)

    @classmethod
    def from_arrays(cls, images, resolution=None, base_shape=(4, 4), *, labels=None, **options):
        """Cache images that are in memory.

        Args:
            images: Array (N, H, W, C) of 1, 3 or 4 channels: uint8, or float in [0, 1].
            resolution: Final height; by default that of the images.
            base_shape, **options: As `from_folder`.
            labels: Array (N,) of whole numbers, or None.

        Returns:
            `ImageCache`.

        Raises:
            ValueError: As `from_folder`, or if the array has another shape or dtype.
        """
        source = ImageArray(images, labels)
        resolution = source.images.shape[1] if resolution is None else resolution
        return cls._of(source, resolution, base_shape, **options)

    @classmethod
    def from_tfds(
        cls,
        name,
        resolution,
        base_shape=(4, 4),
        *,
        split="train",
        labels=False,
        data_dir=None,
        **options,
    ):
        """Cache a data set of `tensorflow_datasets` (extra `data`), downloaded if need be.

        Args:
            name: Name as in the catalogue, `"cifar10"` for instance.
            resolution, base_shape, **options: As `from_folder`.
            split: Split or slice of one.
            labels: Whether to keep the labels.
            data_dir: Where the data sets lie.

        Returns:
            `ImageCache`.

        Raises:
            ImportError: tensorflow_datasets is not installed; the message names the extra.
            ValueError: As `from_folder`, or if the data set has no images or labels.
        """
        source = TensorFlowDataset(name, split, labels, data_dir)
        return cls._of(source, resolution, base_shape, **options)

    @classmethod
    def _of(
        cls,
        source,
        resolution,
        base_shape,
        cache=None,
        channels=3,
        background=None,
        resample="lanczos",
        upscale=False,
        allow_grey=True,
        skip_broken=False,
        threads=None,
        progress=True,
    ):
        sizes = stage_resolutions(resolution, base_shape)
        checks.one_of("channels", channels, (1, 3, 4))
        background = check_fit_options(background, resample)
        if channels == 4 and background is not None:
            raise ValueError(
                f"background needs channels=1 or 3: 4 keep transparency. Received: {background}"
            )
        if channels == 1 and not allow_grey:
            raise ValueError("allow_grey=False needs channels=3 or 4. Received: channels=1")

        def fit(load):
            image = load()
            was_grey = channels > 1 and is_grey(image)
            if was_grey and not allow_grey:
                raise UnfitImageError("it is grey")
            fitted = fit_image(image, sizes[-1], background, resample, upscale, channels)
            return fitted, was_grey

        settings = [FORMAT, sizes, background, resample, bool(upscale), source.classes]
        # What is not the default alone, so that caches of former versions are found.
        settings += ["no grey"] * (not allow_grey) + [f"{channels} channels"] * (channels != 3)
        key = hashlib.sha256(json.dumps([settings, source.fingerprint()]).encode()).hexdigest()[:20]
        folder = (_default_home() if cache is None else Path(cache).expanduser()) / key
        if not folder.exists():
            build_cache(folder, source, sizes, channels, fit, skip_broken, threads, progress)
        found = cls(folder)
        if found.skipped and not skip_broken:
            refuse(*found.skipped[0])
        warn_skipped(found.skipped, "cache.skipped", stacklevel=3)
        if 0 < len(found.grey) < len(found):
            warnings.warn(
                f"{len(found.grey)} of {len(found)} images are grey ({first_few(found.grey)}): "
                "a network learns to make such ones too. cache.grey lists them all, and "
                "allow_grey=False refuses them.",
                stacklevel=3,
            )
        return found


def _default_home():
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return keras_home / "c2f_zoo" / "images"
