"""Batches of a multilevel training: (inputs, targets, sample weights or None)."""

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend


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
    """The tensor, whose first axis must have, and is then known to have, a length."""
    tensor = ops.convert_to_tensor(tensor)
    length = tensor.shape[0]
    if length is not None and length != count:
        raise ValueError(
            f"A batch holds the samples of all terms of its step, {count} (see "
            f"MultilevelSchedule; drop a last batch that is smaller). Received: {length}"
        )
    return backend.ensure_shape(tensor, (count, *tensor.shape[1:]))


def check_sizes(batch, divisor):
    """Refuse images whose height or width a number does not divide."""
    for part in batch:
        for tensor in [] if part is None else keras.tree.flatten(part):
            sides = tensor.shape[1:3] if is_image(tensor) else ()
            if any(side is not None and side % divisor for side in sides):
                raise ValueError(
                    f"The coarsest mesh has 1 / {divisor} of the height and width, which must be "
                    f"divisible by it. Received: shape {tuple(tensor.shape)}"
                )


def added(total, gradient, sign):
    """A sum of gradients with one more, either of which may be None."""
    if gradient is None:
        return total
    gradient = gradient if sign > 0 else -gradient
    return gradient if total is None else total + gradient
