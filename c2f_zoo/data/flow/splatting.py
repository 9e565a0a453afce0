"""Forward warping: every pixel of a frame is moved by its own flow, and added where it lands."""

import numpy as np

from c2f_zoo import checks


def splat(values, flow, importance=None):
    """Move the pixels of an array by their flow and average what lands on each pixel.

    A pixel at x is shared among the four pixels around x + flow(x), by bilinear weights. Where
    several land on one pixel, each counts by its importance; with the exponential of a score as
    the importance, this is softmax splatting.

    Args:
        values: Array (H, W, C), what is moved.
        flow: Array (H, W, 2), pixels. A pixel whose flow is not finite goes nowhere.
        importance: Array (H, W, 1), at least 0, or None for 1 everywhere.

    Returns:
        float32 array (H, W, C), the weighted mean of what landed, 0 where nothing did; and
        float32 array (H, W, 1), the sum of the weights.

    Raises:
        ValueError: If the shapes do not fit.

    Source: Niklaus and Liu, "Softmax Splatting for Video Frame Interpolation", CVPR 2020.

    Example:
        >>> values = np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1)
        >>> flow = np.array([[1.0, 0.0], [0.0, 0.0], [0.5, 0.0]]).reshape(1, 3, 2)
        >>> moved, weight = splat(values, flow)
        >>> moved.ravel().tolist(), weight.ravel().tolist()
        ([0.0, 1.5, 4.0], [0.0, 2.0, 0.5])
    """
    values, flow = np.asarray(values, np.float32), np.asarray(flow, np.float32)
    height, width, channels = checks.shape("values", values, "(H, W, C)", (None, None, None)).shape
    checks.shape("flow", flow, f"({height}, {width}, 2)", (height, width, 2))
    if importance is None:
        importance = np.ones((height, width, 1), np.float32)
    importance = np.asarray(importance, np.float32)
    checks.shape("importance", importance, f"({height}, {width}, 1)", (height, width, 1))
    total = np.zeros((channels + 1, height * width))
    # In float64: float32 counts columns beyond 2^24 pixels wrongly, and sums less exactly.
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    left, top = np.floor(x), np.floor(y)
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        with np.errstate(invalid="ignore"):
            weight = importance[..., 0] * (1 - np.abs(x - column)) * (1 - np.abs(y - row))
            lands = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (weight > 0)
        index = (row[lands] * width + column[lands]).astype(np.int64)
        weight = weight[lands]
        for channel in range(channels):
            moved = weight * values[..., channel][lands]
            total[channel] += np.bincount(index, moved, height * width)
        total[channels] += np.bincount(index, weight, height * width)
    weight = total[channels]
    mean = np.divide(
        total[:channels], weight, out=np.zeros_like(total[:channels]), where=weight > 0
    )
    mean = mean.T.reshape(height, width, channels)
    return mean.astype(np.float32), weight.reshape(height, width, 1).astype(np.float32)
