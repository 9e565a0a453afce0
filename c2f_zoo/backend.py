"""What `keras.ops` lacks: the one place, beside `training/steps/`, that names a framework."""

import contextlib
import importlib

import keras
import numpy as np

SEVERAL_HOSTS = (
    "Several hosts train together on JAX alone: set KERAS_BACKEND=jax and use "
    "c2f_zoo.training.join_hosts. Keras' trainer fails in its first step under TensorFlow's "
    "strategies of several workers (keras-team/keras issue 20585); on PyTorch it has one device."
)


def backend() -> str:
    """Name the Keras backend in use.

    Returns:
        `"tensorflow"`, `"jax"` or `"torch"`.
    """
    return keras.backend.backend()


def framework(name: str):
    """Import a framework, or a module of it, by its name.

    Args:
        name: Such as `"jax"` or `"torch"`.

    Returns:
        The module.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This needs {name}, which is not installed: "
            f'pip install "c2f_zoo[{name}]". Received: {error}'
        ) from error


def tensorflow():
    """Import TensorFlow.

    Returns:
        The `tensorflow` module.

    Raises:
        ImportError: TensorFlow is not installed; the message names the extra.
    """
    return framework("tensorflow")


def jit(function, xla: bool = False):
    """Compile a function of tensors, written in `keras.ops`, for the backend in use.

    It is traced once per combination of input shapes. On torch it runs eagerly, without gradients.

    Args:
        function: Function of (nested) tensors of any shape, without Keras variables.
        xla: Whether to use XLA on TensorFlow. JAX always does.

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
        return framework("jax").jit(function)
    return without_gradients(function)


def without_gradients(function):
    """Make a function run as it is, without PyTorch's memory of what gradients need.

    Args:
        function: A function of tensors of any shape.

    Returns:
        A function of the same signature.

    Example:
        >>> double = without_gradients(lambda x: x * 2)
        >>> float(double(keras.ops.convert_to_tensor(3.0)))
        6.0
    """
    if backend() != "torch":
        return function
    torch = framework("torch")

    def run(*args, **kwargs):
        with torch.no_grad():
            return function(*args, **kwargs)

    return run


def build_optimizer(model):
    """Create the variables of a compiled model's optimizer, if the model has its own already.

    TensorFlow would create them while it traces the first step, and trace that step twice.

    Args:
        model: A compiled `keras.Model`.
    """
    optimizer = getattr(model, "optimizer", None)
    if backend() != "tensorflow" or optimizer is None or optimizer.built:
        return
    if model.built and model.trainable_variables:
        with model.distribute_strategy.scope():
            optimizer.build(model.trainable_variables)


def sum_over_replicas(tensors):
    """Add up what the replicas of a `tf.distribute` step hold, each their own.

    Args:
        tensors: List of tensors of any shape.

    Returns:
        The list of sums, of the tensors' shapes, and the number of replicas; outside of such a
        step the tensors as they are, of their shapes, and 1.

    Example:
        >>> sum_over_replicas([1.5])
        ([1.5], 1)
    """
    if backend() != "tensorflow":
        return tensors, 1
    distribute = tensorflow().distribute
    replica = distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensors, 1
    return replica.all_reduce(distribute.ReduceOp.SUM, tensors), replica.num_replicas_in_sync


def refuse_multi_worker() -> None:
    """Refuse to train on several hosts with TensorFlow.

    Raises:
        ValueError: A strategy of several workers is in force.
    """
    if backend() != "tensorflow":
        return
    strategy = tensorflow().distribute.get_strategy()
    if getattr(strategy.extended, "_in_multi_worker_mode", lambda: False)():
        raise ValueError(f"{SEVERAL_HOSTS} Received: TensorFlow's {type(strategy).__name__}")


def on_accelerator() -> bool:
    """Tell whether Keras computes on a GPU or TPU.

    Returns:
        True if an accelerator of the backend in use is visible.
    """
    name = backend()
    if name == "tensorflow":
        devices = tensorflow().config.list_logical_devices()
        return any(device.device_type in ("GPU", "TPU") for device in devices)
    if name == "jax":
        return framework("jax").default_backend() != "cpu"
    torch = framework("torch")
    return any(device.is_available() for device in (torch.backends.mps, torch.cuda, torch.xpu))


def training_devices() -> list[str]:
    """Name the devices of this backend that can train, as its distribution takes them.

    Returns:
        The accelerators, or the processor's devices if there are none; one on PyTorch.
    """
    name = backend()
    if name == "torch":
        return ["GPU:0" if on_accelerator() else "CPU:0"]
    if name == "jax":
        return keras.distribution.list_devices()
    list_devices = tensorflow().config.list_logical_devices
    return [device.name for device in list_devices("GPU") or list_devices("CPU")]


def has_replicas() -> bool:
    """Tell whether several replicas train what is made now.

    Returns:
        True under a strategy of `tf.distribute` with more than one replica.
    """
    is_tensorflow = backend() == "tensorflow"
    return is_tensorflow and tensorflow().distribute.get_strategy().num_replicas_in_sync > 1


def predict_on_batch(model, inputs):
    """Call a model's `predict_on_batch` once, whatever the distribution.

    Under `tf.distribute` every replica answers for the whole batch, and Keras joins the answers.

    Args:
        model: A `keras.Model`.
        inputs: Tensor (B, ...), or a structure of such tensors.

    Returns:
        What the model answers, a structure of arrays (B, ...).
    """
    outputs = model.predict_on_batch(inputs)
    if not has_replicas():
        return outputs
    count = len(keras.tree.flatten(inputs)[0])
    return keras.tree.map_structure(lambda output: output[:count], outputs)


def divide_processor(count: int) -> None:
    """Make the processor several devices of TensorFlow, if it has no GPU and runs nothing yet.

    Args:
        count: Number of devices.
    """
    config = tensorflow().config
    if not config.list_physical_devices("GPU"):
        parts = [config.LogicalDeviceConfiguration()] * count
        with contextlib.suppress(RuntimeError):
            config.set_logical_device_configuration(config.list_physical_devices("CPU")[0], parts)


def ensure_shape(tensor, shape):
    """Check a tensor's shape, at run time where TensorFlow knows it only then.

    Args:
        tensor: Tensor of any shape.
        shape: Tuple of sizes; None allows any.

    Returns:
        The tensor, whose static shape is as specific as `shape`.

    Raises:
        ValueError: If the shape differs; `tf.errors.InvalidArgumentError` at run time.

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
    """Assert a condition when a TensorFlow graph runs. XLA drops such checks.

    Args:
        tensor: Tensor of any shape, made to depend on the check.
        condition: Boolean tensor, scalar.
        message: The error's text, up to what was received.
        value: Tensor of any shape, what was received.

    Returns:
        The tensor, its shape unchanged.

    Raises:
        tf.errors.InvalidArgumentError: At run time, if the condition is false.
    """
    tf = tensorflow()
    with tf.control_dependencies([tf.debugging.Assert(condition, [message, value])]):
        return tf.identity(tensor)


def at_least_float32(tensor):
    """Cast to float32, unless the tensor is more precise.

    Args:
        tensor: Tensor of any shape.

    Returns:
        Tensor of the same shape, float32 or float64.

    Example:
        >>> half = keras.ops.ones((2,), dtype="float16")
        >>> keras.backend.standardize_dtype(at_least_float32(half).dtype)
        'float32'
    """
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return keras.ops.cast(tensor, keras.backend.result_type(dtype, "float32"))


def take_inside(tensor, index):
    """Take rows at indices that are known to be inside.

    `keras.ops.take` also takes negative indices, and on JAX gives NaN for those outside, which
    costs a tenth to a third of RAFT's lookup.

    Args:
        tensor: Tensor (N, ...).
        index: Integer tensor of any shape, each in [0, N).

    Returns:
        Tensor of the shape of `index` and the row.

    Example:
        >>> np.asarray(take_inside(keras.ops.array([3.0, 4.0]), keras.ops.array([[1, 0]]))).tolist()
        [[4.0, 3.0]]
    """
    name = backend()
    if name == "tensorflow":
        return tensorflow().gather(tensor, index)
    if name == "jax":
        return tensor.at[index].get(mode="clip")
    rows = tensor.index_select(0, index.reshape(-1))
    return rows.reshape(tuple(index.shape) + tuple(tensor.shape[1:]))


def to_numpy(tensor) -> np.ndarray:
    """Convert a tensor of any backend to numpy.

    Args:
        tensor: Tensor of any shape.

    Returns:
        numpy array of the same shape; bfloat16, which numpy lacks, becomes float32.
    """
    if hasattr(tensor, "dtype") and "bfloat16" in str(tensor.dtype):
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def visible_values(array) -> np.ndarray | None:
    """Read values that are on the host already, without waiting for a device.

    Args:
        array: Array or tensor of any shape and backend.

    Returns:
        numpy array of the same shape; None while a step is traced or if the values are on an
        accelerator.
    """
    if isinstance(array, (np.ndarray, np.generic, list, tuple, int)):
        return np.asarray(array)
    name = backend()
    if name == "tensorflow":
        is_visible = hasattr(array, "numpy")  # symbolic tensors lack it
    elif name == "jax":
        # The values of an array that several hosts share are in no single one.
        is_traced = isinstance(array, framework("jax").core.Tracer)
        is_visible = not is_traced and getattr(array, "is_fully_addressable", True)
    else:
        is_visible = str(getattr(array, "device", "meta")) == "cpu"
    return to_numpy(array) if is_visible and not on_accelerator() else None


def global_seed() -> int:
    """Read the seed of torch's global generator, which Keras' dropout draws from.

    Returns:
        The seed; 0 on the other backends, which have no global generator.
    """
    return framework("torch").initial_seed() if backend() == "torch" else 0


def set_global_seed(seed: int) -> None:
    """Seed torch's global generator; nothing happens on the other backends.

    Args:
        seed: Integer from 0 to 2^63 - 1.
    """
    if backend() == "torch":
        framework("torch").manual_seed(seed)


@contextlib.contextmanager
def kept_global_seed():
    """Restore torch's global generator at the end of a block.

    Yields:
        Nothing.

    Example:
        >>> with kept_global_seed():
        ...     noise = keras.random.normal((2,))
    """
    if backend() != "torch":
        yield
        return
    torch = framework("torch")
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
