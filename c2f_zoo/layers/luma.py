"""The brightness channel in which super-resolution is measured."""

from keras import ops

# ITU-R BT.601: weights of R, G, B and the level of black, of images in [0, 1].
_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BLACK = 16 / 255


def luma(images):
    """Take the Y channel of RGB images, as MATLAB's `rgb2ycbcr` does for floats.

    Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255: black is 16/255 and white 235/255 (studio
    range). MATLAB's rounding of bytes to 256 levels is left out.

    Args:
        images: Tensor (..., 3), RGB in [0, 1].

    Returns:
        Tensor (..., 1).

    Raises:
        ValueError: If the last axis does not have three channels.

    Source: ITU-R BT.601.

    Example:
        >>> round(255 * float(luma(np.ones((1, 1, 1, 3), "float32"))[0, 0, 0, 0]), 3)
        235.0
    """
    images = ops.convert_to_tensor(images)
    shape = tuple(images.shape)
    if not shape or shape[-1] != 3:
        raise ValueError(f"images must have the shape (..., 3). Received: shape {shape}")
    parts = [weight * images[..., i : i + 1] for i, weight in enumerate(_WEIGHTS)]
    return sum(parts) + _BLACK
