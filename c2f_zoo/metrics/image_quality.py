"""How close restored images are to the true ones: PSNR, SSIM and MS-SSIM."""

import math

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import average_pool, luma, pad_to_stride
from c2f_zoo.layers.similarity import WINDOW_SIZE, multiscale_similarity, structural_similarity
from c2f_zoo.metrics.exact_mean import ExactMean

MINIMUM_SIDE = 16  # of MS-SSIM: its coarsest scale is 1/16


def psnr(y_true, y_pred, channel="rgb", border=0):
    """Peak signal-to-noise ratio of each image, in dB: `-10 log10(mean squared error)`.

    Args:
        y_true: Tensor (B, H, W, C), true images, uint8 or float in [0, 1].
        y_pred: Tensor (B, H, W, C), estimates, uint8 or float; not clipped to [0, 1].
        channel: `"rgb"` compares all channels (of grey images too), `"y"` the luma of RGB images
            by BT.601 (studio range), as super-resolution reports.
        border: Pixels to leave out on each side; super-resolution by s usually leaves out s.

    Returns:
        float32 tensor (B,); infinity for equal images.

    Raises:
        ValueError: If the shapes differ, the channel is unknown or the border leaves nothing.

    Source: Dong et al., SRCNN, ECCV 2014, for the Y channel.

    Example:
        >>> images = np.zeros((1, 8, 8, 3))
        >>> round(float(psnr(images, images + 0.1)[0]), 3)
        20.0
    """
    truth, estimate = _prepare(y_true, y_pred, channel, border, 1)
    error = ops.mean(ops.square(truth - estimate), axis=(1, 2, 3))
    return -10.0 / math.log(10.0) * ops.log(error)


def ssim(y_true, y_pred, channel="rgb", border=0):
    """Structural similarity of each image, averaged over its 11x11 windows and channels.

    Gaussian windows of sigma 1.5 that fit inside the image, constants 0.01 and 0.03, variances
    without Bessel's correction, as in the paper; scikit-image's `structural_similarity` with
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1` is equal.

    Args:
        y_true: Tensor (B, H, W, C), true images, uint8 or float in [0, 1], at least 11x11 within
            the border.
        y_pred: Tensor (B, H, W, C), estimates.
        channel, border: See `psnr`.

    Returns:
        float32 tensor (B,), at most 1.

    Raises:
        ValueError: As `psnr`, and if the images are too small.

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural
    Similarity, 2004.

    Example:
        >>> images = np.random.default_rng(0).random((1, 16, 16, 3))
        >>> bool(ssim(images, 1 - images)[0] < -0.9)
        True
    """
    truth, estimate = _prepare(y_true, y_pred, channel, border, WINDOW_SIZE)
    similarity, _ = structural_similarity(truth, estimate)
    return ops.mean(similarity, axis=(1, 2, 3))


def ms_ssim(y_true, y_pred, channel="rgb", border=0):
    """Multi-scale structural similarity of each image.

    SSIM's terms at five scales, each half of the one before by 2x2 averages (an odd side repeats
    its last row or column), multiplied with the paper's exponents; negative terms count as 0.
    Where a scale is smaller than the window, the window and its sigma shrink to it: results for
    sides below 176 pixels are not comparable with published ones.

    Args:
        y_true: Tensor (B, H, W, C), true images, uint8 or float in [0, 1], at least 16x16 within
            the border.
        y_pred: Tensor (B, H, W, C), estimates.
        channel, border: See `psnr`.

    Returns:
        float32 tensor (B,), 0 to 1.

    Raises:
        ValueError: As `psnr`, and if the images are too small.

    Source: Wang, Simoncelli and Bovik, Multiscale Structural Similarity, 2003, equation 7.

    Example:
        >>> images = np.random.default_rng(0).random((1, 32, 48, 3))
        >>> round(float(ms_ssim(images, images)[0]), 4)
        1.0
    """
    truth, estimate = _prepare(y_true, y_pred, channel, border, MINIMUM_SIDE)
    return multiscale_similarity(truth, estimate, _terms, _halve)


class _ImageMean(ExactMean):
    """Mean of a figure over images, each counted once or by its weight."""

    def __init__(self, channel="rgb", border=0, name=None, dtype=None):
        border = _check_options(channel, border)
        if name is None:
            name = self._per_image.__name__ + ("_y" if channel == "y" else "")
        super().__init__(name=name, dtype=dtype)
        self.channel, self.border = channel, border

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch.

        Args:
            y_true, y_pred: Tensors (B, H, W, C), true images and estimates, uint8 or float in
                [0, 1].
            sample_weight: Weight of each image, (B,); 1 by default. Images of weight 0 may be NaN.
        """
        figure = self._per_image(y_true, y_pred, self.channel, self.border)
        weight = ops.ones_like(figure)
        if sample_weight is not None:
            weight = ops.cast(sample_weight, "float32")
            checks.shape("sample_weight", weight, "(B,)", (None,))
            figure = ops.where(weight > 0, figure * weight, 0.0)
        self.add(ops.sum(figure), ops.sum(weight))

    def get_config(self):
        return {**super().get_config(), "channel": self.channel, "border": self.border}


@keras.saving.register_keras_serializable(package="c2f_zoo")
class PSNR(_ImageMean):
    """Mean peak signal-to-noise ratio of images, in dB.

    The mean of the images' ratios, as the field reports it, not the ratio of the mean error.

    Args:
        channel, border: See `psnr`.
        name: Name in logs. Defaults to `psnr`, with `"y"` to `psnr_y`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If the channel is unknown or the border negative.

    Example:
        >>> metric = PSNR()
        >>> metric.update_state(np.zeros((2, 8, 8, 3)), np.full((2, 8, 8, 3), 0.01))
        >>> round(float(metric.result()), 3)
        40.0
    """

    _per_image = staticmethod(psnr)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class SSIM(_ImageMean):
    """Mean structural similarity of images.

    Args:
        channel, border: See `psnr`.
        name: Name in logs. Defaults to `ssim`, with `"y"` to `ssim_y`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If the channel is unknown or the border negative.

    Example:
        >>> metric = SSIM(channel="y", border=2)
        >>> images = np.random.default_rng(0).random((2, 16, 16, 3))
        >>> metric.update_state(images, images)
        >>> round(float(metric.result()), 4), metric.name
        (1.0, 'ssim_y')
    """

    _per_image = staticmethod(ssim)


@keras.saving.register_keras_serializable(package="c2f_zoo")
class MSSSIM(_ImageMean):
    """Mean multi-scale structural similarity of images to the true ones.

    `PairwiseMSSSIM` compares generated images with each other.

    Args:
        channel, border: See `psnr`.
        name: Name in logs. Defaults to `ms_ssim`, with `"y"` to `ms_ssim_y`.
        dtype: Accepted for Keras; computed in float32.

    Raises:
        ValueError: If the channel is unknown or the border negative.

    Example:
        >>> metric = MSSSIM()
        >>> images = np.random.default_rng(0).random((2, 32, 32, 3))
        >>> metric.update_state(images, images)
        >>> round(float(metric.result()), 4)
        1.0
    """

    _per_image = staticmethod(ms_ssim)


def _terms(x, y):
    """Mean similarity and mean contrast of each pair, (B,), the window no larger than they are."""
    sides = [side for side in x.shape[1:3] if side is not None]
    maps = structural_similarity(x, y, size=min([WINDOW_SIZE, *sides]))
    return tuple(ops.mean(values, axis=(1, 2, 3)) for values in maps)


def _halve(images):
    return average_pool(pad_to_stride(images, 2), 2)


def _prepare(y_true, y_pred, channel, border, least):
    """Check pairs of images; return the part of them to compare, as float32."""
    border = _check_options(channel, border)
    pair = [ops.convert_to_tensor(images) for images in (y_true, y_pred)]
    axes = (None, None, None, 3 if channel == "y" else None)
    allowed = "(B, H, W, 3)" if channel == "y" else "(B, H, W, C)"
    shape = checks.same_shape(("y_true", "y_pred"), pair, allowed, axes)
    if any(side is not None and side - 2 * border < least for side in shape[1:3]):
        raise ValueError(
            f"y_true must have at least {least}x{least} pixels within a border of {border}. "
            f"Received: shape {shape}"
        )
    inside = slice(border, -border or None)
    pair = [_unit_range(images[:, inside, inside]) for images in pair]
    return [luma(images) for images in pair] if channel == "y" else pair


def _unit_range(images):
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype != "uint8" and "float" not in dtype:
        raise ValueError(f"images must be uint8 or float in [0, 1]. Received: dtype {dtype}")
    images = ops.cast(images, "float32")
    return images / 255.0 if dtype == "uint8" else images


def _check_options(channel, border):
    checks.one_of("channel", channel, ("rgb", "y"))
    return checks.whole("border", border, least=0)
