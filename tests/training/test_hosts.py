"""Several hosts, each a process on the loopback: they train as one and end together."""

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from c2f_zoo import hosts as cluster, models
from c2f_zoo.training import AdversarialModel, Multilevel, join_hosts, on_first_host
from tests.training.hosts_worker import SILENCE

ROOT = Path(__file__).parents[2]
# Seconds for all of a training, in which nothing is to hang: most of it is the compilation.
LIMIT = 1200
ONE_DEVICE = ("TF_CONFIG", "XLA_FLAGS", "PYTEST_CURRENT_TEST")

distributed = pytest.mark.distributed


@pytest.fixture
def on_jax():
    if keras.backend.backend() != "jax":
        pytest.skip("several hosts train on JAX alone")


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(case, folder, hosts, epochs=3, accident=None):
    """The processes of a training; none survives the block."""
    folder.mkdir(exist_ok=True)
    port, processes = str(free_port()), []
    environment = {name: value for name, value in os.environ.items() if name not in ONE_DEVICE}
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    environment |= {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "XLA_FLAGS": flags}
    try:
        for index in range(hosts):
            words = [case, str(folder), str(index), str(hosts), port, str(epochs)]
            command = [sys.executable, "-m", "tests.training.hosts_worker", *words]
            with open(folder / f"{index}.txt", "w") as text:
                processes.append(
                    subprocess.Popen(
                        [*command, *([accident] if accident else [])],
                        cwd=ROOT,
                        env=environment,
                        stdout=text,
                        stderr=subprocess.STDOUT,
                    )
                )
        yield processes
    finally:
        for process in processes:
            process.kill()  # a frozen one, too
            process.wait()


def told(folder):
    """What the hosts have printed."""
    return "\n".join(path.read_text() for path in sorted(folder.glob("?.txt")))


def trained(case, folder, hosts, epochs=3):
    """Train to the end; the weights and logs of every host."""
    with running(case, folder, hosts, epochs) as processes:
        deadline = time.monotonic() + LIMIT
        for process in processes:
            status = process.wait(max(1, deadline - time.monotonic()))
            assert status == 0, told(folder)
    return [results(folder / f"result_{index}.npz") for index in range(hosts)]


def results(path):
    with np.load(path) as archive:
        weights = [archive[f"w{index}"] for index in range(len(archive.files) - 1)]
        return weights, json.loads(str(archive["logs"]))


def agree(found, expected):
    for ours, theirs in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-4)
    for name, values in expected[1].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-3, atol=1e-4, err_msg=name)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files(folder):
    """What a training has written, without the times in the names of event files."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    names = ["events" if "tfevents" in path.name else path.name for path in found]
    pairs = zip(found, names, strict=True)
    left_out = ("result_", "0.txt", "1.txt", "cache_")
    return sorted(
        str(path.parent / name) for path, name in pairs if not str(path).startswith(left_out)
    )


def train_both(case, folder, epochs):
    """Compare two hosts with one process, in weights, logs and files."""
    (alone,) = trained(case, folder / "alone", 1, epochs)
    for host in trained(case, folder / "hosts", 2, epochs):
        agree(host, alone)
    assert files(folder / "hosts") == files(folder / "alone")
    assert len(rows(folder / "hosts" / "log.csv")) == epochs
    return folder / "hosts"


@distributed
def test_two_hosts_take_multilevel_steps_as_one_process(on_jax, tmp_path):
    folder = train_both("multilevel", tmp_path, 3)
    assert [row["step"] for row in rows(folder / "steps.csv")] == list("123456")


@distributed
@pytest.mark.slow
def test_two_hosts_train_a_flow_model_as_one_process(on_jax, tmp_path):
    folder = train_both("flow", tmp_path, 2)
    model = models.PWCNetLite.from_pretrained(str(folder / "preset"))
    assert np.isfinite(model.flow(*np.zeros((2, 64, 64, 3), "uint8"))).all()


@distributed
@pytest.mark.slow
def test_two_hosts_grow_a_pair_as_one_process(on_jax, tmp_path):
    folder = train_both("gan", tmp_path, 3)
    assert (folder / "film.gif").is_file()


@distributed
@pytest.mark.slow
@pytest.mark.parametrize(("accident", "hosts"), [("kill:1", 1), ("kill:0", 3)])
def test_a_host_that_dies_ends_the_others_and_more_or_fewer_go_on(
    accident, hosts, on_jax, tmp_path
):
    dead = int(accident[-1])
    with running("multilevel", tmp_path / "hosts", 2, accident=accident) as processes:
        assert processes[dead].wait(LIMIT) == -signal.SIGKILL
        # Bounded: by the time until a silent host is taken for dead, and that to shut down.
        assert processes[1 - dead].wait(10 * SILENCE) not in (0, None)
        end = (tmp_path / "hosts" / f"{1 - dead}.txt").read_text()
    assert "another host has ended" in end and "go on from the last saved state" in end
    expected, _ = trained("multilevel", tmp_path / "alone", 1)[0]
    for weights, logs in trained("multilevel", tmp_path / "hosts", hosts):
        assert len(logs["loss"]) == 2  # the first epoch was saved
        agree((weights, {}), (expected, {}))


@distributed
@pytest.mark.slow
def test_a_host_that_no_longer_answers_ends_the_others(on_jax, tmp_path):
    with running("multilevel", tmp_path / "hosts", 2, accident="freeze:1") as processes:
        assert processes[0].wait(LIMIT) not in (0, None)
    assert "stopped sending heartbeats" in told(tmp_path / "hosts")


@distributed
@pytest.mark.slow
def test_a_host_that_is_told_to_stop_stops_all_after_the_epoch(on_jax, tmp_path):
    with running("multilevel", tmp_path / "hosts", 2, accident="stop:1") as processes:
        assert [process.wait(LIMIT) for process in processes] == [0, 0], told(tmp_path / "hosts")
    assert len(rows(tmp_path / "hosts" / "log.csv")) == 2


def test_other_backends_are_refused_and_told_why():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX trains on several hosts")
    with pytest.raises(ValueError, match=r"JAX alone.*20585.*Received: "), join_hosts():
        pytest.fail("the block must not run")


def test_what_is_given_of_the_hosts_must_be_whole(on_jax):
    for given in ((0, None), (2, 2), (2, -1), (2.5, 0)):
        with pytest.raises(ValueError, match=r"(hosts|index) must be .*Received: "):
            with join_hosts("127.0.0.1:1", *given):
                pytest.fail("the block must not run")


def test_several_workers_of_tensorflow_are_refused_before_anything_is_compiled(monkeypatch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a strategy of TensorFlow")
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy.extended), "_in_multi_worker_mode", lambda _: True)
    flow, pair = models.PWCNetLite(), models.ProGAN(8, latent_size=4, num_filters=(8, 4))
    network = models.MultiscaleUNet(
        width=8, multipliers=(1, 2), groups=4, attention=0, time_embedding=False
    )
    assert isinstance(pair, AdversarialModel)
    for model in (flow, pair, network, Multilevel(network)):
        with pytest.raises(ValueError, match=r"JAX alone.*20585.*Received: TensorFlow's"):
            model.compile()


def test_callbacks_stay_on_the_first_host(monkeypatch):
    log = keras.callbacks.CSVLogger("log.csv")
    assert on_first_host(log) is log
    monkeypatch.setattr(cluster, "host", lambda: (1, 2))
    assert type(on_first_host(log)) is keras.callbacks.Callback
