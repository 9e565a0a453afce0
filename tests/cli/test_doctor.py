"""`c2f doctor`: backends that work, are missing or broken, and what is never printed."""

import json
import sys

import keras
import pytest

from c2f_zoo.cli import doctor
from c2f_zoo.cli.main import main

WORKS = """print('noise\\n{"version": "1.2", "devices": ["CPU:0"]}')"""
TOKEN = "hf_" + "a" * 30
BROKEN = f"raise ImportError('libx.so is missing, {TOKEN}')"


@pytest.fixture
def probe(monkeypatch):
    """Installs backends by name, each with a program that stands for its probe."""

    def arrange(**programs):
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name: name if name in programs else None
        )
        start, begun = doctor._start, []

        def start_program(name):
            monkeypatch.setattr(doctor, "_PROBE", programs[name])
            begun.append(start(name))
            return begun[-1]

        monkeypatch.setattr(doctor, "_start", start_program)
        return begun

    return arrange


@pytest.mark.backend_free
class TestDoctor:
    def test_it_says_what_works_what_is_broken_and_what_is_missing(
        self, probe, capsys, monkeypatch
    ):
        monkeypatch.setattr(doctor, "choose_backend", lambda: "torch")
        probe(torch=WORKS, jax=BROKEN)
        assert main(["doctor"]) == 0
        printed = capsys.readouterr().out
        lines = {
            line.split()[0]: line for line in printed.partition("extra ")[0].splitlines() if line
        }
        assert lines["torch"].split() == ["torch", "1.2", "CPU:0", "works"]
        assert "ImportError: libx.so is missing" in lines["jax"]
        assert "not installed" in lines["tensorflow"]
        assert TOKEN not in printed

    def test_it_fails_if_nothing_can_compute(self, probe, capsys):
        probe(jax=BROKEN)
        assert main(["doctor"]) == 1
        assert 'pip install "c2f_zoo[tensorflow]"' in capsys.readouterr().out

    def test_a_backend_that_hangs_is_ended(self, probe, capsys, monkeypatch):
        monkeypatch.setattr(doctor, "PATIENCE", 0.2)
        begun = probe(jax="import time; time.sleep(600)")
        assert main(["doctor"]) == 1
        assert "no answer within 0.2 s" in capsys.readouterr().out
        assert begun[0].wait() != 0

    def test_a_backend_that_is_chosen_and_broken_gets_another_one_named(
        self, probe, capsys, monkeypatch
    ):
        monkeypatch.setattr(doctor, "choose_backend", lambda: "jax")
        probe(jax=BROKEN, torch=WORKS)
        assert main(["doctor"]) == 0
        assert "jax is chosen and does not work: set KERAS_BACKEND=torch" in capsys.readouterr().out

    def test_it_names_caches_their_size_and_missing_extras(
        self, probe, capsys, monkeypatch, tmp_path
    ):
        (tmp_path / "hub").mkdir()
        (tmp_path / "hub" / "file").write_bytes(bytes(3_000_000))
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        monkeypatch.setenv("HF_TOKEN", "secret of mine")
        monkeypatch.setattr(doctor, "_version", lambda package: None)
        probe(torch=WORKS)
        assert main(["doctor", "--json"]) == 0
        printed = capsys.readouterr().out
        report = json.loads(printed)
        assert report["caches"]["Hugging Face Hub"] == {
            "path": str(tmp_path / "hub"),
            "size": 3_000_000,
        }
        assert report["extras"]["viz"] == {"matplotlib": None} and "secret" not in printed
        assert main(["doctor"]) == 0
        assert 'pip install "c2f_zoo[viz]"' in capsys.readouterr().out


@pytest.mark.slow
def test_the_present_backend_is_found_to_work(monkeypatch):
    name = keras.backend.backend()
    found = doctor._answer(doctor._start(name))
    assert found["version"].startswith(sys.modules[name].__version__) and found["devices"]
