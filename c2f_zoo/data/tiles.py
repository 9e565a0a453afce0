"""A function of images of one size, applied to an image of any size in overlapping tiles."""

import itertools

import numpy as np


def apply_in_tiles(function, image, tile=256, overlap=32, scale=1, batch_size=1, progress=False):
    """Apply a function to an image tile by tile, and blend the results where tiles overlap.

    Every call gets tiles of one size, so that it compiles once. Of an overlap each tile's outer
    quarter is left out, where it misses what lies beyond, and in the middle half the weights go
    over linearly from one tile to the other. If no pixel of the output depends on input further
    away than `overlap` / 4, the result is that without tiles. At most the image, the result and
    one row of tiles are held.

    Args:
        function: Takes a float32 array (B, tile, tile, C), B at most `batch_size`, and returns an
            array (B, scale * tile, scale * tile, D).
        image: Array (H, W, C), H and W at least 1.
        tile: Side of a tile in pixels, or (height, width).
        overlap: Pixels that neighbouring tiles share, at most half a tile.
        scale: Factor by which the function enlarges.
        batch_size: Tiles in a call.
        progress: Whether to show a bar.

    Returns:
        float32 array (scale * H, scale * W, D).

    Raises:
        ValueError: The image has another shape, is empty, or a number is out of range; the
            function returns another shape.

    Example:
        >>> image = np.random.default_rng(0).random((50, 70, 3), dtype="float32")
        >>> doubled = apply_in_tiles(lambda tiles: 2 * tiles, image, tile=32, overlap=8)
        >>> bool(np.allclose(doubled, 2 * image))
        True
    """
    from tqdm import tqdm

    height, width = (tile, tile) if np.ndim(tile) == 0 else tile
    _check(image, height, width, overlap, scale, batch_size)
    padded = _at_least(image, height, width)
    tops = _starts(padded.shape[0], height, overlap)
    lefts = _starts(padded.shape[1], width, overlap)
    down, across = (
        _weights(starts, side, scale) for starts, side in ((tops, height), (lefts, width))
    )
    result = None
    bar = tqdm(total=len(tops) * len(lefts), unit="tile", disable=not progress)
    with bar:
        for row, top in enumerate(tops):
            strip = None
            columns = iter(range(len(lefts)))
            while chosen := list(itertools.islice(columns, batch_size)):
                tiles = np.stack(
                    [padded[top : top + height, lefts[c] : lefts[c] + width] for c in chosen]
                )
                made = np.asarray(function(tiles.astype(np.float32, copy=False)), np.float32)
                _check_made(made, len(chosen), height * scale, width * scale)
                if strip is None:
                    strip = np.zeros((height * scale, padded.shape[1] * scale, made.shape[-1]))
                    strip = strip.astype(np.float32)
                for column, one in zip(chosen, made, strict=True):
                    left = lefts[column] * scale
                    strip[:, left : left + width * scale] += one * across[column][:, None]
                bar.update(len(chosen))
            if result is None:
                shape = (padded.shape[0] * scale, *strip.shape[1:])
                result = np.zeros(shape, np.float32)
            strip *= down[row][:, None, None]
            result[top * scale : (top + height) * scale] += strip
    return result[: image.shape[0] * scale, : image.shape[1] * scale]


def _starts(length, tile, overlap):
    """First pixel of each tile: evenly spread, the last one ending with the image."""
    count = 1 + -(-(length - tile) // (tile - overlap))
    if count == 1:
        return [0]
    return [round(index * (length - tile) / (count - 1)) for index in range(count)]


def _weights(starts, tile, scale):
    """Weights (scale * tile,) of each tile along one axis: they add up to 1 everywhere."""
    tile, starts = tile * scale, [start * scale for start in starts]
    weights = [np.ones(tile, np.float64) for _ in starts]
    for number in range(len(starts) - 1):
        shared = starts[number] + tile - starts[number + 1]
        rising = np.clip(2 * (np.arange(shared) + 0.5) / max(1, shared) - 0.5, 0, 1)
        if shared > 0:
            weights[number][-shared:] *= 1 - rising
            weights[number + 1][:shared] *= rising
    total = np.zeros(starts[-1] + tile)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + tile] += weight
    return [
        (weight / total[start : start + tile]).astype(np.float32)
        for start, weight in zip(starts, weights, strict=True)
    ]


def _at_least(image, height, width):
    """The image, continued by its mirror image where it is smaller than a tile."""
    missing = [
        (0, max(0, side - have))
        for side, have in zip((height, width), image.shape[:2], strict=True)
    ]
    if not any(after for _, after in missing):
        return image
    return np.pad(image, (*missing, (0, 0)), mode="symmetric")


def _check(image, height, width, overlap, scale, batch_size):
    shape = np.shape(image)
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"An image is an array (H, W, C), not empty. Received: shape {shape}")
    for name, value, least in (
        ("tile", height, 1),
        ("tile", width, 1),
        ("overlap", overlap, 0),
        ("scale", scale, 1),
        ("batch_size", batch_size, 1),
    ):
        if isinstance(value, bool) or int(value) != value or value < least:
            raise ValueError(f"{name} is a whole number of at least {least}. Received: {value!r}")
    if 2 * overlap > min(height, width):
        raise ValueError(f"overlap is at most half a tile of {width}x{height}. Received: {overlap}")


def _check_made(made, count, height, width):
    if made.ndim != 4 or made.shape[:3] != (count, height, width):
        raise ValueError(
            f"The function returns an array ({count}, {height}, {width}, channels). "
            f"Received: shape {made.shape}"
        )
