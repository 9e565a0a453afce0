"""PSMNet lite's refinement of disparity at a quarter and at a half of the size."""

import keras
from keras import ops

from c2f_zoo.layers import convex_upsample, warp
from c2f_zoo.models.psmnet.lite_features import HALF, QUARTER, plain_convolution

RADIUS = 4  # of the window of disparities that is looked up, in pixels of a quarter
DILATIONS = {4: (1, 2, 4, 8, 1), 2: (1, 2, 1)}
WIDTHS = {4: 48, 2: 16}


def window(volume, disparity):
    """Values of a volume at disparities around the given ones, interpolated linearly.

    Args:
        volume: Tensor (B, h, w, d), zero outside.
        disparity: Tensor (B, h, w, 1), in steps of the volume.

    Returns:
        Tensor (B, h, w, 2 RADIUS + 1) of the dtype of the volume: at `disparity` - RADIUS to
        `disparity` + RADIUS.
    """
    volume = ops.pad(volume, ((0, 0), (0, 0), (0, 0), (1, 1)))
    low = ops.floor(disparity)
    steps = ops.arange(-RADIUS, RADIUS + 2, dtype="float32")
    limit = ops.cast(ops.shape(volume)[-1] - 1, "float32")
    # Clipped before the cast, which NaN and huge values would not survive.
    index = ops.cast(ops.clip(low + steps + 1, 0.0, limit), "int32")
    index = ops.clip(index, 0, ops.shape(volume)[-1] - 1)
    taps = ops.take_along_axis(volume, index, axis=-1)
    weight = ops.cast(disparity - low, volume.dtype)
    return taps[..., :-1] * (1 - weight) + taps[..., 1:] * weight


class Refinement(keras.layers.Layer):
    """Convolutions of growing dilation that correct a disparity and enlarge it twofold.

    The enlargement is a convex combination of neighbours with learned weights (RAFT, arXiv
    2003.12039, section 3.3), which keeps the edges of objects.

    Args:
        scale: Part of the size at which it works: 4 for a quarter, 2 for a half.
        channels: Channels of what it sees.
        dtype: Precision policy.

    Call arguments:
        disparity: Tensor (B, h, w, 1), float32, in pixels of this size.
        seen: List of tensors (B, h, w, C_i).

    Returns:
        Disparity (B, 2 h, 2 w, 1) in pixels of twice the size.
    """

    def __init__(self, scale, channels, dtype):
        super().__init__(autocast=False, dtype=dtype, name=f"refinement_{scale}")
        width = WIDTHS[scale]
        with keras.name_scope(self.name):
            self.entry = plain_convolution(channels + 1, width, "entry", dtype, activation="relu")
            self.body = [
                plain_convolution(
                    width, width, f"body_{index}", dtype, activation="relu", dilation_rate=dilation
                )
                for index, dilation in enumerate(DILATIONS[scale])
            ]
            # The first corrections must not drown what the volume says.
            self.correction = plain_convolution(width, 1, "correction", "float32", gain=1e-3)
            self.weights_of_neighbours = plain_convolution(
                width, 9 * 4, "weights_of_neighbours", dtype, 1, gain=0.1
            )
        self.built = True

    def call(self, disparity, seen):
        seen = [*seen, disparity / 32.0]
        x = ops.concatenate([ops.cast(part, self.compute_dtype) for part in seen], axis=-1)
        x = self.entry(x)
        for layer in self.body:
            x = x + layer(x)
        disparity = disparity + self.correction(x)
        logits = ops.cast(self.weights_of_neighbours(x), "float32")
        return 2 * convex_upsample(disparity, logits, 2, border="replicate")


class QuarterRefinement(Refinement):
    """Refinement by the left features and by what the volume holds around the disparity.

    Args:
        dtype: Precision policy.

    Call arguments:
        disparity: Tensor (B, h, w, 1), float32, in pixels of a quarter.
        left: Tensor (B, h, w, C), features of the left image.
        cosine: Tensor (B, h, w, d), similarity at each disparity.
        probability: Tensor (B, h, w, d) of each disparity.

    Returns:
        Disparity (B, 2 h, 2 w, 1) in pixels of a half.
    """

    def __init__(self, dtype):
        super().__init__(4, QUARTER + 2 * (2 * RADIUS + 1) + 1, dtype)

    def call(self, disparity, left, cosine, probability):
        centre = ops.stop_gradient(disparity)
        sure = ops.sum(ops.square(probability), axis=-1, keepdims=True)
        seen = [left, window(cosine, centre), window(probability, centre), sure]
        return super().call(disparity, seen)


class HalfRefinement(Refinement):
    """Refinement by the left features and the right ones warped onto them.

    Args:
        dtype: Precision policy.

    Call arguments:
        disparity: Tensor (B, h, w, 1), float32, in pixels of a half.
        left: Tensor (B, h, w, C), features of the left image.
        right: Tensor (B, h, w, C), features of the right image.

    Returns:
        Disparity (B, 2 h, 2 w, 1) in pixels of the image.
    """

    def __init__(self, dtype):
        super().__init__(2, 2 * HALF, dtype)

    def call(self, disparity, left, right):
        flow = -ops.stop_gradient(disparity)
        flow = ops.concatenate([flow, ops.zeros_like(flow)], axis=-1)
        return super().call(disparity, [left, warp(right, flow)])
