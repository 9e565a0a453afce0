"""What importing the package costs and what it ships."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import pytest

import c2f_zoo
from tests.test_floors import LAZY

ROOT = Path(__file__).parents[1]
MEGABYTE = 2**20

FRAMEWORKS = {"jax", "tensorflow", "torch"}

PROBE = """
import json, socket, sys
import keras
before = set(sys.modules)

def refuse(*args, **kwargs):
    raise OSError("importing c2f_zoo must not touch the network")

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse)

import c2f_zoo
at_import = set(sys.modules) - before
for name in {names!r}:
    getattr(c2f_zoo, name)
c2f_zoo.PWCNetLite()
everything = set(sys.modules) - before
top = lambda modules: sorted({{name.partition(".")[0] for name in modules}})
print(json.dumps([sorted(at_import), top(everything)]))
"""


@pytest.fixture(scope="module")
def newly_imported():
    """Modules that `import c2f_zoo`, and then using every public name, load beyond Keras."""
    probe = PROBE.format(names=[name for name in dir(c2f_zoo) if not name.startswith("_")])
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_importing_the_package_loads_only_its_first_file_and_the_names_for_keras(newly_imported):
    modules = newly_imported[0]
    own = [name for name in modules if name.startswith("c2f_zoo")]
    assert own == ["c2f_zoo", "c2f_zoo.lazy", "c2f_zoo.registered_names"]
    others = {name.partition(".")[0] for name in modules} - {"c2f_zoo", "lazy_loader"}
    assert others <= sys.stdlib_module_names


def test_no_public_name_imports_an_optional_or_slow_package(newly_imported):
    assert not LAZY & set(newly_imported[1])


def test_no_public_name_imports_a_framework_that_keras_did_not(newly_imported):
    # In particular no TensorFlow under JAX or PyTorch.
    assert not FRAMEWORKS & set(newly_imported[1])


def test_the_package_imports_without_the_optional_packages_installed():
    blocked = sorted(LAZY | (FRAMEWORKS - {os.environ.get("KERAS_BACKEND", "tensorflow")}))
    # None in sys.modules makes Python report the module as missing. Keras itself comes first:
    # its own optional imports are not ours to judge.
    code = f"import keras, sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n" + (
        "import c2f_zoo\nfor name in dir(c2f_zoo): getattr(c2f_zoo, name)\n"
        "print(tuple(c2f_zoo.PWCNet('lite')((keras.ops.zeros((1, 64, 64, 3)),) * 2).shape))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[-2] == "(1, 64, 64, 2)"


LAZY_PACKAGES = sorted(
    ".".join(stub.parent.relative_to(ROOT).parts) for stub in (ROOT / "c2f_zoo").rglob("*.pyi")
)


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_an_unknown_name_is_an_attribute_error_that_names_the_nearest(package):
    module = importlib.import_module(package)
    name = max((name for name in dir(module) if not name.startswith("_")), key=len)
    expected = f"module '{package}' has no such name. Did you mean '{name}'? Received: '{name}s'"
    with pytest.raises(AttributeError) as caught:
        getattr(module, f"{name}s")
    assert str(caught.value) == expected


def test_an_unknown_name_that_is_near_to_none_gets_no_suggestion():
    with pytest.raises(AttributeError, match=r"has no such name\. Received: 'q'$"):
        c2f_zoo.q  # noqa: B018


def test_a_star_import_brings_the_version_and_the_models():
    names = {}
    exec("from c2f_zoo import *", names)
    assert names["__version__"] == c2f_zoo.__version__
    assert names["PWCNet"] is c2f_zoo.PWCNet


def test_every_public_name_exists():
    for name in dir(c2f_zoo):
        assert getattr(c2f_zoo, name) is not None


@pytest.mark.backend_free
def test_the_changelog_starts_with_the_present_version():
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest.group(1) == c2f_zoo.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (\S+)", citation, re.MULTILINE)[1] == c2f_zoo.__version__


@pytest.mark.backend_free
def test_the_example_frames_are_small_and_of_one_size():
    image = pytest.importorskip("PIL.Image")
    frames = sorted((ROOT / "c2f_zoo" / "assets" / "frames").glob("*.jpg"))
    assert [frame.name for frame in frames] == ["frame_1.jpg", "frame_2.jpg"]
    assert all(frame.stat().st_size < 150_000 for frame in frames)
    assert {image.open(frame).size for frame in frames} == {(640, 480)}


@pytest.mark.backend_free
def test_every_checkpoint_ships_in_the_wheel_within_its_budget():
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel = targets["targets"]["wheel"]
    assert "/models" in wheel["include"] and "exclude" not in wheel
    files = [path for path in (ROOT / "models").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 50 * MEGABYTE


def test_from_pretrained_returns_the_class_it_was_called_on():
    assert typing.get_type_hints(c2f_zoo.PWCNet.from_pretrained)["return"] is typing.Self
    assert (ROOT / "c2f_zoo" / "py.typed").is_file()


@pytest.fixture(scope="module")
def type_check():
    """Checks a Python file, or the text of one, as an editor does; returns what it complains of."""
    near = Path(sys.executable).with_name("basedpyright")  # pyright as a package of Python alone
    pyright = near if near.exists() else shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed")

    def check(folder, source):
        path = source if isinstance(source, Path) else folder / "script.py"
        if path != source:
            path.write_text(source)
        settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "basic", "include": [str(path)]}
        (folder / "pyrightconfig.json").write_text(json.dumps(settings))
        command = [pyright, "--pythonpath", sys.executable, "-p", str(folder)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if found.returncode == 0 else found.stdout

    return check


def readme():
    """The Python of the README, as one program."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return "\n".join(blocks)


def every_name():
    """A program that imports every public name from its package."""
    lines = []
    for package in LAZY_PACKAGES:
        names = sorted(n for n in dir(importlib.import_module(package)) if not n.startswith("_"))
        lines += [f"from {package} import {name} as {name}_" for name in names]
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.backend_free
@pytest.mark.parametrize(
    "source",
    [
        readme,
        every_name,
        ROOT / "tests" / "typed_user.py",
        *sorted((ROOT / "examples").glob("*.py")),
    ],
    ids=lambda source: getattr(source, "stem", None) or source.__name__,
)
def test_editors_know_the_types_of(source, type_check, tmp_path):
    assert type_check(tmp_path, source if isinstance(source, Path) else source()) == ""


@pytest.mark.slow
@pytest.mark.backend_free
def test_editors_see_a_wrong_argument(type_check, tmp_path):
    script = (
        "from c2f_zoo import create_model, list_presets\nlist_presets(3)\ncreate_model(name=3)\n"
    )
    assert type_check(tmp_path, script).count("reportArgumentType") == 2
