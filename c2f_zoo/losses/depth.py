"""Losses of depth networks that are supervised at several scales."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import (
    average_pool,
    crop_to,
    encode_depth,
    masked_similarity,
    pad_to_stride,
    upsample_bilinear,
)
from c2f_zoo.layers.depth_coding import REPRESENTATIONS, check_limits
from c2f_zoo.losses.pixel_loss import MeanOverKnown, as_levels, known_weight, share_of_mean


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MultiscaleDepthLoss(MeanOverKnown):
    """L1 and structural similarity of depth, at every scale of a coarse-to-fine network.

    `L = sum_l w_l mean_x (a |r_l(x) - r*_l(x)| + b (1 - SSIM(r_l, r*_l)(x)) / 2)`, where r is the
    depth's logarithm or inverse, scaled to [0, 1] (`layers.encode_depth`), and r* that of the
    truth. At a coarse scale the truth of a pixel is the mean of r* over the known pixels of its
    cell, and the pixel counts in proportion to their number. SSIM has a Gaussian window whose
    weights are those of the known pixels within it (`layers.masked_similarity`).

    A pixel is known where its depth is finite and within the limits and its weight is above 0.

    Args:
        level_weights: w of each scale, coarse to fine; of fewer scales the last count. A scale of
            weight 0 is not looked at.
        l1_weight: a, at least 0.
        ssim_weight: b, at least 0.
        representation: `"log"` or `"inverse"`.
        limits: (near, far) in metres, which become 0 and 1. Use those of the network.
        window_size: Side of SSIM's window in pixels of each scale, odd.
        full_size: Whether coarse scales are enlarged bilinearly and compared at full size, as in
            Monodepth2, rather than at their own size.
        reduction, name, dtype: Of `keras.losses.Loss`; computed in float32.

    Call arguments:
        y_true: Depth (B, H, W, 1), metres; unknown where 0, negative, NaN or infinite.
        y_pred: List of depths coarse to fine, each half the size of the next, rounded up, the last
            (B, H, W, 1); or one tensor, the last alone.
        sample_weight: Validity mask or weight, (B, H, W, 1), (B, H, W) or (B,).

    Raises:
        ValueError: If an argument is out of range; on a call, if there are more scales than weights
            or the shapes do not fit.

    Source: Godard et al., arXiv 1609.03677, equation 2 (L1 and SSIM), and arXiv 1806.01260, section
    3.2 (full size).

    Example:
        >>> truth = np.full((1, 8, 8, 1), 2.0, "float32")
        >>> loss = MultiscaleDepthLoss(limits=(1.0, 4.0))
        >>> round(float(loss(truth, [truth[:, ::2, ::2], truth])), 4)
        0.0
    """

    def __init__(
        self,
        level_weights=(1.0, 1.0, 1.0, 1.0, 1.0),
        l1_weight=1.0,
        ssim_weight=1.0,
        representation="log",
        limits=(0.1, 100.0),
        window_size=7,
        full_size=False,
        reduction="sum_over_batch_size",
        name="multiscale_depth",
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.level_weights = checks.several("level_weights", level_weights, checks.number, least=0)
        self.l1_weight = checks.number("l1_weight", l1_weight, least=0)
        self.ssim_weight = checks.number("ssim_weight", ssim_weight, least=0)
        self.representation = checks.one_of("representation", representation, REPRESENTATIONS)
        self.limits = check_limits(limits)
        self.window_size = checks.whole("window_size", window_size, least=3)
        if self.window_size % 2 == 0:
            raise ValueError(f"window_size must be odd. Received: {window_size}")
        self.full_size = bool(full_size)

    def call(self, y_true, y_pred):
        levels, truth = as_levels(y_pred, self.level_weights), y_true["truth"]
        axes = (checks.SOME, None, None, 1)
        checks.same_shape(("y_true", "y_pred"), (truth, levels[-1]), "(B, H, W, 1), B >= 1", axes)
        weight = self._weight(truth, y_true.get("weight"))
        known = weight > 0
        # Selecting, not multiplying: 0 * nan would be nan.
        code = self._encode(ops.where(known, truth, self.limits[1]))
        total = 0.0
        for index, (level, factor) in enumerate(
            zip(levels, self.level_weights[-len(levels) :], strict=True)
        ):
            if factor:
                halvings = len(levels) - 1 - index
                total = total + factor * self._of_level(level, code, weight, halvings)
        return total + ops.zeros_like(weight[:, 0, 0, 0])

    def _of_level(self, level, code, weight, halvings):
        """Loss of one scale, (B,)."""
        estimate = self._encode(level)
        if halvings:
            factor = 2**halvings
            axes = [size and -(-size // factor) for size in code.shape[1:3]]
            name, allowed = f"y_pred[-{halvings + 1}]", f"(B, H / {factor}, W / {factor}, 1)"
            checks.shape(name, level, f"{allowed}, rounded up", (code.shape[0], *axes, 1))
        if halvings and self.full_size:
            # Of an odd side the last row and column reach beyond the image.
            estimate = crop_to(upsample_bilinear(estimate, factor), *ops.shape(code)[1:3])
        elif halvings:
            code, weight = shrink_known(code, weight, factor)
        error = self.l1_weight * ops.abs(estimate - code)
        if self.ssim_weight:
            known = ops.cast(weight > 0, "float32")
            similarity = masked_similarity(estimate, code, known, self.window_size)
            error = error + self.ssim_weight * 0.5 * (1.0 - similarity)
        return ops.sum(error * share_of_mean(weight), axis=(1, 2, 3))

    def _encode(self, depth):
        return encode_depth(depth, self.representation, self.limits)

    def _weight(self, truth, given):
        """Weight of each pixel (B, H, W, 1), 0 where the depth is unknown or out of range."""
        known = ops.logical_and(truth >= self.limits[0], truth <= self.limits[1])  # not NaN either
        return known_weight(known, given)

    def get_config(self):
        return {
            **super().get_config(),
            "level_weights": list(self.level_weights),
            "l1_weight": self.l1_weight,
            "ssim_weight": self.ssim_weight,
            "representation": self.representation,
            "limits": list(self.limits),
            "window_size": self.window_size,
            "full_size": self.full_size,
        }


def shrink_known(values, weight, factor):
    """Shrink a map of which not every pixel is known: the weighted mean of each cell.

    Args:
        values: Tensor (B, H, W, C), finite.
        weight: Tensor (B, H, W, 1), 0 where a value is unknown.
        factor: Side of the cells, at least 1. Cells at the bottom and right may be partly outside.

    Returns:
        The means (B, ceil(H / factor), ceil(W / factor), C), 0 where all of a cell is unknown, and
        the cells' mean weights, of one channel.

    Example:
        >>> values = np.array([1.0, 9.0, 2.0, 4.0, 5.0], "float32").reshape(1, 1, 5, 1)
        >>> weight = np.array([1.0, 0.0, 1.0, 1.0, 1.0], "float32").reshape(1, 1, 5, 1)
        >>> means, weights = shrink_known(values, weight, 2)
        >>> np.asarray(means).ravel().tolist(), np.asarray(weights).ravel().tolist()
        ([1.0, 3.0, 5.0], [0.25, 0.5, 0.25])
    """
    weight = pad_to_stride(weight, factor, mode="zero")
    values = pad_to_stride(values, factor)
    share = average_pool(weight, factor)
    means = average_pool(values * weight, factor)
    return ops.where(share > 0, means / ops.where(share > 0, share, 1.0), 0.0), share


def edge_aware_smoothness(values, images):
    """Mean change of a map between neighbours, less where the image has an edge.

    `mean(|dx v / m| exp(-|dx I|)) + mean(|dy v / m| exp(-|dy I|))`, m the mean of v over each map,
    |dx I| the mean over the colours.

    Args:
        values: Tensor (B, h, w, 1), above 0, such as inverse depth.
        images: Tensor (B, h, w, 3) in [0, 1].

    Returns:
        Scalar.

    Source: Godard et al., arXiv 1806.01260, equation 3.

    Example:
        >>> flat = np.full((1, 4, 4, 1), 0.5, "float32")
        >>> float(edge_aware_smoothness(flat, np.zeros((1, 4, 4, 3), "float32")))
        0.0
    """
    names = ("values", "a channel of images")
    checks.same_shape(names, (values, images[..., :1]), "(B, h, w, 1)", (None, None, None, 1))
    values = values / (ops.mean(values, axis=(1, 2), keepdims=True) + 1e-7)
    total = 0.0
    for later, earlier in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(None), slice(None), slice(1, None)), (slice(None), slice(None), slice(None, -1))),
    ):
        edge = ops.mean(ops.abs(images[later] - images[earlier]), axis=-1, keepdims=True)
        change = ops.abs(values[later] - values[earlier]) * ops.exp(-edge)
        # A map one pixel wide has no neighbours to differ from.
        total = total + ops.sum(change) / ops.maximum(_count(change), 1.0)
    return total


def _count(tensor):
    shape = [ops.cast(side, "float32") for side in ops.shape(tensor)]
    return shape[0] * shape[1] * shape[2] * shape[3]
