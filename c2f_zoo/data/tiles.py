"""A function of images of one size, applied to an image of any size in overlapping tiles."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.images import FULL_SCALE, as_float


def apply_in_tiles(
    function,
    image,
    tile=256,
    overlap=32,
    scale=1,
    batch_size=1,
    progress=False,
    align=1,
    margin=None,
    out=None,
):
    """Apply a function to an image tile by tile, and blend the results where tiles overlap.

    Every call gets as many tiles of one size, so that it compiles once. Of an overlap each tile's
    outer `margin` is left out, where it misses what lies beyond, and in between the weights go
    over linearly from one tile to the other. If no pixel of the output depends on input further
    away than the margin, the result is that without tiles. Beside the image, the result and one
    row of tiles are held.

    Args:
        function: Takes a float32 array (B, tile, tile, C), B at most `batch_size`, and returns an
            array (B, scale * tile, scale * tile, D). A last batch that is not full repeats a tile.
        image: Array (H, W, C), not empty: float, which is passed as it is, or uint8 or uint16,
            brought to [0, 1] tile by tile.
        tile: Side of a tile in pixels, or (height, width); multiples of `align`.
        overlap: Pixels that neighbouring tiles share at least, at most half a tile.
        scale: Factor by which the function enlarges.
        batch_size: Tiles in a call.
        progress: Whether to show a bar.
        align: What the first row and column of every tile are multiples of: a network that works
            on a coarser grid sees it where it lies in the whole image. The image is continued
            (replicated) to multiples of it.
        margin: Pixels at each end of an overlap that are left out, less than half of it. Defaults
            to a quarter of the overlap.
        out: float32 array (scale * H, scale * W, D) of zeros to write the result into.

    Returns:
        float32 array (scale * H, scale * W, D): `out` where it was given.

    Raises:
        ValueError: The image has another shape or kind, is empty, or a number is out of range;
            the function returns another shape.

    Example:
        >>> image = np.random.default_rng(0).random((50, 70, 3), dtype="float32")
        >>> doubled = apply_in_tiles(lambda tiles: 2 * tiles, image, tile=32, overlap=8)
        >>> bool(np.allclose(doubled, 2 * image))
        True
    """
    from tqdm import tqdm

    sides = (tile, tile) if np.ndim(tile) == 0 else tuple(tile)
    _check(image, sides, overlap, scale, batch_size, align, margin)
    tops, lefts = (
        _starts(max(-(-length // align) * align, side), side, overlap, align)
        for length, side in zip(image.shape[:2], sides, strict=True)
    )
    (height, width), (rows, columns) = sides, (scale * side for side in image.shape[:2])
    down, across = (
        _weights(starts, side, scale, margin) for starts, side in ((tops, height), (lefts, width))
    )
    # As many tiles in every call: a row's tiles are dealt out evenly.
    batch = -(-len(lefts) // -(-len(lefts) // batch_size))
    result = out
    with tqdm(total=len(tops) * len(lefts), unit="tile", disable=not progress) as bar:
        for row, top in enumerate(tops):
            strip = None
            for first in range(0, len(lefts), batch):
                chosen = range(first, min(first + batch, len(lefts)))
                tiles = [_cut(image, top, lefts[c], height, width, align) for c in chosen]
                tiles += tiles[-1:] * (batch - len(chosen))
                made = np.asarray(function(np.stack(tiles)), np.float32)
                size = (batch, height * scale, width * scale)
                allowed = "({}, {}, {}, channels)".format(*size)
                checks.shape("The function's result", made, allowed, (*size, None))
                if strip is None:
                    strip = np.zeros((height * scale, columns, made.shape[-1]), np.float32)
                for column, one in zip(chosen, made, strict=False):
                    part = strip[:, lefts[column] * scale : (lefts[column] + width) * scale]
                    part += (one * across[column][:, None])[:, : part.shape[1]]
                bar.update(len(chosen))
            if result is None:
                result = np.zeros((rows, *strip.shape[1:]), np.float32)
            if result.shape != (rows, *strip.shape[1:]):
                raise ValueError(
                    f"out must have the shape {(rows, *strip.shape[1:])}. Received: {result.shape}"
                )
            strip *= down[row][:, None, None]
            part = result[top * scale : (top + height) * scale]
            part += strip[: len(part)]
    return result


def _starts(length, tile, overlap, align):
    """First pixel of each tile: evenly spread, the last one ending with the image."""
    length, tile, overlap = length // align, tile // align, -(-overlap // align)
    if length == tile:
        return [0]
    count = 1 + -(-(length - tile) // (tile - overlap))
    return [align * round(index * (length - tile) / (count - 1)) for index in range(count)]


def _weights(starts, tile, scale, margin):
    """Weights (scale * tile,) of each tile along one axis: they add up to 1 everywhere."""
    tile, starts = tile * scale, [start * scale for start in starts]
    weights = [np.ones(tile, np.float64) for _ in starts]
    for number in range(len(starts) - 1):
        shared = starts[number] + tile - starts[number + 1]
        if shared > 0:
            left_out = shared / 4 if margin is None else min(margin * scale, (shared - 1) / 2)
            ramp = (np.arange(shared) + 0.5 - left_out) / (shared - 2 * left_out)
            rising = np.clip(ramp, 0, 1)
            weights[number][-shared:] *= 1 - rising
            weights[number + 1][:shared] *= rising
    total = np.zeros(starts[-1] + tile)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + tile] += weight
    return [
        (weight / total[start : start + tile]).astype(np.float32)
        for start, weight in zip(starts, weights, strict=True)
    ]


def _cut(image, top, left, height, width, align):
    """One tile in float32, continued where the image ends within it."""
    part = as_float(image[top : top + height, left : left + width])
    # First to the grid as the networks do it; then, where it is smaller than a tile, mirrored.
    beyond = [(0, -side % align) for side in part.shape[:2]]
    if any(after for _, after in beyond):
        part = np.pad(part, (*beyond, (0, 0)), mode="edge")
    beyond = [(0, want - have) for want, have in zip((height, width), part.shape[:2], strict=True)]
    if any(after for _, after in beyond):
        part = np.pad(part, (*beyond, (0, 0)), mode="symmetric")
    return part


def _check(image, sides, overlap, scale, batch_size, align, margin):
    shape = checks.shape("image", image, "(H, W, C), not empty", (checks.SOME,) * 3).shape
    if image.dtype.kind != "f" and image.dtype.name not in FULL_SCALE:
        raise ValueError(f"image must be float, uint8 or uint16. Received: dtype {image.dtype}")
    checks.whole("align", align, least=1)
    checks.whole_pair("tile", sides, least=1)
    checks.whole("overlap", overlap, least=0)
    checks.whole("scale", scale, least=1)
    checks.whole("batch_size", batch_size, least=1)
    checks.whole("margin", margin or 0, least=0)
    height, width = sides
    if height % align or width % align:
        raise ValueError(f"tile must be a multiple of align, {align}. Received: {width}x{height}")
    shared = -(-overlap // align) * align
    for length, side in zip(shape, sides, strict=False):
        if length > side and 2 * shared > side:
            of_grid = f" (rounded up to {shared})" if shared != overlap else ""
            raise ValueError(
                f"overlap must be at most half a tile of {width}x{height}. "
                f"Received: {overlap}{of_grid}"
            )
    if margin and 2 * margin >= max(overlap, 1):
        raise ValueError(f"margin must be less than half of overlap, {overlap}. Received: {margin}")
