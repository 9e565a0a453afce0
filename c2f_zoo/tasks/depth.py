"""Depth estimation: the image level of every depth network of the zoo, and its input checks."""

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.depth.picture import depth_picture
from c2f_zoo.data.files.images import load_image, resize_smoothly
from c2f_zoo.tasks.features import FeatureTask
from c2f_zoo.tasks.outputs import as_output, check_output
from c2f_zoo.tasks.quantization import refuse_quantization
from c2f_zoo.tasks.restoration.images import several_images, stacked
from c2f_zoo.tasks.several import ON_ERROR, failed, read_ahead, with_progress


class DepthTask(FeatureTask):
    """Mixin that gives a depth network its image level, its input checks and its export.

    The network's `call` takes images (B, H, W, 3) and returns their depth (B, H, W, 1).

    Attributes:
        output_stride: The image level pads images to its multiples, so that a compiled network
            serves all sizes of one grid.
        image_side: Longer side in pixels that the image level brings images to, or None.
    """

    output_stride = 16
    image_side = None
    quantize = refuse_quantization

    def depth(self, image, progress=None, output="numpy", on_error="raise"):
        """Estimate the depth of an image, or of several.

        Args:
            image: Path, PIL image, or array (H, W), (H, W, 1 to 4) of any size: uint8, uint16,
                bool, or float in [0, 1]; alpha is dropped. Or several: a list, an array
                (N, H, W, C), or a folder of image files.
            progress: Whether to show a progress bar. By default for several images, where standard
                error is a terminal.
            output: `"numpy"`, or `"pil"` for pictures (`data.depth_picture`).
            on_error: Of several images, whether one that cannot be read raises (`"raise"`), or is
                None in the result, with a warning (`"skip"`).

        Returns:
            numpy float32 (H, W, 1), metres along the camera's axis. Of several images a list, in
            the order of the names for a folder; for an array (N, H, W, C) an array (N, H, W, 1).
            With `output="pil"` PIL images instead of arrays.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The image is empty, unreadable, not finite or outside [0, 1].

        Example:
            >>> from c2f_zoo import DepthUNet
            >>> DepthUNet("lite").depth(np.zeros((9, 14), "uint8")).shape
            (9, 14, 1)
        """
        check_output(output)
        checks.one_of("on_error", on_error, ON_ERROR)
        several = several_images(image)
        if several is None:
            return self._depth_of(load_image(image), output)
        made, total = [], len(several)
        reading = with_progress(read_ahead(several, load_image), total, progress, "image")
        for number, one in enumerate(reading):
            try:
                depth = self._depth_of(one.result(), output)
            except Exception as error:
                depth = failed(error, number, total, on_error)
            made.append(depth)
        return stacked(made) if hasattr(image, "shape") else made

    def _depth_of(self, image, output):
        height, width = size = image.shape[:2]
        if self.image_side:
            share = self.image_side / max(size)
            image = resize_smoothly(image, [max(1, round(side * share)) for side in size])
        pads = [(0, -side % self.output_stride) for side in image.shape[:2]]
        padded = np.pad(image, (*pads, (0, 0)), "edge")[None]
        depth = backend.to_numpy(backend.predict_on_batch(self, padded))
        depth = depth[0, : image.shape[0], : image.shape[1]]
        depth = np.array(resize_smoothly(depth, (height, width)), np.float32)
        return as_output(depth, output, depth_picture)

    def __call__(self, inputs, *args, **kwargs):
        self.check_inputs(inputs)  # before Keras, which wraps the errors of `call` in its own
        return super().__call__(inputs, *args, **kwargs)

    def check_inputs(self, inputs):
        """Check the inputs of the network.

        Args:
            inputs: Images (B, H, W, 3).

        Raises:
            ValueError: They are something else, or empty.
        """
        name = type(self).__name__
        if isinstance(inputs, (list, tuple, dict)):
            raise ValueError(f"{name} takes images alone. Received: {len(inputs)} inputs")
        axes = (checks.SOME, checks.SOME, checks.SOME, 3)
        checks.shape(f"images of {name}", inputs, "(B, H, W, 3)", axes)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Export for serving, as `keras.Model.export` does.

        Args:
            filepath: Where to.
            *args: Of `keras.Model.export`: `format`, `verbose`.
            input_signature: Default: images (B, H, W, 3) of any size, for TensorFlow's SavedModel.
                Other backends and formats need `[spec]`, a `keras.InputSpec` of a fixed size.
            **kwargs: Of `keras.Model.export`.

        Returns:
            What `keras.Model.export` returns.
        """
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=(None, None, None, 3), dtype="float32")]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)
