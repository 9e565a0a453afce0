"""Frames and flow of a known motion, for the tests of the augmentation."""

import numpy as np

from c2f_zoo.data.flow.augmentation import FlowAugmentation
from c2f_zoo.data.flow.augmentation_geometry import AffineGeometry

SIZE, SOURCE = (24, 32), (40, 56)
STILL = AffineGeometry(
    translate=0.0,
    rotate=0.0,
    zoom=(0.0, 0.0),
    squeeze=0.0,
    relative_translate=0.0,
    relative_rotate=0.0,
    relative_zoom=0.0,
)


def grid(height, width):
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype("float64")


def texture(points):
    """A smooth colour image as a function of (x, y) (..., 2)."""
    x, y = points[..., 0], points[..., 1]
    waves = [np.sin(x / 7 + y / 11), np.cos(x / 9 - y / 6 + 1), np.sin(x / 13 - 2) * np.cos(y / 8)]
    return 0.5 + 0.3 * np.stack(waves, axis=-1)


def affine_pair(batch=2, matrix=((0.02, -0.03), (0.05, 0.01)), offset=(1.3, -0.8)):
    """Frames and flow of one affine motion; frame 1 shows at p what frame 2 shows at p + flow."""
    points = grid(*SOURCE)
    flow = points @ np.array(matrix).T + np.array(offset)
    image1, image2 = texture(points + flow), texture(points)
    return [np.stack([array] * batch).astype("float32") for array in (image1, image2, flow)]


def exact_flow(maps1, maps2, motion, size):
    """T2^-1(T1(x) + flow(T1(x))) - x in float64, for a flow given as a function of points."""
    out = grid(*size)
    seen = out @ maps1[:, :2].T + maps1[:, 2]
    moved = seen + motion(seen)
    return (moved - maps2[:, 2]) @ np.linalg.inv(maps2[:, :2]).T - out


def plain(size=SIZE, geometry=None, **options):
    return FlowAugmentation(size, geometry or AffineGeometry(), **options)


def draw_maps(geometry, index=0, source=SOURCE, size=SIZE, strength=1.0):
    return geometry.draw(np.random.default_rng(index), source, size, strength)
