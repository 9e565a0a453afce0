"""Fetches the files of a preset, from wherever its name leads, and verifies them."""

import dataclasses
import os
import pathlib
from typing import Any

from c2f_zoo.hub.errors import DamagedFileError, PresetError, first_line
from c2f_zoo.hub.metadata import METADATA, check_metadata, read_json, verify
from c2f_zoo.hub.resolving import PresetSource, not_found, organisation, resolve, shipped_folders

_CacheDir = str | os.PathLike | None


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """The verified files of a preset: the name asked for, their folder, and `metadata.json`."""

    label: str
    folder: pathlib.Path
    metadata: dict[str, Any]


def fetch(
    name: str | os.PathLike, offline: bool | None = None, cache_dir: _CacheDir = None
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
    name: str | os.PathLike, *, offline: bool | None = None, cache_dir: _CacheDir = None
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
    name: str | os.PathLike, offline: bool | None, cache_dir: _CacheDir, only_metadata: bool
) -> PresetFiles:
    source = resolve(name)
    folder = source.folder
    if folder is None:
        if offline is None:
            offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        folder = _download(source, METADATA, source.revision, offline, cache_dir).parent
    try:
        content = read_json(folder / METADATA, source.label)
    except PresetError as error:
        if source.folder is None:
            raise _discarded(folder / METADATA, error) from error
        raise
    metadata = check_metadata(content, source.label)
    if source.folder is None and not only_metadata:
        # The folder in the cache is named after the commit: a push between two downloads cannot
        # mix two versions.
        for file in metadata["files"]:
            _download(source, file, folder.name, offline, cache_dir)
    return PresetFiles(source.label, folder, metadata)


def _discarded(path: pathlib.Path, error: PresetError) -> PresetError:
    """Remove a file from the Hub's cache, whose link alone would lead to the same bytes again."""
    blob = path.resolve()
    path.unlink(missing_ok=True)
    if blob.parent.name == "blobs":
        blob.unlink(missing_ok=True)
    message, received, rest = str(error).partition(" Received: ")
    advice = " It was removed from the local cache: load the preset again to download it anew."
    return PresetError(f"{message}{advice}{received}{rest}")


def _download(
    source: PresetSource, file: str, revision: str | None, offline: bool, cache_dir: _CacheDir
) -> pathlib.Path:
    import huggingface_hub
    from huggingface_hub import errors

    repo = source.repo_id
    try:
        if not offline and not _is_cached(repo, file, revision, cache_dir):
            _reach(repo, file, revision)
        options = {"local_files_only": offline, "library_name": "c2f_zoo"}
        path = huggingface_hub.hf_hub_download(
            repo, file, revision=revision, cache_dir=cache_dir, **options
        )
        return pathlib.Path(path)
    except errors.GatedRepoError as error:
        raise PresetError(
            f"{source.label}: {repo} asks for a permission. Visit https://huggingface.co/{repo}, "
            f"then `hf auth login`. Received: {first_line(error)}"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        private = "a private one needs HF_TOKEN or `hf auth login`"
        reason = f"The Hub has no repository {repo} ({private})."
        raise not_found(source.label, reason, cached_presets(cache_dir)) from error
    except errors.RevisionNotFoundError as error:
        raise not_found(source.label, f"{repo} has no revision {revision!r}.") from error
    except errors.LocalEntryNotFoundError as error:
        raise _out_of_reach(source, file, offline, cache_dir, error) from error
    except errors.EntryNotFoundError as error:
        raise PresetError(
            f"{source.label}: the repository {repo} is not a preset of c2f_zoo, or incomplete: it "
            f"has no {file}. Received: revision {revision or 'main'}"
        ) from error
    except Exception as error:
        # A transport's own errors, a full disk, a token that was refused.
        raise PresetError(
            f"{source.label}: {file} could not be downloaded from {repo}. "
            f"Received: {type(error).__name__}: {first_line(error)}"
        ) from error


def _is_cached(repo: str, file: str, revision: str | None, cache_dir: _CacheDir) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repo, file, cache_dir, revision), str)


def _reach(repo: str, file: str, revision: str | None) -> None:
    """Ask the Hub once; its client would try an absent network for half a minute."""
    import huggingface_hub
    from huggingface_hub import errors

    url = huggingface_hub.hf_hub_url(repo, file, revision=revision)
    try:
        huggingface_hub.get_hf_file_metadata(url)
    except errors.HfHubHTTPError:
        pass  # the Hub answered; the download says what, and tries again where that may help
    except Exception as error:
        raise errors.LocalEntryNotFoundError(str(error)) from error


def _out_of_reach(
    source: PresetSource, file: str, offline: bool, cache_dir: _CacheDir, error: Exception
) -> PresetError:
    import huggingface_hub

    endpoint = huggingface_hub.constants.ENDPOINT
    if offline or huggingface_hub.constants.HF_HUB_OFFLINE:
        reason = f"Offline mode is on, and {file} of {source.repo_id} is not in the local cache."
    else:
        cause = error.__cause__ or error
        reason = (
            f"{endpoint} could not be reached ({type(cause).__name__}: {first_line(cause)}), and "
            f"{file} of {source.repo_id} is not in the local cache."
        )
    cached = cached_presets(cache_dir)
    if source.kind == "published":
        return not_found(source.label, reason, cached)
    usable = ", ".join([*shipped_folders(), *cached]) or "only folders"
    return PresetError(
        f"{source.label}: {reason} Usable without a network: {usable}. Received: {source.label!r}"
    )


def cached_presets(cache_dir: _CacheDir = None) -> tuple[str, ...]:
    """Return the names of the zoo's presets in the Hub's cache, sorted."""
    import huggingface_hub

    cache = pathlib.Path(cache_dir or huggingface_hub.constants.HF_HUB_CACHE)
    prefix = f"models--{organisation()}--"
    found = cache.glob(f"{prefix}*/snapshots/*/{METADATA}")
    return tuple(sorted({path.parents[2].name.removeprefix(prefix) for path in found}))
