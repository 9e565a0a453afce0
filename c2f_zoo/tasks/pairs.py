"""What networks of two images share: the signature with which they are exported."""

import keras

from c2f_zoo import backend


def pair_signature(args, kwargs, height=448, width=1024):
    """Make the input signature of an export of a pair of images of any size.

    Args:
        args: Positional arguments of `export` after the path.
        kwargs: Its keyword arguments.
        height: Height in the example of the error's message.
        width: Width there.

    Returns:
        List of one pair of `keras.InputSpec` (B, H, W, 3).

    Raises:
        ValueError: The backend or format needs a fixed size.
    """
    file_format = args[0] if args else kwargs.get("format", "tf_saved_model")
    if backend.backend() != "tensorflow" or file_format != "tf_saved_model":
        raise ValueError(
            "Only TensorFlow exports a network of open image size, as tf_saved_model. "
            f"Give a fixed one: image = keras.InputSpec(shape=(1, {height}, {width}, 3), "
            'dtype="float32"); input_signature=[(image, image)]. '
            f"Received: format={file_format!r}, backend={backend.backend()!r}"
        )
    image = keras.InputSpec(shape=(None, None, None, 3), dtype="float32")
    return [(image, image)]
