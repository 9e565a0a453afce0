"""Training on the devices of several hosts."""

import contextlib
import os
import sys
import traceback

import keras

from c2f_zoo import backend, checks
from c2f_zoo.hosts import connect_hosts, devices_by_host, host, is_first_host, wait_for_hosts

# What JAX's errors of a host that is gone have in common.
_LOST = ("gloo", "nccl", "coordination", "unavailable", "deadline_exceeded", "connection", "socket")


@contextlib.contextmanager
def join_hosts(coordinator=None, hosts=None, index=None, *, start_timeout=300, timeout=60):
    """Make and train models on the devices of several hosts, each with its share of every batch.

    Every host runs the same program. This must be the first thing in it that JAX does, and all of a
    training belongs into the block: streams, the model, `compile` and `fit`. The steps are those of
    one device with the whole batch, by `jax.distributed` and `keras.distribution.DataParallel`, so
    batch sizes are those of all hosts together and must be divisible by the number of devices.

    Data: the streams of the zoo (`FlowStream`, `StereoStream`, `DepthStream`, the renderers'
    `stream`, `ImageStream`, `MultilevelStream`) give each host its rows of a batch; wrap others in
    `HostBatches`. Keras takes arrays in `fit` for this host's own: `batch_size` is then its share.

    Files: what the zoo writes (`TrainingState`, logs, presets, pictures) is written by the first
    host, from which the others also get a saved state; wrap other callbacks that write in
    `on_first_host`. Do not call the zoo's callbacks, or anything that computes, on one host alone.

    Failure: a host that fails ends at once, with exit status 1, and so do the others, with a
    message: at latest after `timeout` seconds. Start all again to go on from the last state; their
    number may be another. A host that is told to stop (`StopOnSignal`) stops all after the epoch.

    Args:
        coordinator: Address and port of the first host, such as `"10.0.0.1:1234"`. Default: found,
            as the next two, in what Slurm, Open MPI, Kubernetes and Cloud TPU tell a process.
        hosts: Number of hosts (processes).
        index: Number of this host, from 0.
        start_timeout: Seconds to wait for the others in the beginning.
        timeout: Seconds after which a host that is silent is taken for dead, and for which a host
            that is done waits for the others.

    Yields:
        int: The number of devices in use.

    Raises:
        ValueError: If the backend is not JAX, an argument is out of range, or nothing tells of the
            others.
        ConnectionError: If the others cannot be reached, or JAX computes already.

    Example:
        ```python
        with join_hosts():
            model = PWCNet.from_pretrained("pwcnet_lite.scenes")
            model.compile()
            model.fit(scenes.stream(500), shuffle=False)
        ```
    """
    if backend.backend() != "jax":
        raise ValueError(f"{backend.SEVERAL_HOSTS} Received: {backend.backend()}")
    hosts = None if hosts is None else checks.whole("hosts", hosts, least=1)
    if index is not None:
        index = checks.whole("index", index, least=0, most=None if hosts is None else hosts - 1)
    limits = (checks.whole("start_timeout", start_timeout, 1), checks.whole("timeout", timeout, 1))
    _connect(coordinator, hosts, index, *limits)
    devices = devices_by_host()
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    )
    try:
        yield len(devices)
        # None leaves, and ends, while the first one still writes.
        wait_for_hosts("end of the training")
    except BaseException as error:
        is_success = isinstance(error, SystemExit) and not error.code
        if is_success or host()[1] == 1:
            raise
        _end(error)
    finally:
        keras.distribution.set_distribution(before)


def on_first_host(callback):
    """Keep a callback on the first of several hosts, for those that write files.

    Args:
        callback: Keras callback that computes nothing with the model, such as `CSVLogger`.

    Returns:
        The callback, or on other hosts one that does nothing.

    Example:
        >>> type(on_first_host(keras.callbacks.CSVLogger("log.csv"))).__name__
        'CSVLogger'
    """
    return callback if is_first_host() else keras.callbacks.Callback()


def _connect(coordinator, hosts, index, start_timeout, timeout):
    given = f"coordinator={coordinator}, hosts={hosts}, index={index}"
    try:
        connect_hosts(coordinator, hosts, index, start_timeout, timeout)
    except ValueError as error:
        raise ValueError(
            "No cluster tells this process of the others: give the address and port of the first "
            f"host, the number of hosts and which of them this is ({error}). Received: {given}"
        ) from error
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"The hosts could not be joined: {reason}. All must be started within {start_timeout} "
            "seconds, reach the first one's port, and compute nothing before. "
            f"Received: {given}"
        ) from error


def _end(error):
    """End this process without waiting for hosts that wait for it; the others notice."""
    status = error.code if isinstance(error, SystemExit) else 1
    status = 130 if isinstance(error, KeyboardInterrupt) else status
    index, hosts = host()
    lines = traceback.format_exc()
    if isinstance(status, str):
        lines, status = f"{status}\n", 1
    text = str(error).lower()
    reason = "on the error above"
    if any(word in text for word in _LOST):
        reason = "because another host has ended or cannot be reached (its own last lines say why)"
    sys.stdout.flush()
    print(
        f"{lines}c2f_zoo: host {index} of {hosts} (from 0) stops {reason}. Start all hosts again "
        "to go on from the last saved state; there may be more or fewer of them.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(status)
