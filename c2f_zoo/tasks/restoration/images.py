"""The image level of restoration: photographs of any size and kind, whole or in tiles."""

import math
import numbers
import sys
import warnings

import numpy as np

from c2f_zoo import backend
from c2f_zoo.tasks.restoration.holes import beyond, halved, with_mask, write_enlarged

# Pixels of output up to which an image is computed whole.
WHOLE = 2**20
# What a batch of tiles may take, by a rule of thumb: bytes for each pixel and each feature that a
# network has there, measured on a MultiscaleUNet with PyTorch.
_MEMORY, _BYTES_A_FEATURE = 2**30, 84
_LARGEST_TILE = 768  # side in pixels of the output
_LARGEST_OVERLAP = 128
_BLEND = 16  # pixels within which one tile goes over into the next
_MOST_TILES_AT_ONCE = 16
# Alpha is enlarged by tiles too; beyond the reach of bicubic interpolation nothing has influence.
_ALPHA_TILE, _ALPHA_OVERLAP, _BICUBIC_REACH = 256, 16, 2

# Pixels to the nearest known one beyond which a hole is filled on coarser meshes first: about what
# a network of limited reach learns from patches.
_HOLE_DEPTH = 8

_TIME = (
    "the time of TimedNoise: the share of noise, 0 for an image without; or with reverse, as "
    "denoising has it, the share of the image, 1 for one without noise"
)


class RestorationImages:
    """Mixin that gives a restoration network its image level.

    The network's attributes say what it does: `scale`, `mask`, `time_embedding`, and how it can be
    cut into tiles: `stride`, the pixels that a tile's position is a multiple of, and `reach`, the
    pixels beyond which nothing has an influence, or None without a limit.
    """

    scale, stride = 1, 1
    mask, time_embedding = False, False
    reach = None

    _said_that_tiles_differ = False

    @property
    def image_verb(self):
        """Name of the method that fits this network: `"restore"`, `"upscale"` or `"inpaint"`."""
        if self.mask:
            return "inpaint"
        return "upscale" if self.scale > 1 else "restore"

    @property
    def preset_task(self):
        """Task of a preset of this network, one of `c2f_zoo.hub`'s: what its card shows."""
        tasks = {"upscale": "super_resolution", "inpaint": "image_inpainting"}
        return tasks.get(self.image_verb, "image_restoration")

    def restore(self, image, time=None, tile=None, overlap=None, progress=None):
        """Restore a photograph: take away the noise or blur that the network was trained on.

        Args:
            image: Path, PIL image, `Picture` (what `read_picture` returns), or array (H, W),
                (H, W, 1 to 4) of any size: uint8, uint16 (divided by 65535), bool, or float in
                [0, 1]. The EXIF orientation is applied.
            time: For a network that is told the time, between 0 and 1: the share of noise in the
                image, or of the image for those trained with `TimedNoise(reverse=True)`.
            tile: Side of the tiles in pixels of the input, or (height, width), rounded up to
                multiples of the network's stride; 0 for the image as a whole. Default: whole up
                to a megapixel of output, beyond that tiles.
            overlap: Pixels that neighbouring tiles share. Default: what makes tiles equal to the
                whole, as far as that is at most 128.
            progress: Whether to show a bar. Default: for tiles, on a terminal.

        Returns:
            numpy float32 in [0, 1] of the kind of the image: (H, W, 3), grey (H, W) (the mean of
            the network's three channels), and with the alpha of the input as last channel
            (H, W, 4) or (H, W, 2).

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The image is empty, unreadable, not finite or outside [0, 1]; the time or
                the tiles do not fit; the network enlarges, or fills what a mask leaves out.

        Example:
            >>> import numpy as np
            >>> from c2f_zoo.models import MultiscaleUNet
            >>> model = MultiscaleUNet(8, (1, 2), groups=4, attention=0, time_embedding=False)
            >>> model.restore(np.zeros((9, 14), "uint8")).shape
            (9, 14)
        """
        return self._apply("restore", image, None, time, tile, overlap, progress)

    def upscale(self, image, time=None, tile=None, overlap=None, progress=None):
        """Enlarge a photograph by the network's `scale`. Alpha is enlarged bicubically.

        Args:
            image: As of `restore`.
            time: As of `restore`.
            tile: As of `restore`, in pixels of the input.
            overlap: As of `restore`, in pixels of the input.
            progress: As of `restore`.

        Returns:
            numpy float32 in [0, 1]: (scale * H, scale * W, 3), or as of `restore` (.., 4), (.., 2)
            or grey without a last axis.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: As of `restore`; the network does not enlarge.

        Example:
            >>> import numpy as np
            >>> from c2f_zoo.models import SRParaConvNet
            >>> SRParaConvNet(4).upscale(np.zeros((9, 14, 3), "uint8")).shape
            (18, 28, 3)
        """
        return self._apply("upscale", image, None, time, tile, overlap, progress)

    def inpaint(self, image, mask, depth=None, tile=None, overlap=None, progress=None):
        """Fill what a mask leaves out of a photograph; the rest stays as it is, to the bit.

        Deep holes are filled from coarse to fine: the image is halved, what is known averaged,
        until none is deeper than `depth` pixels; what was found deep inside a hole counts as known
        on the next mesh, where the network fills the rim. Each mesh is of another size, for which
        TensorFlow and JAX compile the network.

        Args:
            image: As of `restore`.
            mask: Path, PIL image or array (H, W), (H, W, 1) of the image's size and two values:
                True, 1 or white where the image is known, 0 or black where it is to be filled.
            depth: Pixels from what is known beyond which a hole is filled on coarser meshes first;
                0 for never. Default: 8 for a network of limited reach, never for one that looks at
                the whole image.
            tile: As of `restore`.
            overlap: As of `restore`.
            progress: As of `restore`.

        Returns:
            As of `restore`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: As of `restore`; the mask is of another size, not binary, or leaves nothing
                known; the network takes no mask.

        Example:
            ```python
            filled = model.inpaint("photo.jpg", "mask.png")
            ```
        """
        return self._apply("inpaint", image, mask, None, tile, overlap, progress, depth)

    def restore_pixels(
        self, pixels, known=None, time=None, tile=None, overlap=None, progress=None, depth=None
    ):
        """Run the network over one array of any size, whole or in tiles; values as they are.

        Neither is the range of the input checked, so that noise may leave it, nor the result
        clipped.

        Args:
            pixels: Array (H, W, 3) or grey (H, W, 1): float, or uint8 and uint16, which are
                brought to [0, 1].
            known: bool array (H, W) for a network that takes a mask.
            time: As of `restore`.
            tile: As of `restore`.
            overlap: As of `restore`.
            progress: As of `restore`.
            depth: As of `inpaint`.

        Returns:
            numpy float32 (scale * H, scale * W, 3).

        Raises:
            ValueError: The tiles, the time, the mask or the depth do not fit.
        """
        time, depth = self._checked_time(time), self._checked_depth(depth)
        if (known is not None) != bool(self.mask):
            takes = "a mask" if self.mask else "no mask"
            raise ValueError(
                f"This {type(self).__name__} takes {takes}. "
                f"Received: {'none' if known is None else 'one'}"
            )
        return self._compute(pixels, known, depth, time, tile, overlap, progress)

    def _compute(self, pixels, known, depth, *options, as_grey=False, out=None):
        """Fill large holes from coarse to fine: `_run` on one mesh after the other."""
        if known is None:
            return self._run(pixels, *options, as_grey=as_grey, out=out)
        deep = beyond(known, depth) if depth and known.any() else None
        coarse = None
        if deep is not None and deep.any():
            # As grey as the pixels are, whose place it takes.
            grey = pixels.shape[2] == 1
            coarse = self._compute(*halved(pixels, known), depth, *options, as_grey=grey)
        pixels = with_mask(pixels, known)  # the one copy of the image
        if coarse is not None:
            write_enlarged(coarse, deep, pixels[..., :-1])
            pixels[deep, -1] = pixels[known, -1].max()
        del coarse, deep
        return self._run(pixels, *options, as_grey=as_grey, out=out)

    def _run(self, pixels, time, tile, overlap, progress, as_grey, out):
        """The network, of which `as_grey` takes the mean of the channels, into `out`."""
        from c2f_zoo.data.tiles import apply_in_tiles

        tile, overlap, margin = self._tiles(pixels.shape[:2], tile, overlap)
        is_cut = any(side < length for side, length in zip(tile, pixels.shape, strict=False))
        if is_cut and self.reach is None and not self._said_that_tiles_differ:
            self._said_that_tiles_differ = True
            warnings.warn(
                f"{type(self).__name__} looks at the whole image at once: in tiles its answer is "
                "another, though without seams. A tile of 0 takes the image whole, memory allowing",
                stacklevel=5,
            )
        area = self.scale**2 * tile[0] * tile[1]
        if progress is None:
            progress = is_cut and sys.stderr.isatty()

        def answer(tiles):
            made = self._answer(tiles, time)
            return made.mean(axis=-1, keepdims=True) if as_grey else made

        return apply_in_tiles(
            answer,
            pixels,
            tile,
            overlap,
            scale=self.scale,
            batch_size=max(1, min(_MOST_TILES_AT_ONCE, self._pixels_at_once() // area)),
            progress=progress,
            align=self.stride,
            margin=margin,
            out=out,
        )

    def _apply(self, verb, image, mask, time, tile, overlap, progress, depth=None):
        from c2f_zoo.data.files.pictures import as_float, read_mask, read_picture

        self._check_verb(verb)
        time, depth = self._checked_time(time), self._checked_depth(depth)
        picture = read_picture(image)
        known = read_mask(mask, picture.size) if verb == "inpaint" else None
        if known is not None and known.all():
            return np.array(picture.pixels())
        # Colour and alpha are written into one array: to join them would take another of its size.
        colors, has_alpha = 1 if picture.is_grey else 3, picture.alpha is not None
        height, width = (self.scale * side for side in picture.size)
        result = np.zeros((height, width, colors + has_alpha), np.float32)
        made = result[..., :colors]
        options = {"as_grey": picture.is_grey, "out": made}
        self._compute(picture.color, known, depth, time, tile, overlap, progress, **options)
        np.clip(made, 0, 1, out=made)
        if known is not None:
            for row, is_known in enumerate(known):
                made[row, is_known] = as_float(picture.color[row, is_known])
        if has_alpha:
            self._write_alpha(picture.alpha, result[..., colors:])
        return result[..., 0] if result.shape[2] == 1 else result

    def _answer(self, tiles, time):
        """What the network makes of a batch of tiles (B, h, w, C), C of them grey or with mask."""
        images = tiles[..., :-1] if self.mask else tiles
        images = np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
        inputs = images
        if self.mask:
            masks = np.ascontiguousarray(tiles[..., -1:])
            if masks.all():
                return images  # there is nothing to be filled
            inputs = (np.ascontiguousarray(images), masks)
        elif time is not None:
            inputs = (images, np.full(len(images), time, np.float32))
        return backend.to_numpy(self.predict_on_batch(inputs))

    def _write_alpha(self, alpha, out):
        """Write alpha, enlarged bicubically, into an array (scale * H, scale * W, 1) of zeros."""
        from c2f_zoo.data.degradations.resize import upsample_bicubic
        from c2f_zoo.data.files.pictures import as_float
        from c2f_zoo.data.tiles import apply_in_tiles

        if self.scale == 1:
            out[..., 0] = as_float(alpha)
            return
        apply_in_tiles(
            lambda tiles: backend.to_numpy(upsample_bicubic(tiles, self.scale)),
            alpha[..., None],
            tuple(min(_ALPHA_TILE, side) for side in alpha.shape),
            overlap=_ALPHA_OVERLAP,
            scale=self.scale,
            margin=_BICUBIC_REACH,
            out=out,
        )
        np.clip(out, 0, 1, out=out)

    def _check_verb(self, verb):
        if verb == self.image_verb:
            return
        fitting = {
            "restore": "restores: use restore(image)",
            "upscale": f"enlarges {self.scale} times: use upscale(image)",
            "inpaint": "fills what a mask leaves out: use inpaint(image, mask)",
        }[self.image_verb]
        raise ValueError(f"This {type(self).__name__} {fitting}. Received: {verb}")

    def _checked_time(self, time):
        if not self.time_embedding:
            if time is not None:
                raise ValueError(f"{type(self).__name__} is not told the time. Received: {time!r}")
            return None
        is_number = isinstance(time, (int, float, np.number)) and not isinstance(time, bool)
        if not is_number or not 0 <= time <= 1:
            raise ValueError(
                f"{type(self).__name__} is told the time, a number between 0 and 1, {_TIME}. "
                f"Received: time={time!r}"
            )
        return float(time)

    def _checked_depth(self, depth):
        if depth is None:
            return _HOLE_DEPTH if self.mask and self.reach is not None else 0
        if not self.mask:
            raise ValueError(f"{type(self).__name__} fills no holes. Received: depth={depth!r}")
        is_number = isinstance(depth, numbers.Real) and not isinstance(depth, bool)
        if not is_number or depth % 1 != 0 or depth < 0:
            raise ValueError(f"depth is a whole number of pixels, or 0. Received: {depth!r}")
        return int(depth)

    def _pixels_at_once(self):
        """Pixels of the output that tiles may have together, by the network's width."""
        features = getattr(self, "width", 32) / getattr(self, "patch", 1) ** 2
        return int(_MEMORY / (_BYTES_A_FEATURE * max(8, features)))

    def _tiles(self, size, tile, overlap):
        """Sides of the tiles, their overlap, and the margin that is left out of it."""
        whole = tuple(-(-side // self.stride) * self.stride for side in size)
        if tile is None:
            is_small = self.scale**2 * math.prod(size) <= WHOLE
            side = min(_LARGEST_TILE, math.isqrt(self._pixels_at_once()))
            tile = 0 if is_small else max(1, side // (self.scale * self.stride)) * self.stride
        sides = (tile, tile) if np.ndim(tile) == 0 else tuple(tile)
        is_whole = [
            isinstance(side, numbers.Real) and not isinstance(side, bool) and side % 1 == 0 <= side
            for side in sides
        ]
        if len(sides) != 2 or not all(is_whole):
            raise ValueError(
                "tile is a whole number of pixels, or (height, width), or 0 for the whole image. "
                f"Received: {tile!r}"
            )
        sides = tuple(
            min(-(-int(side) // self.stride) * self.stride or length, length)
            for side, length in zip(sides, whole, strict=True)
        )
        cut = [side for side, length in zip(sides, whole, strict=True) if side < length]
        if overlap is None:
            most = min(cut) // (2 * self.stride) * self.stride if cut else 0
            wanted = _LARGEST_OVERLAP if self.reach is None else 2 * self.reach + _BLEND
            overlap = min(wanted, _LARGEST_OVERLAP, most)
        elif isinstance(overlap, bool) or not isinstance(overlap, numbers.Real):
            raise ValueError(f"overlap is a whole number of pixels. Received: {overlap!r}")
        if self.reach is None:  # the wider the blend the better
            return sides, overlap, None
        return sides, overlap, max(0, min(self.reach, (overlap - _BLEND) // 2))
