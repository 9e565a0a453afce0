"""Weighted mean of a figure over the pixels of all images, as flow and stereo benchmarks report."""

from keras import ops

from c2f_zoo import checks
from c2f_zoo.metrics.exact_mean import ExactMean


class PixelMean(ExactMean):
    """Weighted mean of a per-pixel figure over all pixels.

    A subclass says in `channels` how many a map has (2 of a flow, 1 of a disparity). The figure is
    the end-point error unless it defines another `per_pixel`.

    Args:
        name: Name in logs.
        dtype: Accepted for Keras; computed in float32.
    """

    channels = 2

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch.

        Args:
            y_true: Tensor (B, H, W, C), the truth in pixels, C = 2 for a flow and 1 for a
                disparity. May be NaN or infinite where the weight is 0.
            y_pred: Tensor (B, H, W, C), the estimate in pixels.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,); by default
                every pixel counts once.

        Raises:
            ValueError: If the shapes do not fit.
        """
        truth = ops.cast(ops.convert_to_tensor(y_true), "float32")
        estimate = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        pair, axes = (truth, estimate), (None, None, None, self.channels)
        checks.same_shape(("y_true", "y_pred"), pair, f"(B, H, W, {self.channels})", axes)
        magnitude = length(truth)
        weight = ops.ones_like(magnitude)
        if sample_weight is not None:
            weight = weight * checks.pixel_weight(ops.cast(sample_weight, "float32"))[..., 0]
        is_counted = ops.logical_and(weight > 0, self.selects(magnitude))
        weight = ops.where(is_counted, weight, ops.zeros_like(weight))
        # Selecting, not multiplying: 0 * nan would be nan.
        figure = self.per_pixel(truth, estimate, magnitude)
        figure = ops.where(is_counted, figure * weight, ops.zeros_like(figure))
        self.add(_sum(figure), _sum(weight))

    def selects(self, magnitude):
        """Tell which pixels enter the mean, by the length of their truth (B, H, W)."""
        return ops.ones_like(magnitude, dtype="bool")

    def per_pixel(self, truth, estimate, magnitude):
        """Compute the figure of each pixel, (B, H, W), from two maps (B, H, W, C)."""
        return length(estimate - truth)


class WrongShare:
    """Mixin of a `PixelMean`: the share of the pixels that are wrong, in percent.

    A pixel is wrong if its end-point error exceeds `threshold` pixels and `relative_threshold` of
    the length of the truth.
    """

    def set_thresholds(self, threshold, relative_threshold):
        """Check and keep the thresholds, numbers of at least 0."""
        self.threshold = checks.number("threshold", threshold, least=0)
        self.relative_threshold = checks.number("relative_threshold", relative_threshold, least=0)

    def per_pixel(self, truth, estimate, magnitude):
        limit = ops.maximum(self.relative_threshold * magnitude, self.threshold)
        # "not small" rather than "large" makes an estimate of NaN wrong.
        is_wrong = ops.logical_not(length(estimate - truth) <= limit)
        return 100.0 * ops.cast(is_wrong, "float32")

    def get_config(self):
        thresholds = {"threshold": self.threshold, "relative_threshold": self.relative_threshold}
        return {**super().get_config(), **thresholds}


def length(vectors):
    """Length of each vector of a map (B, H, W, C): (B, H, W)."""
    return ops.sqrt(ops.sum(ops.square(vectors), axis=-1))


def _sum(values):
    """Sum of a map (B, H, W), axis by axis: short sums keep float32 exact enough."""
    return ops.sum(ops.sum(ops.sum(values, axis=2), axis=1))
