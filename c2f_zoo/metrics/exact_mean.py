"""A weighted mean without accumulated rounding errors."""

import math

import keras
from keras import ops


class ExactMean(keras.metrics.Metric):
    """Weighted mean of everything added since the last reset, computed in float32.

    A thousand images of a million pixels exceed float32's resolution, so the sum and the count
    each keep their rounding error in a second variable (Knuth's two-sum).
    """

    def __init__(self, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._total = self._add_pair("total")
        self._count = self._add_pair("count")

    def _add_pair(self, name):
        return tuple(
            self.add_variable(shape=(), initializer="zeros", dtype="float32", name=name + part)
            for part in ("", "_rounding")
        )

    def add(self, total, count):
        """Add scalars: a weighted sum of figures and the sum of their weights."""
        _add_to(self._total, total)
        _add_to(self._count, count)

    def result(self):
        """Mean so far; NaN if nothing was counted, as 0 would look like a perfect estimate."""
        total, count = sum(self._total), sum(self._count)
        is_empty = count <= 0
        return ops.where(is_empty, math.nan, total / ops.where(is_empty, 1.0, count))


def _add_to(pair, value):
    """Add `value` to the number that the variables (high, rounding) hold together."""
    high, rounding = pair
    before = ops.convert_to_tensor(high)
    after = before + value
    added = after - before
    lost = (before - (after - added)) + (value - added)
    # An infinite sum has lost nothing, and inf - inf would be NaN.
    lost = ops.where(ops.isfinite(after), lost, 0.0)
    high.assign(after)
    rounding.assign(rounding + lost)
