"""Losses of stereo networks that are supervised at several outputs."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.losses.pixel_loss import MeanOverKnown, as_levels, known_weight, share_of_mean

# Weights of the three outputs of PSMNet, coarse to fine: section 4.1, table 3.
PSMNET_LEVEL_WEIGHTS = (0.5, 0.7, 1.0)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MultilevelSmoothL1(MeanOverKnown):
    """PSMNet's training loss: smooth L1 of the disparities of every output.

    `L = sum_l w_l mean_x s(d_l(x) - d_gt(x))` with `s(e) = e^2 / 2` for |e| < 1 and `|e| - 1/2`
    else, averaged over all known pixels of the batch: those with `0 < d_gt < max_disparity` and a
    weight above 0.

    Args:
        level_weights: w, in the order of the outputs; of fewer outputs the last count.
        max_disparity: Pixels of this disparity or more have no loss, as the network cannot give
            them. None: all positive ones have, as in the paper's training on KITTI.
        reduction, name, dtype: Of `keras.losses.Loss`; computed in float32.

    Call arguments:
        y_true: Disparity (B, H, W, 1), pixels; unknown where it is 0, negative, NaN or infinite.
        y_pred: list of the outputs' disparities (B, H, W, 1), or one tensor, the last output.
        sample_weight: validity mask or weight, (B, H, W, 1), (B, H, W) or (B,).

    Raises:
        ValueError: If `level_weights` is empty or negative, or `max_disparity` not positive; on a
            call, if there are more outputs than weights or the shapes do not fit.

    Source: PSMNet (arXiv 1803.08669), section 3.6, equations 2 and 3.

    Example:
        >>> import numpy as np
        >>> truth = np.array([5.0, 5.0, 0.0]).reshape(1, 1, 3, 1)
        >>> estimate = np.array([5.5, 8.5, 7.0]).reshape(1, 1, 3, 1)
        >>> float(MultilevelSmoothL1()(truth, estimate))  # (0.125 + 3.0) / 2
        1.5625
    """

    def __init__(
        self,
        level_weights=PSMNET_LEVEL_WEIGHTS,
        max_disparity=192,
        reduction="sum_over_batch_size",
        name=None,
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.level_weights = checks.several("level_weights", level_weights, checks.number, least=0)
        if max_disparity is not None:
            max_disparity = checks.number("max_disparity", max_disparity, above=0)
        self.max_disparity = max_disparity

    def call(self, y_true, y_pred):
        levels, truth = as_levels(y_pred, self.level_weights), y_true["truth"]
        checks.shape("y_true", truth, "(B, H, W, 1), B >= 1", (checks.SOME, None, None, 1))
        weight = self._weight(truth, y_true.get("weight"))
        truth = ops.where(weight > 0, truth, ops.zeros_like(truth))
        share = share_of_mean(weight)
        total = 0.0
        for level, factor in zip(levels, self.level_weights[-len(levels) :], strict=True):
            checks.same_shape(("y_true", "y_pred"), (truth, level), "(B, H, W, 1)", (None,) * 4)
            error = ops.sum(_smooth_l1(level - truth) * share, axis=(1, 2, 3))
            total = total + factor * error
        return total

    def _weight(self, truth, given):
        """Weight of each pixel (B, H, W, 1), 0 where the disparity is unknown or out of range."""
        known = ops.logical_and(truth > 0, ops.isfinite(truth))
        if self.max_disparity is not None:
            known = ops.logical_and(known, truth < self.max_disparity)
        return known_weight(known, given)

    def get_config(self):
        config = {"level_weights": list(self.level_weights), "max_disparity": self.max_disparity}
        return {**super().get_config(), **config}


def _smooth_l1(error):
    size = ops.abs(error)
    return ops.where(size < 1, 0.5 * ops.square(error), size - 0.5)
