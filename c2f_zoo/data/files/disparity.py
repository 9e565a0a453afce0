"""Files of disparity: `.pfm`, KITTI's 16-bit png, and 8-bit images of scaled values."""

import math
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.images import as_numpy, load_parts, write_pixels
from c2f_zoo.data.files.pfm import read_pfm, write_pfm

_KITTI_SCALE = 256


def read_disparity(path, scale=None):
    """Read a disparity map.

    Args:
        path: `.pfm` (Scene Flow, Middlebury 2014, ETH3D), 16-bit grey image (KITTI: value / 256)
            or 8-bit grey image (Middlebury 2001 to 2006).
        scale: By what an image's values are divided; of 8-bit images it must be given (8 for the
            Middlebury images of 2001, 4 for those of 2003, 3 for those of 2005 and 2006 at a
            third of the size). Default for 16 bits: 256.

    Returns:
        Two float32 arrays: the disparity (H, W, 1) in pixels, 0 where unknown, and the mask
        (H, W, 1), 1 where known: finite and above 0.

    Raises:
        ValueError: If the file is of another kind or damaged, or the scale is missing.
        FileNotFoundError: If the file does not exist.

    Source: KITTI development kit; vision.middlebury.edu/stereo/data.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "000000_10.png"
        >>> write_disparity(path, np.array([[2.5, np.inf]]))
        >>> [array[0, :, 0].tolist() for array in read_disparity(path)]
        [[2.5, 0.0], [1.0, 0.0]]
    """
    if str(path).lower().endswith(".pfm"):
        values = read_pfm(path)
        if values.ndim != 2:
            raise ValueError(
                f"{path}: a disparity map has one channel. Received: {values.shape[2]}"
            )
        disparity = values[..., None]
    else:
        values = load_parts(path)[0]
        if values.shape[2] != 1:
            raise ValueError(
                f"{path}: a disparity map is a grey image. Received: {values.shape[2]} channels"
            )
        if scale is None:
            if values.dtype != np.uint16:
                raise ValueError(
                    f"{path}: an 8-bit disparity map needs its scale, such as scale=4. "
                    "Received: scale=None"
                )
            scale = _KITTI_SCALE
        disparity = values / np.float32(checks.number("scale", scale, above=0))
    known = np.isfinite(disparity) & (disparity > 0)
    return np.where(known, disparity, 0).astype(np.float32), known.astype(np.float32)


def write_disparity(path, disparity, valid=None):
    """Write a disparity map: `.pfm`, unknown pixels as infinity, or KITTI's 16-bit `.png`.

    Args:
        path: File to write; the extension chooses the format.
        disparity: Array (H, W) or (H, W, 1), pixels; unknown where negative, NaN or infinite. A
            png holds multiples of 1/256 up to 255.996, and 0 becomes 1/256, since 0 means unknown.
        valid: Mask (H, W) or (H, W, 1), nonzero where the disparity is known. Default: everywhere.

    Raises:
        ValueError: If the shape or the extension is another one, or a png cannot hold a value.
        OSError: The file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "disparity.pfm"
        >>> write_disparity(path, np.ones((2, 3)))
        >>> read_pfm(path).shape
        (2, 3)
    """
    disparity = _as_map("disparity", disparity)
    known = np.isfinite(disparity) & (disparity >= 0)
    if valid is not None:
        valid = _as_map("valid", valid)
        checks.same_shape(("disparity", "valid"), (disparity, valid), "(H, W)", (None, None))
        known &= valid > 0
    suffix = Path(path).suffix.lower()
    if suffix == ".pfm":
        write_pfm(path, np.where(known, disparity, math.inf))
        return
    if suffix != ".png":
        raise ValueError(f"A disparity map is written as .pfm or .png. Received: {path}")
    if not holds_disparity(disparity, known):
        raise ValueError(
            "A 16-bit png holds disparities up to 255.996; write a .pfm. "
            f"Received: {disparity[known].max():.6g}"
        )
    levels = np.rint(np.where(known, disparity, 0) * float(_KITTI_SCALE))
    write_pixels(path, np.where(known, np.maximum(levels, 1), 0).astype(np.uint16))


def holds_disparity(disparity, known=None):
    """Tell whether KITTI's 16-bit png can hold a disparity map.

    Args:
        disparity: Array of any shape, pixels; what is negative, NaN or infinite is unknown.
        known: Mask of the same shape, true where it is known besides. Default: everywhere.

    Returns:
        bool: whether no known value exceeds 255.996.

    Example:
        >>> holds_disparity([[255.9, np.inf]]), holds_disparity([[256.0]])
        (True, False)
    """
    disparity = np.asarray(disparity)
    is_known = np.isfinite(disparity) & (True if known is None else known)
    return bool(np.rint(np.where(is_known, disparity, 0) * float(_KITTI_SCALE)).max() <= 65535)


def _as_map(name, array):
    array = as_numpy(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    return checks.shape(name, array, "(H, W) or (H, W, 1)", (checks.SOME, checks.SOME))
