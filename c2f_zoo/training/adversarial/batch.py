"""What `AdversarialModel.fit` takes as a batch: images, labels, and numbers that are given."""

import keras
from keras import ops

from c2f_zoo import backend

RANGE_TOLERANCE = 0.01

# What a batch may bring beside its images and labels, instead of having it drawn.
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
    """Sort a trainer's batch into images, labels and draws.

    Args:
        data: What the trainer gives: images (B, H, W, C), the tuple of them and labels, or a
            dict of "images", "labels" and any of `DRAWS`.
        label_size: Components of a label of this pair's networks, 0 for none.

    Returns:
        Dict of "images" (B, H, W, C) in [-1, 1], "labels" (B, label_size) where the networks
        take them, and the draws as they are, labels among them as "labels" is.

    Raises:
        ValueError: The batch is none of that, or its labels are not what the networks take.
    """
    batch = split_batch(*keras.utils.unpack_x_y_sample_weight(data))
    unknown = sorted(set(batch) - {"images", "labels", *DRAWS})
    if "images" not in batch or unknown:
        raise ValueError(
            f"A batch is images, images and labels, or a dict of 'images', 'labels' and any of "
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
    """Components of a label that a pair takes: the networks' `label_size`, if they have one.

    Args:
        generator: Network.
        discriminator: Network.

    Returns:
        Integer, 0 for networks without labels.

    Raises:
        ValueError: They take labels of different sizes, or only one does.
    """
    sizes = [getattr(network, "label_size", 0) for network in (generator, discriminator)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            "Both networks take labels of one size, or neither does. Received: "
            f"label_size={sizes[0]} of {generator.name}, {sizes[1]} of {discriminator.name}"
        )
    return sizes[0]


def generator_inputs(inputs, label_size):
    """Sort what an `AdversarialModel` is called with.

    Args:
        inputs: Latents (B, latent size), or the pair of them and labels.
        label_size: Components of a label, 0 for networks without.

    Returns:
        Tuple of what the generator takes: latents, and labels (B, label_size) if it does.

    Raises:
        ValueError: Labels are missing, not expected, or others.
    """
    latents, *labels = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    if len(labels) != bool(label_size):
        expected = "(latents, labels)" if label_size else "latents alone"
        raise ValueError(
            f"A model of label_size={label_size} makes pictures of {expected}. "
            f"Received: {1 + len(labels)} inputs"
        )
    return latents, *[as_labels(one, label_size) for one in labels]


def split_batch(images, labels=None, weights=None):
    """Bring the three things that a Keras trainer knows of into one dict.

    Args:
        images: Array (B, H, W, C), or a dict.
        labels: Array (B,) or (B, label_size), or None.
        weights: None.

    Returns:
        Dict of arrays as `read_batch` takes it, nothing checked but what cannot be brought
        together.

    Raises:
        ValueError: There are weights, or labels twice.
    """
    batch = dict(images) if isinstance(images, dict) else {"images": images}
    if weights is not None:
        raise ValueError(
            f"Images and labels have no weights. Received: weights {type(weights).__name__}"
        )
    if labels is None:
        return batch
    if "labels" in batch:
        raise ValueError(f"Give labels once. Received: {sorted(batch)} and labels beside them")
    return {**batch, "labels": labels}


def signed(images):
    """Bring images from [0, 1] or bytes to [-1, 1].

    Args:
        images: Tensor (B, H, W, C), uint8 or float in [0, 1].

    Returns:
        Tensor (B, H, W, C), float32.

    Raises:
        ValueError: They are of another shape or type, or their values are out of range where
            they can be seen.
    """
    if len(images.shape) != 4:
        raise ValueError(f"Images are (B, H, W, C). Received: shape {tuple(images.shape)}")
    check_images(images)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype == "uint8":
        return ops.cast(images, "float32") / 127.5 - 1.0
    if "float" in dtype:
        return ops.cast(images, "float32") * 2.0 - 1.0
    raise ValueError(f"Images are uint8 or float in [0, 1]. Received: {dtype}")


def check_images(images):
    """Refuse float images outside of [0, 1], where their values are at hand.

    Images of bytes as floats, or in [-1, 1], would train without a word, and badly.

    Args:
        images: Array or tensor (B, H, W, C); of bytes it is not looked at.

    Raises:
        ValueError: A value is beyond [0, 1] by more than a resampling filter's ringing.
    """
    if "float" not in keras.backend.standardize_dtype(images.dtype):
        return
    values = backend.visible_values(images)
    if values is None or not values.size:
        return
    low, high = float(values.min()), float(values.max())
    # Not `low < ...`: NaN is in no range.
    if not (-RANGE_TOLERANCE <= low and high <= 1 + RANGE_TOLERANCE):
        raise ValueError(f"Images are uint8 or float in [0, 1]. Received: {low:g} to {high:g}")


def as_labels(labels, label_size):
    """Bring labels to the form that the networks take.

    An integer out of range is an error where its value can be seen. Inside a compiled step it
    cannot: there it becomes NaN, and with it the losses, rather than a picture of no class.

    Args:
        labels: Integers (B,) or (B, 1) from 0 to label_size - 1, or what the networks take,
            (B, label_size), one-hot or any floats.
        label_size: Components of a label, 0 for networks without.

    Returns:
        Tensor (B, label_size), float32.

    Raises:
        ValueError: The networks take no labels, or others.

    Example:
        >>> keras.ops.convert_to_numpy(as_labels(np.array([2, 0]), 3)).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if label_size:
        check_range(labels, label_size)
    labels = ops.convert_to_tensor(labels)
    shape, dtype = tuple(labels.shape), keras.backend.standardize_dtype(labels.dtype)
    if not label_size:
        raise ValueError(
            "These networks take no labels: make them with label_size. "
            f"Received: labels of shape {shape}"
        )
    if "int" in dtype and _are_indices(shape, label_size):
        indices = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
        is_class = ops.equal(indices, ops.arange(label_size, dtype="int32"))
        is_known = ops.any(is_class, axis=-1, keepdims=True)
        return ops.where(is_known, ops.cast(is_class, "float32"), float("nan"))
    if len(shape) != 2 or shape[1] != label_size:
        raise ValueError(
            f"Labels are integers (B,) or of shape (B, {label_size}). "
            f"Received: {dtype} of shape {shape}"
        )
    return ops.cast(labels, "float32")


def check_range(labels, label_size):
    """Refuse integer labels out of range, where their values are at hand.

    Args:
        labels: Array or tensor (B,) or (B, 1); of any other shape it is not looked at.
        label_size: One more than the largest label.

    Raises:
        ValueError: A label is below 0 or not below `label_size`.
    """
    values = backend.visible_values(labels)
    if values is None or values.dtype.kind not in "iu":
        return
    is_index = values.size and _are_indices(values.shape, label_size)
    if is_index and not 0 <= values.min() <= values.max() < label_size:
        raise ValueError(
            f"Labels are integers from 0 to {label_size - 1}. "
            f"Received: {values.min()} to {values.max()}"
        )


def _are_indices(shape, label_size):
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1 != label_size)
