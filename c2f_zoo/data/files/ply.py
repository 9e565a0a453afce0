"""Point clouds as `.ply`, which MeshLab, CloudCompare and Blender open.

Source: G. Turk, "The PLY Polygon File Format", 1994.
"""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.atomic import atomic_write

_HEADER = """ply
format binary_little_endian 1.0
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
"""
_VERTEX = np.dtype([("place", "<f4", 3), ("color", "u1", 3)])


def write_ply(path, points, colors):
    """Write coloured points.

    Args:
        path: File to write.
        points: Array (N, 3), x, y, z. Points that are not finite are left out.
        colors: Array (N, 3), RGB in [0, 1].

    Raises:
        ValueError: If a shape is another one.
        OSError: The file cannot be written; one that was there before is kept.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "points.ply"
        >>> write_ply(path, np.zeros((2, 3)), np.ones((2, 3)))
        >>> path.read_bytes().split(b"end_header")[0].splitlines()[2]
        b'element vertex 2'
    """
    points, colors = np.asarray(points), np.asarray(colors)
    checks.same_shape(("points", "colors"), (points, colors), "(N, 3)", (None, 3))
    kept = np.isfinite(points).all(axis=1)
    vertices = np.empty(int(kept.sum()), _VERTEX)
    vertices["place"] = points[kept]
    vertices["color"] = np.rint(255 * colors[kept].clip(0, 1))
    with atomic_write(path) as file:
        file.write(_HEADER.format(count=len(vertices)).encode())
        file.write(vertices.tobytes())
