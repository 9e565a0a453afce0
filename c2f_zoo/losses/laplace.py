"""The likelihood of a flow whose errors are a mixture of two Laplace distributions."""

import math

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.losses.sequence import CHANNELS_OF_MIXTURE, SequenceLoss

PARAMETERS = CHANNELS_OF_MIXTURE - 2  # of the mixture: two logits and a logarithm of a scale
LARGEST_LOG_SCALE = 10.0


def mixture_components(parameters):
    """Read the mixture that a network estimates.

    Args:
        parameters: Tensor (..., 3): the logits of the ordinary and of the wide distribution, and
            the logarithm of the wide one's scale in pixels, which is cut off to [0, 10].

    Returns:
        Logarithms of the two shares (..., 2), and of the two scales (..., 2); the first scale is
        one pixel.
    """
    log_scale = ops.clip(parameters[..., 2:], 0.0, LARGEST_LOG_SCALE)
    log_scales = ops.concatenate([ops.zeros_like(log_scale), log_scale], axis=-1)
    return ops.log_softmax(parameters[..., :2], axis=-1), log_scales


def expected_error(parameters):
    """The mean absolute error of a component of the flow that a mixture stands for.

    `share_1 + share_2 exp(beta)`: the mean of |x| under a Laplace distribution is its scale.

    Args:
        parameters: Tensor (..., 3), as of `mixture_components`.

    Returns:
        Tensor (..., 1), in pixels, at least 1.

    Example:
        >>> float(expected_error(ops.array([[0.0, 0.0, 0.0]]))[0, 0])
        1.0
    """
    log_shares, log_scales = mixture_components(parameters)
    return ops.sum(ops.exp(log_shares + log_scales), axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MixtureOfLaplaceLoss(SequenceLoss):
    """SEA-RAFT's training loss: the negative log-likelihood of every refinement.

    Each component of the flow has the density
    `p(x) = a exp(-|x - f|) / 2 + (1 - a) exp(-|x - f| / exp(b)) / (2 exp(b))`: an ordinary error,
    as the L1 norm has it, or that of an ambiguous pixel, whose scale exp(b) is estimated along with
    its share. `L = sum_i gamma^(N - 1 - i) mean(-log p_i(f_gt))`; the mean is over both components
    of the valid pixels of an image.

    Args:
        gamma: Weight of a refinement relative to the next.
        **kwargs: Of `SequenceLoss`: `max_flow`, `reduction`, `name`, `dtype`.

    Call arguments:
        y_true: Flow (B, H, W, 2) in pixels; y_pred: list of tensors (B, H, W, 5), in the order of
        refinement, or one of them: the flow, then the parameters of `mixture_components`;
        sample_weight: validity mask (B, H, W, 1), valid from 0.5 up.

    Raises:
        ValueError: If gamma is not in (0, 1] or `max_flow` not positive.

    Source: SEA-RAFT (arXiv 2405.14793), section 3.2; validity as in the released code.

    Example:
        >>> import numpy as np
        >>> truth = np.zeros((1, 4, 4, 2), "float32")
        >>> exact = np.zeros((1, 4, 4, 5), "float32")
        >>> round(float(MixtureOfLaplaceLoss()(truth, [exact])), 4)  # log 2
        0.6931
    """

    def __init__(self, gamma=0.85, **kwargs):
        super().__init__(gamma=gamma, **kwargs)

    def refinement_loss(self, truth, flow, valid):
        """The loss of one refinement.

        Args:
            truth: Ground truth (B, H, W, 2) in pixels, zeros where it is not valid.
            flow: What was estimated, (B, H, W, 5): flow in pixels, parameters of the mixture.
            valid: Boolean tensor (B, H, W, 1).

        Returns:
            Tensor (B,).
        """
        if flow.shape[-1] == 2:
            raise ValueError(
                "MixtureOfLaplaceLoss takes the flow and its mixture, (B, H, W, 5); for a network "
                "with mixture=False choose SequenceLoss. "
                f"Received: y_pred of shape {tuple(flow.shape)}"
            )
        axes = (*truth.shape[:3], CHANNELS_OF_MIXTURE)
        checks.shape("y_pred", flow, "(B, H, W, 5), B, H, W of y_true", axes)
        error = ops.where(valid, ops.abs(flow[..., :2] - truth), 0.0)[..., None]
        log_shares, log_scales = (x[..., None, :] for x in mixture_components(flow[..., 2:]))
        terms = log_shares - math.log(2.0) - log_scales - error * ops.exp(-log_scales)
        loss = ops.where(valid, -ops.logsumexp(terms, axis=-1), 0.0)
        count = 2.0 * ops.sum(ops.cast(valid, loss.dtype), axis=(1, 2, 3))
        return ops.sum(loss, axis=(1, 2, 3)) / ops.maximum(count, 1.0)
