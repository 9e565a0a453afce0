"""Operations on batches of multilevel training: (inputs, targets, sample weights or None)."""

import contextlib

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers.restriction import restrict
from c2f_zoo.training.micro_batches import map_batch

_ADVICE = (
    "Model and loss must accept images of every size that the meshes have (no Flatten, no layer "
    "of one size)"
)


def is_image(tensor):
    """Whether a tensor is a batch of images and not, for instance, times (B,)."""
    return len(tensor.shape) == 4


def are_arrays(x):
    """Whether inputs are arrays or tensors, in any structure."""
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(
        isinstance(leaf, np.ndarray) or ops.is_tensor(leaf) for leaf in leaves
    )


def shares(batch_sizes, replicas):
    """Samples of each term on one of several replicas; raises if they do not divide evenly."""
    for count in batch_sizes:
        if count % replicas:
            raise ValueError(
                f"Batch sizes must be divisible by the {replicas} replicas. Received: {count}"
            )
    return [count // replicas for count in batch_sizes]


def of_length(tensor, count):
    """Check the length of the first axis; at run time, where it is known only then."""
    tensor = ops.convert_to_tensor(tensor)
    length = tensor.shape[0]
    message = (
        f"A batch must hold the samples of all terms of its step, {count} (see "
        "MultilevelSchedule; drop a smaller last batch). Received:"
    )
    if length is None:
        length = ops.shape(tensor)[0]
        # Without setting the length: TensorFlow would rely on it and drop the check.
        return backend.check_at_run_time(tensor, ops.equal(length, count), message, length)
    if length != count:
        raise ValueError(f"{message} {length}")
    return tensor


def divisible(tensor, divisor):
    """Check that height and width of images are divisible by a number."""
    if not is_image(tensor):
        return tensor
    message = (
        f"Height and width must be divisible by {divisor}, for the coarsest mesh. Received: shape"
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
    """Restrict a batch's images, and its maps (B, H, W) of an image's size, to a coarser mesh."""
    leaves = keras.tree.flatten([part for part in batch if part is not None])
    sides = {tuple(tensor.shape[1:3]) for tensor in leaves if is_image(tensor)}

    def one(tensor):
        if is_image(tensor):
            return restrict(tensor, factor, method)
        if len(tensor.shape) == 3 and tuple(tensor.shape[1:3]) in sides:
            # Integers are labels, which cannot be interpolated.
            is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
            how = method if is_float else "subsample"
            return restrict(tensor[..., None], factor, how)[..., 0]
        return tensor

    return map_batch(one, batch)


@contextlib.contextmanager
def explained_errors(name, x):
    """Add the likely cause to an error of a model, called `name`, with inputs `x` on one mesh."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError) as error:  # the last is PyTorch's
        if "memory" in str(error) or _ADVICE in str(error):
            raise
        shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(x)]
        raise ValueError(
            f"{_ADVICE}. The error was: {error}. Received: {name} with inputs of shapes {shapes}"
        ) from error
