"""All-pairs correlation of two feature maps at several scales, and the lookup around a flow."""

import copy
import math

from keras import ops

from c2f_zoo import backend, checks

# Largest correlation volume of one level, in bytes, that is stored rather than computed anew at
# each lookup. RAFT's training crops and Sintel's frames stay below; at 1088x1920 the first level
# would take 4.3 GB.
VOLUME_MEMORY = 2**29
LARGEST_VOLUME = 2**31  # numbers of a volume that int32 indices reach
GATHER_MEMORY = 2**26  # bytes of key features that a lookup without volume gathers at once


class CorrelationPyramid:
    """Correlation of every query pixel with every key pixel, the keys pooled by several factors.

    `C_p[i, j] = <query_i, key_p_j> / sqrt(D)`, where `key_p` is the key map averaged over p x p
    cells (what is left over at the bottom and right is dropped) and D the number of channels. By
    linearity this is the volume of the unpooled keys, pooled. A level whose volume exceeds
    `memory` is not stored: a lookup then correlates the few keys that it needs, with equal results.

    Args:
        query: Tensor (B, h, w, D), features of image 1.
        key: Tensor (B, h, w, D), features of image 2.
        pooling: Pooling factor of each level, increasing integers of at least 1. A level that
            pooling leaves without cells counts as outside the frame.
        memory: Largest volume of a level that is stored, in bytes; at most 8 GiB are. Volumes
            whose size TensorFlow does not know before it runs are always stored.

    Raises:
        ValueError: If the shapes differ or are not of rank 4, or the factors do not increase.

    Source: RAFT (arXiv 2003.12039), section 3.2.

    Example:
        >>> import numpy as np
        >>> features = np.ones((1, 8, 8, 4), "float32")
        >>> pyramid = CorrelationPyramid(features, features, pooling=(1, 2))
        >>> window = pyramid.lookup(np.full((1, 8, 8, 2), 3.5, "float32"), radius=1)
        >>> tuple(window.shape), float(window[0, 0, 0, 0])
        ((1, 8, 8, 18), 2.0)
    """

    def __init__(self, query, key, pooling=(1, 2, 4, 8), memory=VOLUME_MEMORY):
        query, key = ops.convert_to_tensor(query), ops.convert_to_tensor(key)
        shape = checks.same_shape(("query", "key"), (query, key), "(B, h, w, D)", (None,) * 4)
        self.pooling = pooling_factors(pooling)
        self.memory = checks.number("memory", memory, least=0)
        batch, height, width, self.channels = ops.shape(query)
        self.grid = (batch, height, width)
        pixels = (batch, height * width, self.channels)
        query = backend.at_least_float32(query) * self.channels**-0.5
        self.query = ops.reshape(query, pixels)
        self.levels = []
        for factor in self.pooling:
            keys = _pooled(backend.at_least_float32(key), factor)
            rows, columns = ops.shape(keys)[1:3]
            keys = ops.reshape(keys, (batch, rows * columns, self.channels))
            cells = (shape[0], shape[1], shape[2], *_pooled_sizes(shape[1:3], factor))
            is_stored = None in cells or (
                4 * math.prod(cells) <= self.memory and math.prod(cells) <= LARGEST_VOLUME
            )
            if is_stored:
                keys = ops.matmul(self.query, ops.transpose(keys, (0, 2, 1)))
            self.levels.append((keys, rows, columns, is_stored))

    @property
    def tensors(self):
        """The tensors that a lookup depends on: the query (B, h w, D), and one of each level."""
        return [self.query, *(level[0] for level in self.levels)]

    def replaced(self, tensors):
        """Make the same pyramid of other tensors.

        Args:
            tensors: List of tensors of the shapes of `tensors`.

        Returns:
            `CorrelationPyramid`.
        """
        other = copy.copy(self)
        other.query, *values = tensors
        other.levels = [
            (value, *level[1:]) for value, level in zip(values, self.levels, strict=True)
        ]
        return other

    def lookup(self, coordinates, radius=4):
        """Sample each level in a window around the given positions.

        At the level of factor p the window's centre is `coordinates / p` and its samples lie at
        whole distances up to `radius` from it, bilinearly interpolated, zeros outside the frame.

        Args:
            coordinates: Tensor (B, h, w, 2): x and y, in pixels of the key map, of where each
                query pixel is looked for.
            radius: Integer r of at least 0, in cells of each level.

        Returns:
            Tensor (B, h, w, L (2r + 1)^2), float32, for L levels: channel
            `(l (2r + 1) + dx + r) (2r + 1) + dy + r`, the order of RAFT's released weights, in
            which dy varies fastest.

        Raises:
            ValueError: If the coordinates have another shape or the radius is negative.
        """
        radius = checks.whole("radius", radius, least=0)
        coordinates = ops.cast(ops.convert_to_tensor(coordinates), "float32")
        checks.shape("coordinates", coordinates, "(B, h, w, 2)", (None, None, None, 2))
        side = 2 * radius + 1
        windows = []
        for factor, level in zip(self.pooling, self.levels, strict=True):
            x, y = (ops.reshape(coordinates[..., axis], (-1,)) / factor for axis in (0, 1))
            columns, left, right = _taps(x, level[2], radius)
            rows, above, below = _taps(y, level[1], radius)
            window = self._correlations(level, rows, columns)
            window = window[:, :-1] * left[:, :, None] + window[:, 1:] * right[:, :, None]
            window = window[:, :, :-1] * above[:, None] + window[:, :, 1:] * below[:, None]
            windows.append(ops.reshape(window, (*self.grid, side * side)))
        return ops.concatenate(windows, axis=-1)

    def _correlations(self, level, row_taps, column_taps):
        """Correlation (N, t, t) of each query pixel with the cells in t columns and t rows."""
        values, rows, columns, is_stored = level
        batch, height, width = self.grid
        count = batch * height * width
        if is_stored:
            start = ops.arange(count, dtype="int32") * (rows * columns)
        else:
            start = ops.repeat(ops.arange(batch, dtype="int32") * (rows * columns), height * width)
        row_start = row_taps * columns + start[:, None]
        index = row_start[:, None, :] + column_taps[:, :, None]
        if is_stored:
            return backend.take_inside(ops.reshape(values, (-1,)), index)
        side = index.shape[1]
        taps = side * side
        index = ops.reshape(index, (count, taps))
        keys = ops.reshape(values, (-1, self.channels))
        query = ops.reshape(self.query, (count, self.channels, 1))
        step = max(1, GATHER_MEMORY // (4 * taps * self.channels))
        parts = []
        for begin in range(0, count, step):
            gathered = backend.take_inside(keys, index[begin : begin + step])
            parts.append(ops.matmul(gathered, query[begin : begin + step]))
        return ops.reshape(ops.concatenate(parts, axis=0), (count, side, side))


def pooling_factors(pooling):
    """Check the pooling factors of a correlation pyramid.

    Args:
        pooling: Increasing integers of at least 1, one at least.

    Returns:
        Tuple of int.

    Raises:
        ValueError: If they are not.
    """
    factors = checks.several("pooling", pooling, checks.whole, least=1)
    if any(a >= b for a, b in zip(factors, factors[1:], strict=False)):
        raise ValueError(f"pooling must be increasing factors. Received: {pooling}")
    return factors


def _pooled_sizes(sizes, factor):
    """Sides of a pooled map; a side that would be empty keeps one cell, of zeros."""
    return tuple(size if size is None else max(1, size // factor) for size in sizes)


def _pooled(x, factor):
    """Average over factor x factor cells; zeros where a side is shorter than the factor."""
    for axis in (1, 2):
        known = x.shape[axis]
        if known is not None and known >= factor:
            continue
        size = ops.shape(x)[axis]
        # JAX makes no range up to an operation's result.
        length = ops.maximum(size, factor) if known is None else factor
        index = ops.arange(length, dtype="int32")
        x = ops.take(x, ops.minimum(index, size - 1), axis=axis)
        x = x * ops.cast(size >= factor, x.dtype)
    return ops.average_pool(x, factor, factor, padding="valid", data_format="channels_last")


def _taps(position, size, radius):
    """Indices (N, 2r + 2) of cells, and weights (N, 2r + 1) of those before and after a sample."""
    low = ops.floor(position)
    taps = low[:, None] + ops.arange(-radius, radius + 2, dtype="float32")
    limit = ops.cast(size - 1, "float32")
    inside = ops.cast(ops.logical_and(taps >= 0.0, taps <= limit), "float32")
    # As in `warp`: clipping before the cast for huge values, after it for NaN.
    index = ops.clip(ops.cast(ops.clip(taps, 0.0, limit), "int32"), 0, size - 1)
    fraction = (position - low)[:, None]
    return index, (1.0 - fraction) * inside[:, :-1], fraction * inside[:, 1:]
