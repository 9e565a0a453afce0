"""Several images at once: lists, arrays, folders and videos, in pairs, under a progress bar."""

import collections
import concurrent.futures
import itertools
import operator
import os
import sys
import warnings

from c2f_zoo import checks

AHEAD = 2  # images that are read while one is computed
ON_ERROR = ("raise", "skip")
_END = object()


def is_several(source):
    """Tell whether an argument stands for several images.

    Args:
        source: Path, PIL image, array, or an iterable of these.

    Returns:
        True for a folder, a video, an array (N, H, W, C), or an iterable that is no image.
    """
    if isinstance(source, (str, os.PathLike)):
        from c2f_zoo.data.files.video import VIDEO_SUFFIXES

        path = os.path.expanduser(source)
        return os.path.isdir(path) or str(path).lower().endswith(VIDEO_SUFFIXES)
    if hasattr(source, "shape"):
        return len(source.shape) == 4
    return hasattr(source, "__iter__") and not isinstance(source, dict)


def is_own(source):
    """Tell whether a thread may read an argument: a path, list or array, not a caller's iterator.

    Args:
        source: As `images_of` takes it.

    Returns:
        Whether it may.
    """
    is_stored = isinstance(source, (str, os.PathLike, list, tuple))
    return is_stored or hasattr(source, "shape")


def images_of(source, verb):
    """Give the images that an argument stands for.

    Args:
        source: List, generator, array (N, H, W, C), or the path of a folder or a video.
        verb: Name of the method that takes it, for the message.

    Returns:
        An iterable; `operator.length_hint` is the number of images where it is known.

    Raises:
        ValueError: The argument is one image.
    """
    if isinstance(source, (str, os.PathLike)):
        from c2f_zoo.data.files.video import read_frames

        return read_frames(os.path.expanduser(source))
    if not is_several(source):
        raise ValueError(
            f"{verb} takes two images; or a list, generator, array (N, H, W, C), folder or video "
            f"of several. Received: one {type(source).__name__}"
        )
    return source


def pairs_of(first, second, names, verb):
    """Pair the images of two arguments.

    Args:
        first: As `images_of` takes it.
        second: As many images.
        names: The two arguments' names, for the message.
        verb: Name of the method that takes them, for the message.

    Returns:
        An iterator of pairs, and their number, 0 where it is unknown.

    Raises:
        ValueError: There are more of one than of the other; where the numbers are unknown, the
            iterator raises it.
    """
    first, second = images_of(first, verb), images_of(second, verb)
    counts = operator.length_hint(first), operator.length_hint(second)
    if 0 not in counts and counts[0] != counts[1]:
        raise _unequal(names, f"{counts[0]} and {counts[1]}")
    return _pairs(first, second, names), counts[0]


def _pairs(first, second, names):
    end = object()
    pairs = itertools.zip_longest(first, second, fillvalue=end)
    for count, (image1, image2) in enumerate(pairs):
        if image1 is end or image2 is end:
            # The longer one may be endless: the rest of it is not counted.
            more = f"at least {count + 1}"
            raise _unequal(names, f"{count} and {more}" if image1 is end else f"{more} and {count}")
        yield image1, image2


def _unequal(names, received):
    return ValueError(
        f"{names[0]} and {names[1]} must hold equally many images. Received: {received}"
    )


def read_ahead(items, read, threaded=True):
    """Read images while the one before them is computed.

    Args:
        items: Iterable of what is read.
        read: Function of one item.
        threaded: Whether a thread reads, `AHEAD` items in advance. An iterator of the caller's
            belongs to the caller's thread.

    Yields:
        For each item a future, whose `result()` is what `read` returned or raises what it raised;
        an error of one item leaves the others as they are.

    Example:
        >>> [future.result() for future in read_ahead([1, 2, 3], str)]
        ['1', '2', '3']
    """
    iterator = iter(items)

    def read_next():
        item = next(iterator, _END)  # an error of the iterable itself ends it
        return _END if item is _END else _attempt(read, item)

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        waiting = collections.deque()
        try:
            while True:
                while threaded and len(waiting) <= AHEAD:
                    waiting.append(thread.submit(read_next))
                outcome = waiting.popleft().result() if threaded else read_next()
                if outcome is _END:
                    return
                yield outcome
        finally:
            for future in waiting:
                future.cancel()


def _attempt(function, argument):
    """A future that is done: of what a function returned or raised."""
    future = concurrent.futures.Future()
    try:
        future.set_result(function(argument))
    except Exception as error:
        future.set_exception(error)
    return future


def failed(error, number, total, on_error, stacklevel=3):
    """Treat what one of several images raised.

    Args:
        error: The exception.
        number: Which image it was, from 0.
        total: How many there are, 0 if unknown.
        on_error: `"raise"` to raise it, with a note that says which image it was, or `"skip"` to
            warn and go on.
        stacklevel: Of the warning: 3 where a method that the user calls calls this.

    Returns:
        None, the result of an image that is skipped.
    """
    which = f"image {number} of {total}" if total else f"image {number}"
    if checks.one_of("on_error", on_error, ON_ERROR) == "raise":
        error.add_note(f"This was {which}.")
        raise error
    warnings.warn(f"None stands for {which}: {error}", stacklevel=stacklevel)


def with_progress(results, total, progress, unit):
    """Show a progress bar with the mean time of a result, if there are several.

    Args:
        results: Iterable of what is computed, or is computed from.
        total: Its length, 0 if unknown.
        progress: Whether to show it. None: where standard error is a terminal.
        unit: What is counted, in the singular.

    Returns:
        The same, as an iterable.
    """
    if progress is None:
        progress = total != 1 and sys.stderr.isatty()
    if not progress:
        return results
    from tqdm import tqdm

    return tqdm(results, total=total or None, unit=unit, dynamic_ncols=True)
