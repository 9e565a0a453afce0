"""Loss of networks that refine one flow again and again."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.losses.pixel_loss import PixelLoss

CHANNELS_OF_MIXTURE = 5  # the flow, and the parameters of the mixture of `MixtureOfLaplaceLoss`


@keras.saving.register_keras_serializable(package="c2f_zoo")
class SequenceLoss(PixelLoss):
    """RAFT's training loss: the L1 error of every refinement, the later the heavier.

    `L = sum_i gamma^(N - 1 - i) mean(valid |f_i - f_gt|)` over N refinements: the mean is over all
    pixels and both components; pixels that are not valid count as zeros.

    Args:
        gamma: Weight of a refinement relative to the next; RAFT: 0.8, in fine-tuning 0.85.
        max_flow: Pixels that move as far as this or farther are not valid.
        reduction, name, dtype: Of `keras.losses.Loss`; averages over the batch in float32.

    Call arguments:
        y_true: Flow (B, H, W, 2) in pixels; y_pred: list of flows (B, H, W, 2), in the order of
        refinement, or one of them; sample_weight: validity mask (B, H, W, 1), valid from 0.5 up.

    Raises:
        ValueError: If gamma is not in (0, 1] or `max_flow` not positive.

    Source: RAFT (arXiv 2003.12039), equation 7; mean and validity as in the released code.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((1, 4, 4, 2), "float32")
        >>> round(float(SequenceLoss(gamma=0.5)(truth, [truth + 2.0, truth + 1.0])), 4)
        2.0
    """

    def __init__(
        self,
        gamma=0.8,
        max_flow=400.0,
        reduction="sum_over_batch_size",
        name=None,
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma = checks.number("gamma", gamma, above=0, most=1)
        self.max_flow = checks.number("max_flow", max_flow, above=0)

    def call(self, y_true, y_pred):
        flows = y_pred if isinstance(y_pred, (list, tuple)) else [y_pred]
        truth = y_true["truth"]
        length = ops.sqrt(ops.sum(ops.square(truth), axis=-1, keepdims=True))
        valid = length < self.max_flow
        if "weight" in y_true:
            valid = ops.logical_and(valid, y_true["weight"] >= 0.5)
        truth = ops.where(valid, truth, 0.0)
        total = 0.0
        for index, flow in enumerate(flows):
            weight = self.gamma ** (len(flows) - 1 - index)
            total = total + weight * self.refinement_loss(truth, flow, valid)
        return total

    def refinement_loss(self, truth, flow, valid):
        """The loss of one refinement.

        Args:
            truth: Ground truth (B, H, W, 2) in pixels, zeros where it is not valid.
            flow: What was estimated, (B, H, W, 2) in pixels.
            valid: Boolean tensor (B, H, W, 1).

        Returns:
            Tensor (B,).
        """
        if flow.shape[-1] == CHANNELS_OF_MIXTURE:
            raise ValueError(
                "SequenceLoss takes flows (B, H, W, 2); for a network with mixture=True, such as "
                "RAFT('lite'), choose MixtureOfLaplaceLoss. "
                f"Received: y_pred of shape {tuple(flow.shape)}"
            )
        axes = (None, None, None, 2)
        checks.same_shape(("y_true", "y_pred"), (truth, flow), "(B, H, W, 2)", axes)
        return ops.mean(ops.where(valid, ops.abs(flow - truth), 0.0), axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "max_flow": self.max_flow}
