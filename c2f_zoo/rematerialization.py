"""Memory for time: what a gradient needs is computed again instead of kept."""

import contextlib

import keras

from c2f_zoo import backend


def rematerialize(function, *inputs, variables=(), when=True):
    """Call a function, and for its gradient again, rather than keep what it computes in between.

    By `jax.checkpoint`, `tf.recompute_grad` or `torch.utils.checkpoint`. TensorFlow's gradient
    cannot be differentiated again.

    Args:
        function: Function of the inputs that returns a structure of tensors. Every tensor that it
            depends on must be among them, other than weights. It may draw no random numbers.
        *inputs: Structures of float tensors of any shape and None.
        variables: The variables that it assigns, such as moving statistics; they are assigned once.
        when: False to call the function as it is.

    Returns:
        What the function returns.

    Example:
        >>> float(rematerialize(lambda x: x * 2, keras.ops.convert_to_tensor(3.0)))
        6.0
    """
    leaves = keras.tree.flatten(inputs)
    tensors = [leaf for leaf in leaves if leaf is not None]
    if not when or any(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        return function(*inputs)

    def of_tensors(*tensors):
        given = iter(tensors)
        packed = [None if leaf is None else next(given) for leaf in leaves]
        return function(*keras.tree.pack_sequence_as(inputs, packed))

    return _BACKENDS[backend.backend()](of_tensors, tensors, variables)


def _rematerialize_in_jax(function, tensors, variables):
    def pure(*tensors):
        outputs = function(*tensors)
        return outputs, [variable.value for variable in variables]

    outputs, values = backend.framework("jax").checkpoint(pure)(*tensors)
    # In place of what was assigned within, which has no meaning outside.
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return outputs


def _rematerialize_in_tensorflow(function, tensors, variables):
    is_known = False

    def compute(*tensors):
        nonlocal is_known
        # Assignments of the second computation, within the gradient, have no effect.
        with keras.StatelessScope() if is_known else contextlib.nullcontext():
            is_known = True
            return function(*tensors)

    return backend.tensorflow().recompute_grad(compute)(*tensors)


def _rematerialize_in_torch(function, tensors, variables):
    checkpoint = backend.framework("torch.utils.checkpoint")
    contexts = contextlib.nullcontext(), keras.StatelessScope()
    # Keras would take the exception by which it stops early for an error of the layer.
    with checkpoint.set_checkpoint_early_stop(False):
        return checkpoint.checkpoint(
            function, *tensors, use_reentrant=False, context_fn=lambda: contexts
        )


_BACKENDS = {
    "jax": _rematerialize_in_jax,
    "tensorflow": _rematerialize_in_tensorflow,
    "torch": _rematerialize_in_torch,
}
