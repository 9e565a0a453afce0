"""What a renderer's passes say about motion, disparity and what is hidden.

All of it follows from two passes of a render with one ray through the middle of each pixel: where
in the world the ray ends, and on which object. Coordinates: a camera looks along its -Z with Y up
(Blender, OpenGL); pixel (x, y) has its middle at (x, y), y down.
"""

import struct
from typing import NamedTuple

import numpy as np

TOLERANCE = 0.01  # of the depth, up to which two points are the same


class Camera(NamedTuple):
    """A pinhole camera with square pixels.

    Attributes:
        pose: Array (4, 4), camera to world, rotation and translation alone.
        focal: Focal length in pixels.
        size: Height and width in pixels; the axis meets the middle of the image.
    """

    pose: np.ndarray
    focal: float
    size: tuple[int, int]

    def moved_right(self, baseline: float) -> "Camera":
        """The right camera of a rectified pair, `baseline` metres along the image's rows."""
        pose = self.pose.copy()
        pose[:3, 3] += baseline * pose[:3, 0]
        return self._replace(pose=pose)


class View(NamedTuple):
    """What one camera sees at one time.

    Attributes:
        camera: The `Camera`.
        points: float array (H, W, 3), where the ray of each pixel ends, metres.
        index: int array (H, W), the object it ends on, 0 for none.
    """

    camera: Camera
    points: np.ndarray
    index: np.ndarray


def project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place in the image (..., 2), pixels, and depth (...) of points (..., 3) in the world.

    The depth is measured along the camera's axis; at or below 0 is behind the camera, where the
    place means nothing.
    """
    turn, origin = camera.pose[:3, :3], camera.pose[:3, 3]
    local = (np.asarray(points, np.float64) - origin) @ turn
    depth = -local[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = camera.focal * local[..., :2] / depth[..., None]
    height, width = camera.size
    middle = np.array([width, height]) / 2 - 0.5
    return middle + offset * (1, -1), depth


def moved(points: np.ndarray, index: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Points (H, W, 3) on objects that move rigidly, at the second time.

    Args:
        points: Points at the first time.
        index: Object of each, from 1; 0 is at rest.
        poses: Array (2, N, 4, 4), poses of the objects 1 to N at both times.
    """
    change = np.concatenate([np.eye(4)[None], poses[1] @ np.linalg.inv(poses[0])])[index]
    points = np.asarray(points, np.float64)
    return np.einsum("...ij,...j->...i", change[..., :3, :3], points) + change[..., :3, 3]


def depth_of(view: View) -> np.ndarray:
    """Depth (H, W) of a view along the camera's axis, metres; 0 where it sees nothing."""
    return np.where(view.index > 0, project(view.camera, view.points)[1], 0.0)


def displacement(view: View, points: np.ndarray, camera: Camera) -> np.ndarray:
    """Where the pixels of a view go, (H, W, 2) pixels, when their points are seen elsewhere.

    Args:
        view: The view whose pixels are followed.
        points: Array (H, W, 3), its points at the other time.
        camera: The camera that sees them there.
    """
    return project(camera, points)[0] - project(view.camera, view.points)[0]


def motion_vectors(vectors: np.ndarray, forward: bool) -> np.ndarray:
    """Flow (H, W, 2) by Blender's own pass of vectors (H, W, 4), without motion blur.

    X and Y lead to the previous frame, Z and W come from the next one; Y and W point up.
    """
    return vectors[..., 2:] * (-1, 1) if forward else vectors[..., :2] * (1, -1)


def hidden(view: View, points: np.ndarray, other: View) -> np.ndarray:
    """Which pixels of a view the other view does not see: bool array (H, W).

    A pixel is seen if its point lies inside of the other image and one of the four pixels around
    its place shows the same object at the same depth. Where the four differ in depth, as on a
    slope, what lies between them is taken as seen.

    Args:
        view: The view whose pixels are followed.
        points: Array (H, W, 3), its points at the time of the other view.
        other: The view in which they are sought.
    """
    place, depth = project(other.camera, points)
    height, width = other.index.shape
    with np.errstate(invalid="ignore"):
        inside = (depth > 0) & (place >= 0).all(-1) & (place <= (width - 1, height - 1)).all(-1)
    corner = np.floor(np.where(inside[..., None], place, 0)).astype(int)
    x = np.stack([corner[..., 0], np.minimum(corner[..., 0] + 1, width - 1)])
    y = np.stack([corner[..., 1], np.minimum(corner[..., 1] + 1, height - 1)])
    there, theirs = depth_of(other), other.index
    nearest, farthest = np.full(depth.shape, np.inf), np.full(depth.shape, -np.inf)
    for column in x:
        for row in y:
            same = theirs[row, column] == view.index
            found = there[row, column]
            nearest = np.where(same, np.minimum(nearest, found), nearest)
            farthest = np.where(same, np.maximum(farthest, found), farthest)
    seen = (depth >= nearest * (1 - TOLERANCE)) & (depth <= farthest * (1 + TOLERANCE))
    return ~(inside & seen & (view.index > 0))


def exposed(radiance: np.ndarray, key: float, white: float) -> np.ndarray:
    """Radiance (H, W, 3) as a photograph: uint8, sRGB, highlights compressed.

    Args:
        radiance: Linear RGB.
        key: The radiance that becomes middle grey.
        white: The radiance that becomes white.
    """
    scaled = np.clip(radiance, 0, None) * (0.18 / key)
    limit = max(white * 0.18 / key, 1.0)
    scaled = np.clip(scaled * (1 + scaled / limit**2) / (1 + scaled), 0, 1)  # Reinhard's curve
    curve = np.where(scaled <= 0.0031308, 12.92 * scaled, 1.055 * scaled ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)


def exposure(radiance: np.ndarray) -> tuple[float, float]:
    """The radiance of middle grey and of white for a picture (H, W, 3): one for all its views."""
    light = np.clip(radiance, 0, None) @ (0.2126, 0.7152, 0.0722)
    key = float(np.exp(np.log(light + 1e-4 * light.mean() + 1e-9).mean()))
    return key, float(np.percentile(light, 99))


_EXR_TYPES = {0: "<u4", 1: "<f2", 2: "<f4"}


def read_exr(data: bytes) -> dict[str, np.ndarray]:
    """The channels of an uncompressed OpenEXR image of scanlines: arrays (H, W) by name.

    Source: "OpenEXR File Layout", openexr.com.
    """
    if data[:4] != b"\x76\x2f\x31\x01" or data[5] & 0x1A:
        raise ValueError(f"Expected a single-part scanline OpenEXR image. Received: {data[:8]!r}")
    header, position = {}, 8
    while data[position]:
        name, position = _until_zero(data, position)
        _, position = _until_zero(data, position)
        (length,) = struct.unpack_from("<i", data, position)
        header[name] = data[position + 4 : position + 4 + length]
        position += 4 + length
    if header["compression"] != b"\0":
        raise ValueError(f"Expected no compression. Received: {header['compression'][0]}")
    left, top, right, bottom = struct.unpack("<4i", header["dataWindow"])
    height, width = bottom - top + 1, right - left + 1
    channels, place = [], 0
    while header["channels"][place]:
        name, place = _until_zero(header["channels"], place)
        (kind,) = struct.unpack_from("<i", header["channels"], place)
        channels.append((name, _EXR_TYPES[kind], (width,)))
        place += 16
    line = np.dtype([("row", "<i4"), ("bytes", "<i4"), *channels])
    start = position + 1 + 8 * height  # behind the table of offsets
    lines = np.frombuffer(data, line, height, start)
    return {name: lines[name] for name, *_ in channels}


def _until_zero(data: bytes, start: int) -> tuple[str, int]:
    end = data.index(0, start)
    return data[start:end].decode(), end + 1
