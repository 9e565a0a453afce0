"""What Keras itself saves of the zoo's models: `.keras` files, and folders such as on the Hub.

They are read as data. The config of a model of the zoo is plain numbers and text, so the class is
found by its registered name and called with them; nothing is deserialized by Keras, no class is
imported by a name in the file, and a config that holds another object is refused.
"""

import os
import pathlib
import shutil
import zipfile
from collections.abc import Mapping
from typing import Any

from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.metadata import CONFIG, LARGEST_JSON, METADATA, SESSION_KEYS, WEIGHTS, parse_json

SUFFIX = ".keras"
_MEMBERS = {CONFIG, METADATA, WEIGHTS}
_LARGEST_EXPANSION = 20  # of a member; Keras stores them as they are, and floats pack to a half
_PACKAGE = "c2f_zoo>"


def is_keras_metadata(metadata: Mapping[str, Any]) -> bool:
    """Whether a `metadata.json` is Keras' own and not that of a preset."""
    return "keras_version" in metadata and "format" not in metadata


def preset_content(config: Mapping[str, Any], label: str) -> dict[str, Any]:
    """Turn a model's config, as Keras writes it, into the content of a preset's `config.json`.

    Args:
        config: Content of Keras' `config.json`.
        label: Name for messages.

    Returns:
        dict: `class`, `config` and, if Keras recorded it, `build`.

    Raises:
        PresetError: The model is not the zoo's, or its config holds an object of any class.
    """
    name = config.get("registered_name")
    arguments = config.get("config")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise PresetError(f"{label}: {CONFIG} must name a class and its config.")
    if not name.startswith(_PACKAGE):
        raise PresetError(
            f"{label} holds a model that is not c2f_zoo's; keras.saving.load_model loads those of "
            f"others, whom you have to trust. Received: {_shown(name)}"
        )
    plain = {key: value for key, value in arguments.items() if key not in SESSION_KEYS}
    for place, value in _objects(plain):
        raise PresetError(
            f"{label}: the config of a model of c2f_zoo is plain numbers and text, so nothing was "
            f"built of it. Received: {_shown(value)} in {place}"
        )
    content = {"class": name.removeprefix(_PACKAGE), "config": plain}
    shapes = config.get("build_config")
    if isinstance(shapes, dict):
        for place, value in _objects(shapes):
            raise PresetError(f"{label}: {place} must be shapes. Received: {_shown(value)}")
        content["build"] = shapes
    return content


def _objects(value: Any, place: str = CONFIG) -> Any:
    """Yield place and name of every object in a config: what Keras would deserialize."""
    if isinstance(value, dict):
        if {"class_name", "registered_name", "module"} & value.keys():
            yield place, value.get("class_name") or value.get("registered_name")
        for key, item in value.items():
            yield from _objects(item, f"{place}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item, place)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]} ..."


def unpack(path: str | os.PathLike, folder: pathlib.Path, label: str) -> dict[str, Any]:
    """Write the weights of a `.keras` file into a folder and return the content of its config.

    Args:
        path: The file.
        folder: Existing folder, for `model.weights.h5`.
        label: Name for messages.

    Returns:
        dict: As of `preset_content`.

    Raises:
        PresetError: The archive is damaged, holds other files than Keras writes, or claims more
            than it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _check_members(archive, os.path.getsize(path), label)
            config = parse_json(archive.read(members[CONFIG]), CONFIG, label)
            content = preset_content(config, label)
            with (
                archive.open(members[WEIGHTS]) as source,
                open(folder / WEIGHTS, "wb") as target,
            ):
                # At most what was checked, and the CRC is compared at the end.
                shutil.copyfileobj(source, target)
            return content
    except PresetError:
        raise
    except RecursionError:
        raise PresetError(f"{label}: {CONFIG} is nested too deeply.") from None
    except OSError as error:
        raise PresetError(
            f"{label} could not be read. Received: {error.strerror or error}"
        ) from error
    except Exception as error:  # zipfile and zlib raise their own, and RuntimeError, of damage
        raise PresetError(
            f"{label} is damaged or no {SUFFIX} file. "
            f"Received: {type(error).__name__}: {_shown(str(error))}"
        ) from error


def _check_members(archive: zipfile.ZipFile, size: int, label: str) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        if name not in _MEMBERS or name in members or member.flag_bits & 1:
            raise PresetError(
                f"{label}: a {SUFFIX} file of c2f_zoo holds {', '.join(sorted(_MEMBERS))}, each "
                f"once and not encrypted. Received: {_shown(name)}"
            )
        most = LARGEST_JSON if name != WEIGHTS else _LARGEST_EXPANSION * member.compress_size
        if member.compress_size > size or member.file_size > most:
            raise PresetError(
                f"{label}: {name} claims more than the archive holds, so it was not unpacked. "
                f"Received: {member.file_size} bytes, from {member.compress_size}"
            )
        members[name] = member
    if missing := {CONFIG, WEIGHTS} - members.keys():
        raise PresetError(f"{label}: the archive lacks {', '.join(sorted(missing))}.")
    return members
