"""What the image level returns: arrays, or pictures of Pillow."""

from c2f_zoo import checks

OUTPUTS = ("numpy", "pil")


def check_output(output, confidence=False):
    """Return what was asked for, or raise a ValueError.

    Args:
        output: One of `OUTPUTS`.
        confidence: Whether more than an estimate was asked for, which is no picture.

    Returns:
        `output`.
    """
    checks.one_of("output", output, OUTPUTS)
    if output == "pil" and confidence:
        raise ValueError(
            "A picture shows an estimate alone: ask for output='numpy' with confidence or "
            "uncertainty. Received: output='pil'"
        )
    return output


def as_output(array, output, draw=None, profile=None):
    """Turn a result into what was asked for.

    Args:
        array: Result, an array (H, W, ...).
        output: `"numpy"` for the array as it is, or `"pil"` for a picture.
        draw: Function that makes an image of the result, (H, W) or (H, W, C) in [0, 1]. By default
            it is one.
        profile: Colour profile that the picture gets, bytes; None for none.

    Returns:
        The array, or a `PIL.Image.Image` of 8 bits: L, LA, RGB or RGBA.

    Example:
        >>> import numpy as np
        >>> as_output(np.ones((4, 6, 3), "float32"), "pil").size
        (6, 4)
    """
    if output == "numpy":
        return array
    from PIL import Image

    from c2f_zoo.data.files.pictures import as_bytes

    image = as_bytes(array if draw is None else draw(array))
    picture = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    if profile:
        picture.info["icc_profile"] = profile
    return picture
