"""Which of several hosts this is, and what they tell each other, by `jax.distributed`."""

import contextlib

import keras
import numpy as np

from c2f_zoo.backend import backend


def connect_hosts(coordinator, hosts, index, start_timeout, timeout) -> None:
    """Connect this process to the others of a training on several hosts, by `jax.distributed`.

    Args:
        coordinator: Address and port of host 0; it and the next two None where the cluster tells.
        hosts: Number of processes.
        index: Number of this process, from 0.
        start_timeout: Seconds to wait for the others.
        timeout: Seconds after which a silent host is taken for dead.
    """
    import jax

    jax.distributed.initialize(
        coordinator,
        hosts,
        index,
        initialization_timeout=start_timeout,
        heartbeat_timeout_seconds=timeout,
        shutdown_timeout_seconds=timeout,
    )
    # One seed, so that all make the same weights.
    seed = np.random.SeedSequence().generate_state(1)
    keras.utils.set_random_seed(int(from_first_host(seed)[0]))


def devices_by_host() -> list[str]:
    """List JAX's devices of all hosts, those of host 0 first, as Keras calls them."""
    import jax

    devices = sorted(jax.devices(), key=lambda each: (each.process_index, each.id))
    return [f"{device.platform}:{device.id}" for device in devices]


def host() -> tuple[int, int]:
    """Tell which of the hosts that train together this is.

    Returns:
        Number of this host, from 0, and the number of hosts: (0, 1) where there is one.

    Example:
        >>> host()
        (0, 1)
    """
    if backend() != "jax":
        return 0, 1
    import jax

    if not jax.distributed.is_initialized():
        return 0, 1
    return jax.process_index(), jax.process_count()


def is_first_host() -> bool:
    """Tell whether this is the host that writes files."""
    return host()[0] == 0


def from_first_host(values):
    """Give every host what the first one has. All of them call it, at the same place.

    Args:
        values: Array, or list or dict of arrays of any shape, of at most 32 bits per number. Those
            of other hosts have the same shapes and types.

    Returns:
        The first host's, of these shapes, as numpy arrays.

    Example:
        >>> from_first_host([np.arange(3)])
        [array([0, 1, 2])]
    """
    if host()[1] == 1:
        return values
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(values)


def text_from_first_host(text: str) -> str:
    """Give every host the first one's text."""
    if host()[1] == 1:
        return text
    content = np.frombuffer(text.encode(), "uint8")
    length = int(from_first_host(np.array(len(content), "int32")))
    content = content if is_first_host() else np.zeros(length, "uint8")
    return from_first_host(content).tobytes().decode()


def on_any_host(is_true: bool) -> bool:
    """Tell whether something is true on any host. All of them call it, at the same place."""
    if host()[1] == 1:
        return bool(is_true)
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.array(is_true)).any())


@contextlib.contextmanager
def on_this_host():
    """Build and call models in a block as one host does, that no other one takes part in.

    Yields:
        Nothing.
    """
    before = keras.distribution.distribution() if host()[1] > 1 else None
    if before is not None:
        keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        if before is not None:
            keras.distribution.set_distribution(before)


def wait_for_hosts(place: str) -> None:
    """Wait until all hosts are at a place of the program, which is named alike."""
    if host()[1] > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(place)
