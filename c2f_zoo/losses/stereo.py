"""Losses of stereo networks that are supervised at several outputs."""

import keras
from keras import ops

from c2f_zoo import checks

# Weights of the three outputs of PSMNet, coarse to fine: section 4.1, table 3.
PSMNET_LEVEL_WEIGHTS = (0.5, 0.7, 1.0)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MultilevelSmoothL1(keras.losses.Loss):
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
        ValueError: If `level_weights` is empty, or `max_disparity` not positive; on a call, if
            there are more outputs than weights or the shapes do not fit.

    Source: PSMNet (arXiv 1803.08669), section 3.6, equations 2 and 3.

    Example:
        >>> import numpy as np
        >>> truth = np.array([5.0, 5.0, 0.0]).reshape(1, 1, 3, 1)
        >>> estimate = np.array([5.5, 8.5, 7.0]).reshape(1, 1, 3, 1)
        >>> float(MultilevelSmoothL1()(truth, estimate))  # (0.125 + 3.0) / 2
        1.5625
    """

    takes_levels = True  # a DeeplySupervised model passes all outputs

    def __init__(
        self,
        level_weights=PSMNET_LEVEL_WEIGHTS,
        max_disparity=192,
        reduction="sum_over_batch_size",
        name=None,
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.level_weights = tuple(checks.number("level_weights", w) for w in level_weights)
        if not self.level_weights:
            raise ValueError(f"level_weights must not be empty. Received: {level_weights}")
        if max_disparity is not None:
            max_disparity = checks.number("max_disparity", max_disparity, above=0)
        self.max_disparity = max_disparity

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Compute the loss.

        Args:
            y_true: Tensor (B, H, W, 1), true disparity in pixels.
            y_pred: List of tensors (B, H, W, 1), or one.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,).

        Returns:
            Scalar, or (B,) with `reduction=None`: each sample's part of the mean, times B.

        Raises:
            ValueError: If there are too many outputs, the shapes do not fit, or the batch is empty.
        """
        truth = {"disparity": y_true}
        if sample_weight is not None:
            truth["weight"] = checks.pixel_weight(ops.convert_to_tensor(sample_weight))
        return super().__call__(truth, y_pred)

    def total_weight(self, y_true, sample_weight=None):
        """What the mean over the known pixels of a batch is divided by.

        Args:
            y_true: Tensor (B, H, W, 1), true disparity in pixels.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,).

        Returns:
            Scalar tensor, the sum of the weights of the known pixels.
        """
        if sample_weight is not None:
            sample_weight = checks.pixel_weight(ops.convert_to_tensor(sample_weight))
        return ops.sum(self._weight(ops.cast(y_true, self.dtype), sample_weight))

    def call(self, y_true, y_pred):
        y_pred = list(y_pred) if isinstance(y_pred, (list, tuple)) else [y_pred]
        if len(self.level_weights) < len(y_pred):
            raise ValueError(
                f"y_pred must have at most {len(self.level_weights)} outputs, one per weight. "
                f"Received: {len(y_pred)} outputs"
            )
        truth = y_true["disparity"]
        checks.shape("y_true", truth, "(B, H, W, 1), B >= 1", (checks.SOME, None, None, 1))
        weight = self._weight(truth, y_true.get("weight"))
        truth = ops.where(weight > 0, truth, ops.zeros_like(truth))
        # The mean over the batch that Keras takes of what is returned is the mean over pixels.
        share = ops.divide_no_nan(
            weight * ops.cast(ops.shape(truth)[0], weight.dtype), ops.sum(weight)
        )
        total = 0.0
        for level, factor in zip(y_pred, self.level_weights[-len(y_pred) :], strict=True):
            checks.same_shape(("y_true", "y_pred"), (truth, level), "(B, H, W, 1)", (None,) * 4)
            error = ops.sum(_smooth_l1(level - truth) * share, axis=(1, 2, 3))
            total = total + factor * error
        return total

    def _weight(self, truth, given):
        """Weight of each pixel (B, H, W, 1), 0 where the disparity is unknown or out of range."""
        known = ops.logical_and(truth > 0, ops.isfinite(truth))
        if self.max_disparity is not None:
            known = ops.logical_and(known, truth < self.max_disparity)
        weight = ops.cast(known, "float32")
        return weight if given is None else weight * ops.cast(given, "float32")

    def get_config(self):
        config = {"level_weights": list(self.level_weights), "max_disparity": self.max_disparity}
        return {**super().get_config(), **config}


def _smooth_l1(error):
    size = ops.abs(error)
    return ops.where(size < 1, 0.5 * ops.square(error), size - 0.5)
