"""Photographs on their way through a network: bytes stay bytes, grey stays grey, alpha is kept."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.images import _checked_range, _is_pil, as_numpy, check_same_size, load_file

_ROWS = 256  # of a large picture converted at once
_WITH_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")
# Description, make, model, software, date, artist, copyright; the EXIF and GPS parts.
_PARTS = {34665, 34853}
_DESCRIPTIVE_TAGS = {270, 271, 272, 305, 306, 315, 33432, *_PARTS}
_ORIENTATION = 274
_WITHOUT_ALPHA_FORMATS = ("JPEG", "BMP", "PPM")


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it came: its colours, its transparency, and what its file says of them.

    Args:
        color: Array (H, W, 3) RGB or (H, W, 1) grey: uint8, uint16, or float32 in [0, 1].
        alpha: Array (H, W) of the same kind, or None.
        icc_profile: Bytes of the colour profile, or None.
        exif: Bytes of the EXIF data without orientation, which has been applied; or None.

    Example:
        >>> picture = read_picture(np.zeros((4, 6), "uint8"))
        >>> picture.color.shape, picture.is_grey, picture.alpha
        ((4, 6, 1), True, None)
    """

    color: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None

    @property
    def is_grey(self):
        """Whether it has one channel of colour."""
        return self.color.shape[2] == 1

    @property
    def size(self):
        """Height and width."""
        return self.color.shape[:2]

    def pixels(self):
        """Give the picture in [0, 1], with alpha as its last channel.

        Returns:
            float32 array (H, W) of a grey picture, (H, W, 2) with alpha, else (H, W, 3 or 4).
        """
        return with_alpha(as_float(self.color), self.alpha)


def read_picture(source):
    """Read one picture and keep its kind.

    Unlike `load_image` it leaves grey pictures grey, keeps alpha, and leaves bytes as they are, so
    that a large photograph takes little memory. Palette and CMYK pictures become RGB; the EXIF
    orientation is applied. 16-bit grey files keep 16 bits, which are divided by 65535 when they
    become floats; of 16-bit colour files Pillow reads the upper 8 bits.

    Args:
        source: Path, PIL image, `Picture`, or array (H, W), (H, W, 1) grey, (H, W, 2) grey and
            alpha, (H, W, 3) RGB or (H, W, 4) RGBA, as uint8, uint16, bool, or float in [0, 1].

    Returns:
        `Picture`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no image, damaged, or holds several; or the array is empty, of
            another shape or dtype, not finite, or outside [0, 1].
        TypeError: `source` is none of the above.

    Example:
        >>> read_picture(np.zeros((4, 6, 4), "uint8")).pixels().shape
        (4, 6, 4)
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, (str, os.PathLike)):
        return load_file(Path(source).expanduser(), _from_pil)
    if _is_pil(source):
        return _from_pil(source)
    if isinstance(source, (list, tuple)) or not hasattr(source, "shape"):
        raise TypeError(
            "An image is a path, a PIL image, or an array of shape (H, W, 3). "
            f"Received: {type(source).__name__}"
        )
    return Picture(*_parts(as_numpy(source)))


def read_mask(source, size, invert=False):
    """Read the mask of a picture: where it is known, and where it is to be filled.

    Args:
        source: Path, PIL image, or array (H, W), (H, W, 1), or (H, W, 3) of three equal channels,
            of two values: True, 1 or white (the largest number of its kind) for known, 0 for what
            is to be filled.
        size: (H, W) of its picture.
        invert: Whether it is the other way round: white is to be filled.

    Returns:
        bool array (H, W), True where the picture is known.

    Raises:
        ValueError: It is of another size, not binary, or leaves nothing known.

    Example:
        >>> read_mask(np.array([[255, 0]], "uint8"), (1, 2)).tolist()
        [[True, False]]
    """
    array = as_numpy(source) if hasattr(source, "shape") else None
    if array is not None and array.dtype.kind in "iu" and array.dtype.name not in _FULL:
        if array.size and not np.isin(array, (0, 1)).all():
            raise ValueError(_not_binary(array))
        source = array.astype(bool)
    elif array is not None and array.dtype.kind == "f" and not np.isin(array, (0, 1)).all():
        raise ValueError(_not_binary(array))
    mask = read_picture(source)
    if mask.alpha is not None and not (mask.alpha == _full_scale(mask.alpha)).all():
        raise ValueError(
            "A mask says by black and white what is known, not by transparency. "
            "Received: a picture with transparent pixels"
        )
    check_same_size(np.empty((*size, 0)), mask.color, ("the image", "its mask"))
    color = mask.color
    if not all(np.array_equal(color[..., 0], color[..., i]) for i in range(1, color.shape[2])):
        raise ValueError("A mask is black and white. Received: a coloured picture")
    values = np.unique(color[..., 0]).tolist()
    if not (set(values) <= {0, 1} or set(values) <= {0, _full_scale(color)}):
        raise ValueError(_not_binary(color))
    known = (color[..., 0] != 0) != bool(invert)
    if not known.any():
        raise ValueError(
            "A mask leaves some of the image known (1, white); only the rest is filled. "
            f"Received: {known.size} pixels, all to be filled"
        )
    return known


def write_picture(path, pixels, like=None, image_format=None, quality=95):
    """Write a picture of 8 bits, with the profile and EXIF data of another.

    The file appears complete or not at all.

    Args:
        path: File to write.
        pixels: Array (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA,
            float in [0, 1], rounded to 256 levels, or uint8.
        like: `Picture` whose colour profile and EXIF data are kept. Default: none.
        image_format: Pillow's name of the format. Default: as the extension says.
        quality: 1 to 100, of JPEG and WebP.

    Raises:
        ValueError: The format is unknown or cannot hold the transparency that is there.
        OSError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grey.png"
        >>> write_picture(path, np.ones((4, 6), "float32"))
        >>> read_picture(path).color.shape
        (4, 6, 1)
    """
    from PIL import Image

    path = Path(path)
    extensions = Image.registered_extensions()  # which also brings all formats to Image.SAVE
    image_format = image_format or extensions.get(path.suffix.lower())
    if image_format not in Image.SAVE:
        raise ValueError(
            "A picture is saved as the extension of its name says: .png, .jpg, .webp, ... "
            f"Received: {path}"
        )
    bytes_ = as_bytes(pixels)
    if image_format in _WITHOUT_ALPHA_FORMATS and bytes_.ndim == 3 and bytes_.shape[2] in (2, 4):
        if (bytes_[..., -1] != 255).any():
            raise ValueError(
                f"{image_format} holds no transparency: choose png or webp. Received: {path}"
            )
        bytes_ = bytes_[..., 0] if bytes_.shape[2] == 2 else bytes_[..., :3]
    options = {"quality": quality} if image_format in ("JPEG", "WEBP") else {}
    for name in ("icc_profile", "exif"):
        if like is not None and getattr(like, name):
            options[name] = getattr(like, name)
    with atomic_write(path) as file:
        Image.fromarray(np.ascontiguousarray(bytes_)).save(file, format=image_format, **options)


def as_float(values):
    """Bring an array of a picture to [0, 1].

    Args:
        values: Array of any shape: uint8, uint16 or float.

    Returns:
        float32 array of the same shape; a new one where the kind changes.
    """
    full = _FULL.get(values.dtype.name)
    if full is None:
        return np.asarray(values, np.float32)
    return np.divide(values, full, dtype=np.float32)


def as_bytes(values):
    """Round an array of a picture to 256 levels, some rows at a time.

    Args:
        values: Array (H, W, ...), float in [0, 1]; one of uint8 passes.

    Returns:
        uint8 array of the same shape.
    """
    if values.dtype == np.uint8:
        return values
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = np.rint(values[rows] * np.float32(255))
    return result


def with_alpha(color, alpha):
    """Join colour and transparency.

    Args:
        color: Float32 array (H, W, 1 or 3).
        alpha: Array (H, W), uint8, uint16 or float; or None.

    Returns:
        float32 array (H, W) or (H, W, 3) without alpha, else (H, W, 2 or 4).
    """
    if alpha is None:
        return color[..., 0] if color.shape[2] == 1 else color
    return np.concatenate([color, as_float(alpha)[..., None]], axis=2)


_FULL = {"uint8": 255, "uint16": 65535}


def _full_scale(values):
    return _FULL.get(values.dtype.name, 1)


def _from_pil(image):
    from PIL import ImageOps

    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a phone's JPEG with a preview
        raise ValueError(f"An image is one picture. Received: a file of {image.n_frames} pictures")
    source, image = image, ImageOps.exif_transpose(image)
    mode = image.mode
    if mode in _WITH_ALPHA or ("transparency" in image.info and mode in ("P", "RGB", "L")):
        image = image.convert("LA" if mode in ("L", "LA", "La") else "RGBA")
    elif mode in ("1", "I", "F") or mode.startswith("I;16"):
        pass
    elif mode not in ("L", "RGB"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    if mode.startswith("I"):
        if pixels.size and (pixels.min() < 0 or pixels.max() > 65535):
            raise ValueError(
                "A 32-bit grey image must hold 16-bit values, 0 to 65535. "
                f"Received: values from {pixels.min()} to {pixels.max()}"
            )
        pixels = pixels.astype(np.uint16)
    # A profile says what the numbers of its own colour space mean, not those of another.
    keeps_profile = mode not in ("CMYK", "YCbCr", "LAB", "HSV")
    return Picture(
        *_parts(pixels),
        icc_profile=image.info.get("icc_profile") if keeps_profile else None,
        exif=_exif(source),
    )


def _exif(image):
    """EXIF data without the orientation, as bytes; the image keeps its own."""
    from PIL import Image

    try:
        found, kept = image.getexif(), Image.Exif()
        for tag, value in found.items():
            # A TIFF file's tags also say how its pixels are stored, which is true of no other.
            is_kept = tag in _DESCRIPTIVE_TAGS if image.format == "TIFF" else tag != _ORIENTATION
            if is_kept:
                kept[tag] = found.get_ifd(tag) if tag in _PARTS else value
        return kept.tobytes() if len(kept) else None
    except Exception:  # as broken EXIF data may raise anything, and the picture is worth more
        return None


def _parts(array):
    """Colour (H, W, 1 or 3) and alpha (H, W) or None of an array, checked."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(
            "An image has shape (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4), channels "
            f"last. Received: shape {array.shape}"
        )
    if 0 in array.shape:
        raise ValueError(f"The image is empty. Received: shape {array.shape}")
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f":
        array = _checked_range(array)
    elif array.dtype.name not in _FULL:
        raise ValueError(
            "An image is uint8 (0 to 255), uint16 (0 to 65535), bool or float (0 to 1). "
            f"Received: dtype {array.dtype}"
        )
    channels = array.shape[2]
    color = array[..., : 3 if channels >= 3 else 1]
    return color, (array[..., -1] if channels in (2, 4) else None)


def _not_binary(values):
    found = np.unique(values)
    return (
        "A mask holds two values: 1 (or white) where the image is known and 0 where it is to be "
        "filled; JPEG blurs them, save it as png. Received: "
        f"{len(found)} values from {found[0]:g} to {found[-1]:g}"
    )
