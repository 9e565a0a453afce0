"""Images of a data set as samples: resized or cut into random patches, kept in memory."""

import copy
import threading

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.images.fit import UnfitImageError, check_fit_options, fit_image, image_size
from c2f_zoo.data.images.reading import read_images, refuse, warn_skipped
from c2f_zoo.data.images.sources import ImageArray

INTERPOLATIONS = ("bilinear", "nearest")


class ImageDataset:
    """Images of one size, or random patches of images of any size, for `MultilevelStream`.

    Every image is decoded once when the data set is opened, so that a broken one is named then and
    not hours later. Decoded images are kept as bytes while they fit into `memory`.

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
        skip_broken: Whether to leave out images that cannot be used, with a warning, rather than
            raise.
        check: Whether to decode every image at once. Without it opening a large set takes no time,
            and a broken image raises when it is met.
        memory: Bytes of decoded images to keep.
        dtype: `"float32"` for samples in [0, 1], or `"uint8"`, a quarter of the bytes.
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
        if size is not None and patch is not None:
            raise ValueError(f"Give size or patch, not both. Received: size={size}, patch={patch}")
        if skip_broken and not check:
            raise ValueError("skip_broken=True needs check=True. Received: check=False")
        self.size, self.patch = _sides("size", size), _sides("patch", patch)
        self.patches = checks.whole("patches", patches, least=1)
        self.interpolation = checks.one_of("interpolation", interpolation, INTERPOLATIONS)
        self.dtype = checks.one_of("dtype", dtype, ("float32", "uint8"))
        self.background = check_fit_options(background, "area")
        self.skipped, self.memory = [], memory
        self._kept, self._bytes, self._lock = {}, 0, threading.Lock()
        self._array = None  # all images, where they are served as they are
        self._items = None  # functions that load an image, where it can be loaded again
        if hasattr(source, "shape") and hasattr(source, "dtype"):
            source = ImageArray(source)
        if isinstance(source, ImageArray) and self._as_it_is(source.images):
            self._array, self._names = source.images, dict(enumerate(source.names))
        else:
            self._names = dict(self._open(source, check, skip_broken, threads, progress))
            warn_skipped(self.skipped, "skipped", stacklevel=2)
        self._rows = list(self._names)

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
        return [self._names[row] for row in self._rows]

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
            raise IndexError(f"indices must be 0 to {len(self) - 1}. Received: {indices}")
        rows = [self._rows[index // self.patches] for index in indices]
        if self._array is not None and self.patch is None:
            images = self._array[rows]
        else:
            images = [self._patch(self._image(row), random) for row in rows]
            sizes = {image.shape[:2] for image in images}
            if len(sizes) > 1:
                listed = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
                raise ValueError(
                    "The images of a batch must have one size: give size or patch. "
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
        """
        part = copy.copy(self)
        part._rows = np.array(self._rows)[images].tolist()
        return part

    def _open(self, source, check, skip_broken, threads, progress):
        """Yield (index, name) of each fit image, decoded once."""
        if getattr(source, "can_repeat", True):
            self._items = [load for _, load in source.items()]
            if not check:
                yield from enumerate(name for name, _ in source.items())
                return
        options = (self.skipped, "Reading", skip_broken, threads, progress)
        for row, name, image in read_images(self._decode, source, *options):
            if not self._keep(row, image) and self._items is None:
                raise ValueError(
                    "The data set can be read in its order alone, so that all of it has to fit "
                    "into memory: raise memory, make size smaller, or install array_record. "
                    f"Received: memory={self.memory}"
                )
            yield row, name

    def _decode(self, load):
        """An image as uint8 array (h, w, 3), resized if asked."""
        image = load()
        height, width = image_size(image)
        if self.patch and (height < self.patch[0] or width < self.patch[1]):
            raise UnfitImageError(
                f"it is {width}x{height} (width x height), smaller than the patch, "
                f"{self.patch[1]}x{self.patch[0]}"
            )
        size = self.size or (height, width)
        return fit_image(image, size, self.background, self.interpolation, upscale=True)

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
                refuse(self._names[row], error)
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
        size = images.shape[1:3]
        if images.dtype != np.uint8 or images.shape[3] != 3 or self.size not in (None, size):
            return False
        if self.patch and (size[0] < self.patch[0] or size[1] < self.patch[1]):
            raise ValueError(
                f"Images must be at least as large as the patch, {self.patch}. "
                f"Received: shape {images.shape}"
            )
        return True


def _sides(name, value):
    """Check a (height, width), or one number for both."""
    if value is None:
        return None
    return checks.whole_pair(name, (value, value) if np.ndim(value) == 0 else value, least=1)
