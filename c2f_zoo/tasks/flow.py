"""What every optical flow model of the zoo shares: input checks and the image level."""

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers import pad_to_stride


class FlowTask:
    """Mixin that gives a flow network its image level and its checks of what comes in.

    The network's `call` takes a pair of images (B, H, W, 3), or a stack of consecutive frames
    (N, H, W, 3), and returns flows. For a stream of frames it takes and returns dictionaries:
    `{"frames": (N, H, W, 3)}` gives `{"features": ...}` of the last frame, and `{"frames",
    "features"}` gives `{"flow": (N, H, W, 2), "features": ...}`, the flows from the frame whose
    features were given through all of these. What the features are is the network's own.
    """

    minimum_size = 16

    def flow(self, image1, image2=None, batch_size=4):
        """Estimate optical flow between images, or between all consecutive frames of a list.

        Args:
            image1: Path, PIL image or array (H, W), (H, W, 1 to 4), uint8 or float in [0, 1],
                of any size from 16x16; or a list of such frames, all of one size.
            image2: The second image, of the size of the first; None for a list of frames.
            batch_size: Flows computed at once for a list of frames. Each frame goes through the
                feature pyramid once.

        Returns:
            numpy float32 (H, W, 2), pixels, u right and v down, of image 1 towards image 2; for
            a list of N frames a list of N - 1 of them.

        Raises:
            ValueError: Images of different sizes, too small or unreadable, fewer than two frames.

        Example:
            >>> import numpy as np
            >>> from c2f_zoo import PWCNet
            >>> frames = [np.zeros((20, 30, 3), "uint8")] * 3
            >>> [flow.shape for flow in PWCNet("lite").flow(frames)]
            [(20, 30, 2), (20, 30, 2)]
        """
        from c2f_zoo.data.files.images import load_image

        if image2 is None:
            if not isinstance(image1, (list, tuple)):
                raise ValueError(
                    "flow takes two images, or a list of frames. "
                    f"Received: one {type(image1).__name__}"
                )
            return list(self.flow_stream(image1, batch_size))
        frames = self._stack(_one_size([load_image(image1), load_image(image2)]))
        return backend.to_numpy(self.predict_on_batch(frames))[0]

    def flow_stream(self, frames, batch_size=4):
        """Estimate the flows between consecutive frames of any iterable, lazily.

        Args:
            frames: Iterable of images as `flow` takes them, all of one size.
            batch_size: Flows computed at once.

        Yields:
            numpy float32 (H, W, 2) per consecutive pair, in pixels.

        Raises:
            ValueError: Fewer than two frames, or frames of different sizes.

        Example:
            >>> import numpy as np
            >>> from c2f_zoo import PWCNet
            >>> video = (np.zeros((16, 16, 3), "uint8") for _ in range(3))
            >>> sum(1 for flow in PWCNet("lite").flow_stream(video))
            2
        """
        from c2f_zoo.data.files.images import load_image

        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
        # A batch holds the frames that are new; of the one before them the features are kept.
        held, last, count, features = [], None, 0, None
        for frame in frames:
            count += 1
            last = _one_size([last, load_image(frame)])[-1]
            if count == 1:
                first = self._stack([last])
                continue
            if count == 2:
                features = self.predict_on_batch({"frames": first})["features"]
            held.append(last)
            if len(held) == batch_size:
                flows, features = self._flows_to(held, features)
                yield from flows
                held = []
        if count < 2:
            raise ValueError(f"flow needs at least two frames. Received: {count}")
        if held:
            yield from self._flows_to(held, features)[0]

    def _flows_to(self, frames, features):
        """Flows that lead to each new frame, and the features of the last."""
        result = self.predict_on_batch({"frames": self._stack(frames), "features": features})
        return backend.to_numpy(result["flow"]), result["features"]

    def _stack(self, images):
        # Checked here as well as in the network, where Keras wraps the message in its own.
        self._check_size(images[0].shape)
        return np.stack(images)

    def _check_size(self, shape):
        if any(size is not None and size < self.minimum_size for size in shape[-3:-1]):
            raise ValueError(
                f"{type(self).__name__} takes images of at least {self.minimum_size}x"
                f"{self.minimum_size} pixels. Received: shape {tuple(shape)}"
            )

    def __call__(self, inputs, *args, **kwargs):
        self.check_inputs(inputs)  # before Keras, which wraps the errors of `call` in its own
        return super().__call__(inputs, *args, **kwargs)

    def check_inputs(self, inputs):
        """Check what the network was called with.

        Args:
            inputs: Pair of images (B, H, W, 3), or frames (N, H, W, 3), or a dictionary of
                frames and, but for the first, the features of the one before them.

        Raises:
            ValueError: What came in is none of these, or too small.
        """
        is_stream = isinstance(inputs, dict)
        if is_stream:
            if not {"frames"} <= set(inputs) <= {"frames", "features"}:
                raise ValueError(
                    f"{type(self).__name__} takes a dictionary of frames and, but for the first, "
                    f"of the features of the one before. Received: keys {sorted(inputs)}"
                )
            inputs = inputs["frames"]
            if isinstance(inputs, (list, tuple)):
                raise ValueError(
                    "The frames of a stream are one array (N, H, W, 3). "
                    f"Received: {len(inputs)} of them"
                )
        is_pair = isinstance(inputs, (list, tuple))
        images = inputs if is_pair else [inputs]
        if is_pair and len(images) != 2:
            raise ValueError(f"{type(self).__name__} takes two images. Received: {len(images)}")
        shapes = [tuple(image.shape) for image in images]
        if any(len(shape) != 4 or shape[-1] != 3 for shape in shapes):
            raise ValueError(
                f"{type(self).__name__} takes images (B, H, W, 3) in [0, 1]. "
                f"Received: shapes {shapes}"
            )
        if is_pair and any(a != b and None not in (a, b) for a, b in zip(*shapes, strict=True)):
            raise ValueError(f"The two images must have one shape. Received: {shapes}")
        if not (is_pair or is_stream) and shapes[0][0] is not None and shapes[0][0] < 2:
            raise ValueError(
                f"A stack of frames needs at least two of them. Received: shape {shapes[0]}"
            )
        self._check_size(shapes[0])

    def stack_inputs(self, inputs):
        """Stack what the network was called with into one batch of images.

        Args:
            inputs: Pair of images (B, H, W, 3), or frames (N, H, W, 3).

        Returns:
            float32 tensor (2 B, H, W, 3), first all first images, or (N, H, W, 3).
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
            input_signature: Default: a pair of images (B, H, W, 3) with B, H and W left open,
                for TensorFlow's SavedModel, the format that is tested. Other formats and
                backends want fixed sizes: give `[(spec, spec)]` of `keras.InputSpec`.
            **kwargs: Of `keras.Model.export`.

        Returns:
            What `keras.Model.export` returns.
        """
        if input_signature is None:
            image = keras.InputSpec(shape=(None, None, None, 3), dtype="float32")
            input_signature = [(image, image)]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)


def to_unit_range(image):
    """Bring uint8 images to float32 in [0, 1]; float images pass unchanged.

    Args:
        image: Tensor (B, H, W, 3); uint8 in [0, 255] or floating point in [0, 1].

    Returns:
        float32 tensor (B, H, W, 3).
    """
    dtype = keras.backend.standardize_dtype(image.dtype)
    if dtype == "uint8":
        return ops.cast(image, "float32") / 255.0
    if "int" in dtype or dtype == "bool":
        raise ValueError(f"Images are uint8 in [0, 255] or float in [0, 1]. Received: {dtype}")
    return ops.cast(image, "float32")


def pad_truth(flow, weight, stride):
    """Pad ground truth to the network's grid, the padding without weight.

    Args:
        flow: Ground truth (B, H, W, 2), pixels.
        weight: Validity mask (B, H, W, 1), (B, H, W) or (B,), or None.
        stride: The network's output stride.

    Returns:
        Flow (B, H', W', 2) and weight (B, H', W', 1), or None where nothing was padded or
        masked.
    """
    if None in flow.shape[1:3]:
        raise ValueError(
            "Training needs ground truth of known height and width. "
            f"Received: shape {tuple(flow.shape)}"
        )
    if flow.shape[1] % stride == 0 and flow.shape[2] % stride == 0:
        return flow, weight
    weight = ops.ones_like(flow[..., :1]) if weight is None else ops.cast(weight, "float32")
    while len(weight.shape) < 4:
        weight = weight[..., None]
    weight = ops.broadcast_to(weight, (*ops.shape(flow)[:3], 1))
    return pad_to_stride(flow, stride), pad_to_stride(weight, stride, mode="zero")


def _one_size(frames):
    """Check the newest frame against the one before it, if there is one."""
    if frames[-2] is not None and frames[-1].shape != frames[-2].shape:
        raise ValueError(
            "All frames must have one size. "
            f"Received: {_size(frames[-2])} and then {_size(frames[-1])} (width x height)"
        )
    return frames


def _size(image):
    return f"{image.shape[1]}x{image.shape[0]}"
