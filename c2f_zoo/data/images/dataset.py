"""Images of a data set as samples: resized or cut into random patches, kept in memory."""

import copy
import os
import threading
import warnings

import numpy as np

from c2f_zoo.data.images.cache_build import in_order, refuse
from c2f_zoo.data.images.folder import UnfitImageError, check_fit_options, fit_image
from c2f_zoo.data.images.sources import ImageArray, TensorFlowDataset

INTERPOLATIONS = ("bilinear", "nearest")


class ImageDataset:
    """Images of one size, or random patches of images of any size, for `MultilevelStream`.

    Every image is decoded once when the data set is opened, so that a broken one is named then and
    not hours later. Decoded images are kept as bytes while they fit into `memory`; the others are
    decoded again whenever they are asked for.

    With `size` the largest centred part of that shape is resized, by Pillow: `"bilinear"` averages
    over all the pixels that a new one covers, `"nearest"` takes one of them, as the released code
    of multiscale training does. With `patch` images keep their pixels.

    Args:
        source: `ImageFolder`, `ImageZip`, `ImageArray` or `TensorFlowDataset`; anything else with
            `len()` and `items()` like theirs; or an array (N, H, W, C), uint8 or float in [0, 1].
        size: (height, width) that images are brought to, one number for a square, or None.
        patch: (height, width) of random patches, one number for a square, or None.
        patches: Patches of each image in an epoch.
        interpolation: `"bilinear"` or `"nearest"`.
        background: Colour beneath transparent pixels; None refuses images that have any.
        skip_broken: Whether images that cannot be used are left out, with a warning, and listed in
            `skipped`, rather than raise.
        check: Whether to decode every image at once. Without it opening a large set takes no time,
            and a broken image raises when it is met.
        memory: Bytes of decoded images to keep.
        dtype: `"float32"` for samples in [0, 1], or `"uint8"`, a quarter of the bytes on the way
            to a device.
        threads: Number of decoding threads; by default as many as processors, up to 8.
        progress: Whether to show a bar.

    Attributes:
        names: Name of each image.
        skipped: (name, reason) of each image left out.

    Raises:
        ValueError: An image is broken, transparent or smaller than the patch, and is named; none
            can be used; or an option is out of range.

    Example:
        >>> photographs = np.random.default_rng(0).random((5, 20, 24, 3))
        >>> dataset = ImageDataset(photographs, size=(8, 16), progress=False)
        >>> len(dataset), dataset.samples(np.array([4, 0]), np.random.default_rng(0)).shape
        (5, (2, 8, 16, 3))
        >>> ImageDataset(photographs, patch=8, patches=2, progress=False).samples([9]).shape
        (1, 8, 8, 3)
    """

    def __init__(
        self,
        source,
        size=None,
        patch=None,
        patches=1,
        interpolation="bilinear",
        background=None,
        skip_broken=False,
        check=True,
        memory=4 << 30,
        dtype="float32",
        threads=None,
        progress=True,
    ):
        if interpolation not in INTERPOLATIONS:
            known = ", ".join(map(repr, INTERPOLATIONS))
            raise ValueError(f"interpolation is one of {known}. Received: {interpolation!r}")
        if dtype not in ("float32", "uint8"):
            raise ValueError(f"dtype is 'float32' or 'uint8'. Received: {dtype!r}")
        if size is not None and patch is not None:
            raise ValueError(f"Give size or patch. Received: size={size}, patch={patch}")
        if skip_broken and not check:
            raise ValueError("What is to be skipped has to be looked for. Received: check=False")
        self.size, self.patch = _pair("size", size), _pair("patch", patch)
        self.patches = _whole("patches", patches)
        self.interpolation, self.dtype = interpolation, dtype
        self.background = check_fit_options(background, "area")
        self.skipped, self.memory = [], memory
        self._kept, self._bytes, self._lock = {}, 0, threading.Lock()
        self._array = None
        source = ImageArray(source) if _is_array(source) else source
        if isinstance(source, ImageArray) and self._as_it_is(source.images):
            self._array, self._items = source.images, None
            names = list(source.names)
        else:
            names = self._open(source, check, skip_broken, threads, progress)
        self._rows = [row for row, name in enumerate(names) if name is not None]
        self._all_names = names

    def __len__(self):
        """Return the number of samples in an epoch."""
        return len(self._rows) * self.patches

    def __getstate__(self):
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state):
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def names(self):
        """Name of each image."""
        return [self._all_names[row] for row in self._rows]

    def samples(self, indices, random=None):
        """Give samples.

        Args:
            indices: Numbers of the samples, int array (B,), 0 to `len(self) - 1`.
            random: `numpy.random.Generator` that the places of patches are drawn from; None takes
                their centres.

        Returns:
            Array (B, height, width, 3), RGB, float32 in [0, 1] or uint8.

        Raises:
            ValueError: An image is broken, and is named; or without `size` and `patch` the images
                differ in size.
            IndexError: There is no such sample.
        """
        indices = np.asarray(indices, np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"Samples are 0 to {len(self) - 1}. Received: {indices}")
        rows = [self._rows[index // self.patches] for index in indices]
        if self._array is not None and self.patch is None:
            images = self._array[rows]
        else:
            images = [self._patch(self._image(row), random) for row in rows]
            sizes = {image.shape[:2] for image in images}
            if len(sizes) > 1:
                listed = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
                raise ValueError(
                    "The images of a batch have one size: give size or patch. "
                    f"Received (width x height): {listed}"
                )
            images = np.stack(images)
        return images if self.dtype == "uint8" else images.astype("float32") / np.float32(255)

    def subset(self, images):
        """Give a data set of some of the images, which shares those in memory.

        Args:
            images: Numbers of the images, int array (N,), or a slice.

        Returns:
            `ImageDataset`.

        Example:
            >>> dataset = ImageDataset(np.zeros((10, 4, 4, 3), "uint8"))
            >>> len(dataset.subset(slice(None, None, 3)))
            4
        """
        part = copy.copy(self)
        part._rows = np.array(self._rows)[images].tolist()
        return part

    def _open(self, source, check, skip_broken, threads, progress):
        """Decode all images once; names, None where an image is left out."""
        source = _RandomAccess.of(source)
        self._items = [] if source.can_repeat else None
        if not check and source.can_repeat:
            self._items = [load for _, load in source.items()]
            return [name for name, _ in source.items()]
        from tqdm import tqdm

        def watched():
            for name, load in source.items():
                if self._items is not None:
                    self._items.append(load)
                yield name, load

        names = []
        threads = threads or min(8, os.cpu_count() or 1)
        with tqdm(total=source.length, desc="Reading", unit="image", disable=not progress) as bar:
            for row, (name, result) in enumerate(in_order(self._decode, watched(), threads)):
                bar.update()
                try:
                    image = result()
                except UnfitImageError as error:
                    if not skip_broken:
                        refuse(name, error)
                    self.skipped.append((name, str(error)))
                    names.append(None)
                    continue
                names.append(name)
                if not self._keep(row, image) and self._items is None:
                    raise ValueError(
                        "The data set can be read in its order alone, so that all of it has to fit "
                        "into memory: raise memory, make size smaller, or install array_record. "
                        f"Received: memory={self.memory}"
                    )
        self._report(names)
        return names

    def _report(self, names):
        listed = "; ".join(f"{name}: {reason}" for name, reason in self.skipped[:5])
        if all(name is None for name in names):
            raise ValueError(f"None of the {len(names)} images can be used. Received: {listed}")
        if self.skipped:
            listed += "; ..." if len(self.skipped) > 5 else ""
            warnings.warn(
                f"{len(self.skipped)} images were skipped ({listed}). skipped lists them all.",
                stacklevel=4,
            )

    def _decode(self, load):
        """An image as uint8 array (h, w, 3), resized if asked."""
        from PIL import Image

        image = load()
        if isinstance(image, np.ndarray):
            own = image.shape[:2]
        else:
            own = (image.height, image.width)
        image = fit_image(image, own, self.background)  # to RGB of its own size
        if self.patch and (own[0] < self.patch[0] or own[1] < self.patch[1]):
            raise UnfitImageError(
                f"it is {own[1]}x{own[0]} (width x height), smaller than the patch, "
                f"{self.patch[1]}x{self.patch[0]}"
            )
        if self.size is None or own == self.size:
            return image
        height, width = self.size
        scale = min(own[0] / height, own[1] / width)
        rows, columns = (max(1, min(own[axis], round(self.size[axis] * scale))) for axis in (0, 1))
        top, left = (own[0] - rows) // 2, (own[1] - columns) // 2
        image = image[top : top + rows, left : left + columns]
        how = getattr(Image.Resampling, self.interpolation.upper())
        return np.asarray(Image.fromarray(image).resize((width, height), how))

    def _keep(self, row, image):
        with self._lock:
            if self._bytes + image.nbytes > self.memory:
                return False
            self._bytes += image.nbytes
            self._kept[row] = image
        return True

    def _image(self, row):
        if self._array is not None:
            return self._array[row]
        image = self._kept.get(row)
        if image is None:
            try:
                image = self._decode(self._items[row])
            except UnfitImageError as error:
                refuse(self._all_names[row], error)
            self._keep(row, image)
        return image

    def _patch(self, image, random):
        if self.patch is None:
            return image
        room = [image.shape[axis] - self.patch[axis] for axis in (0, 1)]
        if random is None:
            top, left = (most // 2 for most in room)
        else:
            top, left = (int(random.integers(most + 1)) for most in room)
        return image[top : top + self.patch[0], left : left + self.patch[1]]

    def _as_it_is(self, images):
        """Whether an array can be served without another look at its images."""
        height, width = images.shape[1:3]
        if (
            images.dtype != np.uint8
            or images.shape[3] != 3
            or self.size
            not in (
                None,
                (height, width),
            )
        ):
            return False
        if self.patch and (height < self.patch[0] or width < self.patch[1]):
            raise ValueError(
                f"Images are at least as large as the patch, {self.patch}. "
                f"Received: shape {images.shape}"
            )
        return True


class _RandomAccess:
    """A source, and whether its images can be loaded again in any order."""

    def __init__(self, length, items, can_repeat):
        self.length, self.items, self.can_repeat = length, items, can_repeat

    @classmethod
    def of(cls, source):
        if not isinstance(source, TensorFlowDataset):
            return cls(len(source), source.items, True)
        examples = source.examples()
        can_repeat = hasattr(examples, "__getitem__") and hasattr(examples, "__len__")
        if not can_repeat:
            return cls(len(source), source.items, False)

        def items():
            # Not source.items, whose functions would hold every image's pixels.
            for index in range(len(examples)):
                yield f"image {index}", lambda i=index: np.asarray(examples[i][source.feature])

        return cls(len(examples), items, True)


def _is_array(source):
    return hasattr(source, "shape") and hasattr(source, "dtype")


def _pair(name, value):
    if value is None:
        return None
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2:
        raise ValueError(f"{name} is (height, width) or one number. Received: {value!r}")
    return tuple(_whole(f"A side of {name}", side) for side in pair)


def _whole(name, value):
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{name} is a whole number of at least 1. Received: {value!r}")
    return int(value)
