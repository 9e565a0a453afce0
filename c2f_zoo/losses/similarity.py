"""Structural similarity as a loss."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import structural_similarity


@keras.saving.register_keras_serializable(package="c2f_zoo")
class SSIMLoss(keras.losses.Loss):
    """`offset - SSIM`, of images in [0, 1], under an 11x11 Gaussian window of sigma 1.5.

    A loss for restoration and super-resolution where structure matters more than brightness.
    `SSIMLoss(padding="zero", offset=0)` is the -SSIM of Ahamed et al.'s multiscale
    super-resolution; the offset does not affect the gradient.

    Args:
        padding: `"valid"` takes windows inside the image; `"zero"` one window around each pixel,
            zeros beyond the border. Defaults to `"valid"`.
        offset: Defaults to 1, so that equal images have the loss 0.
        reduction, name, dtype: Of `keras.losses.Loss`; the similarity is computed in float32.

    Call arguments:
        y_true: Images (B, H, W, C) in [0, 1], H and W at least 11 unless padded.
        y_pred: Images (B, H, W, C).

    Raises:
        ValueError: If the padding is unknown, the batch empty, or the images differ in shape or are
            smaller than the window.

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural
    Similarity, 2004; Ahamed et al., arXiv 2501.12739, released code.

    Example:
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
        self.padding = checks.one_of("padding", padding, ("valid", "zero"))
        self.offset = checks.number("offset", offset)

    def call(self, y_true, y_pred):
        axes = (checks.SOME, None, None, None)
        checks.same_shape(("y_true", "y_pred"), (y_true, y_pred), "(B, H, W, C), B >= 1", axes)
        similarity, _ = structural_similarity(y_true, y_pred, self.padding)
        return self.offset - ops.mean(similarity, axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "offset": self.offset}
