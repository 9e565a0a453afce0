"""Photographs of any size and kind through a restoration network, whole or in tiles.

Functions of a network, anything with `predict_on_batch`, and of its `RestorationSpec`.
"""

import dataclasses
import os
import sys
import warnings
from pathlib import Path

import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.files.images import as_numpy
from c2f_zoo.data.files.pictures import as_float, read_mask, read_picture
from c2f_zoo.data.tiles import apply_in_tiles
from c2f_zoo.tasks.outputs import as_output, check_output
from c2f_zoo.tasks.restoration.holes import (
    HOLE_DEPTH,
    beyond,
    describe_large_hole,
    halved,
    with_mask,
    write_enlarged,
)
from c2f_zoo.tasks.restoration.tiling import bucket, plan_tiles
from c2f_zoo.tasks.several import ON_ERROR, failed, read_ahead, with_progress

# Alpha is enlarged by tiles too; beyond the reach of bicubic interpolation nothing has influence.
_ALPHA_TILE, _ALPHA_OVERLAP, _BICUBIC_REACH = 256, 16, 2

# Noise seldom takes a value beyond the first range; what is beyond the second is no noise.
_USUAL, _POSSIBLE = (-1, 2), (-10, 10)


def run_on_images(network, spec, verb, images, progress=None, on_error="raise", **options):
    """Restore or enlarge one image, or each of a list, an array (N, H, W, C) or a folder.

    Arguments and result are those of `RestorationTask.restore` and `upscale`.
    """
    checks.one_of("on_error", on_error, ON_ERROR)
    several = several_images(images)
    if several is None:
        return run_on_image(network, spec, verb, images, progress=progress, **options)
    check_verb(network, spec, verb)
    check_output(options.get("output", "numpy"))
    made, total = [], len(several)
    reading = with_progress(read_ahead(several, _read_file), total, progress, "image")
    for number, image in enumerate(reading):
        try:
            result = run_on_image(network, spec, verb, image.result(), progress=False, **options)
        except Exception as error:
            result = failed(error, number, total, on_error, stacklevel=4)
        made.append(result)
    return stacked(made) if hasattr(images, "shape") else made


def stacked(made):
    """Results of an array (N, ...) as one, unless they are pictures or one of them failed."""
    return np.stack(made) if made and all(hasattr(one, "shape") for one in made) else made


def _read_file(image):
    """Read a path or an image of Pillow; what is in memory is converted where it is computed."""
    return image if hasattr(image, "shape") else read_picture(image)


def run_on_image(
    network, spec, verb, image, mask=None, time=None, depth=None, output="numpy", **tiles
):
    """Restore, enlarge or fill one image.

    Arguments and result are those of `RestorationTask.restore`, `upscale` and `inpaint`; `tiles`
    are `tile`, `overlap` and `progress`.
    """
    check_verb(network, spec, verb)
    check_output(output)
    options = {**_checked(network, spec, time, depth), **tiles}
    known = None
    if verb == "inpaint":
        picture = read_picture(image)
        known = read_mask(mask, picture.size)
        if known.all():
            return as_output(np.array(picture.pixels()), output, profile=picture.icc_profile)
        hole = describe_large_hole(known) if spec.reach is not None else None
        if hole:
            warnings.warn(hole, stacklevel=3)
    else:
        picture = _read_noisy(image)
    color, alpha = picture.color, picture.alpha
    # Colour and alpha are written into one array: to join them would take another of its size.
    colors = color.shape[2]
    height, width = (spec.scale * side for side in color.shape[:2])
    result = np.zeros((height, width, colors + (alpha is not None)), np.float32)
    made = result[..., :colors]
    _compute(network, spec, color, known, as_grey=colors == 1, out=made, **options)
    np.clip(made, 0, 1, out=made)
    if known is not None:
        for row, is_known in enumerate(known):
            made[row, is_known] = as_float(color[row, is_known])
    if alpha is not None:
        _write_alpha(alpha, spec.scale, result[..., colors:])
    result = result[..., 0] if result.shape[2] == 1 else result
    return as_output(result, output, profile=picture.icc_profile)


def run_on_pixels(network, spec, pixels, known=None, time=None, depth=None, **tiles):
    """Run a network over one array, see `RestorationTask.restore_pixels`."""
    options = {**_checked(network, spec, time, depth), **tiles}
    if (known is not None) != spec.mask:
        raise ValueError(
            f"{type(network).__name__} takes {'a' if spec.mask else 'no'} mask. "
            f"Received: {'none' if known is None else 'one'}"
        )
    return _compute(network, spec, pixels, known, **options)


def check_verb(network, spec, verb):
    """Raise a ValueError unless `verb` is what the network does."""
    if verb != spec.verb:
        fitting = {
            "restore": "restores: use restore(image)",
            "upscale": f"enlarges {spec.scale} times: use upscale(image)",
            "inpaint": "fills what a mask leaves out: use inpaint(image, mask)",
        }[spec.verb]
        raise ValueError(f"This {type(network).__name__} {fitting}. Received: {verb}")


def several_images(images):
    """The images of a list, stack or folder; None for one image."""
    if isinstance(images, (list, tuple)):
        return images
    if isinstance(images, (str, os.PathLike)) and Path(images).expanduser().is_dir():
        from c2f_zoo.data.images.folder import ImageFolder

        folder = ImageFolder(Path(images).expanduser())
        return [folder.folder / name for name in folder.names]
    return as_numpy(images) if len(getattr(images, "shape", ())) == 4 else None


def _read_noisy(image):
    """Read an image as a `Picture`; float arrays may leave [0, 1], as noise does."""
    array, (low, high) = None, (0, 1)
    if hasattr(image, "shape"):
        array = as_numpy(image)
        if array.dtype.kind == "f" and array.size:
            low, high = float(array.min()), float(array.max())
    is_noisy = (low < 0 or high > 1) and _POSSIBLE[0] <= low and high <= _POSSIBLE[1]
    if not is_noisy:
        return read_picture(image)  # which refuses NaN and values far from [0, 1]
    picture = read_picture(np.clip(array, 0, 1))
    if low < _USUAL[0] or high > _USUAL[1]:
        warnings.warn(
            "Float images have values in [0, 1], or with noise a little beyond. "
            f"Received: values from {low:g} to {high:g}",
            stacklevel=5,
        )
    channels = picture.color.shape[2]
    noisy = array.reshape(*picture.size, -1)[..., :channels].astype(np.float32)
    return dataclasses.replace(picture, color=noisy)


def _checked(network, spec, time, depth):
    """The options of `_compute` that depend on the kind of network."""
    name = type(network).__name__
    if spec.time:
        time = checks.number(
            "time, the share of noise (or of the image, for training with "
            "TimedNoise(reverse=True), as for denoising),",
            time,
            0,
            1,
        )
    elif time is not None:
        raise ValueError(f"{name} takes no time. Received: time={time!r}")
    if depth is None:
        depth = HOLE_DEPTH if spec.mask and spec.reach is not None else 0
    elif not spec.mask:
        raise ValueError(f"{name} fills no holes. Received: depth={depth!r}")
    return {"time": time, "depth": checks.whole("depth", depth, 0)}


def _compute(network, spec, pixels, known, depth, as_grey=False, out=None, **options):
    """Run the network; deep holes are filled from coarse to fine, one mesh after the other."""
    if known is not None:
        deep = beyond(known, depth) if depth and known.any() else None
        coarse = None
        if deep is not None and deep.any():
            # As grey as the pixels are, whose place it takes.
            half, grey = halved(pixels, known), pixels.shape[2] == 1
            coarse = _compute(network, spec, *half, depth, as_grey=grey, **options)
        pixels = with_mask(pixels, known)  # the one copy of the image
        if coarse is not None:
            write_enlarged(coarse, deep, pixels[..., :-1])
            pixels[deep, -1] = pixels[known, -1].max()
        del coarse, deep
    return _run(network, spec, pixels, as_grey=as_grey, out=out, **options)


def _run(network, spec, pixels, time, as_grey, out, tile=None, overlap=None, progress=None):
    """The network over the tiles of an image, `as_grey` the mean of its channels."""
    tiles = plan_tiles(spec, pixels.shape[:2], tile, overlap)
    is_cut = any(tiles.is_cut)
    if is_cut and spec.reach is None:
        warnings.warn(
            f"{type(network).__name__} looks at the whole image at once: in tiles its result "
            "differs, though without seams. tile=0 takes the image whole, memory allowing",
            stacklevel=6,
        )

    def answer(batch):
        made = _answer(network, spec, batch, time, tiles.is_cut)
        return made.mean(axis=-1, keepdims=True) if as_grey else made

    return apply_in_tiles(
        answer,
        pixels,
        tiles.sides,
        tiles.overlap,
        scale=spec.scale,
        batch_size=tiles.batch_size,
        progress=is_cut and sys.stderr.isatty() if progress is None else progress,
        align=spec.stride,
        margin=tiles.margin,
        out=out,
    )


def _answer(network, spec, tiles, time, is_cut):
    """Network output for tiles (B, h, w, C); C is 1 for grey, or includes the mask."""
    images = tiles[..., :-1] if spec.mask else tiles
    inputs = {"images": np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images}
    if spec.mask:
        inputs["mask"] = tiles[..., -1:]
        if inputs["mask"].all():
            return inputs["images"]  # there is nothing to be filled
    elif time is not None:
        inputs["time"] = np.full(len(images), time, np.float32)
    if not (spec.takes_size and spec.reach is not None and _is_compiled()):
        inputs = tuple(map(np.ascontiguousarray, inputs.values()))
        return backend.to_numpy(
            backend.predict_on_batch(network, inputs if inputs[1:] else inputs[0])
        )
    # Each size is compiled anew: where the image decides on it, it is one of few.
    size = images.shape[1:3]
    more = [
        0 if cut else bucket(side, spec.stride) - side
        for side, cut in zip(size, is_cut, strict=True)
    ]
    for name in {"images", "mask"} & set(inputs):
        widths = ((0, 0), (0, more[0]), (0, more[1]), (0, 0))
        inputs[name] = np.pad(inputs[name], widths, mode="edge")
    inputs["size"] = np.tile(np.int32(size), (len(images), 1))
    made = backend.to_numpy(backend.predict_on_batch(network, inputs))
    return made[:, : spec.scale * size[0], : spec.scale * size[1]]


def _is_compiled():
    return backend.backend() != "torch"


def _write_alpha(alpha, scale, out):
    """Write alpha, enlarged bicubically, into an array (scale * H, scale * W, 1) of zeros."""
    from c2f_zoo.data.degradations.resize import upsample_bicubic

    if scale == 1:
        out[..., 0] = as_float(alpha)
        return
    apply_in_tiles(
        lambda tiles: backend.to_numpy(upsample_bicubic(tiles, scale)),
        alpha[..., None],
        tuple(min(_ALPHA_TILE, side) for side in alpha.shape),
        overlap=_ALPHA_OVERLAP,
        scale=scale,
        margin=_BICUBIC_REACH,
        out=out,
    )
    np.clip(out, 0, 1, out=out)
