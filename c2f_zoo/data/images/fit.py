"""One image on its way into training data: opened, checked, cropped, brought to one size."""

import os

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.images import RANGE_TOLERANCE

# Colour spaces that need a profile to become RGB: a plain conversion gives wrong colours.
_FOREIGN_MODES = ("CMYK", "YCbCr", "LAB", "HSV")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_FILTERS = {"lanczos": "LANCZOS", "area": "BOX", "bilinear": "BILINEAR", "nearest": "NEAREST"}


class UnfitImageError(ValueError):
    """An image that cannot be used as training data; the message says why."""


def open_image(source):
    """Decode an image file of one picture, EXIF orientation applied, or raise UnfitImageError."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    is_path = isinstance(source, (str, os.PathLike))
    if is_path and os.path.exists(source) and not os.path.isfile(source):
        raise UnfitImageError("it is not a regular file")  # reading a pipe would wait for ever
    try:
        with Image.open(source) as image:
            # A phone's JPEG may carry a second, small picture (MPO): its first is the photograph.
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise UnfitImageError(f"it is animated or holds {image.n_frames} pictures")
            image.load()
            return ImageOps.exif_transpose(image)
    except (UnfitImageError, PermissionError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnfitImageError("it is not an image that Pillow can read") from error
    # Pillow's decoders report damage as OSError, SyntaxError, struct.error and others.
    except Exception as error:
        raise UnfitImageError(f"it is broken ({error})") from error


def fit_image(image, size, background=None, resample="lanczos", upscale=False, channels=3):
    """Crop an image to its largest centred part of a shape, and resize that.

    16-bit grey is scaled to 8 bit. An image that has the size already keeps its pixels.

    Args:
        image: `PIL.Image.Image`, or array (H, W, C) of 1, 3 or 4 channels, uint8 or float in
            [0, 1].
        size: (height, width).
        background: Colour (r, g, b), 0 to 255, beneath transparent pixels, which None refuses. Not
            used with 4 channels.
        resample: `"lanczos"`, `"area"` or `"bilinear"`, which average over all the pixels that a
            new one covers, or `"nearest"`.
        upscale: Whether an image smaller than `size` is enlarged rather than refused.
        channels: 1 for grey (ITU-R 601 luma of colours), 3 for RGB, 4 for RGBA.

    Returns:
        uint8 array (height, width, channels).

    Raises:
        UnfitImageError: The image is transparent, CMYK or the like, too small, or not finite in
            [0, 1].

    Example:
        >>> fit_image(np.full((6, 10, 1), 0.5), (4, 4))[0, 0]
        array([128, 128, 128], dtype=uint8)
    """
    from PIL import Image

    if isinstance(image, np.ndarray):
        image = _pil_from_array(image)
    image = _convert(image, background, _MODES[channels])
    height, width = size
    if image.size != (width, height):
        scale = min(image.width / width, image.height / height)
        if scale < 1 and not upscale:
            found = f"{image.width}x{image.height} (width x height)"
            raise UnfitImageError(f"it is {found}, smaller than {width}x{height}")
        crop_width = min(image.width, max(1, round(width * scale)))
        crop_height = min(image.height, max(1, round(height * scale)))
        left, top = (image.width - crop_width) // 2, (image.height - crop_height) // 2
        image = image.crop((left, top, left + crop_width, top + crop_height))
        image = image.resize((width, height), getattr(Image.Resampling, _FILTERS[resample]))
    return np.array(image).reshape(height, width, channels)


def image_size(image):
    """Height and width of a `PIL.Image.Image` or array (H, W, C)."""
    return image.shape[:2] if isinstance(image, np.ndarray) else (image.height, image.width)


def is_grey(image):
    """Whether a `PIL.Image.Image` or array (H, W, C) has a single channel, opacity aside."""
    if isinstance(image, np.ndarray):
        return image.shape[-1] == 1
    if image.mode == "P":
        palette = np.reshape(image.getpalette("RGB"), (-1, 3))
        used = [index for _, index in image.getcolors()]
        return bool((np.ptp(palette[used], axis=1) == 0).all())
    return image.mode[0] in "1LIF" and image.mode != "LAB"


def check_fit_options(background, resample):
    """Check options of `fit_image` before many images are read; return the colour as (r, g, b)."""
    checks.one_of("resample", resample, ("lanczos", "area"))
    if background is None:
        return None
    color = background
    if isinstance(color, str):
        from PIL import ImageColor

        try:
            color = ImageColor.getrgb(color)[:3]
        except ValueError:
            color = None
    is_color = np.shape(color) == (3,) and all(
        int(part) == part and 0 <= part <= 255 for part in color
    )
    if not is_color:
        raise ValueError(
            "background must be a colour: a name, #rrggbb or (r, g, b) from 0 to 255. "
            f"Received: {background!r}"
        )
    return tuple(int(part) for part in color)


def _pil_from_array(array):
    from PIL import Image

    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        # NaN and inf reach the minimum or the maximum.
        if not np.isfinite([low, high]).all():
            raise UnfitImageError("it holds NaN or infinity")
        if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
            raise UnfitImageError(f"its values, {low:g} to {high:g}, are outside of [0, 1]")
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else np.ascontiguousarray(array))


def _convert(image, background, mode):
    """Convert a PIL image to 8 bits of a mode: L, RGB or RGBA."""
    from PIL import Image

    if image.mode in _FOREIGN_MODES:
        raise UnfitImageError(f"its colours are {image.mode}, not RGB: convert it with its profile")
    if image.mode == "F":
        raise UnfitImageError("its grey values are floating point numbers of unknown range")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise UnfitImageError("its grey values exceed 16 bit")
        image = Image.fromarray(np.rint(grey / 257).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        if mode != "RGBA" and image.getextrema()[3][0] < 255:
            if background is None:
                raise UnfitImageError("it has transparent pixels: choose a background colour")
            beneath = Image.new("RGBA", image.size, (*background, 255))
            image = Image.alpha_composite(beneath, image)
    return image if image.mode == mode else image.convert(mode)
