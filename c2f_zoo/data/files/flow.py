"""Optical flow files of any format, chosen by the extension."""

from pathlib import Path

import numpy as np

from c2f_zoo.data.files.flo import read_flo, write_flo
from c2f_zoo.data.files.flow_array import mark_unknown, split_unknown
from c2f_zoo.data.files.kitti_png import read_kitti_flow, write_kitti_flow
from c2f_zoo.data.files.pfm import read_pfm, write_pfm


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
        ValueError: If the extension is unknown, or the file is damaged or of another kind.
        FileNotFoundError: If the file does not exist.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.flo"
        >>> write_flow(path, np.ones((2, 3, 2)), valid=np.eye(2, 3))
        >>> flow, valid = read_flow(path)
        >>> valid[..., 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    extension = _extension(path)
    if extension == ".png":
        return read_kitti_flow(path)
    flow = read_flo(path) if extension == ".flo" else read_pfm(path)
    if flow.ndim != 3:
        raise ValueError(f"{path}: a flow needs a colour .pfm. Received: a grey one")
    return split_unknown(flow[..., :2])


def write_flow(path, flow, valid=None):
    """Write a flow file of any known format, chosen by its extension.

    Args:
        path: `.flo` (exact), `.png` (KITTI, rounded to 1/64 pixel) or `.pfm` (exact).
        flow: Array of shape (H, W, 2), pixels.
        valid: Mask of shape (H, W) or (H, W, 1), nonzero where the flow is known. Default: known
            everywhere.

    Raises:
        ValueError: If the extension is unknown, shapes are wrong, the flow is NaN or inf where it
            should be known, or motions are too large for a KITTI file.
        OSError: The file cannot be written; one that was there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "flow.pfm"
        >>> write_flow(path, np.full((2, 3, 2), (1.5, -2.0)))
        >>> read_flow(path)[0][0, 0].tolist()
        [1.5, -2.0]
    """
    extension = _extension(path)
    if extension == ".flo":
        write_flo(path, flow, valid)
    elif extension == ".png":
        write_kitti_flow(path, flow, valid)
    else:
        flow = mark_unknown(flow, valid)
        write_pfm(path, np.concatenate([flow, np.zeros_like(flow[..., :1])], axis=-1))


def _extension(path):
    extension = Path(path).suffix.lower()
    if extension not in (".flo", ".png", ".pfm"):
        raise ValueError(f"A flow file must be a .flo, .png (KITTI) or .pfm. Received: {path}")
    return extension
