"""Holes that are larger than what a network can look across, filled from coarse to fine."""

import numpy as np

from c2f_zoo.data.files.pictures import as_float

_FULL = {"uint8": 255, "uint16": 65535}


def beyond(known, depth):
    """Find the pixels that are further than `depth` from all known ones.

    Args:
        known: bool array (H, W).
        depth: Distance in pixels, the larger of the one along the rows and the one along the
            columns; a whole number of at least 0.

    Returns:
        bool array (H, W).

    Example:
        >>> import numpy as np
        >>> known = np.array([[True, False, False, False, False]])
        >>> beyond(known, 2).tolist()
        [[False, False, False, True, True]]
    """
    near = np.array(known, bool)
    for axis in range(2):
        lines = near.swapaxes(0, axis)  # a view
        left = depth
        reached = 1
        while left > 0:
            # What has spread by n can spread by n more at once.
            step = min(reached, left, len(lines))
            before = lines.copy()
            lines[step:] |= before[:-step]
            lines[:-step] |= before[step:]
            left, reached = left - step, reached + step
            if step == len(lines):
                break
    return ~near


def halved(pixels, known):
    """Average the known pixels of every square of two by two.

    Args:
        pixels: Array (H, W, C): uint8, uint16 or float.
        known: bool array (H, W).

    Returns:
        (pixels, known): float32 array (ceil(H / 2), ceil(W / 2), C) in [0, 1], 0.5 where no pixel
        is known, and bool array (ceil(H / 2), ceil(W / 2)).

    Example:
        >>> import numpy as np
        >>> pixels, known = np.array([[[0.25], [0.75], [1.0]]]), np.array([[True, True, False]])
        >>> [array.tolist() for array in halved(pixels, known)]
        [[[[0.5], [0.5]]], [[True, False]]]
    """
    size = tuple((side + 1) // 2 for side in known.shape)
    total = np.zeros((*size, pixels.shape[2]), np.float32)
    count = np.zeros((*size, 1), np.float32)
    for y in range(2):
        for x in range(2):
            part, weight = as_float(pixels[y::2, x::2]), known[y::2, x::2, None]
            height, width = part.shape[:2]
            total[:height, :width] += part * weight
            count[:height, :width] += weight
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(0.5)), count[..., 0] > 0


def with_mask(pixels, known):
    """Join an image and its mask.

    Args:
        pixels: Array (H, W, C): uint8, uint16 or float.
        known: bool array (H, W).

    Returns:
        New array (H, W, C + 1) of the pixels' kind; the last channel has its largest value, 1 for
        floats, where the image is known, else 0.

    Example:
        >>> import numpy as np
        >>> with_mask(np.uint8([[[7], [9]]]), np.array([[True, False]])).tolist()
        [[[7, 255], [9, 0]]]
    """
    joined = np.zeros((*known.shape, pixels.shape[2] + 1), pixels.dtype)
    joined[..., :-1] = pixels
    joined[known, -1] = _FULL.get(pixels.dtype.name, 1)
    return joined


def write_enlarged(coarse, where, out):
    """Enlarge an image to twice its size, bilinearly, and write some of its pixels.

    Args:
        coarse: float32 array (ceil(H / 2), ceil(W / 2), C) in [0, 1].
        where: bool array (H, W), the pixels to write.
        out: Array (H, W, C) to write to: uint8 or uint16, rounded, or float.

    Example:
        >>> import numpy as np
        >>> out = np.zeros((1, 4, 1))
        >>> write_enlarged(np.array([[[0.0], [1.0]]]), np.array([[False, True, True, True]]), out)
        >>> out[0, :, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    full = _FULL.get(out.dtype.name)
    for row in np.flatnonzero(where.any(axis=1)):  # a row at a time: no second image in memory
        line = _enlarged(coarse, row)
        line = _enlarged(line, np.arange(out.shape[1]))[where[row]]
        out[row, where[row]] = np.rint(np.clip(line, 0, 1) * full) if full else line


def _enlarged(values, index):
    """Values (n, ...) at some places of the array that is twice as long."""
    near = index // 2
    far = np.clip(near + np.where(index % 2, 1, -1), 0, len(values) - 1)
    return 0.75 * values[near] + 0.25 * values[far]
