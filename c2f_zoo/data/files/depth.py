"""Files of depth: 16-bit png of millimetres or another unit, `.npy` and `.pfm` of metres."""

from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.checks import regular_file
from c2f_zoo.data.files.images import as_numpy, load_parts, write_pixels
from c2f_zoo.data.files.pfm import read_pfm, write_pfm

MILLIMETRES = 1000.0  # steps of a png in a metre


def read_depth(path, scale=MILLIMETRES):
    """Read a depth map.

    Args:
        path: 16-bit grey image of steps, or `.npy` or `.pfm` of metres.
        scale: Steps of an image in a metre: 1000 (default) for millimetres, as of ScanNet, NYU and
            Redwood; 5000 for TUM RGB-D, 256 for KITTI's depth.

    Returns:
        Two float32 arrays: the depth (H, W, 1) in metres, 0 where unknown, and the mask (H, W, 1),
        1 where known: finite and above 0.

    Raises:
        ValueError: If the file is of another kind, of 8 bits, or damaged.
        FileNotFoundError: If the file does not exist.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "depth.png"
        >>> write_depth(path, np.array([[1.5, np.nan]]))
        >>> [array[0, :, 0].tolist() for array in read_depth(path)]
        [[1.5, 0.0], [1.0, 0.0]]
    """
    scale = checks.number("scale", scale, above=0)
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        depth = _read_npy(path)
    elif suffix == ".pfm":
        depth = read_pfm(path)
    else:
        depth = load_parts(path)[0]
        if depth.dtype != np.uint16:
            raise ValueError(
                f"{path}: a depth map is a grey image of 16 bits. Received: {depth.dtype}, "
                f"{depth.shape[2]} channels"
            )
        depth = depth / np.float32(scale)
    depth = depth[..., None] if depth.ndim == 2 else depth
    checks.shape(f"{path}: the depth", depth, "(H, W) or (H, W, 1)", (checks.SOME, checks.SOME, 1))
    known = np.isfinite(depth) & (depth > 0)
    return np.where(known, depth, 0).astype(np.float32), known.astype(np.float32)


def write_depth(path, depth, scale=MILLIMETRES):
    """Write a depth map: `.png` of 16 bits, 0 where unknown, `.npy` or `.pfm`.

    Args:
        path: File to write; the extension chooses the format. `.npy` holds float32 (H, W), and
            both it and `.pfm` hold metres, 0 where unknown.
        depth: Array (H, W) or (H, W, 1), metres; unknown where not above 0, NaN or infinite.
        scale: Steps of a png in a metre, 1000 for millimetres (default), which reach 65.535 m.
            Known depths below half a step become one, since 0 means unknown.

    Raises:
        ValueError: If the shape or the extension is another one, or a png cannot hold a depth.
        OSError: The file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "depth.npy"
        >>> write_depth(path, np.full((2, 3), 70.0))
        >>> np.load(path).shape
        (2, 3)
    """
    depth = as_numpy(depth)
    depth = depth[..., 0] if depth.ndim == 3 and depth.shape[2] == 1 else depth
    checks.shape("depth", depth, "(H, W) or (H, W, 1)", (checks.SOME, checks.SOME))
    scale = checks.number("scale", scale, above=0)
    known = np.isfinite(depth) & (depth > 0)
    depth, suffix = np.where(known, depth, 0).astype(np.float32), Path(path).suffix.lower()
    if suffix == ".npy":
        with atomic_write(path) as file:
            np.save(file, depth)
    elif suffix == ".pfm":
        write_pfm(path, depth)
    elif suffix == ".png":
        steps = np.rint(depth.astype(np.float64) * scale)
        if steps.max(initial=0) > 65535:
            raise ValueError(
                f"A 16-bit png of {scale:g} steps in a metre holds depths up to "
                f"{65535 / scale:.6g} m: choose a smaller scale, or .npy. "
                f"Received: {depth.max():.6g} m"
            )
        write_pixels(path, np.where(known, np.maximum(steps, 1), 0).astype(np.uint16))
    else:
        raise ValueError(f"A depth map is written as .png, .npy or .pfm. Received: {path}")


def _read_npy(path):
    path = regular_file(path, "a .npy file")
    try:
        # Mapped, a header that claims more than the file holds is refused and takes no memory.
        values = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except PermissionError:
        raise
    # numpy reports damage as OSError, ValueError, EOFError, tokenize.TokenError and others.
    except Exception as error:
        raise ValueError(f"The array cannot be read: {error}. Received: {path}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        found = getattr(values, "dtype", type(values).__name__)
        raise ValueError(f"{path}: a depth map holds floats. Received: {found}")
    return values
