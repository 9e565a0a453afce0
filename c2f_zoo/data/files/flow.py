"""Readers and writers of optical flow files: Middlebury `.flo`, KITTI `.png`, `.pfm`.

A flow is (H, W, 2) float32 in pixels, u right and v down. A validity mask is (H, W, 1) float32,
1 where the flow is known. Every writer makes its file whole or not at all.
"""

import re
import struct
from pathlib import Path

import numpy as np

from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.images import as_numpy
from c2f_zoo.data.files.png16 import decode_png16, encode_png16

# Middlebury: a component beyond the threshold means "unknown", and is written as 1e10.
UNKNOWN_FLOW = 1e10
UNKNOWN_FLOW_THRESHOLD = 1e9

_FLO_TAG = b"PIEH"  # the float 202021.25 in little-endian bytes
_FLO_HEADER = struct.Struct("<4sii")
_FLO_MOST_PIXELS = 2**28

# KITTI: stored = round(64 u) + 2^15 in 16 bits.
_KITTI_SCALE = 64.0
_KITTI_OFFSET = 2**15
KITTI_FLOW_RANGE = (-_KITTI_OFFSET / _KITTI_SCALE, (2**16 - 1 - _KITTI_OFFSET) / _KITTI_SCALE)

_PFM_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,32})(?:\r?\n|\s)")


def read_flo(path):
    """Read a Middlebury `.flo` file (also used by FlyingChairs and Sintel).

    Args:
        path: File to read.

    Returns:
        float32 array of shape (H, W, 2), pixels, exactly as stored: unknown motions are beyond
        `UNKNOWN_FLOW_THRESHOLD`. `read_flow` turns them into a mask.

    Raises:
        ValueError: The file is of another kind, truncated or too long; the message names it.
        FileNotFoundError: There is no such file.

    Source:
        Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011, and
        the format's description in its code: tag 202021.25 as float32, width and height as
        int32, then u and v interleaved, row by row, all little-endian.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "right.flo"
        >>> write_flo(path, np.full((4, 6, 2), (3.0, 0.0)))
        >>> read_flo(path)[0, 0].tolist()
        [3.0, 0.0]
    """
    path = Path(path).expanduser()
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_FLO_HEADER.size)
        if start[:4] != _FLO_TAG:
            raise ValueError(
                f"{path}: a .flo file starts with {_FLO_TAG!r}. "
                f"Received: {size} bytes that start with {start[:4]!r}"
            )
        if len(start) < _FLO_HEADER.size:
            raise ValueError(
                f"{path}: expected a header of {_FLO_HEADER.size} bytes. Received: {size} bytes"
            )
        _, width, height = _FLO_HEADER.unpack(start)
        if width < 1 or height < 1 or width * height > _FLO_MOST_PIXELS:
            raise ValueError(f"{path}: the size is impossible. Received: {width}x{height}")
        _check_bytes(path, size, _FLO_HEADER.size + 8 * width * height, f"{width}x{height}")
        flow = np.fromfile(file, "<f4", 2 * width * height)
    return flow.reshape(height, width, 2).astype(np.float32, copy=False)


def write_flo(path, flow, valid=None):
    """Write a Middlebury `.flo` file.

    Args:
        path: File to write.
        flow: Array of shape (H, W, 2), pixels.
        valid: Mask of shape (H, W) or (H, W, 1), nonzero where the flow is known; elsewhere
            `UNKNOWN_FLOW` is written. Default: known everywhere.

    Raises:
        ValueError: Wrong shapes, or NaN or inf where the flow should be known.
        OSError: The folder is missing or not writable, or the disk is full; a file that was
            there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.flo"
        >>> write_flo(path, np.zeros((4, 6, 2)))
        >>> path.stat().st_size == 12 + 8 * 4 * 6
        True
    """
    flow = _marked_unknown(*_checked_flow(flow, valid))
    height, width = flow.shape[:2]
    with atomic_write(path) as file:
        file.write(_FLO_HEADER.pack(_FLO_TAG, width, height))
        file.write(flow.astype("<f4").tobytes())


def read_kitti_flow(path):
    """Read a KITTI flow map, a PNG of 16-bit RGB (also used by HD1K).

    Args:
        path: File to read.

    Returns:
        Two float32 arrays: the flow (H, W, 2) in pixels, 0 where unknown, and the mask
        (H, W, 1), 1 where known.

    Raises:
        ValueError: The file is of another kind, truncated or damaged; the message names it.
        FileNotFoundError: There is no such file.

    Source:
        KITTI development kit: u = (R - 2^15) / 64, v = (G - 2^15) / 64, known where B > 0.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "000000_10.png"
        >>> write_kitti_flow(path, np.full((4, 6, 2), (3.0, -0.5)))
        >>> flow, valid = read_kitti_flow(path)
        >>> flow[0, 0].tolist(), valid.shape
        ([3.0, -0.5], (4, 6, 1))
    """
    path = Path(path).expanduser()
    pixels = decode_png16(path.read_bytes(), str(path))
    valid = pixels[..., 2:] > 0
    flow = (pixels[..., :2].astype(np.float32) - _KITTI_OFFSET) / np.float32(_KITTI_SCALE)
    return np.where(valid, flow, np.float32(0)), valid.astype(np.float32)


def write_kitti_flow(path, flow, valid=None, saturate=False):
    """Write a KITTI flow map, a PNG of 16-bit RGB.

    Components are rounded to the nearest 1/64 pixel.

    Args:
        path: File to write.
        flow: Array of shape (H, W, 2), pixels, each component within `KITTI_FLOW_RANGE`,
            -512 to 511.984375.
        valid: Mask of shape (H, W) or (H, W, 1), nonzero where the flow is known; unknown pixels
            are written as (0, 0, 0). Default: known everywhere.
        saturate: Whether to clip larger motions, as the KITTI development kit does, rather than
            raise. Default False.

    Raises:
        ValueError: Wrong shapes, NaN or inf where the flow should be known, or a component out
            of range.
        OSError: The folder is missing or not writable, or the disk is full; a file that was
            there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "000000_10.png"
        >>> write_kitti_flow(path, np.full((4, 6, 2), 600.0), saturate=True)
        >>> float(read_kitti_flow(path)[0].max())
        511.984375
    """
    flow, valid = _checked_flow(flow, valid)
    levels = np.rint(np.where(valid, flow, 0).astype(np.float64) * _KITTI_SCALE) + _KITTI_OFFSET
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


def read_pfm(path):
    """Read a portable float map (`.pfm`): FlyingThings3D's flow, Middlebury's disparity.

    Args:
        path: File to read.

    Returns:
        float32 array, first row on top: (H, W) from a grey file, (H, W, 3) from a colour one.
        The magnitude of the header's scale is ignored, as all published readers do; its sign
        gives the byte order.

    Raises:
        ValueError: The file is of another kind, truncated or too long; the message names it.
        FileNotFoundError: There is no such file.

    Source:
        P. Debevec, "PFM Portable FloatMap Image Format": header `PF` (colour) or `Pf` (grey),
        width, height, scale (negative: little-endian), then rows from the bottom up.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "disparity.pfm"
        >>> write_pfm(path, np.arange(6.0).reshape(2, 3))
        >>> read_pfm(path).tolist()
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    path = Path(path).expanduser()
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(128)
        header = _PFM_HEADER.match(start)
        scale = _pfm_scale(header)
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
        what = f"{width}x{height} with {channels} channel{'s' * (channels > 1)}"
        _check_bytes(path, size, header.end() + 4 * count, what)
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
        ValueError: Another shape or byte order.
        OSError: The folder is missing or not writable, or the disk is full; a file that was
            there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "color.pfm"
        >>> write_pfm(path, np.zeros((2, 3, 3)))
        >>> read_pfm(path).shape
        (2, 3, 3)
    """
    if byte_order not in ("little", "big"):
        raise ValueError(f"byte_order is 'little' or 'big'. Received: {byte_order!r}")
    array = as_numpy(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or not array.size:
        raise ValueError(
            "A .pfm file holds a non-empty array of shape (H, W), (H, W, 1) or (H, W, 3). "
            f"Received: shape {array.shape}"
        )
    height, width = array.shape[:2]
    kind = "PF" if array.ndim == 3 else "Pf"
    header = f"{kind}\n{width} {height}\n{'-1.0' if byte_order == 'little' else '1.0'}\n"
    with atomic_write(path) as file:
        file.write(header.encode())
        file.write(array[::-1].astype("<f4" if byte_order == "little" else ">f4").tobytes())


def read_flow(path):
    """Read a flow file of any known format, chosen by its extension.

    Args:
        path: `.flo` (Middlebury), `.png` (KITTI) or `.pfm` (FlyingThings3D: u, v and an unused
            channel).

    Returns:
        Two float32 arrays: the flow (H, W, 2) in pixels, 0 where unknown, and the mask
        (H, W, 1), 1 where known. In `.flo` and `.pfm` files a component that is not finite or
        beyond `UNKNOWN_FLOW_THRESHOLD` makes its pixel unknown.

    Raises:
        ValueError: Another extension, or the file is damaged or of another kind.
        FileNotFoundError: There is no such file.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.flo"
        >>> write_flow(path, np.ones((2, 3, 2)), valid=np.eye(2, 3))
        >>> flow, valid = read_flow(path)
        >>> valid[..., 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    path = Path(path).expanduser()
    extension = _flow_extension(path)
    if extension == ".png":
        return read_kitti_flow(path)
    if extension == ".flo":
        flow = read_flo(path)
    else:
        flow = read_pfm(path)
        if flow.ndim != 3:
            raise ValueError(f"{path}: a flow needs a colour .pfm. Received: a grey one")
        flow = flow[..., :2]
    # A comparison with NaN is False, so NaN counts as unknown.
    known = (np.abs(flow) <= UNKNOWN_FLOW_THRESHOLD).all(axis=-1, keepdims=True)
    return np.where(known, flow, np.float32(0)), known.astype(np.float32)


def write_flow(path, flow, valid=None):
    """Write a flow file of any known format, chosen by its extension.

    Args:
        path: `.flo` (exact), `.png` (KITTI, rounded to 1/64 pixel) or `.pfm` (exact).
        flow: Array of shape (H, W, 2), pixels.
        valid: Mask of shape (H, W) or (H, W, 1), nonzero where the flow is known. Default: known
            everywhere.

    Raises:
        ValueError: Another extension, wrong shapes, NaN or inf where the flow should be known,
            or motions too large for a KITTI file.
        OSError: The folder is missing or not writable, or the disk is full; a file that was
            there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.pfm"
        >>> write_flow(path, np.full((2, 3, 2), (1.5, -2.0)))
        >>> read_flow(path)[0][0, 0].tolist()
        [1.5, -2.0]
    """
    extension = _flow_extension(Path(path))
    if extension == ".flo":
        write_flo(path, flow, valid)
    elif extension == ".png":
        write_kitti_flow(path, flow, valid)
    else:
        flow = _marked_unknown(*_checked_flow(flow, valid))
        write_pfm(path, np.concatenate([flow, np.zeros_like(flow[..., :1])], axis=-1))


def _flow_extension(path):
    extension = path.suffix.lower()
    if extension not in (".flo", ".png", ".pfm"):
        raise ValueError(f"A flow file is a .flo, .png (KITTI) or .pfm. Received: {path}")
    return extension


def _check_bytes(path, found, expected, what):
    if found != expected:
        state = "truncated" if found < expected else "too long"
        raise ValueError(
            f"{path}: the file is {state}: {what} takes {expected} bytes. Received: {found} bytes"
        )


def _pfm_scale(header):
    """Return the scale of a matched header, or None where there is no proper one."""
    try:
        return float(header[4]) if header else None
    except ValueError:
        return None


def _checked_flow(flow, valid):
    """Return the flow as float32 (H, W, 2) and the mask as bool (H, W, 1)."""
    flow = as_numpy(flow)
    if flow.ndim != 3 or flow.shape[2] != 2 or not flow.size or flow.dtype.kind not in "fiu":
        raise ValueError(
            "A flow is a non-empty array of numbers of shape (H, W, 2). "
            f"Received: shape {flow.shape}, dtype {flow.dtype}"
        )
    flow = flow.astype(np.float32, copy=False)
    if valid is None:
        known = np.ones((*flow.shape[:2], 1), bool)
    else:
        known = as_numpy(valid)
        if known.shape not in (flow.shape[:2], (*flow.shape[:2], 1)):
            raise ValueError(
                f"The mask of a flow of shape {flow.shape} has shape {flow.shape[:2]} or "
                f"{(*flow.shape[:2], 1)}. Received: shape {known.shape}"
            )
        known = known.reshape(*flow.shape[:2], 1) != 0
    bad = int((~np.isfinite(flow) & known).sum())
    if bad:
        raise ValueError(
            "A known flow is finite (mark the other pixels as unknown with `valid`). "
            f"Received: {bad} values that are NaN or inf"
        )
    return flow, known


def _marked_unknown(flow, known):
    return np.where(known, flow, np.float32(UNKNOWN_FLOW))
