"""Batches of a multilevel training: (inputs, targets, sample weights or None)."""

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers.restriction import restrict


def map_batch(function, batch):
    """Apply a function to every tensor of (inputs, targets, sample weights or None)."""
    return tuple(
        None if part is None else keras.tree.map_structure(function, part) for part in batch
    )


def ordered(calls, gradients, batch):
    """The batch, to be used only once the gradients so far have been computed."""
    earlier = [gradient for gradient in gradients if gradient is not None]
    if not earlier:
        return batch
    leaves = iter(calls.after(earlier, keras.tree.flatten([p for p in batch if p is not None])))
    return map_batch(lambda _: next(leaves), batch)


def is_image(tensor):
    """Tell a batch of images from other tensors, such as times (B,)."""
    return len(tensor.shape) == 4


def are_arrays(x):
    """Whether inputs are arrays or tensors, in any structure."""
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(
        isinstance(leaf, np.ndarray) or ops.is_tensor(leaf) for leaf in leaves
    )


def shares(batch_sizes, replicas):
    """Samples of each term on one of so many replicas; refuses what they cannot share evenly."""
    for count in batch_sizes:
        if count % replicas:
            raise ValueError(
                f"Every term's samples are divided among {replicas} replicas. Received: {count}"
            )
    return [count // replicas for count in batch_sizes]


def of_length(tensor, count):
    """The tensor, whose first axis must have a length; at run time, where it is known only then."""
    tensor = ops.convert_to_tensor(tensor)
    length = tensor.shape[0]
    message = (
        f"A batch holds the samples of all terms of its step, {count} (see MultilevelSchedule; "
        "drop a last batch that is smaller). Received:"
    )
    if length is None:
        length = ops.shape(tensor)[0]
        # It is not told the length too: TensorFlow would believe that, and drop the check.
        return backend.check_at_run_time(tensor, ops.equal(length, count), message, length)
    if length != count:
        raise ValueError(f"{message} {length}")
    return tensor


def divisible(tensor, divisor):
    """The tensor; refuses an image whose height or width a number does not divide."""
    if not is_image(tensor):
        return tensor
    message = (
        f"The coarsest mesh has 1 / {divisor} of the height and width, which must be divisible "
        "by it. Received: shape"
    )
    sides = tensor.shape[1:3]
    if any(side is not None and side % divisor for side in sides):
        raise ValueError(f"{message} {tuple(tensor.shape)}")
    if None in sides:
        shape = ops.convert_to_tensor(ops.shape(tensor))
        is_right = ops.all(ops.equal(shape[1:3] % divisor, 0))
        tensor = backend.check_at_run_time(tensor, is_right, message, shape)
    return tensor


def restricted(batch, factor, method):
    """The batch on a coarser mesh: its images, and its maps (B, H, W) of an image's size."""
    leaves = keras.tree.flatten([part for part in batch if part is not None])
    sides = {tuple(tensor.shape[1:3]) for tensor in leaves if is_image(tensor)}

    def one(tensor):
        if is_image(tensor):
            return restrict(tensor, factor, method)
        if len(tensor.shape) == 3 and tuple(tensor.shape[1:3]) in sides:
            # Integers are labels, between which there is nothing.
            is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
            how = method if is_float else "subsample"
            return restrict(tensor[..., None], factor, how)[..., 0]
        return tensor

    return map_batch(one, batch)


def added(total, gradient, sign):
    """A sum of gradients with one more, either of which may be None."""
    if gradient is None:
        return total
    gradient = gradient if sign > 0 else -gradient
    return gradient if total is None else total + gradient
