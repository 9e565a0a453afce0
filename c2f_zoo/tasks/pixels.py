"""What every network does with the images that it is given."""

import keras
from keras import ops


def to_unit_range(image):
    """Convert uint8 images to float32 in [0, 1]; float images keep their values.

    Args:
        image: Tensor (B, H, W, 3); uint8 in [0, 255] or floating point in [0, 1].

    Returns:
        float32 tensor (B, H, W, 3).

    Raises:
        ValueError: The images are of another type.
    """
    values = ops.cast(image, "float32")
    return values / 255.0 if is_bytes(image) else values


def is_bytes(image):
    """Tell whether an image is uint8 rather than floating point; other types are refused."""
    dtype = keras.backend.standardize_dtype(image.dtype)
    if dtype != "uint8" and ("int" in dtype or dtype == "bool"):
        raise ValueError(f"Images are uint8 in [0, 255] or float in [0, 1]. Received: {dtype}")
    return dtype == "uint8"
