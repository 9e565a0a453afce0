import os
from pathlib import Path

# Before any framework reads them. What a test compiles runs once or twice: XLA's expensive passes
# cost more than they save. And several workers must not take all cores each.
if os.environ.get("KERAS_BACKEND") == "jax":
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()
    # What took a while to compile is read from a file where another worker or run has done it.
    cache = Path(__file__).parents[1] / ".pytest_cache" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
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


def names_of(item):
    """What `slow.txt` may call a test: its file, its test, or its one case."""
    return {item.nodeid, item.nodeid.partition("[")[0], item.nodeid.partition("::")[0]}


def pytest_collection_modifyitems(config, items):
    slow = slow_tests()
    names = {item: names_of(item) for item in items}
    for item in items:
        if names[item] & slow:
            item.add_marker("slow")
    # A test of another name would no longer be slow. Whole files alone are sure to hold them all.
    if not any("::" in argument for argument in config.args):
        files = {item.nodeid.partition("::")[0] for item in items}
        known = set().union(*names.values())
        lost = {name for name in slow - known if name.partition("::")[0] in files}
        lost |= {name for name in slow if not (config.rootpath / name.partition("::")[0]).is_file()}
        if lost:
            raise pytest.UsageError(f"slow.txt lists tests that are not there: {sorted(lost)}")
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
