"""Who may import whom: the floors of docs/design.md, read from the source files."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "c2f_zoo"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the ground up. Rooms on one floor do not import each other.
FLOORS = (
    {"backend", "checks", "registered_names", "tables"},
    {"hosts", "lazy", "rematerialization"},
    {"layers"},
    {"losses", "metrics"},
    {"data"},
    {"hub", "training"},
    {"tasks"},
    {"models"},
    {"cli"},
    {"__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

FRAMEWORKS = {"jax", "jaxlib", "tensorflow", "torch"}
LAZY = {
    "PIL",
    "argcomplete",
    "cv2",
    "huggingface_hub",
    "imageio",
    "imageio_ffmpeg",
    "matplotlib",
    "scipy",
    "tensorboard",
    "tensorflow_datasets",
    "tqdm",
}
# What `from c2f_zoo import NAME` reaches that is no room.
EXPORTED_FROM = {
    **dict.fromkeys(("MSGGAN", "PSMNet", "PWCNet", "ProGAN", "RAFT"), "models"),
    **dict.fromkeys(("StyleGAN", "StyleGAN2"), "models"),
    **dict.fromkeys(("create_model", "list_presets", "load"), "hub"),
}


def module_name(path: Path) -> str:
    """Dotted name of a source file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(node: ast.AST, path: Path) -> list[str]:
    """Absolute names that one statement imports; relative ones are resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = module_name(path).split(".")
            keep = len(parents) - node.level + (path.name == "__init__.py")
            base = ".".join([*parents[:keep], *([base] if base else [])])
        if base == "c2f_zoo":
            return [f"c2f_zoo.{EXPORTED_FROM.get(alias.name, alias.name)}" for alias in node.names]
        return [base]
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        first = node.args[0] if node.args else None
        if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
            return [first.value]
    return []


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """Every import of a file as (module, line, whether it runs when the file is imported)."""
    found = []

    def visit(node: ast.AST, at_import: bool) -> None:
        for name in imported_modules(node, path):
            found.append((name, getattr(node, "lineno", 0), at_import))
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, at_import and not inside)

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def room_of(module: str) -> str:
    """First part of a module's name below the package."""
    return module.split(".")[1] if "." in module else "c2f_zoo"


def forbidden(path: Path) -> list[str]:
    """The imports of a file that break the floors, as readable lines."""
    room = room_of(module_name(path))
    wrong = []
    for name, line, at_import in imports(path):
        top, where = name.partition(".")[0], f"{path.relative_to(ROOT)}:{line} imports {name}"
        if top == "c2f_zoo" and name != "c2f_zoo":
            target = room_of(name)
            if target in ("__version__", room):
                continue
            if room == "c2f_zoo":  # the package's first file names its rooms lazily
                wrong += [] if target in ("lazy", "registered_names") else [where]
            elif target not in FLOOR_OF:
                wrong.append(f"{where}, a room without a floor")
            elif FLOOR_OF[target] >= FLOOR_OF[room]:
                wrong.append(where)
        elif top in FRAMEWORKS:
            is_allowed = (
                room in ("backend", "hosts") or path.parent == PACKAGE / "training" / "steps"
            )
            wrong += [] if is_allowed else [where]
        elif top in LAZY and at_import:
            wrong.append(f"{where} outside of a function")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_name(path))
def test_a_file_imports_only_from_floors_below(path):
    room = room_of(module_name(path))
    assert room == "c2f_zoo" or room in FLOOR_OF, f"{path}: a room without a floor"
    assert forbidden(path) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("layers/x.py", "from c2f_zoo.models import PWCNet"),
        ("layers/x.py", "from c2f_zoo import PWCNet"),
        ("layers/x.py", "from ..data import images"),
        ("layers/x.py", "from .. import data"),
        ("layers/__init__.py", "from ..data import images"),
        ("hub/x.py", "import c2f_zoo.training"),
        ("data/scenes/x.py", "from ...training import schedules"),
        ("data/x.py", "def f():\n    import c2f_zoo.hub.resolve"),
        ("data/x.py", "def f():\n    import tensorflow as tf"),
        ("models/x.py", "import importlib\nimportlib.import_module('torch')"),
        ("training/x.py", "from jax import numpy"),
        ("data/x.py", "from PIL import Image"),
    ],
)
def test_the_check_sees_a_forbidden_import(place, source, tmp_path, monkeypatch):
    root = tmp_path / "c2f_zoo"
    path = root / place
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setitem(globals(), "PACKAGE", root)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert len(forbidden(path)) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("models/x.py", "from c2f_zoo.layers import warp\nfrom . import blocks"),
        ("data/x.py", "def f():\n    from PIL import Image"),
        ("training/steps/x.py", "import tensorflow as tf"),
        ("backend.py", "import torch"),
        ("data/scenes/x.py", "from ..images import load_image"),
    ],
)
def test_the_check_passes_an_allowed_import(place, source, tmp_path, monkeypatch):
    test_root = tmp_path / "c2f_zoo"
    path = test_root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    monkeypatch.setitem(globals(), "PACKAGE", test_root)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert forbidden(path) == []


EVERY_FILE = sorted(
    path
    for folder in ("c2f_zoo", "tests", "training", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
