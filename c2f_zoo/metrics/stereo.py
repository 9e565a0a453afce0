"""Metrics of stereo matching: end-point error, share of bad pixels, KITTI's D1."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.metrics.pixel_mean import PixelMean, WrongShare


class _DisparityMean(PixelMean):
    """Mean over the pixels whose true disparity is known, above 0 and below a maximum."""

    channels = 1

    def __init__(self, max_disparity=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if max_disparity is not None:
            max_disparity = checks.number("max_disparity", max_disparity, above=0)
        self.max_disparity = max_disparity

    def update_state(self, y_true, y_pred, sample_weight=None):
        # A negative truth is unknown too; its length would not tell.
        super().update_state(ops.maximum(y_true, 0), y_pred, sample_weight)

    def selects(self, magnitude):
        selected = ops.logical_and(magnitude > 0, ops.isfinite(magnitude))
        if self.max_disparity is not None:
            selected = ops.logical_and(selected, magnitude < self.max_disparity)
        return selected

    def get_config(self):
        return {**super().get_config(), "max_disparity": self.max_disparity}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class DisparityError(_DisparityMean):
    """Mean absolute error of the disparity (end-point error), in pixels.

    EPE = mean of |d - d_gt| over the pixels with 0 < d_gt (< `max_disparity`). For the error of
    the non-occluded pixels give their mask as `sample_weight`.

    Args:
        max_disparity: Count only pixels whose true disparity is below this, > 0; Scene Flow is
            reported below 192. Default: all.
        name: Name in logs. Defaults to `epe`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If `max_disparity` is not positive.

    Source: Mayer et al., arXiv 1512.02134, section 5.

    Example:
        >>> import numpy as np
        >>> metric = DisparityError()
        >>> truth = np.array([10.0, 20.0, 0.0]).reshape(1, 1, 3, 1)  # 0 is unknown
        >>> metric.update_state(truth, truth + [[[[1.0], [3.0], [50.0]]]])
        >>> float(metric.result())
        2.0
    """

    def __init__(self, max_disparity=None, name="epe", dtype=None):
        super().__init__(max_disparity, name, dtype)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class BadPixelRate(WrongShare, _DisparityMean):
    """Share of the pixels whose disparity is wrong, in percent.

    A pixel is wrong if its error exceeds `threshold` pixels and, with a `relative_threshold`, this
    fraction of the true disparity as well: KITTI's D1 has 3 pixels and 5 %, the bad-1 to bad-3 of
    Middlebury, ETH3D and KITTI 2012 have pixels alone.

    Args:
        threshold: Error in pixels that a wrong pixel exceeds, at least 0. Defaults to 3.
        relative_threshold: Fraction of the true disparity, at least 0. Defaults to 0.
        max_disparity: Count only pixels whose true disparity is below this. Default: all.
        name: Name in logs. Defaults to `bad_3`, or `d1` with a relative threshold.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If a threshold is negative or `max_disparity` not positive.

    Source: Scharstein and Szeliski, IJCV 2002, section 5.1; Menze and Geiger, Object Scene Flow
    for Autonomous Vehicles, CVPR 2015, section 5.

    Example:
        >>> import numpy as np
        >>> truth = np.full((1, 1, 4, 1), 100.0)
        >>> estimate = truth + np.array([0.0, 2.0, 4.0, 6.0]).reshape(1, 1, 4, 1)
        >>> metrics = [BadPixelRate(1), BadPixelRate(3), BadPixelRate(3, 0.05)]
        >>> for metric in metrics: metric.update_state(truth, estimate)
        >>> {metric.name: float(metric.result()) for metric in metrics}
        {'bad_1': 75.0, 'bad_3': 50.0, 'd1': 25.0}
    """

    def __init__(
        self, threshold=3.0, relative_threshold=0.0, max_disparity=None, name=None, dtype=None
    ):
        self.set_thresholds(threshold, relative_threshold)
        default = "d1" if self.relative_threshold else f"bad_{self.threshold:g}"
        super().__init__(max_disparity, name or default, dtype)


def stereo_metrics(max_disparity=None) -> list:
    """Make the metrics that stereo benchmarks report.

    Args:
        max_disparity: Count only pixels whose true disparity is below this. Default: all.

    Returns:
        List of new metrics: `epe` (pixels), `bad_1`, `bad_2`, `bad_3` and `d1` (percent).

    Example:
        >>> [metric.name for metric in stereo_metrics()]
        ['epe', 'bad_1', 'bad_2', 'bad_3', 'd1']
    """
    return [
        DisparityError(max_disparity),
        *(BadPixelRate(threshold, max_disparity=max_disparity) for threshold in (1, 2, 3)),
        BadPixelRate(3, 0.05, max_disparity=max_disparity),
    ]
