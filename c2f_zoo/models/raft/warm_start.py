"""Starting from the flow of the frame before: RAFT's warm start on video."""

import numpy as np

from c2f_zoo import backend, checks

_PAIRS = 2**21  # of pixel and vector, looked at at once


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
    return vectors[inside][_Cells(points[inside], height, width).nearest()].reshape(flow.shape)


class _Cells:
    """Points of a frame, sorted by the pixel that they are nearest to.

    The points around a pixel are then one stretch of the sorted list for each row of cells. Each
    pixel takes the smallest square of cells with a point in it, whose nearest point bounds the
    square that can hold a nearer one: some ten points a pixel where the vectors differ little from
    their neighbours.
    """

    def __init__(self, points, height, width):
        self.size = height, width
        # A point may lie half a pixel beyond the last pixel, in a cell of its own.
        columns, rows = np.floor(points + 0.5).astype(int).T
        cells = rows * (width + 1) + columns
        self.order = np.argsort(cells, kind="stable")
        self.points = points[self.order]
        counts = np.bincount(cells, minlength=(height + 1) * (width + 1))
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        table = counts.reshape(height + 1, width + 1).cumsum(0).cumsum(1)
        self.sums = np.pad(table, ((1, 0), (1, 0)))

    def nearest(self):
        """Index of the nearest point of each pixel, row by row; of equally near ones the first."""
        rows, columns = np.mgrid[: self.size[0], : self.size[1]].reshape(2, -1)
        radius = np.zeros_like(rows)
        is_empty = self._count(rows, columns, radius) == 0
        while is_empty.any():
            radius[is_empty] += 1
            is_empty[is_empty] = self._count(*(x[is_empty] for x in (rows, columns, radius))) == 0
        distance, _ = self._best(rows, columns, radius)
        # Points of cells further away are at least half a pixel nearer than their cell.
        return self._best(rows, columns, np.floor(np.sqrt(distance) + 0.5).astype(int))[1]

    def _bounds(self, rows, columns, radius):
        """First and last row and column of each square, within the cells there are."""
        height, width = self.size
        tops, lefts = np.maximum(rows - radius, 0), np.maximum(columns - radius, 0)
        return tops, np.minimum(rows + radius, height), lefts, np.minimum(columns + radius, width)

    def _count(self, rows, columns, radius):
        """Number of points in each square."""
        top, bottom, left, right = self._bounds(rows, columns, radius)
        above = self.sums[top, right + 1] - self.sums[top, left]
        return self.sums[bottom + 1, right + 1] - self.sums[bottom + 1, left] - above

    def _best(self, rows, columns, radius):
        """Squared distance and index of the nearest point in each square, none of them empty."""
        counts = self._count(rows, columns, radius)
        block = np.cumsum(counts) // _PAIRS
        parts = [
            self._best_of(*(x[begin:end] for x in (rows, columns, radius, counts)))
            for begin, end in _stretches(block)
        ]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _best_of(self, rows, columns, radius, counts):
        top, bottom, left, right = self._bounds(rows, columns, radius)
        owner, row = _ranges(top, bottom - top + 1)  # the rows of each square
        cells = row * (self.size[1] + 1)
        begin = self.starts[cells + left[owner]]
        end = self.starts[cells + right[owner] + 1]
        stretch, place = _ranges(begin, end - begin)  # the points of each row
        owner = owner[stretch]
        x, y = self.points[place].T
        distances = np.square(x - columns[owner]) + np.square(y - rows[owner])
        first = np.cumsum(counts) - counts
        shortest = np.minimum.reduceat(distances, first)
        index = np.where(distances == shortest[owner], self.order[place], len(self.order))
        return shortest, np.minimum.reduceat(index, first)


def _stretches(labels):
    """Begin and end of each run of equal labels."""
    cuts = np.flatnonzero(np.diff(labels)) + 1
    return zip([0, *cuts], [*cuts, len(labels)], strict=True)


def _ranges(begin, length):
    """All ranges one after the other: the number of the range, and the value in it."""
    owner = np.repeat(np.arange(len(length)), length)
    return owner, np.arange(len(owner)) + (begin - np.cumsum(length) + length)[owner]


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
