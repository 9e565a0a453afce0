"""Images in and out of the library: whatever comes in becomes RGB float32 in [0, 1]."""

import io
import os
from pathlib import Path

import numpy as np

from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.checks import regular_file

# Interpolation and half precision leave values a little outside [0, 1]; a real mistake of
# range (0 to 255, -1 to 1) is far outside.
RANGE_TOLERANCE = 1e-2

FULL_SCALE = {"uint8": 255, "uint16": 65535}
_WITHOUT_ALPHA_FORMATS = ("JPEG", "BMP", "PPM")
_WITH_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")


def as_numpy(tensor):
    """Convert an array or tensor of numpy, JAX, TensorFlow or PyTorch to numpy.

    Unlike `keras.ops.convert_to_numpy` it does not depend on the Keras backend in use, so a
    PyTorch tensor is accepted under TensorFlow and the reverse.

    Args:
        tensor: Array, tensor or variable of any shape, on any device, with or without gradient.

    Returns:
        numpy array of the same shape; bfloat16 becomes float32, which numpy lacks.

    Example:
        >>> as_numpy(np.ones((2, 3))).shape
        (2, 3)
    """
    if hasattr(tensor, "detach"):  # PyTorch
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
    array = np.asarray(tensor)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def as_float(values):
    """Divide uint8 and uint16 values by 255 and 65535; other values become float32."""
    full = FULL_SCALE.get(values.dtype.name)
    if full is None:
        return np.asarray(values, np.float32)
    return np.divide(values, full, dtype=np.float32)


def load_image(source):
    """Load one image as RGB in [0, 1].

    Grey becomes three equal channels, an alpha channel is dropped (the colour beneath it is
    kept as it is stored), palette and CMYK images are converted, and a photograph's EXIF
    orientation is applied.

    Args:
        source: Path of an image in any format that Pillow reads, 16-bit grey included; a
            `PIL.Image.Image`; or an array or tensor of numpy, JAX, TensorFlow or PyTorch of shape
            (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA,
            as uint8 (0 to 255), uint16 (0 to 65535), bool, or float in [0, 1].

    Returns:
        float32 array of shape (H, W, 3), RGB in [0, 1]; a new array, which the caller may change.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: The file is not an image, or is damaged; or the array is empty, of another
            shape or dtype, not finite, or outside [0, 1].
        TypeError: `source` is none of the above.

    Example:
        >>> image = load_image(np.full((4, 6), 255, np.uint8))
        >>> image.shape, str(image.dtype), float(image.max())
        ((4, 6, 3), 'float32', 1.0)
    """
    color = as_float(load_parts(source)[0])
    return np.repeat(color, 3, axis=2) if color.shape[2] == 1 else np.ascontiguousarray(color)


def save_image(path, image):
    """Save an image; the format follows from the file name.

    The file appears complete or not at all, and a file it would replace survives a failure.

    Args:
        path: File to write: `.png`, `.jpg`, `.ppm`, `.webp` or whatever else Pillow writes. Its
            folder must exist.
        image: Array of shape (H, W, 3) or grey (H, W), (H, W, 1): uint8, or float in [0, 1],
            which is rounded to the nearest of 256 levels. Anything else that `load_image` takes
            works too.

    Raises:
        ValueError: If the extension names no image format, or `image` is no image.
        OSError: The folder is missing or not writable, or the disk is full.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "red.png"
        >>> save_image(path, np.full((2, 2, 3), (1.0, 0.0, 0.0)))
        >>> load_image(path)[0, 0].tolist()
        [1.0, 0.0, 0.0]
    """
    write_pixels(path, np.rint(load_image(image) * 255).astype(np.uint8))


def check_same_size(first, second, names=("image 1", "image 2")):
    """Raise unless two images have the same height and width.

    Args:
        first, second: Arrays of shape (H, W, ...).
        names: What to call the two in the message. Default ("image 1", "image 2").

    Raises:
        ValueError: If the heights or widths differ.

    Example:
        >>> check_same_size(np.zeros((4, 6, 3)), np.zeros((4, 6, 2)), ("image", "flow"))
    """
    if first.shape[:2] != second.shape[:2]:
        sizes = " and ".join(
            f"{name} {array.shape[1]}x{array.shape[0]}"
            for name, array in zip(names, (first, second), strict=True)
        )
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same size. Received (width x height): {sizes}"
        )


def resize_smoothly(image, size):
    """Resize an image bilinearly, smoothed where it shrinks.

    Args:
        image: float32 array (H, W, C).
        size: (height, width) in pixels.

    Returns:
        float32 array (height, width, C); the image itself if it has this size.

    Example:
        >>> resize_smoothly(np.ones((4, 6, 3), "float32"), (2, 3)).shape
        (2, 3, 3)
    """
    if tuple(size) == image.shape[:2]:
        return image
    from PIL import Image

    height, width = size
    channels = [
        Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR)
        for channel in np.ascontiguousarray(np.moveaxis(image, -1, 0), "float32")
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def load_parts(source, convert=None):
    """Load one image, given as to `load_image`, as colour and transparency.

    Colour is (H, W, 1) or (H, W, 3), uint8, uint16, or float32 in [0, 1]; alpha (H, W) as it is
    stored, or None. `convert` replaces `pil_parts`, which makes them of an opened PIL image.
    """
    convert = convert or pil_parts
    if isinstance(source, (str, os.PathLike)):
        return _load_file(source, convert)
    if _is_pil(source):
        return convert(source)
    if isinstance(source, (list, tuple)) or not hasattr(source, "shape"):
        received = type(source).__name__
        received += f" of {len(source)} items" if isinstance(source, (list, tuple)) else ""
        raise TypeError(
            "An image must be a path, a PIL image, or an array of shape (H, W, 3). "
            f"Received: {received}"
        )
    return _array_parts(as_numpy(source))


def pil_parts(image):
    """Split a PIL image into colour and alpha as `load_parts`, EXIF orientation applied."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode in _WITH_ALPHA or ("transparency" in image.info and mode in ("P", "RGB", "L")):
        image = image.convert("LA" if mode in ("L", "LA", "La") else "RGBA")
    elif mode not in ("1", "L", "RGB", "I", "F") and not mode.startswith("I;16"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    if mode.startswith("I"):  # older versions of Pillow open 16-bit grey as 32-bit integers
        if pixels.size and (pixels.min() < 0 or pixels.max() > 65535):
            raise ValueError(
                "A 32-bit grey image must hold 16-bit values, 0 to 65535. "
                f"Received: values from {pixels.min()} to {pixels.max()}"
            )
        pixels = pixels.astype(np.uint16)
    return _array_parts(pixels)


def write_pixels(path, pixels, image_format=None, quality=95, **options):
    """Write a uint8 array (H, W) or (H, W, C) as an image file, complete or not at all.

    `image_format` is Pillow's name of the format, by default as the extension says; `options` are
    of the format.
    """
    from PIL import Image

    extensions = Image.registered_extensions()  # which also brings all formats to Image.SAVE
    image_format = image_format or extensions.get(Path(path).suffix.lower())
    if image_format not in Image.SAVE:
        raise ValueError(
            "An image is saved in the format of its extension: .png, .jpg, .ppm, .webp, ... "
            f"Received: {path}"
        )
    if image_format in _WITHOUT_ALPHA_FORMATS and pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        if (pixels[..., -1] != 255).any():
            raise ValueError(
                f"{image_format} holds no transparency: choose png or webp. Received: {path}"
            )
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    if image_format in ("JPEG", "WEBP"):
        options["quality"] = quality
    with atomic_write(path) as file:
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, format=image_format, **options)


def _is_pil(source):
    # Asked without importing Pillow: only a program that has imported it can hold an image.
    return any(
        base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(source).mro()
    )


def _load_file(path, convert):
    from PIL import Image, UnidentifiedImageError

    path = regular_file(path, "an image file")
    try:
        # Pillow reads as much at a time as the file says, and a file in memory gives what it has.
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            _check_claim(image, len(data))
            return convert(image)
    except UnidentifiedImageError as error:
        with path.open("rb") as file:
            start = file.read(16)
        found = f"it starts with {start!r}" if start else "it is empty"
        raise ValueError(
            f"The file is not an image in a format that Pillow reads: {found}. Received: {path}"
        ) from error
    except (PermissionError, MemoryError):
        raise
    # Pillow's decoders report damage as OSError, SyntaxError, struct.error and others.
    except Exception as error:
        if isinstance(error, ValueError) and "Received: " in str(error):  # `convert` says it all
            raise ValueError(f"{error}, in {path}") from error
        raise ValueError(f"The image cannot be read: {error}. Received: {path}") from error


def _check_claim(image, size):
    # Pillow takes the memory before it unpacks. These formats pack at most about 1300 to 1, but for
    # fax; the others may hold an even picture in a few bytes, and Pillow's own limit is theirs.
    bits = image.width * image.height * (1 if image.mode in ("1", "P", "L") else 16)
    packs = image.format in ("PNG", "TIFF", "BMP") and image.mode != "1"
    if packs and bits / 8 > 2048 * size:
        raise ValueError(
            "The file claims more pixels than it can hold. "
            f"Received: {image.width}x{image.height} in {size} bytes"
        )


def _array_parts(array):
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ValueError(
            "An image must have the shape (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4), "
            f"channels last. Received: shape {array.shape}"
        )
    if 0 in array.shape:
        raise ValueError(f"The image is empty. Received: shape {array.shape}")
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind != "f" and array.dtype.name not in FULL_SCALE:
        raise ValueError(
            "An image must be uint8 (0 to 255), uint16 (0 to 65535), bool or float (0 to 1). "
            f"Received: dtype {array.dtype}"
        )
    channels = array.shape[2]
    color = array[..., : 3 if channels >= 3 else 1]
    color = check_range(color) if color.dtype.kind == "f" else color
    return color, (array[..., -1] if channels in (2, 4) else None)


def check_range(color):
    """Return a float image in [0, 1] as float32, small excesses clipped; refuse larger ones."""
    low, high = float(color.min()), float(color.max())
    # NaN and inf reach the minimum or the maximum, so one pass finds them too.
    if not np.isfinite([low, high]).all():
        bad = f"{(~np.isfinite(color)).sum()} values that are NaN or inf"
        raise ValueError(f"A float image must be finite. Received: {bad}")
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise ValueError(
            "A float image must have values in [0, 1] (divide by 255, or give uint8). "
            f"Received: values from {low:.6g} to {high:.6g}"
        )
    return np.clip(color, 0, 1).astype(np.float32)
