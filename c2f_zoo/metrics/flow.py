"""Metrics of optical flow: end-point error, outlier rate (Fl-all) and angular error."""

import math

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.metrics.pixel_mean import PixelMean, WrongShare


@keras.saving.register_keras_serializable(package="c2f_zoo")
class EndPointError(PixelMean):
    """Mean Euclidean distance between the estimated and the true flow, in pixels.

    EPE = mean over valid pixels of sqrt((u - u_gt)^2 + (v - v_gt)^2).

    Args:
        min_magnitude: Count only pixels whose true flow is at least this long, in pixels.
        max_magnitude: Count only pixels whose true flow is shorter than this, in pixels. Sintel
            reports 0-10, 10-40 and over 40.
        name: Name in logs; by default `epe`, `epe_0_10`, `epe_40_plus` and so on.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If `min_magnitude` is negative or not below `max_magnitude`.

    Source: Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011, section
    4.1; Butler et al., A Naturalistic Open Source Movie for Optical Flow Evaluation, ECCV 2012.

    Example:
        >>> metric = EndPointError()
        >>> metric.update_state(np.zeros((1, 2, 2, 2)), np.full((1, 2, 2, 2), (3.0, 4.0)))
        >>> float(metric.result())
        5.0
    """

    def __init__(self, min_magnitude=None, max_magnitude=None, name=None, dtype=None):
        low = 0.0 if min_magnitude is None else float(min_magnitude)
        high = math.inf if max_magnitude is None else float(max_magnitude)
        if not 0 <= low < high:
            raise ValueError(
                "min_magnitude must be >= 0 and below max_magnitude. "
                f"Received: min_magnitude={min_magnitude}, max_magnitude={max_magnitude}"
            )
        super().__init__(name=name or _range_name("epe", min_magnitude, max_magnitude), dtype=dtype)
        self.min_magnitude = min_magnitude
        self.max_magnitude = max_magnitude

    def selects(self, magnitude):
        selected = super().selects(magnitude)
        if self.min_magnitude is not None:
            selected = magnitude >= self.min_magnitude
        if self.max_magnitude is not None:
            selected = ops.logical_and(selected, magnitude < self.max_magnitude)
        return selected

    def get_config(self):
        config = {"min_magnitude": self.min_magnitude, "max_magnitude": self.max_magnitude}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class OutlierRate(WrongShare, PixelMean):
    """Share of wrong pixels in percent: KITTI's Fl-all.

    A pixel is wrong if its end-point error exceeds 3 px and 5 % of the length of the true flow.

    Args:
        threshold: Error in pixels that a wrong pixel exceeds, at least 0. Defaults to 3.
        relative_threshold: Fraction of the true flow's length that its error exceeds as well, at
            least 0. Defaults to 0.05.
        name: Name in logs. Defaults to `fl_all`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If a threshold is negative.

    Source: Menze and Geiger, Object Scene Flow for Autonomous Vehicles, CVPR 2015, section 5.

    Example:
        >>> metric = OutlierRate()
        >>> truth = np.zeros((1, 1, 4, 2)); truth[..., 0] = 100.0
        >>> estimate = truth.copy(); estimate[0, 0, :, 1] = (0.0, 2.0, 4.0, 6.0)
        >>> metric.update_state(truth, estimate)
        >>> float(metric.result())
        25.0
    """

    def __init__(self, threshold=3.0, relative_threshold=0.05, name="fl_all", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.set_thresholds(threshold, relative_threshold)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class AngularError(PixelMean):
    """Mean angle between (u, v, 1) and (u_gt, v_gt, 1).

    Args:
        unit: `"degrees"` or `"radians"`.
        name: Name in logs. Defaults to `angular_error`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If `unit` is neither of the two.

    Source: Barron, Fleet and Beauchemin, Performance of Optical Flow Techniques, IJCV 1994;
    Baker et al., IJCV 2011, section 4.1.

    Example:
        >>> metric = AngularError()
        >>> metric.update_state(np.zeros((1, 1, 1, 2)), np.full((1, 1, 1, 2), (1.0, 0.0)))
        >>> round(float(metric.result()), 3)
        45.0
    """

    def __init__(self, unit="degrees", name="angular_error", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.unit = checks.one_of("unit", unit, ("degrees", "radians"))

    def per_pixel(self, truth, estimate, magnitude):
        u, v = truth[..., 0], truth[..., 1]
        du, dv = estimate[..., 0] - u, estimate[..., 1] - v
        # atan2(|a x b|, a . b) equals the arccos and is exact for small angles too; writing a x b
        # with differences avoids cancellation.
        cross = ops.sqrt(du * du + dv * dv + ops.square(u * dv - v * du))
        dot = estimate[..., 0] * u + estimate[..., 1] * v + 1.0
        angle = ops.arctan2(cross, dot)
        return angle * (180.0 / math.pi) if self.unit == "degrees" else angle

    def get_config(self):
        return {**super().get_config(), "unit": self.unit}


def flow_metrics() -> list:
    """Make the metrics that flow benchmarks report.

    Returns:
        List of new metrics: `epe`, `epe_0_10`, `epe_10_40`, `epe_40_plus` (pixels, the last
        three by the length of the true flow), `fl_all` (percent) and `angular_error` (degrees).

    Example:
        >>> [metric.name for metric in flow_metrics()]
        ['epe', 'epe_0_10', 'epe_10_40', 'epe_40_plus', 'fl_all', 'angular_error']
    """
    return [
        EndPointError(),
        EndPointError(max_magnitude=10),
        EndPointError(min_magnitude=10, max_magnitude=40),
        EndPointError(min_magnitude=40),
        OutlierRate(),
        AngularError(),
    ]


def _range_name(stem, low, high):
    if low is None and high is None:
        return stem
    if high is None:
        return f"{stem}_{low:g}_plus"
    return f"{stem}_{0 if low is None else low:g}_{high:g}"
