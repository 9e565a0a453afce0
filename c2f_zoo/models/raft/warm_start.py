"""Starting from the flow of the frame before: RAFT's warm start on video."""

import math

import numpy as np

from c2f_zoo import backend, checks

_LEAF = 8  # points, at most
_PIXELS = 2**13  # looked at at once


def forward_interpolate(flow):
    """Move a flow along itself: what the next frame's pixels can be expected to do.

    Each vector is carried to where it points; each pixel of the grid then takes the vector that
    came nearest to it. Vectors that leave the frame are dropped.

    Args:
        flow: numpy array (h, w, 2), in pixels of its own grid.

    Returns:
        numpy float32 (h, w, 2); zeros if every vector leaves the frame.

    Raises:
        ValueError: If the flow has another shape.

    Source: RAFT (arXiv 2003.12039), section 4, "warm-start"; nearest neighbours as in its code.

    Example:
        >>> flow = np.zeros((3, 6, 2)); flow[:, 1:3, 0] = 2.0
        >>> forward_interpolate(flow)[1, :, 0].tolist()
        [2.0, 2.0, 2.0, 2.0, 2.0, 0.0]
    """
    checks.shape("flow", flow, "(h, w, 2)", (checks.SOME, checks.SOME, 2))
    flow = np.asarray(flow, "float32")
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].reshape(2, -1)
    vectors = flow.reshape(-1, 2)
    points = np.stack([columns, rows], -1) + vectors.astype("float64")
    # Strictly inside, as in the released code.
    inside = np.all((points > 0) & (points < (width, height)), axis=1)
    if not inside.any():
        return np.zeros_like(flow)
    # Of vectors that meet in one point the first counts.
    points, first = np.unique(points[inside], axis=0, return_index=True)
    by_first = np.argsort(first)
    tree = _Tree(points[by_first])
    pixels = np.stack([columns, rows], -1)
    parts = (tree.nearest(pixels[i : i + _PIXELS]) for i in range(0, len(pixels), _PIXELS))
    nearest = first[by_first][np.concatenate(list(parts))]
    return vectors[inside][nearest].reshape(flow.shape)


class _Tree:
    """A k-d tree of points in the plane, all of whose leaves are equally deep.

    A pixel first descends to the leaf whose boxes are nearest, which bounds the distance; then all
    boxes within this bound are visited, level by level. So the time grows little faster than the
    number of pixels wherever the points are, also where they fall together.

    Args:
        points: numpy float64 (n, 2), no two of them equal.
    """

    def __init__(self, points):
        self.depth = max(0, math.ceil(math.log2(len(points) / _LEAF)))
        leaves = 2**self.depth
        size = -(-len(points) // leaves)
        # What fills up the leaves is infinitely far from everything.
        padding = ((0, leaves * size - len(points)), (0, 0))
        points = np.pad(points, padding, constant_values=np.inf)
        order = np.arange(len(points))[None]
        self.boxes = []  # of every level: smallest and largest coordinates, (nodes, 2) each
        for level in range(self.depth + 1):
            inside = points[order]
            high = np.where(np.isfinite(inside), inside, -np.inf).max(1)
            self.boxes.append((inside.min(1), high))
            if level < self.depth:
                by_axis = np.argsort(inside[..., level % 2], axis=1, kind="stable")
                order = np.take_along_axis(order, by_axis, 1).reshape(2 * len(order), -1)
        self.order, self.points = order, points[order]

    def nearest(self, pixels):
        """Index of the nearest point of each pixel (q, 2); of equally near ones the first."""
        node = np.zeros(len(pixels), int)
        for level in range(1, self.depth + 1):
            left, right = (self._to_boxes(level, 2 * node + side, pixels) for side in (0, 1))
            node = 2 * node + (right < left)
        bound = self._to_points(node, pixels).min(1)
        owner, node = np.arange(len(pixels)), np.zeros(len(pixels), int)
        for level in range(1, self.depth + 1):
            owner, node = np.repeat(owner, 2), np.stack([2 * node, 2 * node + 1], 1).ravel()
            is_near = self._to_boxes(level, node, pixels[owner]) <= bound[owner]
            owner, node = owner[is_near], node[is_near]
        distances = self._to_points(node, pixels[owner])
        first = np.searchsorted(owner, np.arange(len(pixels)))
        shortest = np.minimum.reduceat(distances.min(1), first)
        is_best = distances == shortest[owner, None]
        return np.minimum.reduceat(
            np.where(is_best, self.order[node], self.order.size).min(1), first
        )

    def _to_boxes(self, level, node, pixels):
        """Squared distance of each pixel to a box of a level, 0 inside."""
        low, high = (corner[node] for corner in self.boxes[level])
        return np.square(np.maximum(0, np.maximum(low - pixels, pixels - high))).sum(1)

    def _to_points(self, node, pixels):
        """Squared distances of each pixel to the points of a leaf, (q, size)."""
        return np.square(self.points[node] - pixels[:, None]).sum(-1)


def expected_flow(before, shape):
    """What to expect of the next pair of frames.

    Args:
        before: List of the last pair's flow (1, h, w, 2), or an empty one.
        shape: (1, h, w, ...).

    Returns:
        numpy float32 (1, h, w, 2): that flow carried forward; zeros without one.
    """
    if not before:
        return np.zeros((*shape[:3], 2), "float32")
    return forward_interpolate(backend.to_numpy(before[0])[0])[None]
