"""Losses of optical flow networks that are supervised at every level of a pyramid."""

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.layers import average_pool, max_pool, upsample_bilinear
from c2f_zoo.losses.pixel_loss import PixelLoss, as_levels

# Weights alpha of levels 6 to 2: PWC-Net, section 4.
PAPER_LEVEL_WEIGHTS = (0.32, 0.08, 0.02, 0.01, 0.005)
# Weights of PWC-Net+'s KITTI solver (arXiv 1809.05571's released prototxt), all levels robust.
KITTI_LEVEL_WEIGHTS = (0.08, 0.02, 0.005, 0.0025, 0.001)
# Stride of PWC-Net's coarsest level. Only used where TensorFlow does not know the image size
# before it runs.
COARSEST_STRIDE = 64


class _MultiscaleFlowLoss(PixelLoss):
    """Weighted sum over pyramid levels of a penalty of each pixel's flow error."""

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
        self.level_weights = checks.several("level_weights", level_weights, checks.number, least=0)
        self.flow_unit = checks.number("flow_unit", flow_unit, above=0)
        self.sparse = bool(sparse)

    def call(self, y_true, y_pred):
        weights, stride = self.level_weights, COARSEST_STRIDE
        if not isinstance(y_pred, (list, tuple)):
            weights, stride = weights[-1:], None
        levels = as_levels(y_pred, weights)
        flow, valid = y_true["truth"], y_true.get("weight")
        checks.shape("y_true", flow, "(B, H, W, 2), B >= 1", (checks.SOME, None, None, 2))
        if valid is not None:
            valid = ops.broadcast_to(valid, (*ops.shape(flow)[:3], 1))
            flow = ops.where(valid > 0, flow, 0.0)
        total = 0.0
        # Fewer levels than weights: training that has not reached the finest level yet.
        for index, (weight, level) in enumerate(zip(weights, levels, strict=False)):
            if weight == 0:
                continue
            level, factor = _with_factor(flow, level, stride and stride >> index)
            error = self._level_error(flow, valid, level, factor)
            total = total + weight * ops.sum(error, axis=(1, 2, 3))
        return total

    def _level_error(self, flow, valid, level, factor):
        """Weighted penalty of each pixel of one level, (B, h, w, 1)."""
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
        """Penalty (B, h, w, 1) of flow errors (B, h, w, 2) in units of `flow_unit` pixels."""
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
    """PWC-Net's training loss: the L2 error summed over the pixels of every level.

    `L = sum_l alpha_l sum_x ||w_l(x) - w_gt,l(x)||_2 / 20`: flows in units of 20 pixels, the
    ground truth averaged down to the level, summed over pixels and averaged over the batch.

    Args:
        level_weights: alpha, coarse to fine; the default is the paper's for levels 6 to 2.
        flow_unit: Pixels per unit of flow.
        sparse: Enlarge the predictions to the ground truth's size instead of averaging the ground
            truth down, as sparse ground truth (KITTI) needs it.
        reduction, name, dtype: Of `keras.losses.Loss`; averages over the batch in float32.

    Call arguments:
        y_true: Flow (B, H, W, 2) in pixels; y_pred: list of levels (B, h, w, 2) in
        full-resolution pixels, coarse to fine; sample_weight: validity mask (B, H, W, 1).

    Source: PWC-Net (arXiv 1709.02371), equation 5; the sum and the units as in the released
    training definition.

    Example:
        >>> truth = np.zeros((1, 4, 4, 2), "float32")
        >>> levels = [np.full((1, 1, 1, 2), 12.0, "float32"), np.zeros((1, 4, 4, 2), "float32")]
        >>> loss = MultiscaleEndPointError(level_weights=(0.5, 0.1))
        >>> round(float(loss(truth, levels)), 4)
        0.4243
    """

    def penalty(self, difference):
        square = ops.sum(ops.square(difference), axis=-1, keepdims=True)
        is_zero = square == 0
        # The gradient at 0 is 0 rather than NaN.
        return ops.where(is_zero, 0.0, ops.sqrt(ops.where(is_zero, 1.0, square)))


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
        epsilon: eps, positive, in units of flow.
        exponent: q, positive.
        reduction, name, dtype: Of `keras.losses.Loss`; averages over the batch in float32.

    Call arguments:
        y_true: Flow (B, H, W, 2) in pixels; y_pred: list of levels (B, h, w, 2) in
        full-resolution pixels, coarse to fine; sample_weight: validity mask (B, H, W, 1).

    Source: PWC-Net (arXiv 1709.02371), equation 6, eps = 0.01, q = 0.4.

    Example:
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
        self.epsilon = checks.number("epsilon", epsilon, above=0)
        self.exponent = checks.number("exponent", exponent, above=0)

    def penalty(self, difference):
        length = ops.sum(ops.abs(difference), axis=-1, keepdims=True)
        return ops.power(length + self.epsilon, self.exponent)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon, "exponent": self.exponent}


def _with_factor(flow, level, stride):
    """The level, and the whole factor between the ground truth's size and the level's.

    `stride` stands in for the factor where a size is unknown, and is checked at run time.
    """
    if None in (*flow.shape[1:3], *level.shape[1:3]):
        if stride is None:
            raise ValueError(
                "A multiscale flow loss of a single level needs its height and width. "
                f"Received: shapes {tuple(flow.shape)} and {tuple(level.shape)}"
            )
        full, coarse = (ops.stack(ops.shape(x)[1:3]) for x in (flow, level))
        message = f"The level must be {stride} times smaller than the ground truth. Received:"
        fits = ops.all(coarse * stride == full)
        return backend.check_at_run_time(level, fits, message, coarse), stride
    factor = flow.shape[1] // level.shape[1]
    if (level.shape[1] * factor, level.shape[2] * factor) != tuple(flow.shape[1:3]):
        raise ValueError(
            "a level's size must divide the ground truth's by one whole factor. "
            f"Received: ground truth {tuple(flow.shape)}, level {tuple(level.shape)}"
        )
    return level, factor
