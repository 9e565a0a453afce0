"""The one place that names TensorFlow, JAX or PyTorch.

Everything else in the library is `keras.ops`. What is here has no Keras equivalent: compiling
a plain function, and reaching an optional framework with an error that names the extra.
"""

import contextlib
import importlib

import keras
import numpy as np

EXTRAS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def backend() -> str:
    """Name the Keras backend in use.

    Returns:
        `"tensorflow"`, `"jax"` or `"torch"`.
    """
    return keras.backend.backend()


def _framework(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This needs {name}, which is not installed: "
            f'pip install "c2f_zoo[{EXTRAS[name]}]". Received: {error}'
        ) from error


def tensorflow():
    """Import TensorFlow.

    Returns:
        The `tensorflow` module.

    Raises:
        ImportError: TensorFlow is not installed; the message names the extra.
    """
    return _framework("tensorflow")


def jit(function, xla: bool = False):
    """Compile a function of tensors, written in `keras.ops`, for the backend in use.

    The function is traced once per combination of input shapes; on torch it is returned as it
    is, run without recording gradients.

    Args:
        function: Takes and returns (nested) tensors of any shape; no Keras variables inside.
        xla: Also compile with XLA on TensorFlow (JAX always does).

    Returns:
        The compiled function, of the same signature.

    Example:
        >>> double = jit(lambda x: x * 2)
        >>> float(double(keras.ops.convert_to_tensor(3.0)))
        6.0
    """
    name = backend()
    if name == "tensorflow":
        return tensorflow().function(function, jit_compile=xla)
    if name == "jax":
        return _framework("jax").jit(function)
    torch = _framework("torch")

    def without_gradients(*args, **kwargs):
        with torch.no_grad():
            return function(*args, **kwargs)

    return without_gradients


def on_accelerator() -> bool:
    """Tell whether Keras computes on a GPU or TPU rather than on the CPU.

    Returns:
        True if an accelerator of the backend in use is visible.
    """
    name = backend()
    if name == "tensorflow":
        devices = tensorflow().config.list_logical_devices()
        return any(device.device_type in ("GPU", "TPU") for device in devices)
    if name == "jax":
        return _framework("jax").default_backend() != "cpu"
    torch = _framework("torch")
    # In the order in which Keras chooses a device.
    return any(device.is_available() for device in (torch.backends.mps, torch.cuda, torch.xpu))


def ensure_shape(tensor, shape):
    """Hold a tensor to a shape; at run time, where TensorFlow knows it only then.

    Args:
        tensor: Tensor of any shape.
        shape: Tuple of sizes, None where any will do.

    Returns:
        The tensor, of a shape that is known as far as `shape` says it.

    Raises:
        ValueError: The shape is another; `tf.errors.InvalidArgumentError` at run time.

    Example:
        >>> tuple(ensure_shape(keras.ops.ones((2, 3)), (None, 3)).shape)
        (2, 3)
    """
    if backend() == "tensorflow":
        return tensorflow().ensure_shape(tensor, shape)
    found = tuple(tensor.shape)
    pairs = zip(found, shape, strict=False)
    if len(found) != len(shape) or any(b is not None and a != b for a, b in pairs):
        raise ValueError(f"The tensor must have the shape {tuple(shape)}. Received: {found}")
    return tensor


def check_at_run_time(tensor, condition, message, value):
    """Hold a condition on TensorFlow that can be told only when a graph runs.

    XLA leaves such checks out: then the operation that needed the condition fails by itself.

    Args:
        tensor: Tensor of any shape, which depends on the check from here on.
        condition: Boolean tensor, scalar.
        message: What is wrong where it does not hold, up to what was received.
        value: Tensor of any shape: what was received.

    Returns:
        The tensor, of its own shape.

    Raises:
        tf.errors.InvalidArgumentError: At run time: the condition does not hold.
    """
    tf = tensorflow()
    with tf.control_dependencies([tf.debugging.Assert(condition, [message, value])]):
        return tf.identity(tensor)


def to_numpy(tensor) -> np.ndarray:
    """Bring a tensor of any backend to the host.

    Args:
        tensor: Tensor of any shape.

    Returns:
        numpy array of the same shape; bfloat16 becomes float32, which numpy lacks.
    """
    if hasattr(tensor, "dtype") and "bfloat16" in str(tensor.dtype):
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def visible_values(array) -> np.ndarray | None:
    """Look at values that are on the host already, without waiting for a device.

    Args:
        array: Array or tensor of any shape, of any backend.

    Returns:
        numpy array of the same shape, or None: the values are not known while a step is traced,
        or lie on an accelerator.
    """
    if isinstance(array, (np.ndarray, np.generic, list, tuple, int)):
        return np.asarray(array)
    name = backend()
    if name == "tensorflow":
        is_visible = hasattr(array, "numpy")  # what a tensor of a graph lacks
    elif name == "jax":
        is_visible = not isinstance(array, _framework("jax").core.Tracer)
    else:
        is_visible = str(getattr(array, "device", "meta")) == "cpu"
    return to_numpy(array) if is_visible and not on_accelerator() else None


def global_seed() -> int:
    """Read the seed of the random numbers that the backend keeps outside of variables.

    PyTorch has such numbers, and Keras' dropout draws from them; the other backends have none.

    Returns:
        The seed; 0 where there are none.
    """
    return _framework("torch").initial_seed() if backend() == "torch" else 0


def set_global_seed(seed: int) -> None:
    """Seed these random numbers; where there are none this does nothing.

    Args:
        seed: Whole number from 0 to 2^63 - 1.
    """
    if backend() == "torch":
        _framework("torch").manual_seed(seed)


@contextlib.contextmanager
def kept_global_seed():
    """Leave these random numbers, at the end of a block, where they were before it.

    Yields:
        Nothing.

    Example:
        >>> with kept_global_seed():
        ...     noise = keras.random.normal((2,))
    """
    if backend() != "torch":
        yield
        return
    torch = _framework("torch")
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
