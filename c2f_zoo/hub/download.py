"""Fetches the files of a preset, from wherever its name leads, and verifies them."""

import dataclasses
import os
import pathlib
import re
from typing import Any

from c2f_zoo.hub.client import CacheDir, download
from c2f_zoo.hub.errors import DamagedFileError, PresetError
from c2f_zoo.hub.keras_files import is_keras_metadata
from c2f_zoo.hub.metadata import (
    CONFIG,
    LARGEST_JSON,
    METADATA,
    WEIGHTS,
    WEIGHTS_INDEX,
    check_metadata,
    is_preset_file,
    read_json,
    verify,
)
from c2f_zoo.hub.resolving import PresetSource, resolve

_LARGEST_PRESET = 16 * 2**30  # bytes


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """The verified files of a preset: the name asked for, their folder, and `metadata.json`.

    Of what Keras itself saved, `is_keras` is true and `metadata` holds only the list of `files`.
    """

    label: str
    folder: pathlib.Path
    metadata: dict[str, Any]
    is_keras: bool = False


def fetch(
    name: str | os.PathLike, offline: bool | None = None, cache_dir: CacheDir = None
) -> PresetFiles:
    """Bring a preset's files to this machine and compare them with their sha256.

    From the Hub come `metadata.json` first and then, of the same commit, exactly the files that
    it lists. A revision that is a commit's full hash and was fetched before asks the Hub nothing.
    A damaged file is removed from the Hub's cache, so that the next call downloads it anew.
    """
    files = _fetch(name, offline, cache_dir, only_metadata=False)
    try:
        verify(files.folder, files.metadata, files.label)
    except DamagedFileError as error:
        if resolve(name).folder is None:
            raise _discarded(error.path, error) from error
        raise
    return files


def read_metadata(
    name: str | os.PathLike, *, offline: bool | None = None, cache_dir: CacheDir = None
) -> dict[str, Any]:
    """Read what a preset says about itself, without its weights.

    Args:
        name, offline, cache_dir: As in `PresetMixin.from_pretrained`.

    Returns:
        dict: The content of `metadata.json`: task, class, parameters, input, output, licence,
        paper, training_data, recipe, metrics, limits, versions, files.

    Raises:
        PresetNotFoundError: There is no preset of this name.
        PresetError: The Hub is out of reach, or the file is missing or damaged.

    Example:
        >>> from c2f_zoo.hub import list_presets
        >>> all("task" in read_metadata(preset.name) for preset in list_presets())
        True
    """
    return _fetch(name, offline, cache_dir, only_metadata=True).metadata


def _fetch(
    name: str | os.PathLike, offline: bool | None, cache_dir: CacheDir, only_metadata: bool
) -> PresetFiles:
    source = resolve(name)
    folder = source.folder
    if source.kind == "file":
        raise PresetError(
            f"{source.label}: a .keras file says nothing of what it was trained on. Load it, and "
            f"save it as a preset. Received: {source.label!r}"
        )
    if folder is None:
        if offline is None:
            offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        folder = download(
            source, METADATA, source.revision, offline, cache_dir, most=LARGEST_JSON
        ).parent
    try:
        content = read_json(folder / METADATA, source.label)
    except PresetError as error:
        if source.folder is None:
            raise _discarded(folder / METADATA, error) from error
        raise
    if is_keras_metadata(content):
        if only_metadata:
            return PresetFiles(source.label, folder, content, is_keras=True)
        files = _keras_files(source, folder, offline, cache_dir)
        return PresetFiles(source.label, folder, {"files": files}, is_keras=True)
    metadata = check_metadata(content, source.label)
    if source.folder is None and not only_metadata:
        total = sum(entry["size"] for entry in metadata["files"].values())
        if total > _LARGEST_PRESET:
            raise PresetError(
                f"{source.label}: a preset has at most {_LARGEST_PRESET} bytes. Received: {total}"
            )
        # The folder in the cache is named after the commit: a push between two downloads cannot
        # mix two versions.
        for file, entry in metadata["files"].items():
            download(source, file, folder.name, offline, cache_dir, size=entry["size"])
    return PresetFiles(source.label, folder, metadata)


def _keras_files(
    source: PresetSource, folder: pathlib.Path, offline: bool | None, cache_dir: CacheDir
) -> dict[str, dict[str, Any]]:
    """Bring what Keras saved; return the files, as `metadata.json` of a preset lists them.

    Keras stores no sha256, but the Hub names large files by theirs.
    """

    def bring(file, most=_LARGEST_PRESET):
        if source.folder is not None:
            if not (folder / file).is_file():
                raise PresetError(
                    f"{source.label} is not complete: {file} is missing. Received: {folder}"
                )
        else:
            download(source, file, folder.name, offline, cache_dir, most=most)

    bring(CONFIG, LARGEST_JSON)
    names = [WEIGHTS]
    try:
        bring(WEIGHTS)
    except PresetError as missing:
        try:
            bring(WEIGHTS_INDEX, LARGEST_JSON)
        except PresetError:
            raise missing from None
        names = [WEIGHTS_INDEX, *_shards(folder, source.label)]
        for name in names[1:]:
            bring(name)
    files = {}
    for name in (CONFIG, *names):
        blob = (folder / name).resolve()
        known = blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name)
        files[name] = {"size": blob.stat().st_size, "sha256": blob.name if known else None}
    return files


def _shards(folder: pathlib.Path, label: str) -> list[str]:
    index = read_json(folder / WEIGHTS_INDEX, label).get("weight_map")
    entries = index.values() if isinstance(index, dict) else ()
    names = {str(name) for e in entries for name in (e if isinstance(e, list) else [e])}
    for name in names:
        # Another name could lead anywhere on this machine.
        if not name.startswith("model_") or not is_preset_file(name):
            raise PresetError(
                f"{label}: {WEIGHTS_INDEX} names a file that is no shard. Received: {name!r}"
            )
    return sorted(names)


def _discarded(path: pathlib.Path, error: PresetError) -> PresetError:
    """Remove a file from the Hub's cache, whose link alone would lead to the same bytes again."""
    blob = path.resolve()
    path.unlink(missing_ok=True)
    if blob.parent.name == "blobs":
        blob.unlink(missing_ok=True)
    message, received, rest = str(error).partition(" Received: ")
    advice = " It was removed from the local cache: load the preset again to download it anew."
    return PresetError(f"{message}{advice}{received}{rest}")
