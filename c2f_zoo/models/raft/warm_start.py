"""Starting from the flow of the frame before: RAFT's warm start on video."""

import numpy as np

from c2f_zoo import backend, checks

_DISTANCES = 2**24  # distances computed at once


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
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
    grid = grid.astype("float64")
    vectors = flow.reshape(-1, 2)
    points = grid + vectors
    # Strictly inside, as in the released code.
    inside = np.all((points > 0) & (points < (width, height)), axis=1)
    points, vectors = points[inside], vectors[inside]
    if not len(points):
        return np.zeros_like(flow)
    nearest, step = [], max(1, _DISTANCES // len(points))
    for begin in range(0, len(grid), step):
        # Squared distances less the grid point's own square, which does not change the order.
        distances = np.square(points).sum(1) - 2 * grid[begin : begin + step] @ points.T
        nearest.append(distances.argmin(axis=1))
    return vectors[np.concatenate(nearest)].reshape(flow.shape)


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
