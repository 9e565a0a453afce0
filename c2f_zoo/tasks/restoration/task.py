"""What every restoration network of the zoo shares: checks of what comes in, its training."""

import numbers

import keras
from keras import ops

from c2f_zoo.losses import SSIMLoss
from c2f_zoo.metrics import PSNR
from c2f_zoo.tasks.restoration.images import RestorationImages


class RestorationTask(RestorationImages):
    """Mixin that gives a restoration network its inputs, their checks and its defaults of training.

    The network defines `call` and where they differ from what stands here the attributes
    `time_embedding` and `mask` (whether it is told a time, or which pixels are known), `scale`,
    `stride` (what an image is padded to multiples of) and `reach` (distance in input pixels beyond
    which nothing has an influence; None without a limit).
    """

    time_embedding = False
    mask = False
    scale = 1
    stride = 1
    reach = None

    def __call__(self, inputs, *args, **kwargs):
        self.check_inputs(inputs)  # before Keras, which wraps the errors of `call` in its own
        return super().__call__(inputs, *args, **kwargs)

    def check_inputs(self, inputs):
        """Check what the network was called with.

        Args:
            inputs: Images (B, H, W, 3), or a pair of them and of times, shape (B,), or of masks,
                shape (B, H, W, 1).

        Raises:
            ValueError: What came in is not what this network takes.
        """
        name = type(self).__name__
        second = "time" if self.time_embedding else "mask" if self.mask else None
        is_pair = isinstance(inputs, (list, tuple))
        if second and (not is_pair or len(inputs) != 2):
            received = f"{len(inputs)} of them" if is_pair else "images alone"
            raise ValueError(f"{name} takes a pair (images, {second}). Received: {received}")
        if not second and is_pair:
            raise ValueError(
                f"{name} without time_embedding or mask takes images alone. "
                f"Received: {len(inputs)} inputs"
            )
        images = inputs[0] if is_pair else inputs
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[-1] != 3 or 0 in shape:
            raise ValueError(f"{name} takes images (B, H, W, 3) in [0, 1]. Received: shape {shape}")
        dtype = keras.backend.standardize_dtype(images.dtype)
        if dtype != "uint8" and "float" not in dtype:
            raise ValueError(
                f"{name} takes images of uint8, or float in [0, 1]. Received: dtype {dtype}"
            )
        if second:
            (check_times if second == "time" else check_masks)(name, tuple(inputs[1].shape), shape)

    def split_inputs(self, inputs):
        """Bring what the network was called with to float32.

        Args:
            inputs: As of `check_inputs`.

        Returns:
            Images (B, H, W, 3) in [0, 1], and times (B,), masks (B, H, W, 1) or None.
        """
        is_pair = self.time_embedding or self.mask
        images, condition = inputs if is_pair else (inputs, None)
        images = ops.convert_to_tensor(images)
        is_bytes = keras.backend.standardize_dtype(images.dtype) == "uint8"
        images = ops.cast(images, "float32")
        images = images / 255.0 if is_bytes else images
        if condition is not None:
            condition = ops.cast(ops.convert_to_tensor(condition), "float32")
        if self.time_embedding:
            condition = ops.reshape(condition, (-1,))
        return images, condition

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Export for serving, as `keras.Model.export` does.

        Args:
            filepath: Where to.
            *args: Of `keras.Model.export`: `format`, `verbose`.
            input_signature: Default: images (B, H, W, 3) with B, H and W left open, with their
                times (B,) or masks (B, H, W, 1) where the network is told them, for TensorFlow's
                SavedModel, the format that is tested. Other formats and backends want fixed
                sizes: give them.
            **kwargs: Of `keras.Model.export`.

        Returns:
            What `keras.Model.export` returns.
        """
        if input_signature is None:
            images = keras.InputSpec(shape=(None, None, None, 3), dtype="float32")
            shape = (None,) if self.time_embedding else (None, None, None, 1)
            condition = keras.InputSpec(shape=shape, dtype="float32")
            is_pair = self.time_embedding or self.mask
            input_signature = [(images, condition)] if is_pair else [images]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training as in the paper.

        Args:
            optimizer: Default: Adam with learning rate 5e-4; 1e-3 for super-resolution.
            loss: Default: mean squared error; for super-resolution `SSIMLoss("zero", offset=0)`.
            metrics: Default: `[PSNR()]`.
            **kwargs: Of `keras.Model.compile`.
        """
        enlarges = self.scale > 1
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-3 if enlarges else 5e-4)
        if loss is None:
            loss = SSIMLoss("zero", offset=0) if enlarges else keras.losses.MeanSquaredError()
        metrics = [PSNR()] if metrics is None else metrics
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)


def as_whole(name, value):
    """Bring a setting that counts something to an int.

    Args:
        name: What errors call it.
        value: What was given.

    Returns:
        int.

    Raises:
        ValueError: It is no whole number.

    Example:
        >>> as_whole("width", 32.0)
        32
    """
    if not isinstance(value, numbers.Real) or value % 1 != 0:
        raise ValueError(f"{name} is a whole number. Received: {value!r}")
    return int(value)


def check_times(name, times, images):
    """Check that there is one time for each image.

    Args:
        name: Of the network, for the message.
        times: Shape of the times.
        images: Shape of the images.

    Raises:
        ValueError: There is not.
    """
    fits = len(times) == 1 or (len(times) == 2 and times[1] == 1)
    if not fits or (None not in (times[0], images[0]) and times[0] != images[0]):
        raise ValueError(
            f"{name} takes one time for each image, shape ({images[0]},). Received: shape {times}"
        )


def check_masks(name, masks, images):
    """Check that there is a mask of each image's size.

    Args:
        name: Of the network, for the message.
        masks: Shape of the masks.
        images: Shape of the images.

    Raises:
        ValueError: There is not.
    """
    wanted = (*images[:3], 1)
    fits = len(masks) == 4 and all(
        None in pair or pair[0] == pair[1] for pair in zip(masks, wanted, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} takes masks of shape {wanted}. Received: shape {masks}")


def to_network_range(images):
    """Take images from [0, 1] to [-1, 1].

    Args:
        images: Tensor (B, H, W, 3).

    Returns:
        Tensor (B, H, W, 3).
    """
    return 2.0 * images - 1.0


def uniform_kernel(gain=1.0):
    """PyTorch's default initialisation of kernels: uniform within `gain / sqrt(fan-in)`.

    Args:
        gain: Factor.

    Returns:
        `keras.initializers.VarianceScaling`.
    """
    return keras.initializers.VarianceScaling(gain**2 / 3, mode="fan_in", distribution="uniform")
