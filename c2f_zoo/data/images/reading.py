"""Reading many images in threads, in order, and telling which of them are unfit."""

import collections
import concurrent.futures
import itertools
import os
import warnings

from c2f_zoo.data.images.fit import UnfitImageError

_LISTED = 5  # in a message


def read_images(function, source, skipped, description, skip_broken, threads, progress):
    """Apply a function to what loads each image, in threads that work a little ahead.

    Args:
        function: Takes a function that loads an image.
        source: Has `len()` and `items()` as `ImageSource`.
        skipped: List that takes (name, reason) of each unfit image.
        description: Text beside the bar.
        skip_broken: Whether unfit images are left out rather than raise.
        threads: Number of threads, None for as many as processors, up to 8.
        progress: Whether to show a bar.

    Yields:
        (index, name, result) of each fit image, in order.
    """
    from tqdm import tqdm

    threads, num_read = threads or min(8, os.cpu_count() or 1), 0
    with tqdm(total=len(source), desc=description, unit="image", disable=not progress) as bar:
        for index, (name, result) in enumerate(_in_order(function, source.items(), threads)):
            bar.update()
            try:
                found = result()
            except UnfitImageError as error:
                if not skip_broken:
                    refuse(name, error)
                skipped.append((name, str(error)))
                continue
            num_read += 1
            yield index, name, found
    if not num_read:
        reasons = _listed(skipped)
        raise ValueError(f"None of the {len(skipped)} images can be used. Received: {reasons}")


def refuse(name, reason):
    """Raise the `ValueError` of an unfit image: its name, and a text or exception."""
    raise ValueError(
        f"An image cannot be used: {reason}. skip_broken=True leaves such images out and lists "
        f"them. Received: {name}"
    ) from (reason if isinstance(reason, Exception) else None)


def warn_skipped(skipped, where, stacklevel):
    """Warn of the images left out, if any; `where` names the list of all of them."""
    if skipped:
        warnings.warn(
            f"{len(skipped)} images were skipped ({_listed(skipped)}). {where} lists them all.",
            stacklevel=stacklevel + 1,
        )


def first_few(entries):
    """Join the first of many texts for a message."""
    return "; ".join(entries[:_LISTED]) + ("; ..." if len(entries) > _LISTED else "")


def _listed(skipped):
    return first_few([f"{name}: {reason}" for name, reason in skipped])


def _in_order(function, items, threads):
    """Pairs of a name and a function that returns, or raises, what `function` did."""
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
