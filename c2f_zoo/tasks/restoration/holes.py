"""Holes larger than a network's reach, which are filled from coarse to fine."""

import numpy as np

from c2f_zoo.data.files.pictures import as_float

# Pixels to the nearest known one beyond which a hole is filled on coarser meshes first: about what
# a network of limited reach learns from patches.
HOLE_DEPTH = 8

_FULL = {"uint8": 255, "uint16": 65535}


def beyond(known, depth):
    """Pixels (H, W) further than `depth` (chessboard distance) from all known ones."""
    near = np.array(known, bool)
    for axis in range(2):
        lines = near.swapaxes(0, axis)  # a view
        left = depth
        reached = 1
        while left > 0:
            # After spreading by n it can spread by n more at once.
            step = min(reached, left, len(lines))
            before = lines.copy()
            lines[step:] |= before[:-step]
            lines[:-step] |= before[step:]
            left, reached = left - step, reached + step
            if step == len(lines):
                break
    return ~near


def describe_large_hole(known, depth=2 * HOLE_DEPTH):
    """Describe the largest hole of a mask (H, W), or return None if none is deeper than `depth`."""
    if not beyond(known, depth).any():
        return None
    low, high = depth, max(known.shape)  # the deepest pixel lies beyond `low`, not beyond `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if beyond(known, middle).any() else (low, middle)
    y, x = np.argwhere(beyond(known, low))[0]
    return (
        f"The mask has a hole about {2 * high} pixels wide (around x={x}, y={y}); holes of up to "
        f"{2 * depth} pixels are filled well, larger ones come out blurred"
    )


def halved(pixels, known):
    """Average the known pixels of every square of two by two.

    Takes `pixels` (H, W, C), uint8, uint16 or float, and bool `known` (H, W). Returns float32
    pixels in [0, 1], 0.5 where none is known, and what is known, of ceil(H / 2) x ceil(W / 2).
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
    """Append `known` (H, W) to `pixels` (H, W, C) as a channel of 0 and the largest value."""
    joined = np.zeros((*known.shape, pixels.shape[2] + 1), pixels.dtype)
    joined[..., :-1] = pixels
    joined[known, -1] = _FULL.get(pixels.dtype.name, 1)
    return joined


def write_enlarged(coarse, where, out):
    """Write an image, enlarged bilinearly to twice its size, to the pixels `where` (H, W) of `out`.

    `coarse` is float32 (ceil(H / 2), ceil(W / 2), C) in [0, 1]; `out` (H, W, C) uint8, uint16 or
    float.
    """
    full = _FULL.get(out.dtype.name)
    for row in np.flatnonzero(where.any(axis=1)):  # a row at a time: no second image in memory
        line = _enlarged(coarse, row)
        line = _enlarged(line, np.arange(out.shape[1]))[where[row]]
        out[row, where[row]] = np.rint(np.clip(line, 0, 1) * full) if full else line


def _enlarged(values, index):
    """Values (n, ...) interpolated at some indices of an array twice as long."""
    near = index // 2
    far = np.clip(near + np.where(index % 2, 1, -1), 0, len(values) - 1)
    return 0.75 * values[near] + 0.25 * values[far]
