"""Structural similarity as a loss."""

import keras
from keras import ops

from c2f_zoo.layers import structural_similarity


@keras.saving.register_keras_serializable(package="c2f_zoo")
class SSIMLoss(keras.losses.Loss):
    """`offset - SSIM`, of images in [0, 1], under an 11x11 Gaussian window of sigma 1.5.

    The loss of restoration and super-resolution networks where structure counts more than
    brightness. `SSIMLoss(padding="zero", offset=0)` is -SSIM as the multiscale super-resolution
    training of Ahamed et al. has it; the offset changes the number and not the gradient.

    Args:
        padding: `"valid"` counts windows inside the image; `"zero"` one window around each pixel,
            zeros beyond the border. Defaults to `"valid"`.
        offset: Defaults to 1, so that equal images lose 0.
        reduction: Of `keras.losses.Loss`; the default averages over the batch.
        name: Of `keras.losses.Loss`.
        dtype: Precision in which the loss is averaged; the similarity is computed in float32.

    Call arguments:
        y_true: Images (B, H, W, C) in [0, 1], H and W at least 11 unless padded.
        y_pred: Images (B, H, W, C).

    Raises:
        ValueError: Unknown padding; images of different shapes or smaller than the window.

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural
    Similarity, 2004; Ahamed et al., arXiv 2501.12739, released code.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).random((2, 16, 16, 3), dtype="float32")
        >>> round(float(SSIMLoss()(image, image)), 4)
        0.0
    """

    def __init__(
        self,
        padding="valid",
        offset=1.0,
        reduction="sum_over_batch_size",
        name="ssim_loss",
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if padding not in ("valid", "zero"):
            raise ValueError(f'padding must be "valid" or "zero". Received: {padding!r}')
        self.padding, self.offset = padding, float(offset)

    def call(self, y_true, y_pred):
        shapes = tuple(y_true.shape), tuple(y_pred.shape)
        fits = len(shapes[0]) == len(shapes[1]) == 4 and all(
            a == b or a is None or b is None for a, b in zip(*shapes, strict=True)
        )
        if not fits:
            raise ValueError(
                "SSIMLoss takes two batches (B, H, W, C) of one shape. "
                f"Received: shapes {shapes[0]} and {shapes[1]}"
            )
        similarity, _ = structural_similarity(y_true, y_pred, self.padding)
        return self.offset - ops.mean(similarity, axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "offset": self.offset}
