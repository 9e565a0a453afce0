"""Metrics of depth estimation: relative and squared errors, logarithmic ones, accuracies.

Each is a mean over the known pixels of an image, then over the images, as published evaluations
report; so it does not depend on how the images were put into batches.
"""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.metrics.exact_mean import ExactMean

SCALINGS = (None, "median")


class _DepthMean(ExactMean):
    """Mean over images of a figure of each image's known pixels.

    Args:
        scaling: None compares metres. `"median"` first multiplies each estimate by the ratio of
            the medians of truth and estimate over the known pixels: for networks that cannot know
            the scale.
        limits: (near, far), metres: pixels whose true depth is outside do not count, and
            estimates are clipped to it after scaling. Defaults to (1e-3, 1e3).
        name: Name in logs; `_scaled` is added to the default with median scaling.
        dtype: Accepted for Keras; computed in float32.
    """

    title = ""

    def __init__(self, scaling=None, limits=(1e-3, 1e3), name=None, dtype=None):
        checks.one_of("scaling", scaling, SCALINGS)
        super().__init__(name=name or self.title + ("_scaled" if scaling else ""), dtype=dtype)
        self.scaling = scaling
        self.limits = checks.interval("limits", limits)
        checks.number("limits[0]", self.limits[0], above=0)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch.

        Args:
            y_true: Tensor (B, H, W, 1), true depth in metres; unknown where 0, negative, NaN or
                infinite.
            y_pred: Tensor (B, H, W, 1), estimated depth in metres.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,); by default
                every known pixel counts once. An image without known pixels does not count.

        Raises:
            ValueError: If the shapes do not fit.
        """
        truth = ops.cast(ops.convert_to_tensor(y_true), "float32")
        estimate = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        axes = (None, None, None, 1)
        checks.same_shape(("y_true", "y_pred"), (truth, estimate), "(B, H, W, 1)", axes)
        known = ops.logical_and(truth >= self.limits[0], truth <= self.limits[1])
        weight = ops.ones_like(truth)
        if sample_weight is not None:
            weight = weight * checks.pixel_weight(ops.cast(sample_weight, "float32"))
            known = ops.logical_and(known, weight > 0)
        known, weight, truth, estimate = (
            ops.reshape(x, (ops.shape(x)[0], -1)) for x in (known, weight, truth, estimate)
        )
        weight = ops.where(known, weight, 0.0)
        # Selecting, not multiplying: 0 * nan would be nan. Unknown pixels are compared as equal.
        truth = ops.where(known, truth, self.limits[0])
        if self.scaling:
            ratio = masked_median(truth, known) / masked_median(estimate, known)
            estimate = estimate * ratio[:, None]
        estimate = ops.where(known, ops.clip(estimate, *self.limits), self.limits[0])
        total = ops.sum(weight, axis=1)
        has_some = total > 0
        share = weight / ops.where(has_some, total, 1.0)[:, None]
        figure = ops.where(has_some, self.per_image(truth, estimate, share), 0.0)
        self.add(ops.sum(figure), ops.sum(ops.cast(has_some, "float32")))

    def per_image(self, truth, estimate, share):
        """Figure of each image (B,), from maps (B, N) and the pixels' shares (B, N), of sum 1."""
        raise TypeError(f"a depth metric defines per_image(). Received: {type(self)}")

    def get_config(self):
        return {**super().get_config(), "scaling": self.scaling, "limits": list(self.limits)}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class AbsoluteRelativeError(_DepthMean):
    """AbsRel: mean of `|d - d*| / d*`, d* being the true depth.

    Args:
        scaling: None compares metres; `"median"` scales each estimate to the median of its truth.
        limits: (near, far), metres: other true depths do not count, estimates are clipped.
        name: Name in logs. Defaults to `abs_rel`, or `abs_rel_scaled`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If the scaling is unknown or the limits are not 0 < near <= far.

    Source: Eigen, Puhrsch and Fergus, arXiv 1406.2283, section 4.2, as of all metrics here.

    Example:
        >>> truth = np.array([1.0, 2.0, 0.0]).reshape(1, 1, 3, 1)  # 0 is unknown
        >>> metric = AbsoluteRelativeError()
        >>> metric.update_state(truth, [[[[1.5], [2.0], [9.0]]]])
        >>> float(metric.result())
        0.25
    """

    title = "abs_rel"

    def per_image(self, truth, estimate, share):
        return ops.sum(share * ops.abs(estimate - truth) / truth, axis=1)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class SquaredRelativeError(_DepthMean):
    """SqRel: mean of `(d - d*)^2 / d*`, metres. Arguments as of `AbsoluteRelativeError`.

    Args:
        scaling: None or `"median"`.
        limits: (near, far), metres.
        name: Name in logs. Defaults to `sq_rel`.
        dtype: Accepted for Keras; computed in float32.

    Example:
        >>> metric = SquaredRelativeError()
        >>> metric.update_state(np.full((1, 1, 1, 1), 2.0), np.full((1, 1, 1, 1), 3.0))
        >>> float(metric.result())
        0.5
    """

    title = "sq_rel"

    def per_image(self, truth, estimate, share):
        return ops.sum(share * ops.square(estimate - truth) / truth, axis=1)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class DepthRMSE(_DepthMean):
    """Root of the mean of `(d - d*)^2` over an image, metres; then the mean over images.

    Args:
        scaling: None or `"median"`.
        limits: (near, far), metres.
        name: Name in logs. Defaults to `rmse`.
        dtype: Accepted for Keras; computed in float32.

    Example:
        >>> metric = DepthRMSE()
        >>> metric.update_state(np.full((1, 1, 1, 1), 2.0), np.full((1, 1, 1, 1), 3.0))
        >>> float(metric.result())
        1.0
    """

    title = "rmse"

    def per_image(self, truth, estimate, share):
        return ops.sqrt(ops.sum(share * ops.square(estimate - truth), axis=1))


@keras.saving.register_keras_serializable(package="c2f_zoo")
class LogDepthRMSE(_DepthMean):
    """Root of the mean of `(log d - log d*)^2` over an image; then the mean over images.

    Args:
        scaling: None or `"median"`.
        limits: (near, far), metres.
        name: Name in logs. Defaults to `rmse_log`.
        dtype: Accepted for Keras; computed in float32.

    Example:
        >>> metric = LogDepthRMSE()
        >>> metric.update_state(np.full((1, 1, 1, 1), 2.0), np.full((1, 1, 1, 1), 4.0))
        >>> round(float(metric.result()), 4)
        0.6931
    """

    title = "rmse_log"

    def per_image(self, truth, estimate, share):
        return ops.sqrt(ops.sum(share * ops.square(ops.log(estimate / truth)), axis=1))


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ScaleInvariantLogError(_DepthMean):
    """SILog: `100 * sqrt(mean(g^2) - mean(g)^2)` with `g = log d - log d*`, as KITTI reports.

    A common factor of an estimate does not change it, except where an estimate is clipped.

    Args:
        scaling: None or `"median"`.
        limits: (near, far), metres.
        name: Name in logs. Defaults to `silog`.
        dtype: Accepted for Keras; computed in float32.

    Source: Eigen, Puhrsch and Fergus, arXiv 1406.2283, equation 1; KITTI depth prediction.

    Example:
        >>> truth = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
        >>> metric = ScaleInvariantLogError()
        >>> metric.update_state(truth, 3 * truth)
        >>> abs(float(metric.result())) < 0.1
        True
    """

    title = "silog"

    def per_image(self, truth, estimate, share):
        ratio = ops.log(estimate / truth)
        ratio = ratio - ops.sum(share * ratio, axis=1, keepdims=True)
        return 100.0 * ops.sqrt(ops.sum(share * ops.square(ratio), axis=1))


@keras.saving.register_keras_serializable(package="c2f_zoo")
class DepthAccuracy(_DepthMean):
    """Delta: share of the pixels with `max(d / d*, d* / d) < 1.25^power`, in [0, 1].

    Args:
        power: Whole number of at least 1; 1, 2 and 3 are reported.
        scaling: None or `"median"`.
        limits: (near, far), metres.
        name: Name in logs. Defaults to `delta_1`, of its power.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If the power is not a whole number of at least 1, or as of
            `AbsoluteRelativeError`.

    Example:
        >>> truth = np.array([1.0, 1.0]).reshape(1, 1, 2, 1)
        >>> metric = DepthAccuracy()
        >>> metric.update_state(truth, [[[[1.2], [1.3]]]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, power=1, scaling=None, limits=(1e-3, 1e3), name=None, dtype=None):
        self.power = checks.whole("power", power, least=1)
        self.title = f"delta_{self.power}"
        super().__init__(scaling, limits, name, dtype)

    def per_image(self, truth, estimate, share):
        worse = ops.maximum(estimate / truth, truth / estimate)
        # An estimate of NaN is not below.
        return ops.sum(share * ops.cast(worse < 1.25**self.power, "float32"), axis=1)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


def depth_metrics(scaling=None, limits=(1e-3, 1e3)) -> list:
    """Make the metrics that depth estimation is reported by.

    Args:
        scaling: None, or `"median"` for networks that cannot know the scale.
        limits: (near, far), metres: other true depths do not count, estimates are clipped.

    Returns:
        List of new metrics: `abs_rel`, `sq_rel` and `rmse` (metres), `rmse_log`, `silog`,
        `delta_1`, `delta_2`, `delta_3`, with `_scaled` after each if so.

    Example:
        >>> [metric.name for metric in depth_metrics()][:4]
        ['abs_rel', 'sq_rel', 'rmse', 'rmse_log']
    """
    kinds = (
        *(AbsoluteRelativeError, SquaredRelativeError),
        *(DepthRMSE, LogDepthRMSE, ScaleInvariantLogError),
    )
    return [
        *(kind(scaling, limits) for kind in kinds),
        *(DepthAccuracy(power, scaling, limits) for power in (1, 2, 3)),
    ]


def masked_median(values, known):
    """Median of the known values of each row, the mean of both middle ones of an even number.

    Args:
        values: Tensor (B, N).
        known: Boolean tensor (B, N).

    Returns:
        Tensor (B,); infinite for a row of which nothing is known.

    Example:
        >>> values = np.array([[3.0, 1.0, 9.0, 2.0]], "float32")
        >>> known = np.array([[True, True, False, True]])
        >>> np.asarray(masked_median(values, known)).tolist()
        [2.0]
    """
    ordered = ops.sort(ops.where(known, values, float("inf")), axis=1)
    count = ops.sum(ops.cast(known, "int32"), axis=1, keepdims=True)
    middle = [ops.maximum((count + step) // 2 - 1, 0) for step in (1, 2)]
    low, high = (ops.take_along_axis(ordered, index, axis=1)[:, 0] for index in middle)
    return (low + high) / 2
