"""`c2f doctor`: what is installed, what can compute, and where files are kept."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from c2f_zoo.cli.common import (
    BACKENDS,
    FAILED,
    OK,
    CommandError,
    choose_backend,
    print_json,
    say,
    table,
)

EXAMPLES = """examples:
  c2f doctor
  c2f doctor --json    for a report of a fault"""

PATIENCE = 120  # seconds that a backend has to start

# A backend is tried in a process of its own: one that is broken may end its process.
_PROBE = """
import json, sys
import keras
from c2f_zoo import backend
assert float(keras.ops.sum(keras.ops.ones(2))) == 2.0
name = keras.backend.backend()
found = {"version": sys.modules[name].__version__, "devices": backend.training_devices()}
print("\\n" + json.dumps(found))
"""

_FOR_AUTHORS = ("dev", "test")  # extras that --json alone lists
_PACKAGES = ("keras", "numpy", "h5py", "pillow", "huggingface_hub")


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "doctor",
        help="what is installed, what works, where files are kept",
        description="Say which backends compute and on what, which versions and extras are "
        "installed, and where caches are. Exit status 1 if no backend works. Tokens are not shown.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="print JSON rather than tables")
    return parser


def run(arguments):
    """Carry out the parsed command line; the status is FAILED if no backend works."""
    report = examine()
    if arguments.json:
        print_json(report)
    else:
        say(*_lines(report))
    return OK if any(found.get("devices") for found in report["backends"].values()) else FAILED


def examine():
    """Look at the installation; return plain data."""
    try:
        chosen = choose_backend()
    except CommandError:  # it is not installed, or none is
        chosen = os.environ.get("KERAS_BACKEND")
    return {
        "versions": _versions(),
        "backends": _backends(),
        "chosen": chosen,
        "extras": _extras(),
        "caches": _caches(),
    }


def _versions():
    import c2f_zoo

    packages = {name: _version(name) for name in _PACKAGES}
    system = {"python": platform.python_version(), "system": platform.platform()}
    return {"c2f_zoo": c2f_zoo.__version__, **system, **packages}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _backends():
    """What each backend answers: version and devices, or an error; all are started at once."""
    found = {name: {"error": "not installed"} for name in BACKENDS}
    started = {name: _start(name) for name in BACKENDS if importlib.util.find_spec(name)}
    try:
        return {**found, **{name: _answer(process) for name, process in started.items()}}
    finally:
        for process in started.values():
            process.kill()


def _start(name):
    environment = {**os.environ, "KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-c", _PROBE],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _answer(process):
    from c2f_zoo.hub.errors import without_tokens

    try:
        printed, complaint = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PATIENCE} s"}
    if process.returncode == 0:
        return json.loads(printed.splitlines()[-1])
    lines = complaint.strip().splitlines() or [f"its process ended with {process.returncode}"]
    return {"error": without_tokens(lines[-1].strip())}


def _extras():
    """The packages of each optional extra, by the name of the extra: version, or None."""
    from packaging.requirements import Requirement

    found = {}
    try:
        requirements = importlib.metadata.requires("c2f_zoo") or ()
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return found
    for requirement in map(Requirement, requirements):
        for extra in importlib.metadata.metadata("c2f_zoo").get_all("Provides-Extra") or ():
            marker = requirement.marker
            if marker and not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": extra}):
                found.setdefault(extra, {})[requirement.name] = _version(requirement.name)
    return found


def _caches():
    """Folder and size in bytes of what is kept on disk, size None where there is none yet."""
    home = Path(os.environ.get("HF_HOME") or _cache_home() / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    places = {"Hugging Face Hub": hub, "Keras": keras_home}
    return {name: {"path": str(path), "size": _size(path)} for name, path in places.items()}


def _cache_home():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _size(folder):
    if not folder.is_dir():
        return None
    total = 0
    for place, _, files in os.walk(folder, onerror=lambda error: None):
        for name in files:
            path = os.path.join(place, name)
            if not os.path.islink(path) and os.path.exists(path):
                total += os.path.getsize(path)
    return total


def _lines(report):
    versions = report["versions"]
    yield ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    yield ""
    rows = [
        [name, found.get("version", "-"), _devices(found), found.get("error", "works")]
        for name, found in report["backends"].items()
    ]
    yield from table(rows, ["backend", "version", "devices", "state"])
    yield from _advice(report)
    yield ""
    extras = {name: found for name, found in report["extras"].items() if name not in _FOR_AUTHORS}
    rows = [[extra, *_state_of_extra(extra, found)] for extra, found in extras.items()]
    yield from table(rows, ["extra", "packages", "if missing"])
    yield ""
    rows = [
        [name, cache["path"], "none yet" if cache["size"] is None else _megabytes(cache["size"])]
        for name, cache in report["caches"].items()
    ]
    yield from table(rows, ["cache", "folder", "size"])


def _devices(found):
    return ", ".join(found.get("devices", ())) or "-"


def _advice(report):
    works = [name for name, found in report["backends"].items() if found.get("devices")]
    chosen = report["chosen"]
    if chosen in works:
        yield f"c2f computes with {chosen}; KERAS_BACKEND chooses another"
        return
    if works:
        yield f"{chosen} is chosen and does not work: set KERAS_BACKEND={works[0]}"
    else:
        yield 'no backend works: pip install "c2f_zoo[tensorflow]" (or [jax] or [torch])'


def _state_of_extra(extra, packages):
    known = ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
    return known, "" if all(packages.values()) else f'pip install "c2f_zoo[{extra}]"'


def _megabytes(size):
    return f"{size / 1e6:.1f} MB"
