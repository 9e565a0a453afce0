"""Training on several devices of one host."""

import contextlib

import keras

from c2f_zoo import backend, checks


@contextlib.contextmanager
def on_devices(devices="all"):
    """Make and train models on several devices, each with its share of every batch.

    Everything of a training belongs into the block: the model, `compile` and `fit`. The steps are
    those of one device with the whole batch: gradients are averaged, norms for clipping and batch
    normalization are of the whole batch, and each device draws noise of its own. On TensorFlow this
    is `tf.distribute.MirroredStrategy`, on JAX `keras.distribution.DataParallel`.

    On TensorFlow a batch that the devices cannot share evenly (the last of a data set, often) is
    split unevenly, and its loss is the mean of the devices' means; adversarial and multilevel
    training refuse it. On JAX batches must be divisible by the number of devices.

    Args:
        devices: Number of devices, or `"all"`: the GPUs or TPUs, or else the processor, which is
            one device unless it was divided.

    Yields:
        int: The number of devices in use.

    Raises:
        ValueError: If there are fewer devices, or the backend trains on one only.

    Example:
        ```python
        with on_devices("all"):
            model = PWCNet.from_pretrained("pwcnet_lite.scenes")
            model.compile()
            model.fit(pairs)
        ```
    """
    if devices != "all":
        checks.whole("devices", devices, least=1)
    found = backend.training_devices()
    count = len(found) if devices == "all" else devices
    if count > len(found):
        one = " PyTorch's trainer has one." if backend.backend() == "torch" else ""
        raise ValueError(
            f"devices must be at most {len(found)}, the number of devices that "
            f"{backend.backend()} sees ({', '.join(map(str, found))}).{one} Received: {devices}"
        )
    if count == 1:
        yield 1
    elif backend.backend() == "tensorflow":
        with backend.tensorflow().distribute.MirroredStrategy(found[:count]).scope():
            yield count
    else:
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=found[:count]))
        try:
            yield count
        finally:
            keras.distribution.set_distribution(before)
