"""Every public name is documented: a summary, each argument, and the shape of each array."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap

import keras
import numpy as np
import pytest

import c2f_zoo

SECTIONS = (
    "Args",
    "Attributes",
    "Call arguments",
    "Returns",
    "Yields",
    "Raises",
    "Source",
    "Example",
)

# `Tensor (B, H, W, 2)`, `scalar`, `of any shape`, `whose first axis is B`, `what f returned`.
SHAPE = re.compile(
    r"\(\s*[\w.*/+^ -]+,[^()]*(\([^()]*\)[^()]*)*\)|\bscalar|\bshape|\bax[ie]s\b"
    r"|\bas (of )?`|\bsee `|` return",
    re.IGNORECASE,
)
KERAS_METHODS = {name for name in dir(keras.Model) if not name.startswith("_")}
ARRAY = re.compile(r"\b(tensors?|arrays?|ndarray)\b", re.IGNORECASE)


def packages():
    """The public packages of c2f_zoo and its one public plain module."""
    yield c2f_zoo
    for info in pkgutil.walk_packages(c2f_zoo.__path__, "c2f_zoo."):
        # steps/ holds one file per framework, of which only one can be imported here.
        is_step = info.name.startswith("c2f_zoo.training.steps.")
        if (info.ispkg and not is_step) or info.name == "c2f_zoo.backend":
            yield importlib.import_module(info.name)


def public_objects():
    """Public functions and classes as {qualified name: object}, each once."""
    found = {}
    for package in packages():
        names = getattr(package, "__all__", None)
        if names is None:
            names = [name for name in dir(package) if not name.startswith("_")]
        for name in names:
            value = getattr(package, name)
            is_code = inspect.isfunction(value) or inspect.isclass(value)
            if is_code and value.__module__.startswith("c2f_zoo"):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def public_methods(cls):
    """Methods and properties that a class of ours adds, as {name: object}."""
    found = {}
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        value = getattr(value, "__func__", value)
        if not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        # An override without words of its own keeps the documentation of what it overrides; a
        # mixin overrides methods of the Keras model that it is mixed into.
        overrides = any(name in vars(base) for base in cls.__mro__[1:]) or name in KERAS_METHODS
        if not value.__doc__ and overrides:
            continue
        found[name] = value
    return found


def sections(docstring):
    """Text of each section of a Google-style docstring, and of what stands before them."""
    parts, current = {"": []}, ""
    for line in inspect.cleandoc(docstring).splitlines():
        heading = re.match(r"(\w[\w ]*):(.*)$", line)
        if heading and heading.group(1) in SECTIONS:
            current = heading.group(1)
            parts[current] = [heading.group(2)]
        else:
            parts[current].append(line)
    return {name: "\n".join(lines) for name, lines in parts.items()}


def entries(text):
    """Entries `name: description` of a section as {name: description}."""
    found, current = {}, None
    for line in textwrap.dedent(text.lstrip("\n")).splitlines():
        match = re.match(r"([*\w, ]+?)(?: \([^)]*\))?:(?:\s|$)(.*)", line)
        if match:
            current = match.group(1)
            found[current] = match.group(2)
        elif current is not None:
            found[current] += "\n" + line
    return {
        name.strip(): text for names, text in found.items() for name in names.split(",") if name
    }


def parameters(value):
    """Names of the parameters that a caller may give."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return []
    stars = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: "*"}
    return [
        stars.get(parameter.kind, "") + name
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls") and not name.startswith("_")
    ]


def gives_something(function):
    """Whether a function's own body returns or yields a value."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))

    def own(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            yield child
            yield from own(child)

    return any(
        isinstance(node, (ast.Yield, ast.YieldFrom))
        or (isinstance(node, ast.Return) and node.value is not None)
        for node in own(tree.body[0])
    )


def overrides_keras(name, value):
    """Whether a method does what Keras documents, such as `get_config`."""
    owner = PUBLIC.get(name.rpartition(".")[0])
    if not inspect.isclass(owner):
        return False
    others = [base for base in owner.__mro__[1:] if not base.__module__.startswith("c2f_zoo")]
    return value.__name__ in KERAS_METHODS or any(value.__name__ in vars(base) for base in others)


def missing(value, name):
    """What the docstring of a function, class or property lacks, as readable lines."""
    docstring = inspect.getdoc(value) if inspect.isclass(value) else value.__doc__
    if not docstring:
        return [f"{name} has no docstring"]
    if inspect.isclass(value) and not value.__doc__:
        return [f"{name} has no docstring of its own"]
    lines = inspect.cleandoc(docstring).splitlines()
    wrong = []
    if not lines[0].rstrip().endswith(".") or (len(lines) > 1 and lines[1].strip()):
        wrong.append(f"{name}: the summary is one line that ends with a full stop: {lines[0]!r}")
    if isinstance(value, property) or overrides_keras(name, value):
        return wrong

    parts = sections(docstring)
    described = entries(parts.get("Args", "")) | entries(parts.get("Attributes", ""))
    for parameter in parameters(value):
        if parameter not in described and parameter.lstrip("*") not in described:
            wrong.append(f"{name}: Args does not name {parameter}")
    if inspect.isfunction(value) and gives_something(value):
        if "Returns" not in parts and "Yields" not in parts:
            wrong.append(f"{name}: there is no Returns section")
    spoken_of = {
        **described,
        **{part: parts[part] for part in ("Returns", "Yields") if part in parts},
    }
    for what, text in spoken_of.items():
        if ARRAY.search(text) and not SHAPE.search(text):
            wrong.append(f"{name}: {what} speaks of an array without its shape: {text.strip()!r}")
    return wrong


PUBLIC = public_objects()
EVERYTHING = dict(PUBLIC)
for _name, _value in PUBLIC.items():
    if inspect.isclass(_value):
        EVERYTHING |= {f"{_name}.{key}": member for key, member in public_methods(_value).items()}

WITH_EXAMPLE = sorted(
    name for name, value in EVERYTHING.items() if ">>>" in (getattr(value, "__doc__", "") or "")
)


@pytest.mark.backend_free
@pytest.mark.parametrize("package", list(packages()), ids=lambda package: package.__name__)
def test_every_public_package_says_what_it_is(package):
    assert package.__doc__ and package.__doc__.strip().splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize(
    "name",
    [
        # Each framework's steps can be imported where it is the backend only.
        pytest.param(name, marks=[] if ".steps." in name else pytest.mark.backend_free)
        for name in sorted(EVERYTHING)
    ],
)
def test_a_public_name_is_documented_with_every_argument_and_shape(name):
    assert missing(EVERYTHING[name], name) == []


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_an_example_gives_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = EVERYTHING[name]
    function = value.fget if isinstance(value, property) else value
    module = importlib.import_module(function.__module__)
    # What a reader has at hand: the names of the module and of its package, numpy and Keras.
    package = importlib.import_module(module.__name__.rpartition(".")[0])
    names = {key: getattr(package, key) for key in getattr(package, "__all__", ())}
    names |= {"np": np, "keras": keras, "c2f_zoo": c2f_zoo, **vars(module)}
    example = doctest.DocTestParser().get_doctest(value.__doc__, names, name, None, 0)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report = []
    results = doctest.DocTestRunner(optionflags=options, verbose=False).run(
        example, out=report.append
    )
    assert results.failed == 0, "".join(report)


def _documented(values, scale=1):
    """Scale values.

    Args:
        values: Array (B, C).
        scale: Factor. Defaults to 1.

    Returns:
        Array (B, C).
    """
    return values * scale


def _undocumented(values, scale=1):
    """Scale values

    Args:
        values: An array.
    """
    return values * scale


def test_the_check_passes_a_documented_function():
    assert missing(_documented, "f") == []


def test_the_check_sees_what_a_docstring_lacks():
    complaints = "\n".join(missing(_undocumented, "f"))
    for complaint in ("full stop", "does not name scale", "no Returns", "without its shape"):
        assert complaint in complaints
