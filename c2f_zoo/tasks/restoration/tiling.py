"""How a restoration network is cut into tiles, and the sizes that it is compiled for."""

import dataclasses
import math

from c2f_zoo import checks

# Pixels of output up to which an image is computed whole.
WHOLE = 2**20
# What a batch of tiles may take, by a rule of thumb: bytes for each pixel and each feature that a
# network has there, measured on a MultiscaleUNet with PyTorch.
_MEMORY, _BYTES_A_FEATURE = 2**30, 84
_LARGEST_TILE = 768  # side in pixels of the output
_LARGEST_OVERLAP = 128
_BLEND = 16  # pixels within which one tile goes over into the next
_MOST_TILES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class RestorationSpec:
    """What the image level has to know of a restoration network.

    Args:
        scale: Factor of enlargement.
        stride: Pixels that a tile's size and position are multiples of.
        reach: Distance in input pixels beyond which nothing has an influence; None without limit.
        mask: Whether the network fills what a mask leaves out.
        time: Whether it takes the time of `TimedNoise`.
        features: Features per pixel of the input, for the memory that tiles may take.
        takes_size: Whether it accepts padded images with their `size`, see
            `RestorationTask.check_inputs`.

    Example:
        >>> RestorationSpec(scale=2).verb
        'upscale'
    """

    scale: int = 1
    stride: int = 1
    reach: int | None = None
    mask: bool = False
    time: bool = False
    features: float = 32.0
    takes_size: bool = False

    @property
    def verb(self):
        """The fitting method: `"restore"`, `"upscale"` or `"inpaint"`."""
        if self.mask:
            return "inpaint"
        return "upscale" if self.scale > 1 else "restore"


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Tiles of one image, as `apply_in_tiles` takes them; `is_cut` says which axes have several."""

    sides: tuple
    overlap: int
    margin: int | None
    batch_size: int
    is_cut: tuple


def plan_tiles(spec, size, tile=None, overlap=None):
    """Choose the `Tiles` of an image of `size` (H, W).

    `tile` is a side, (height, width), 0 for the whole image, or None to choose by memory; `overlap`
    None is what makes tiles equal to the whole.
    """
    whole = tuple(_up(side, spec.stride) for side in size)
    if tile is None:
        tile = 0
        if spec.scale**2 * math.prod(size) > WHOLE:
            side = min(_LARGEST_TILE, math.isqrt(_pixels_at_once(spec)))
            tile = max(1, side // (spec.scale * spec.stride)) * spec.stride
    if not isinstance(tile, (tuple, list)):
        tile = (checks.whole("tile", tile, 0),) * 2
    given = checks.whole_pair("tile", tile, 0)
    sides = tuple(
        min(_up(side, spec.stride) or length, length)
        for side, length in zip(given, whole, strict=True)
    )
    is_cut = tuple(side < length for side, length in zip(sides, whole, strict=True))
    if overlap is None:
        cut = [side for side, one in zip(sides, is_cut, strict=True) if one]
        most = min(cut) // (2 * spec.stride) * spec.stride if cut else 0
        wanted = _LARGEST_OVERLAP if spec.reach is None else 2 * spec.reach + _BLEND
        overlap = min(wanted, _LARGEST_OVERLAP, most)
    overlap = checks.whole("overlap", overlap, 0)
    # Without a reach the wider the blend the better.
    margin = None if spec.reach is None else max(0, min(spec.reach, (overlap - _BLEND) // 2))
    batch_size = _pixels_at_once(spec) // (spec.scale**2 * math.prod(sides))
    batch_size = max(1, min(_MOST_TILES_AT_ONCE, batch_size))
    return Tiles(sides, overlap, margin, batch_size, is_cut)


def bucket(side, stride=1):
    """Round a side up to a multiple of `stride` and one of few sizes, to compile for few.

    These are 128 and 256, and beyond that eight sizes in each octave.
    """
    if side <= 256:
        return _up(128 if side <= 128 else 256, stride)
    step = 2 ** ((side - 1).bit_length() - 4)
    return _up(_up(side, step), stride)


def _pixels_at_once(spec):
    """Pixels of the output that tiles may have together."""
    return int(_MEMORY / (_BYTES_A_FEATURE * max(8, spec.features)))


def _up(value, step):
    return -(-value // step) * step
