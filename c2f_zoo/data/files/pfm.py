"""Portable float maps (`.pfm`): FlyingThings3D's flow, Middlebury's disparity.

Source: P. Debevec, "PFM Portable FloatMap Image Format": header `PF` (colour) or `Pf` (grey),
width, height, scale (negative: little-endian), then rows from the bottom up.
"""

import re

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.checks import check_length, regular_file
from c2f_zoo.data.files.images import as_numpy

_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,32})(?:\r?\n|\s)")


def read_pfm(path):
    """Read a portable float map (`.pfm`).

    Args:
        path: File to read.

    Returns:
        float32 array, first row on top: (H, W) from a grey file, (H, W, 3) from a colour one.
        The magnitude of the header's scale is ignored, as all published readers do; its sign
        gives the byte order.

    Raises:
        ValueError: If the file is of another kind, truncated or too long; the message names it.
        FileNotFoundError: If the file does not exist.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "disparity.pfm"
        >>> write_pfm(path, np.arange(6.0).reshape(2, 3))
        >>> read_pfm(path).tolist()
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    path = regular_file(path, "a .pfm file")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(128)
        header = _HEADER.match(start)
        scale = _scale(header)
        if not scale:
            raise ValueError(
                f"{path}: a .pfm file starts with PF or Pf, width, height and a scale other than "
                f"0. Received: {size} bytes that start with {start[:24]!r}"
            )
        channels = 3 if header[1] == b"PF" else 1
        width, height = int(header[2]), int(header[3])
        count = width * height * channels
        if not count:
            raise ValueError(f"{path}: the image is empty. Received: {width}x{height}")
        contents = f"{width}x{height} with {channels} channel{'s' * (channels > 1)}"
        check_length(path, size, header.end() + 4 * count, contents)
        file.seek(header.end())
        pixels = np.fromfile(file, "<f4" if scale < 0 else ">f4", count)
    shape = (height, width, channels) if channels == 3 else (height, width)
    return np.ascontiguousarray(pixels.reshape(shape)[::-1], np.float32)


def write_pfm(path, array, byte_order="little"):
    """Write a portable float map (`.pfm`).

    Args:
        path: File to write.
        array: Array of shape (H, W) or (H, W, 1), written as grey, or (H, W, 3), as colour;
            first row on top. NaN and inf are kept: disparity files mark unknown pixels so.
        byte_order: "little" (default) or "big".

    Raises:
        ValueError: If the shape is wrong or `byte_order` unknown.
        OSError: The file cannot be written; one that was there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "color.pfm"
        >>> write_pfm(path, np.zeros((2, 3, 3)))
        >>> read_pfm(path).shape
        (2, 3, 3)
    """
    is_little = checks.one_of("byte_order", byte_order, ("little", "big")) == "little"
    array = as_numpy(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or not array.size:
        raise ValueError(
            "array must be non-empty, of shape (H, W), (H, W, 1) or (H, W, 3). "
            f"Received: shape {array.shape}"
        )
    height, width = array.shape[:2]
    kind = "PF" if array.ndim == 3 else "Pf"
    header = f"{kind}\n{width} {height}\n{'-1.0' if is_little else '1.0'}\n"
    with atomic_write(path) as file:
        file.write(header.encode())
        file.write(array[::-1].astype("<f4" if is_little else ">f4").tobytes())


def _scale(header):
    """Scale of a matched header, None where there is none."""
    try:
        return float(header[4]) if header else None
    except ValueError:
        return None
