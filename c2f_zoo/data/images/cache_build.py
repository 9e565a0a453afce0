"""Building a cache of images at many resolutions, whole or not at all."""

import contextlib
import json
import os
import shutil

import numpy as np

from c2f_zoo.data.files.atomic import remove_abandoned, temporary_beside
from c2f_zoo.data.images.reading import read_images

FORMAT = 2  # raised when a cache built before would differ
ABOUT, LABELS = "about.json", "labels.npy"


def build_cache(folder, source, sizes, channels, fit, skip_broken, threads, progress):
    """Write a new cache folder: a file per size, the labels, and `about.json`.

    `sizes` are (height, width), base first; `fit` makes of what loads an image a uint8 array
    (H, W, channels) of the last size, and tells whether it was grey. The rest: see `read_images`.
    """

    def prepare(load):
        image, was_grey = fit(load)
        return box_pyramid(image, len(sizes)), was_grey

    skipped, kept, grey = [], [], []
    description = "Caching {}x{}".format(*sizes[-1])
    options = (skipped, description, skip_broken, threads, progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _whole_folder(folder) as new:
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(_Writer(new / file_name(size), (*size, channels), len(source)))
                for size in reversed(sizes)
            ]
            for index, name, (levels, was_grey) in read_images(prepare, source, *options):
                kept.append(index)
                if was_grey:
                    grey.append(name)
                for writer, level in zip(writers, levels, strict=True):
                    writer.write(level)
        if source.labels is not None:
            np.save(new / LABELS, np.asarray(source.labels, np.int64)[kept])
        about = {"format": FORMAT, "count": len(kept), "resolutions": sizes, "channels": channels}
        about |= {"skipped": skipped, "grey": grey, "classes": source.classes}
        (new / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def box_pyramid(image, num_levels):
    """Average 2x2, 4x4, ... pixels of an image, exactly, each level rounded once.

    Args:
        image: uint8 array (H, W, C), H and W divisible by 2 ** (`num_levels` - 1).
        num_levels: Number of resolutions, the image's own included.

    Returns:
        List of uint8 arrays (H / 2^k, W / 2^k, C), the image first. Halves round to even.

    Example:
        >>> image = np.array([[0, 1], [1, 0]], np.uint8)[..., None]
        >>> [level.ravel().tolist() for level in box_pyramid(image, 2)]
        [[0, 1, 1, 0], [0]]
    """
    levels, sums = [image], image.astype(np.uint32)
    for level in range(1, num_levels):
        rows = sums[0::2] + sums[1::2]
        sums = rows[:, 0::2] + rows[:, 1::2]
        # A sum of whole numbers, divided by a power of two in float64: no error but the rounding.
        levels.append(np.rint(sums / float(4**level)).astype(np.uint8))
    return levels


def file_name(size):
    """Name of the file of one resolution, (height, width)."""
    return f"{size[0]}x{size[1]}.npy"


class _Writer:
    """Appends images to a .npy file; unlike a memory map's, its writes report a full disk."""

    def __init__(self, path, shape, most):
        self.file = open(path, "wb")
        self.shape, self.count = shape, 0
        self._write_header(most)
        self.start = self.file.tell()

    def write(self, image):
        self.file.write(np.ascontiguousarray(image).data)
        self.count += 1

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with self.file:
            if exception[0] is None:
                self.file.seek(0)
                self._write_header(self.count)
                # numpy leaves room in a header for the first axis to grow.
                assert self.file.tell() == self.start
                self.file.flush()
                os.fsync(self.file.fileno())

    def _write_header(self, count):
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)


@contextlib.contextmanager
def _whole_folder(target):
    """A new folder that becomes `target` once it is complete; a failure leaves nothing."""
    remove_abandoned(target.parent)
    new = temporary_beside(target)
    new.mkdir()
    try:
        yield new
        try:
            os.rename(new, target)
        except OSError:
            if not target.exists():  # otherwise another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
