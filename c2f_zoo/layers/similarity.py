"""Structural similarity (SSIM), shared by metrics and losses."""

import math

import numpy as np
from keras import ops

from c2f_zoo import backend, checks

WINDOW_SIZE, WINDOW_SIGMA = 11, 1.5
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def gaussian_window(size=WINDOW_SIZE, sigma=WINDOW_SIGMA):
    """Weights (size,) of a Gaussian window along one axis, in float64, with sum 1."""
    offset = np.arange(size) - (size - 1) / 2
    window = np.exp(-(offset**2) / (2 * sigma**2))
    return window / window.sum()


def blur_inside(images, window):
    """Apply a window (k,) where it fits: (B, H - k + 1, W - k + 1, C). Takes numpy too."""
    last = len(window) - 1
    for axis in (1, 2):
        before = (slice(None),) * axis
        images = sum(
            float(weight) * images[(*before, slice(k, k - last or None))]
            for k, weight in enumerate(window)
        )
    return images


def similarity_maps(x, y, blur, max_value=1.0, levels=(0.0, 0.0)):
    """Structural similarity of every window of pairs of images, and its contrast-structure factor.

    With the window's means m, variances v and covariance c, C1 = (0.01 L)^2, C2 = (0.03 L)^2:

        similarity = (2 m_x m_y + C1) / (m_x^2 + m_y^2 + C1) * contrast,
        contrast = (2 c + C2) / (v_x + v_y + C2).

    `blur` takes the weighted mean of (B, H, W, C) over each window; `levels`, numbers or (B, 1, 1,
    C), were subtracted from `x` and `y` to keep the variances precise. Source: Wang et al., Image
    Quality Assessment, 2004, equations 12 and 13.
    """
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    mean_x, mean_y = blur(x), blur(y)
    variances = (blur(x * x) - mean_x * mean_x) + (blur(y * y) - mean_y * mean_y)
    covariance = blur(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + levels[0], mean_y + levels[1]
    contrast = (2 * covariance + c2) / (variances + c2)
    brightness = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    return brightness * contrast, contrast


def structural_similarity(images1, images2, padding="valid", size=WINDOW_SIZE):
    """`similarity_maps` of images in [0, 1] under the Gaussian window of sigma 1.5.

    Computed in float32.

    Args:
        images1: Tensor (B, H, W, C).
        images2: Tensor (B, H, W, C).
        padding: `"valid"` takes the windows that fit inside, `"zero"` one around every pixel,
            zeros beyond the border.
        size: Side of the window; its sigma is proportional. Defaults to 11.

    Returns:
        Pair (similarity, contrast), each (B, H - size + 1, W - size + 1, C), or (B, H, W, C) with
        zero padding.

    Raises:
        ValueError: If the padding is unknown, the shapes differ, or the images are smaller than the
            window.

    Example:
        >>> image = np.random.default_rng(0).random((1, 16, 20, 3), dtype="float32")
        >>> similarity, contrast = structural_similarity(image, image)
        >>> tuple(similarity.shape)
        (1, 6, 10, 3)
    """
    checks.one_of("padding", padding, ("valid", "zero"))
    pair = [ops.cast(ops.convert_to_tensor(x), "float32") for x in (images1, images2)]
    shape = checks.same_shape(("images1", "images2"), pair, "(B, H, W, C)", (None,) * 4)
    if padding == "valid" and any(side is not None and side < size for side in shape[1:3]):
        raise ValueError(f"images must have at least {size}x{size} pixels. Received: shape {shape}")
    window = gaussian_window(size, WINDOW_SIGMA * size / WINDOW_SIZE)
    if padding == "zero":  # the zeros belong to the images: nothing may be subtracted
        around = (size // 2, size - 1 - size // 2)
        pair = [ops.pad(x, ((0, 0), around, around, (0, 0))) for x in pair]
        return similarity_maps(*pair, lambda x: _blur(x, window))
    levels = [ops.mean(x, axis=(1, 2), keepdims=True) for x in pair]
    pair = [x - level for x, level in zip(pair, levels, strict=True)]
    return similarity_maps(*pair, lambda x: _blur(x, window), levels=levels)


def masked_similarity(images1, images2, mask, size=WINDOW_SIZE):
    """`similarity_maps` of images in [0, 1] of which not every pixel is known.

    The window lies around each pixel; its weights are those of the known pixels within it, scaled
    to the sum 1. So nothing unknown has an influence, nor what lies beyond the border; where all
    pixels of a window are known, this is the similarity of `structural_similarity`.

    Args:
        images1: Tensor (B, H, W, C), float; any finite values where the mask is 0.
        images2: Tensor (B, H, W, C).
        mask: Tensor (B, H, W, 1), 1 where both images are known, else 0.
        size: Side of the window, odd; its sigma is proportional to that of 1.5 for 11.

    Returns:
        float32 tensor (B, H, W, C); meaningless where no pixel of the window is known.

    Example:
        >>> image = np.random.default_rng(0).random((1, 6, 8, 1), dtype="float32")
        >>> mask = np.ones((1, 6, 8, 1), "float32")
        >>> round(float(ops.min(masked_similarity(image, image, mask, 5))), 4)
        1.0
    """
    mask = ops.cast(ops.convert_to_tensor(mask), "float32")
    pair = [ops.cast(ops.convert_to_tensor(x), "float32") for x in (images1, images2)]
    window = gaussian_window(size, WINDOW_SIGMA * size / WINDOW_SIZE)
    around = ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0))
    count = ops.maximum(ops.sum(mask, axis=(1, 2), keepdims=True), 1.0)
    levels = [ops.sum(x * mask, axis=(1, 2), keepdims=True) / count for x in pair]
    pair = [(x - level) * mask for x, level in zip(pair, levels, strict=True)]
    share = ops.maximum(_blur(ops.pad(mask, around), window), 1e-6)
    # What is unknown is 0 here, and so are its products.
    return similarity_maps(
        *pair, lambda x: _blur(ops.pad(x, around), window) / share, levels=levels
    )[0]


def _blur(images, window):
    """`blur_inside` in the backend's fastest form."""
    if backend.backend() == "jax":  # XLA fuses the slices; its grouped convolutions are slow
        return blur_inside(images, window)
    channels = images.shape[-1]
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        kernel = np.tile(window.reshape(shape), (1, 1, channels, 1)).astype("float32")
        images = ops.depthwise_conv(
            images, ops.convert_to_tensor(kernel), padding="valid", data_format="channels_last"
        )
    return images


def multiscale_similarity(x, y, terms, halve):
    """Multi-scale structural similarity (B,): the product of powers of the terms of five scales.

    The contrast-structure terms of the first four scales and the similarity of the last; negative
    terms count as 0. `terms(x, y)` returns each pair's mean similarity and mean contrast, both
    (B,); `halve(x)` halves the sides. Source: Wang, Simoncelli and Bovik, 2003, equation 7.
    """
    factors = []
    for level, weight in enumerate(SCALE_WEIGHTS):
        similarity, contrast = terms(x, y)
        is_last = level == len(SCALE_WEIGHTS) - 1
        term = similarity if is_last else contrast
        factors.append(((term + abs(term)) / 2) ** weight)
        if not is_last:
            x, y = halve(x), halve(y)
    return math.prod(factors)
