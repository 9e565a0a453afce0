"""Middlebury's `.flo` files of optical flow, also used by FlyingChairs and Sintel.

Source: Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011, and the
format's description in its code: tag 202021.25 as float32, width and height as int32, then u and v
interleaved, row by row, all little-endian.
"""

import struct

import numpy as np

from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.checks import check_length, regular_file
from c2f_zoo.data.files.flow_array import mark_unknown

_TAG = b"PIEH"  # the float 202021.25 in little-endian bytes
_HEADER = struct.Struct("<4sii")
_MOST_PIXELS = 2**28


def read_flo(path):
    """Read a Middlebury `.flo` file.

    Args:
        path: File to read.

    Returns:
        float32 array of shape (H, W, 2), pixels, exactly as stored: unknown motions are beyond
        `UNKNOWN_FLOW_THRESHOLD`. `read_flow` turns them into a mask.

    Raises:
        ValueError: If the file is of another kind, truncated or too long; the message names it.
        FileNotFoundError: If the file does not exist.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "right.flo"
        >>> write_flo(path, np.full((4, 6, 2), (3.0, 0.0)))
        >>> read_flo(path)[0, 0].tolist()
        [3.0, 0.0]
    """
    path = regular_file(path, "a .flo file")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_HEADER.size)
        if start[:4] != _TAG:
            raise ValueError(
                f"{path}: a .flo file starts with {_TAG!r}. "
                f"Received: {size} bytes that start with {start[:4]!r}"
            )
        if len(start) < _HEADER.size:
            raise ValueError(
                f"{path}: expected a header of {_HEADER.size} bytes. Received: {size} bytes"
            )
        _, width, height = _HEADER.unpack(start)
        if width < 1 or height < 1 or width * height > _MOST_PIXELS:
            raise ValueError(f"{path}: the size is impossible. Received: {width}x{height}")
        check_length(path, size, _HEADER.size + 8 * width * height, f"{width}x{height}")
        flow = np.fromfile(file, "<f4", 2 * width * height)
    return flow.reshape(height, width, 2).astype(np.float32, copy=False)


def write_flo(path, flow, valid=None):
    """Write a Middlebury `.flo` file; unknown pixels are written as `UNKNOWN_FLOW`.

    Args:
        path: File to write.
        flow, valid: Arrays of the shapes (H, W, 2) and (H, W) or (H, W, 1), as for `write_flow`.

    Raises:
        ValueError, OSError: As `write_flow`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.flo"
        >>> write_flo(path, np.zeros((4, 6, 2)))
        >>> path.stat().st_size == 12 + 8 * 4 * 6
        True
    """
    flow = mark_unknown(flow, valid)
    height, width = flow.shape[:2]
    with atomic_write(path) as file:
        file.write(_HEADER.pack(_TAG, width, height))
        file.write(flow.astype("<f4").tobytes())
