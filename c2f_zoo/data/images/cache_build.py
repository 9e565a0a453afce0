"""Building a cache of images at many resolutions: in threads, in order, whole or not at all."""

import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil

import numpy as np

from c2f_zoo.data.files.atomic import remove_abandoned, temporary_beside
from c2f_zoo.data.images.folder import UnfitImageError

FORMAT = 2  # raised when a cache built before would differ
ABOUT, LABELS = "about.json", "labels.npy"


def build_cache(folder, source, sizes, fit, skip_broken, threads, progress):
    """Write a new cache folder: a file per size, the labels, and what is known about them.

    Args:
        folder: Folder to create, with its parents.
        source: `ImageFolder`, `ImageArray` or `TensorFlowDataset`.
        sizes: (height, width) of each resolution, base first.
        fit: From what loads an image to a uint8 array (H, W, 3) of the last size, and whether
            the image was grey.
        skip_broken: Whether images that are not fit are left out.
        threads: Number of threads, None for as many as useful.
        progress: Whether to show a bar.

    Raises:
        ValueError: An image is not fit (and not to be skipped), or none is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _whole_folder(folder) as new:
        _write(new, source, sizes, fit, skip_broken, threads, progress)


def refuse(name, reason):
    """Raise the error of an image that is not fit.

    Args:
        name: What the image is called.
        reason: What is wrong with it.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f"An image cannot be used: {reason}. skip_broken=True leaves such images out and lists "
        f"them. Received: {name}"
    ) from (reason if isinstance(reason, Exception) else None)


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


def _write(folder, source, sizes, fit, skip_broken, threads, progress):
    from tqdm import tqdm

    height, width = sizes[-1]
    total, kept, skipped, grey = len(source), [], [], []
    bar = tqdm(total=total, desc=f"Caching {height}x{width}", unit="image", disable=not progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(bar)
        writers = [stack.enter_context(_Writer(folder, size, total)) for size in reversed(sizes)]
        threads = threads or min(8, os.cpu_count() or 1)

        def prepare(load):
            image, was_grey = fit(load)
            return box_pyramid(image, len(sizes)), was_grey

        for index, (name, result) in enumerate(in_order(prepare, source.items(), threads)):
            bar.update()
            try:
                levels, was_grey = result()
            except UnfitImageError as error:
                if not skip_broken:
                    refuse(name, error)
                skipped.append((name, str(error)))
                continue
            kept.append(index)
            if was_grey:
                grey.append(name)
            for writer, level in zip(writers, levels, strict=True):
                writer.write(level)
        if not kept:
            listed = "; ".join(f"{name}: {reason}" for name, reason in skipped[:5])
            raise ValueError(f"None of the {total} images can be used. Received: {listed}")
    if source.labels is not None:
        np.save(folder / LABELS, np.asarray(source.labels, np.int64)[kept])
    about = {
        "format": FORMAT,
        "count": len(kept),
        "resolutions": sizes,
        "skipped": skipped,
        "grey": grey,
        "classes": source.classes,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def in_order(function, items, threads):
    """Apply a function to items in threads that work a little ahead, in the items' order.

    Args:
        function: Takes the second part of an item.
        items: Pairs of a name and anything.
        threads: Number of threads.

    Yields:
        (name, function that returns the result, or raises what was raised).
    """
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting, items = collections.deque(), iter(items)
        try:
            while True:
                # Few enough that the decoded pictures do not fill the memory.
                for name, load in itertools.islice(items, 3 * threads - len(waiting)):
                    waiting.append((name, pool.submit(function, load)))
                if not waiting:
                    return
                name, future = waiting.popleft()
                yield name, future.result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Writer:
    """Appends images to a .npy file whose number of images is known only at the end.

    Ordinary writes, unlike those into a memory map, report a full disk as an exception.
    """

    def __init__(self, folder, size, most):
        self.file = open(folder / file_name(size), "wb")
        self.size, self.count = size, 0
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
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *self.size, 3)}
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


def file_name(size):
    """Name of the file of one resolution.

    Args:
        size: (height, width).

    Returns:
        A file name, as text.
    """
    return f"{size[0]}x{size[1]}.npy"
