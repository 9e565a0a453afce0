"""What the losses of flow, disparity and depth share: weights of pixels, and several outputs."""

import keras
from keras import ops

from c2f_zoo import checks


class PixelLoss(keras.losses.Loss):
    """Base class of losses that weigh pixels and may see all outputs of a network.

    Keras multiplies the figure of each sample by `sample_weight`, and 0 times NaN is NaN. Here
    `call` gets the weight instead: its `y_true` is a dictionary of the `"truth"` and, where one
    was given, the `"weight"`, (B, H, W, 1) or (B, 1, 1, 1).
    """

    takes_levels = True  # a DeeplySupervised model passes all outputs

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Compute the loss.

        Args:
            y_true: Tensor (B, H, W, C), the truth; where its weight is 0 it may be NaN.
            y_pred: List of tensors (B, h, w, C), the outputs coarse to fine; or one, the last.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,).

        Returns:
            Scalar, or (B,) with `reduction=None`: each sample's part of the mean, times B.

        Raises:
            ValueError: If there are too many outputs, the shapes do not fit, or the batch is empty.
        """
        given = {"truth": y_true}
        if sample_weight is not None:
            given["weight"] = checks.pixel_weight(ops.convert_to_tensor(sample_weight))
        return super().__call__(given, y_pred)


class MeanOverKnown(PixelLoss):
    """Base class of losses that are the mean over the known pixels of a batch.

    A subclass says in `_weight(truth, given)` what weight each pixel has.
    """

    def total_weight(self, y_true, sample_weight=None):
        """What the mean over the known pixels of a batch is divided by.

        Args:
            y_true: Tensor (B, H, W, C), the truth.
            sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,).

        Returns:
            Scalar tensor, the sum of the weights of the known pixels.
        """
        if sample_weight is not None:
            sample_weight = checks.pixel_weight(ops.convert_to_tensor(sample_weight))
        return ops.sum(self._weight(ops.cast(y_true, self.dtype), sample_weight))


def as_levels(y_pred, level_weights):
    """The outputs as a list, one or several, which must not be more than their weights."""
    levels = list(y_pred) if isinstance(y_pred, (list, tuple)) else [y_pred]
    if len(level_weights) < len(levels):
        raise ValueError(
            f"y_pred must have at most {len(level_weights)} levels, one for each weight. "
            f"Received: {len(levels)} levels"
        )
    return levels


def known_weight(known, given):
    """Weight of each pixel (B, H, W, 1): that given, or 1, where the truth is known, else 0."""
    weight = ops.cast(known, "float32")
    return weight if given is None else weight * ops.cast(given, "float32")


def share_of_mean(weight):
    """Share of each pixel (B, H, W, 1) in the mean over all of the batch, times B.

    What a loss returns is the sum over each sample's pixels, and Keras takes the mean over the
    samples: so together it is the weighted mean over pixels. All 0 where there is no weight.
    """
    batch = ops.cast(ops.shape(weight)[0], weight.dtype)
    return ops.divide_no_nan(weight * batch, ops.sum(weight))
