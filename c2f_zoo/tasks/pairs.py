"""What networks of two images share: input checks, stacking, export."""

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.tasks.features import FeatureTask
from c2f_zoo.tasks.pixels import is_bytes, to_unit_range
from c2f_zoo.tasks.quantization import refuse_quantization


class PairTask(FeatureTask):
    """Mixin of `FlowTask` and `StereoTask`, which define `check_inputs` and the image level.

    Attributes:
        minimum_size: Smallest height and width that `call` takes.
        pair_verb: Name of the image-level method, which takes smaller images too.
        example_size: Height and width that `export`'s error suggests.
    """

    minimum_size = 16
    pair_verb = "flow"
    example_size = (448, 1024)
    quantize = refuse_quantization

    def __call__(self, inputs, *args, **kwargs):
        # Before Keras, which wraps the errors of `call` in its own.
        self.check_inputs(inputs)
        self.check_options(inputs, *args, **kwargs)
        return super().__call__(inputs, *args, **kwargs)

    def check_options(self, inputs, *args, **kwargs):
        """Check what `call` takes besides its inputs, which are checked; by default nothing.

        Args:
            inputs: Of `call`.
            *args, **kwargs: Likewise.

        Raises:
            ValueError: An option does not fit.
        """

    def check_images(self, images):
        """Check that one or two images are (B, H, W, 3), of one shape and not too small.

        Args:
            images: List of tensors; TensorFlow may not know their sizes yet.

        Raises:
            ValueError: They are not.
        """
        name, shapes = type(self).__name__, [tuple(image.shape) for image in images]
        if any(len(shape) != 4 or shape[-1] != 3 for shape in shapes):
            raise ValueError(
                f"{name} takes images (B, H, W, 3) in [0, 1]. Received: shapes {shapes}"
            )
        if any(
            len({size for size in sizes if size is not None}) > 1
            for sizes in zip(*shapes, strict=True)
        ):
            raise ValueError(f"The two images must have one shape. Received: {shapes}")
        for image in images:
            is_bytes(image)
        if any(size is not None and size < self.minimum_size for size in shapes[0][1:3]):
            raise ValueError(
                f"{name} takes images of at least {self.minimum_size}x{self.minimum_size} pixels; "
                f"{self.pair_verb}() takes smaller ones too. Received: shape {shapes[0]}"
            )

    def stack_inputs(self, inputs):
        """Stack the inputs into one batch of images.

        Args:
            inputs: Pair of images (B, H, W, 3), or frames (N, H, W, 3).

        Returns:
            float32 tensor (2 B, H, W, 3) in [0, 1], first all first images, or (N, H, W, 3).
        """
        if not isinstance(inputs, (list, tuple)):
            return to_unit_range(ops.convert_to_tensor(inputs))
        images = [to_unit_range(ops.convert_to_tensor(image)) for image in inputs]
        return ops.concatenate(images, axis=0)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Export for serving, as `keras.Model.export` does.

        Args:
            filepath: Where to.
            *args: Of `keras.Model.export`: `format`, `verbose`.
            input_signature: Default: a pair of images (B, H, W, 3) of any size, for TensorFlow's
                SavedModel. Other backends and formats need `[(spec, spec)]`, two
                `keras.InputSpec` of a fixed size.
            **kwargs: Of `keras.Model.export`.

        Returns:
            What `keras.Model.export` returns.

        Raises:
            ValueError: The backend or format needs an input signature of a fixed size.
        """
        if input_signature is None:
            input_signature = pair_signature(args, kwargs, *self.example_size)
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)


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
