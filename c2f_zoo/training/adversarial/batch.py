"""Batches of `AdversarialModel.fit`: images, labels, and given random numbers."""

import keras
from keras import ops

from c2f_zoo import backend, checks

RANGE_TOLERANCE = 0.01

# Random numbers that a batch may bring; those missing are drawn.
DRAWS = (
    "discriminator_latents",
    "generator_latents",
    "discriminator_labels",
    "generator_labels",
    "path_latents",
    "path_noise",
    "interpolation",
)


def read_batch(data, label_size=0):
    """Sort a trainer's batch into a dict of images, labels and `DRAWS`, checked and converted.

    `data` is images (B, H, W, C), the tuple of them and labels, or a dict of "images", "labels" and
    any of `DRAWS`. The result has "images" in [-1, 1] and labels (B, label_size).
    """
    batch = split_batch(*keras.utils.unpack_x_y_sample_weight(data))
    unknown = sorted(set(batch) - {"images", "labels", *DRAWS})
    if "images" not in batch or unknown:
        raise ValueError(
            f"A batch must be images, (images, labels), or a dict of 'images', 'labels' and any of "
            f"{DRAWS}. Received: {list(batch)}"
        )
    if label_size and "labels" not in batch:
        raise ValueError(
            f"Networks of label_size={label_size} train on batches (images, labels). "
            f"Received: {list(batch)}"
        )
    batch["images"] = signed(batch["images"])
    for name in [name for name in batch if name.endswith("labels")]:
        batch[name] = as_labels(batch[name], label_size)
    return batch


def common_label_size(generator, discriminator):
    """The networks' `label_size`, 0 for none; a ValueError if they differ."""
    sizes = [getattr(network, "label_size", 0) for network in (generator, discriminator)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            "Both networks must take labels of one size, or neither. Received: "
            f"label_size={sizes[0]} of {generator.name}, {sizes[1]} of {discriminator.name}"
        )
    return sizes[0]


def generator_inputs(inputs, label_size):
    """The generator's inputs, (latents,) or (latents, labels), of what a model is called with."""
    latents, *labels = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    if len(labels) != bool(label_size):
        expected = "(latents, labels)" if label_size else "latents alone"
        raise ValueError(
            f"A model of label_size={label_size} makes pictures of {expected}. "
            f"Received: {1 + len(labels)} inputs"
        )
    return latents, *[as_labels(one, label_size) for one in labels]


def split_batch(images, labels=None, weights=None):
    """Gather x, y and sample weights of a Keras trainer in one dict, as `read_batch` takes it."""
    batch = dict(images) if isinstance(images, dict) else {"images": images}
    if weights is not None:
        raise ValueError(
            f"Sample weights are not supported. Received: weights {type(weights).__name__}"
        )
    if labels is None:
        return batch
    if "labels" in batch:
        raise ValueError(f"Give labels once. Received: {sorted(batch)} and labels beside them")
    return {**batch, "labels": labels}


def signed(images):
    """Convert images (B, H, W, C), uint8 or float in [0, 1], to float32 in [-1, 1]."""
    checks.shape("images", images, "(B, H, W, C)", (None,) * 4)
    check_images(images)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype == "uint8":
        return ops.cast(images, "float32") / 127.5 - 1.0
    if "float" in dtype:
        return ops.cast(images, "float32") * 2.0 - 1.0
    raise ValueError(f"Images must be uint8 or float in [0, 1]. Received: {dtype}")


def check_images(images):
    """Refuse float images outside of [0, 1], where their values are on the host.

    The tolerance is for a resampling filter's ringing.
    """
    if "float" not in keras.backend.standardize_dtype(images.dtype):
        return
    values = backend.visible_values(images)
    if values is None or not values.size:
        return
    low, high = float(values.min()), float(values.max())
    # Not `low < ...`: NaN is in no range.
    if not (-RANGE_TOLERANCE <= low and high <= 1 + RANGE_TOLERANCE):
        raise ValueError(f"Images must be uint8 or float in [0, 1]. Received: {low:g} to {high:g}")


def as_labels(labels, label_size):
    """Convert labels to float32 (B, label_size), integers to one-hot.

    Takes integers (B,) or (B, 1) from 0 to label_size - 1, or any floats (B, label_size). Inside a
    compiled step an integer out of range becomes NaN, and with it the losses.
    """
    if label_size:
        check_range(labels, label_size)
    labels = ops.convert_to_tensor(labels)
    shape, dtype = tuple(labels.shape), keras.backend.standardize_dtype(labels.dtype)
    if not label_size:
        raise ValueError(
            "These networks take no labels: build them with label_size. "
            f"Received: labels of shape {shape}"
        )
    if "int" in dtype and _are_indices(shape, label_size):
        indices = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
        is_class = ops.equal(indices, ops.arange(label_size, dtype="int32"))
        is_known = ops.any(is_class, axis=-1, keepdims=True)
        return ops.where(is_known, ops.cast(is_class, "float32"), float("nan"))
    if len(shape) != 2 or shape[1] != label_size:
        raise ValueError(
            f"Labels must be integers (B,) or of shape (B, {label_size}). "
            f"Received: {dtype} of shape {shape}"
        )
    return ops.cast(labels, "float32")


def check_range(labels, label_size):
    """Refuse integer labels (B,) or (B, 1) out of range, where their values are on the host."""
    values = backend.visible_values(labels)
    if values is None or values.dtype.kind not in "iu":
        return
    is_index = values.size and _are_indices(values.shape, label_size)
    if is_index and not 0 <= values.min() <= values.max() < label_size:
        raise ValueError(
            f"Labels must be integers from 0 to {label_size - 1}. "
            f"Received: {values.min()} to {values.max()}"
        )


def _are_indices(shape, label_size):
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1 != label_size)
