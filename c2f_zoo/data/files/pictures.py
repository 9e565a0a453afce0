"""Photographs in and out of a restoring network: grey, alpha and metadata are kept."""

import dataclasses

import numpy as np

from c2f_zoo.data.files.images import (
    FULL_SCALE,
    as_float,
    as_numpy,
    check_range,
    check_same_size,
    load_parts,
    pil_parts,
    write_pixels,
)

_ROWS = 256  # of a large picture converted at once
# Description, make, model, software, date, artist, copyright; the EXIF and GPS parts.
_PARTS = {34665, 34853}
_DESCRIPTIVE_TAGS = {270, 271, 272, 305, 306, 315, 33432, *_PARTS}
_ORIENTATION = 274


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its transparency, colour profile and EXIF data.

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
    orientation is applied. Grey files of 16 bits keep them; of 16-bit colour Pillow reads the upper
    8 bits.

    Args:
        source: As for `load_image`, or a `Picture`.

    Returns:
        `Picture`.

    Raises:
        FileNotFoundError, ValueError, TypeError: As `load_image`, and if a file holds several
            pictures.

    Example:
        >>> read_picture(np.zeros((4, 6, 4), "uint8")).pixels().shape
        (4, 6, 4)
    """
    if isinstance(source, Picture):
        return source
    loaded = load_parts(source, _from_pil)
    if isinstance(loaded, Picture):
        return loaded
    color, alpha = loaded
    if alpha is not None and alpha.dtype.kind == "f":
        alpha = check_range(alpha)
    return Picture(color, alpha)


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
        ValueError: If the mask is of another size, not binary, or leaves nothing known.

    Example:
        >>> read_mask(np.array([[255, 0]], "uint8"), (1, 2)).tolist()
        [[True, False]]
    """
    array = as_numpy(source) if hasattr(source, "shape") else None
    if array is not None and array.dtype.kind in "iu" and array.dtype.name not in FULL_SCALE:
        if array.size and not np.isin(array, (0, 1)).all():
            raise ValueError(_not_binary(array))
        source = array.astype(bool)
    elif array is not None and array.dtype.kind == "f" and not np.isin(array, (0, 1)).all():
        raise ValueError(_not_binary(array))
    mask = read_picture(source)
    if mask.alpha is not None and not (mask.alpha == _full_scale(mask.alpha)).all():
        raise ValueError(
            "A mask must be opaque: black and white say what is known. "
            "Received: a picture with transparent pixels"
        )
    check_same_size(np.empty((*size, 0)), mask.color, ("the image", "its mask"))
    color = mask.color
    if not all(np.array_equal(color[..., 0], color[..., i]) for i in range(1, color.shape[2])):
        raise ValueError("A mask must be black and white. Received: a coloured picture")
    values = np.unique(color[..., 0]).tolist()
    if not (set(values) <= {0, 1} or set(values) <= {0, _full_scale(color)}):
        raise ValueError(_not_binary(color))
    known = (color[..., 0] != 0) != bool(invert)
    if not known.any():
        raise ValueError(
            "A mask that leaves some of the image known (1, white) is needed: only the rest is "
            f"filled. Received: {known.size} pixels, all to be filled"
        )
    return known


def write_picture(path, pixels, like=None, image_format=None, quality=95):
    """Write a picture of 8 bits, with the profile and EXIF data of another, whole or not at all.

    Args:
        path: File to write.
        pixels: Array (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA,
            float in [0, 1], rounded to 256 levels, or uint8.
        like: `Picture` whose colour profile and EXIF data are kept. Default: none.
        image_format: Pillow's name of the format. Default: as the extension says.
        quality: 1 to 100, of JPEG and WebP.

    Raises:
        ValueError: If the format is unknown or cannot hold the transparency.
        OSError: The file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "grey.png"
        >>> write_picture(path, np.ones((4, 6), "float32"))
        >>> read_picture(path).color.shape
        (4, 6, 1)
    """
    options = {name: getattr(like, name, None) for name in ("icc_profile", "exif")}
    options = {name: value for name, value in options.items() if value}
    write_pixels(path, as_bytes(pixels), image_format, quality, **options)


def as_bytes(values):
    """Round an array (H, W, ...), float in [0, 1], to 256 levels; one of uint8 passes."""
    if values.dtype == np.uint8:
        return values
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = np.rint(values[rows] * np.float32(255))
    return result


def with_alpha(color, alpha):
    """Join colour (H, W, 1 or 3), float32, and alpha (H, W) or None to (H, W) or (H, W, C)."""
    if alpha is None:
        return color[..., 0] if color.shape[2] == 1 else color
    return np.concatenate([color, as_float(alpha)[..., None]], axis=2)


def _full_scale(values):
    return FULL_SCALE.get(values.dtype.name, 1)


def _from_pil(image):
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a phone's JPEG with a preview
        raise ValueError(
            f"An image must be one picture. Received: a file of {image.n_frames} pictures"
        )
    color, alpha = pil_parts(image)
    # A profile says what the numbers of its own colour space mean, not those of another.
    keeps_profile = image.mode not in ("CMYK", "YCbCr", "LAB", "HSV")
    profile = image.info.get("icc_profile") if keeps_profile else None
    return Picture(color, alpha, profile, _exif(image))


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


def _not_binary(values):
    found = np.unique(values)
    return (
        "A mask must hold two values: 1 (or white) where the image is known, 0 where it is to be "
        "filled; JPEG blurs them, save it as png. Received: "
        f"{len(found)} values from {found[0]:g} to {found[-1]:g}"
    )
