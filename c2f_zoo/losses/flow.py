"""Losses of optical flow networks that are supervised at every level of a pyramid."""

import keras
from keras import ops

from c2f_zoo.layers import average_pool, max_pool, upsample_bilinear

# Weights alpha of levels 6 to 2: PWC-Net, section 4.
PAPER_LEVEL_WEIGHTS = (0.32, 0.08, 0.02, 0.01, 0.005)
# Weights of PWC-Net+'s KITTI solver (arXiv 1809.05571's released prototxt), all levels robust.
KITTI_LEVEL_WEIGHTS = (0.08, 0.02, 0.005, 0.0025, 0.001)


class _MultiscaleFlowLoss(keras.losses.Loss):
    """What the multiscale losses share: levels, units, masks, the sum over pixels."""

    takes_levels = True  # a DeeplySupervised model hands over every level

    def __init__(
        self,
        level_weights=PAPER_LEVEL_WEIGHTS,
        flow_unit=20.0,
        sparse=False,
        reduction="sum_over_batch_size",
        name=None,
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.level_weights = tuple(float(weight) for weight in level_weights)
        self.flow_unit = float(flow_unit)
        self.sparse = bool(sparse)
        if not self.level_weights or self.flow_unit <= 0:
            raise ValueError(
                "level_weights must not be empty and flow_unit must be positive. "
                f"Received: level_weights={level_weights}, flow_unit={flow_unit}"
            )

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Compute the loss.

        Args:
            y_true: Tensor (B, H, W, 2), ground truth in pixels.
            y_pred: The levels' flows in full-resolution pixels, coarse to fine, each
                (B, H / s, W / s, 2), at most one per weight; or one tensor alone, which is taken
                as the finest level.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,). Ground truth
                of weight 0 may hold anything, NaN too.

        Returns:
            Scalar, or (B,) with `reduction=None`.

        Raises:
            ValueError: The number of levels, or a level's size, does not fit.
        """
        truth = {"flow": y_true}
        if sample_weight is not None:
            truth["weight"] = _as_map(ops.convert_to_tensor(sample_weight))
        return super().__call__(truth, y_pred)

    def call(self, y_true, y_pred):
        weights = self.level_weights
        if not isinstance(y_pred, (list, tuple)):
            weights, y_pred = weights[-1:], [y_pred]
        if len(weights) < len(y_pred):
            raise ValueError(
                f"{type(self).__name__} has {len(self.level_weights)} level weights and takes at "
                f"most as many levels. Received: {len(y_pred)} levels"
            )
        flow, valid = y_true["flow"], y_true.get("weight")
        if valid is not None:
            valid = ops.broadcast_to(valid, (*ops.shape(flow)[:3], 1))
            flow = ops.where(valid > 0, flow, ops.zeros_like(flow))
        total = 0.0
        # Fewer levels than weights: training that has not reached the finest level yet.
        for weight, level in zip(weights, y_pred, strict=False):
            if weight == 0:
                continue
            error = self._level_error(flow, valid, level)
            total = total + weight * ops.sum(error, axis=(1, 2, 3))
        return total

    def _level_error(self, flow, valid, level):
        """Weighted penalty of each pixel of one level, (B, h, w, 1)."""
        factor = _factor(flow, level)
        if self.sparse:
            level = upsample_bilinear(level, factor)
        elif factor > 1:
            if valid is None:
                flow = average_pool(flow, factor)
            else:
                share = average_pool(valid, factor)
                flow = ops.divide_no_nan(average_pool(flow * valid, factor), share)
                valid = max_pool(valid, factor)
        error = self.penalty((level - flow) / self.flow_unit)
        return error if valid is None else error * valid

    def penalty(self, difference):
        """Penalty of each pixel's flow error.

        Args:
            difference: Tensor (B, h, w, 2), flow error in units of `flow_unit` pixels.

        Returns:
            Tensor (B, h, w, 1).
        """
        raise TypeError(f"a multiscale flow loss defines its penalty. Received: {type(self)}")

    def get_config(self):
        return {
            **super().get_config(),
            "level_weights": list(self.level_weights),
            "flow_unit": self.flow_unit,
            "sparse": self.sparse,
        }


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MultiscaleEndPointError(_MultiscaleFlowLoss):
    """PWC-Net's training loss: the L2 error of every level, summed over its pixels.

    `L = sum_l alpha_l sum_x ||w_l(x) - w_gt,l(x)||_2 / 20`: flows in units of 20 pixels, the
    ground truth averaged down to the level, summed over pixels and averaged over the batch.

    Args:
        level_weights: alpha, coarse to fine; the default is the paper's for levels 6 to 2.
        flow_unit: Pixels per unit of flow.
        sparse: Enlarge the prediction to the ground truth's size instead of averaging the
            ground truth down: the form for sparse ground truth (KITTI).
        reduction: Of `keras.losses.Loss`; the default averages over the batch.
        name: Of `keras.losses.Loss`.
        dtype: Precision in which the sum is computed.

    Call arguments:
        y_true: Flow (B, H, W, 2) in pixels; y_pred: list of levels (B, h, w, 2) in
        full-resolution pixels, coarse to fine; sample_weight: validity mask (B, H, W, 1).

    Source: PWC-Net (arXiv 1709.02371), equation 5; the sum and the units as in the released
    training definition.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((1, 4, 4, 2), "float32")
        >>> levels = [np.full((1, 1, 1, 2), 12.0, "float32"), np.zeros((1, 4, 4, 2), "float32")]
        >>> loss = MultiscaleEndPointError(level_weights=(0.5, 0.1))
        >>> round(float(loss(truth, levels)), 4)
        0.4243
    """

    def penalty(self, difference):
        """Euclidean length of the error.

        Args:
            difference: Tensor (B, h, w, 2), in units of `flow_unit` pixels.

        Returns:
            Tensor (B, h, w, 1).
        """
        return _norm(difference)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MultiscaleRobust(_MultiscaleFlowLoss):
    """PWC-Net's fine-tuning loss: `sum_l alpha_l sum_x (|w_l(x) - w_gt,l(x)|_1 + eps)^q`.

    `|.|` is the L1 norm of the two components; q < 1 gives outliers less weight. With
    `level_weights=(0, 0, 0, 0, alpha), sparse=True` the finest level alone is compared, enlarged,
    with the ground truth at full resolution.

    Args:
        level_weights: alpha, coarse to fine; the default is the paper's for levels 6 to 2.
        flow_unit: Pixels per unit of flow.
        sparse: As in `MultiscaleEndPointError`.
        epsilon: eps, in units of flow.
        exponent: q.
        reduction: Of `keras.losses.Loss`; the default averages over the batch.
        name: Of `keras.losses.Loss`.
        dtype: Precision in which the sum is computed.

    Call arguments:
        y_true: Flow (B, H, W, 2) in pixels; y_pred: list of levels (B, h, w, 2) in
        full-resolution pixels, coarse to fine; sample_weight: validity mask (B, H, W, 1).

    Source: PWC-Net (arXiv 1709.02371), equation 6, eps = 0.01, q = 0.4.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((1, 1, 1, 2), "float32")
        >>> loss = MultiscaleRobust(level_weights=(1.0,))
        >>> round(float(loss(truth, [np.full((1, 1, 1, 2), 10.0, "float32")])), 4)
        1.004
    """

    def __init__(
        self,
        level_weights=PAPER_LEVEL_WEIGHTS,
        flow_unit=20.0,
        sparse=False,
        epsilon=0.01,
        exponent=0.4,
        reduction="sum_over_batch_size",
        name=None,
        dtype="float32",
    ):
        super().__init__(level_weights, flow_unit, sparse, reduction, name, dtype)
        self.epsilon = float(epsilon)
        self.exponent = float(exponent)
        if self.epsilon <= 0 or self.exponent <= 0:
            raise ValueError(
                "epsilon and exponent must be positive. "
                f"Received: epsilon={epsilon}, exponent={exponent}"
            )

    def penalty(self, difference):
        """Generalised Charbonnier-like penalty of the L1 error.

        Args:
            difference: Tensor (B, h, w, 2), in units of `flow_unit` pixels.

        Returns:
            Tensor (B, h, w, 1).
        """
        length = ops.sum(ops.abs(difference), axis=-1, keepdims=True)
        return ops.power(length + self.epsilon, self.exponent)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "exponent": self.exponent}


def _as_map(weight):
    """Give a weight of shape (B, H, W, 1), (B, H, W) or (B,) four axes."""
    while len(weight.shape) < 4:
        weight = weight[..., None]
    return weight


def _factor(flow, level):
    """Whole factor between the ground truth's size and a level's."""
    for axis in (1, 2):
        full, coarse = flow.shape[axis], level.shape[axis]
        if full is None or coarse is None:
            raise ValueError(
                "a multiscale flow loss needs the height and width of its batch. "
                f"Received: shapes {tuple(flow.shape)} and {tuple(level.shape)}"
            )
    factor = flow.shape[1] // level.shape[1]
    if (level.shape[1] * factor, level.shape[2] * factor) != tuple(flow.shape[1:3]):
        raise ValueError(
            "a level's size must divide the ground truth's by one whole factor. "
            f"Received: ground truth {tuple(flow.shape)}, level {tuple(level.shape)}"
        )
    return factor


def _norm(vector):
    """Euclidean length over the last axis, whose gradient at 0 is 0 rather than NaN."""
    square = ops.sum(ops.square(vector), axis=-1, keepdims=True)
    is_zero = square == 0
    return ops.where(is_zero, 0.0, ops.sqrt(ops.where(is_zero, 1.0, square)))
