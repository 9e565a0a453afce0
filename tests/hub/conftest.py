import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


def load_module(name):
    """Imports a file of this folder once, under its own name."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def pickle_bytes():
    """Functions that write pickles and torch files by hand."""
    return load_module("pickle_bytes")


@pytest.fixture(scope="session")
def tiny_models():
    """The registered models TinyFlow and TinyRestorer."""
    return load_module("tiny_models")


@pytest.fixture
def model(tiny_models):
    """A small flow network with random weights."""
    return tiny_models.TinyFlow(channels=5, scale=0.5)


@pytest.fixture
def folder(model, tmp_path):
    """The preset that the model was saved as."""
    return model.save_pretrained(tmp_path / "tiny_flow.test", {"licence": "MIT"})


@pytest.fixture(scope="module")
def loopback_hub():
    """A Hub on this machine, empty but for one repository that is no preset."""
    hub = load_module("loopback_hub").LoopbackHub()
    hub.repositories["me/empty"] = {"branches": {}, "commits": {}}
    hub.commit("me/empty", "main", {"notes.txt": b"nothing here"})
    yield hub
    hub.close()


def _run_on_hub(home, endpoint, *arguments, **settings):
    environment = {
        **{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_test",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "C2F_ZOO_ORGANISATION": "me",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)]),
        **settings,
    }
    first, *rest = arguments
    first = str(HERE / first) if str(first).endswith("_session.py") else str(first)
    done = subprocess.run(
        [sys.executable, first, *map(str, rest)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done


@pytest.fixture(scope="session")
def run_on_hub():
    """Runs a program with the settings of a Hub at `endpoint`; it must succeed."""
    return _run_on_hub


@pytest.fixture(autouse=True)
def no_settings_of_mine(monkeypatch):
    """Hides this machine's own settings from the tests."""
    for name in ("C2F_ZOO_ORGANISATION", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
