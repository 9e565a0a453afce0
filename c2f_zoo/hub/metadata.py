"""`metadata.json`: what a preset is, where it comes from, and the sha256 of its files."""

import hashlib
import json
import os
import pathlib
import platform
import re
import sys
from collections.abc import Mapping
from typing import Any

from c2f_zoo.checks import suggestion
from c2f_zoo.hub.errors import DamagedFileError, PresetError

FORMAT = 1
CONFIG = "config.json"
METADATA = "metadata.json"
CARD = "README.md"
WEIGHTS = "model.weights.h5"
WEIGHTS_INDEX = "model.weights.json"  # of weights in several shards, model_00000.weights.h5 ...

# Every file that a preset may consist of. Nothing else is downloaded, verified or uploaded.
_FILE = re.compile(
    r"config\.json|model\.weights\.(h5|json)|model_\d{5}\.weights\.h5|[a-z][a-z0-9_]*\.png"
)
LARGEST_JSON = 16 * 2**20

# What every Keras model's config holds beside its own arguments. They belong to a session, not
# to a checkpoint: an automatic name, the precision to compute in.
SESSION_KEYS = ("name", "trainable", "dtype", "autocast")

# What an author may say about a preset. `c2f_zoo` adds the rest of metadata.json by itself.
FIELDS: Mapping[str, str] = {
    "name": "the preset's name, architecture[_variant].tag",
    "repo_id": "owner/name on the Hub, where that is not the zoo's own",
    "summary": "one sentence: what it does and for whom",
    "input": "the input convention: shapes, range, colour order",
    "output": "the output convention: shapes, units, signs",
    "licence": "the SPDX identifier of the weights' licence",
    "paper": "title, authors (one string), year, url, arxiv, bibtex",
    "training_data": "a list of data sets: name, licence, url, attribution, hub_id",
    "recipe": "command, and anything worth knowing: steps, hours, hardware, seed",
    "metrics": "a list of figures: name, value, unit, dataset, command, compared_with, note",
    "pictures": "a list of pictures that the card shows: file (a .png of the folder), caption",
    "limits": "a list of sentences: where it fails",
    "attributions": "a list of sentences that the data's licences ask for",
}


def is_preset_file(name: str) -> bool:
    """Whether a preset's folder may hold a file of this name, such as `config.json`."""
    return name in (METADATA, CARD) or _FILE.fullmatch(name) is not None


# The JSON of each field that this library reads: a type, a list of one, or the fields of an object.
_TEXT = {"name": str, "licence": str, "url": str, "attribution": str, "hub_id": str}
_FIGURE = {"name": str, "unit": str, "dataset": str, "command": str, "note": str}
_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("name", "repo_id", "summary", "input", "output", "licence"), str),
    "paper": {
        **dict.fromkeys(("title", "url", "arxiv", "bibtex"), str),
        "authors": (str, list),
        "year": (int, str),
    },
    "training_data": [_TEXT],
    "recipe": (str, dict),
    "metrics": [{**_FIGURE, "value": (int, float, str), "compared_with": dict}],
    "pictures": [{"file": str, "caption": str}],
    "limits": [str],
    "attributions": [str],
    **dict.fromkeys(("class", "task", "precision"), str),
    "parameters": int,
    "versions": dict,
    "golden": {
        "input": str,
        "shape": [int],
        "values": [(int, float)],
        "tolerance": (int, float),
    },
}
_REQUIRED = {
    "metrics": {"name", "value", "dataset", "command"},
    "training_data": {"name"},
    "pictures": {"file", "caption"},
}


def check_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an author says about a preset (see `FIELDS`) as plain JSON data.

    Raises PresetError for an unknown key, a figure without data set or command, or a wrong type.
    """
    for key in metadata:
        if key not in FIELDS:
            raise PresetError(
                f"metadata has an unknown key.{suggestion(key, FIELDS)} Known: "
                f"{', '.join(FIELDS)}. Received: {key!r}"
            )
    plain = plain_json(metadata, "metadata")
    _check_kinds(plain, "metadata")
    return plain


def _check_kinds(metadata: Mapping[str, Any], where: str) -> None:
    for field, kind in _KINDS.items():
        value = metadata.get(field)
        if not _is_of_kind(value, kind):
            expected = f" ({FIELDS[field]})" if field in FIELDS else ""
            raise PresetError(
                f"{where}: {field} is of another type than expected{expected}. "
                f"Received: {_short(value)}"
            )
        for entry in value if field in _REQUIRED and value else ():
            missing = {key for key in _REQUIRED[field] if entry.get(key) is None}
            if missing:
                raise PresetError(
                    f"{where}: each of the {field} needs {', '.join(sorted(_REQUIRED[field]))}. "
                    f"Received: {_short(entry)}, without {', '.join(sorted(missing))}"
                )


def _is_of_kind(value: Any, kind: Any) -> bool:
    if value is None:  # not stated
        return True
    if isinstance(kind, list):
        return isinstance(value, list) and all(
            item is not None and _is_of_kind(item, kind[0]) for item in value
        )
    if isinstance(kind, dict):
        return isinstance(value, dict) and all(
            _is_of_kind(value.get(key), item) for key, item in kind.items()
        )
    return isinstance(value, kind)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def plain_json(value: Any, what: str) -> Any:
    """Return `value` as plain JSON data; `what` names it in the PresetError if it is not."""

    def simplify(item):
        if isinstance(item, Mapping):
            return dict(item)
        if hasattr(item, "tolist"):  # NumPy
            return item.tolist()
        if isinstance(item, os.PathLike):
            return os.fspath(item)
        raise TypeError(f"a {type(item).__name__} cannot be written as JSON")

    try:
        return json.loads(json.dumps(value, default=simplify, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PresetError(f"{what} must be plain data. Received: {error}") from error


def as_shapes(value: Any) -> Any:
    """Turn the lists of numbers and None that JSON made of shapes into tuples again."""
    if isinstance(value, dict):
        return {key: as_shapes(item) for key, item in value.items()}
    if isinstance(value, list):
        if all(item is None or isinstance(item, int) for item in value):
            return tuple(value)
        return [as_shapes(item) for item in value]
    return value


def to_text(value: Any) -> str:
    """Return JSON as every file of a preset holds it: indented, with a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: pathlib.Path, label: str) -> dict[str, Any]:
    """Read a JSON object from a file; a PresetError names `label` if it is missing or damaged."""
    try:
        size = path.stat().st_size
        if size > LARGEST_JSON:
            raise PresetError(f"{label}: {path.name} is too large. Received: {size} bytes")
        return parse_json(path.read_bytes(), path.name, label)
    except FileNotFoundError:
        raise PresetError(
            f"{label} is not a complete preset: {path.name} is missing. A preset folder holds "
            f"{CONFIG}, {METADATA}, {WEIGHTS} and {CARD}. Received: {path.parent}"
        ) from None


def parse_json(data: bytes, name: str, label: str) -> dict[str, Any]:
    """Parse the bytes of the file `name` as a JSON object."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PresetError(f"{label}: {name} is damaged. Received: {error}") from error
    if not isinstance(value, dict):
        raise PresetError(
            f"{label}: {name} must hold a JSON object. Received: a {type(value).__name__}"
        )
    return value


def check_metadata(metadata: dict[str, Any], label: str) -> dict[str, Any]:
    """Return the content of a `metadata.json`, or raise PresetError if it cannot be used."""
    check_format(metadata, METADATA, label)
    files = metadata.get("files")
    has_weights = isinstance(files, dict) and not {WEIGHTS, WEIGHTS_INDEX}.isdisjoint(files)
    if not has_weights or CONFIG not in files:
        raise PresetError(f"{label}: {METADATA} must list the sha256 of {CONFIG} and the weights.")
    for name, entry in files.items():
        # A name with a slash could lead out of the folder.
        if not _FILE.fullmatch(name):
            raise PresetError(
                f"{label}: {METADATA} lists a file that does not belong to a preset. "
                f"Received: {name!r}"
            )
        known = isinstance(entry, dict) and type(entry.get("size")) is int and entry["size"] >= 0
        if not known or not re.fullmatch(r"[0-9a-f]{64}", str(entry.get("sha256"))):
            raise PresetError(f"{label}: {METADATA} lacks the sha256 or the size of {name}.")
    _check_kinds(metadata, f"{label}: {METADATA}")
    return metadata


def check_format(content: dict[str, Any], name: str, label: str) -> None:
    """Raise PresetError for a format that this version does not know."""
    received = content.get("format")
    if received != FORMAT:
        newer = isinstance(received, int) and received > FORMAT
        hint = " It was made by a newer c2f_zoo: upgrade to read it." if newer else ""
        raise PresetError(
            f"{label}: {name} must be of format {FORMAT}.{hint} Received: {received!r}"
        )


def fingerprint(path: pathlib.Path) -> dict[str, Any]:
    """Return `{"size": bytes, "sha256": hexadecimal digits}` of a file."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"size": file.tell(), "sha256": digest.hexdigest()}


def verify(folder: pathlib.Path, metadata: Mapping[str, Any], label: str) -> None:
    """Compare a preset's files with their recorded sha256, or raise DamagedFileError."""
    for name, expected in metadata["files"].items():
        path = folder / name
        if not path.is_file():
            raise DamagedFileError(
                f"{label} is not a complete preset: {name} is missing from {folder}.", path
            )
        if expected["sha256"] is None:  # of a file that Keras saved
            continue
        found = fingerprint(path)
        if found["sha256"] == expected["sha256"]:
            continue
        if found["size"] < expected["size"]:
            state = f"truncated ({found['size']} of {expected['size']} bytes)"
        else:
            state = f"not the file that was published ({found['size']} bytes)"
        raise DamagedFileError(
            f"{label}: {name} is {state}, so it was not opened. Expected sha256 "
            f"{expected['sha256']}. Received: {found['sha256']}",
            path,
        )


def versions() -> dict[str, str]:
    """Return the versions of the packages in use; `backend` is such as `"jax 0.10.2"`."""
    import keras
    import numpy

    import c2f_zoo

    backend = keras.backend.backend()
    module = sys.modules.get(backend)
    return {
        "c2f_zoo": c2f_zoo.__version__,
        "keras": keras.__version__,
        "backend": f"{backend} {getattr(module, '__version__', '')}".strip(),
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }
