import os
from pathlib import Path

# Before any framework reads them. What a test compiles runs once or twice: XLA's expensive passes
# cost more than they save. And several workers must not take all cores each.
if os.environ.get("KERAS_BACKEND") == "jax":
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")

import keras
import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption(
        "--backend-free",
        choices=("run", "skip"),
        default="run",
        help="skip the tests that give the same result on every backend",
    )


def slow_tests():
    """Names of the tests, or of single cases, that `slow.txt` lists."""
    lines = (Path(__file__).parent / "slow.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def pytest_collection_modifyitems(config, items):
    slow = slow_tests()
    for item in items:
        if {item.nodeid, item.nodeid.partition("[")[0], item.nodeid.partition("::")[0]} & slow:
            item.add_marker("slow")
    has_slow = config.getoption("--slow")
    skips_free = config.getoption("--backend-free") == "skip"
    kept, left_out = [], []
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        # What is slow runs on one backend only, so that it runs there whatever it depends on.
        is_kept = has_slow if "slow" in marks else not (skips_free and "backend_free" in marks)
        (kept if is_kept else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(scope="session")
def shared_data():
    """Real samples in their official layouts, kept beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real samples are not there: no folder {folder}")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def gradient_of():
    """`gradient_of(function, *arrays)`: gradients of a scalar function, as numpy arrays."""
    return _gradients


def _gradients(function, *arrays):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        arguments = tuple(range(len(arrays)))
        return [np.asarray(g) for g in jax.jit(jax.grad(function, arguments))(*arrays)]
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(value, tensors)]
    for tensor in tensors:
        tensor.requires_grad_(True)
    function(*tensors).backward()
    return [tensor.grad.cpu().numpy() for tensor in tensors]
