"""KITTI's flow maps, PNG files of 16-bit RGB, also used by HD1K.

Source: KITTI development kit: u = (R - 2^15) / 64, v = (G - 2^15) / 64, known where B > 0.
"""

import numpy as np

from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.checks import regular_file
from c2f_zoo.data.files.flow_array import check_flow
from c2f_zoo.data.files.png16 import decode_png16, encode_png16

_SCALE = 64.0
_OFFSET = 2**15
KITTI_FLOW_RANGE = (-_OFFSET / _SCALE, (2**16 - 1 - _OFFSET) / _SCALE)


def read_kitti_flow(path):
    """Read a KITTI flow map.

    Args:
        path: File to read.

    Returns:
        Two float32 arrays: the flow (H, W, 2) in pixels, 0 where unknown, and the mask
        (H, W, 1), 1 where known.

    Raises:
        ValueError, FileNotFoundError: As `read_flow`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "000000_10.png"
        >>> write_kitti_flow(path, np.full((4, 6, 2), (3.0, -0.5)))
        >>> read_kitti_flow(path)[0][0, 0].tolist()
        [3.0, -0.5]
    """
    path = regular_file(path, "a KITTI flow map")
    pixels = decode_png16(path.read_bytes(), str(path))
    valid = pixels[..., 2:] > 0
    flow = (pixels[..., :2].astype(np.float32) - _OFFSET) / np.float32(_SCALE)
    return np.where(valid, flow, np.float32(0)), valid.astype(np.float32)


def write_kitti_flow(path, flow, valid=None, saturate=False):
    """Write a KITTI flow map; components are rounded to the nearest 1/64 pixel.

    Args:
        path: File to write.
        flow: Array of shape (H, W, 2), pixels, each component within `KITTI_FLOW_RANGE`,
            -512 to 511.984375.
        valid: As for `write_flow`; unknown pixels are written as (0, 0, 0).
        saturate: Whether to clip larger motions, as the KITTI development kit does, rather than
            raise.

    Raises:
        ValueError, OSError: As `write_flow`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "000000_10.png"
        >>> write_kitti_flow(path, np.full((4, 6, 2), 600.0), saturate=True)
        >>> float(read_kitti_flow(path)[0].max())
        511.984375
    """
    flow, valid = check_flow(flow, valid)
    levels = _levels(np.where(valid, flow, 0))
    if not saturate and (levels.min() < 0 or levels.max() > 65535):
        low, high = KITTI_FLOW_RANGE
        known = flow[np.broadcast_to(valid, flow.shape)]
        raise ValueError(
            f"A KITTI file holds motions from {low} to {high} pixels (saturate=True clips them). "
            f"Received: {known.min():.6g} to {known.max():.6g}"
        )
    pixels = np.zeros((*flow.shape[:2], 3), np.uint16)
    pixels[..., :2] = np.where(valid, np.clip(levels, 0, 65535), 0)
    pixels[..., 2:] = valid
    data = encode_png16(pixels)
    with atomic_write(path) as file:
        file.write(data)


def holds_flow(flow):
    """Tell which motions a KITTI flow map can hold.

    Args:
        flow: Array of shape (H, W, 2), pixels.

    Returns:
        Boolean array (H, W, 1): whether both components are within `KITTI_FLOW_RANGE`.

    Example:
        >>> holds_flow(np.array([[[511.0, -512.0], [0.0, 513.0]]]))[..., 0].tolist()
        [[True, False]]
    """
    levels = _levels(flow)
    return np.all((levels >= 0) & (levels <= 65535), axis=-1, keepdims=True)


def _levels(flow):
    return np.rint(np.asarray(flow, np.float64) * _SCALE) + _OFFSET
