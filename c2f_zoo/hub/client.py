"""Takes one file from the Hugging Face Hub, or says what to do."""

import errno
import os
import pathlib
import re
import time
import warnings
from collections.abc import Callable
from typing import Any

from c2f_zoo.hub.errors import PresetError, first_line, shown_cause
from c2f_zoo.hub.metadata import METADATA
from c2f_zoo.hub.resolving import PresetSource, not_found, organisation, shipped_folders

CacheDir = str | os.PathLike | None

# Seconds before another try where a server fails for a moment; it may ask for up to the longest.
_PAUSES = (1.0, 3.0)
_LONGEST_PAUSE = 60.0
_MOMENTARY = (408, 429, 500, 502, 503, 504)


def download(
    source: PresetSource,
    file: str,
    revision: str | None,
    offline: bool,
    cache_dir: CacheDir,
    size: int | None = None,
    most: int | None = None,
) -> pathlib.Path:
    """Return the path of a file in the Hub's cache, where it is put if it is not there yet.

    Args:
        source: The repository.
        file: Name of the file in it.
        revision: Branch, tag or commit; None is the main branch.
        offline: Whether to use the cache alone.
        cache_dir: Folder of the cache.
        size: Bytes that the file has to have, and
        most: bytes that it may have: another is not downloaded.

    Raises:
        PresetNotFoundError: There is no such repository or revision.
        PresetError: The file is not there, or the Hub refused, failed or is out of reach.
    """
    import huggingface_hub
    from huggingface_hub import errors

    repo = source.repo_id
    try:
        if not offline and not _is_cached(repo, file, revision, cache_dir):
            found = _again(lambda: _reach(source, file, revision))
            _check_size(source, file, found, size, most)
        options = {"local_files_only": offline, "library_name": "c2f_zoo"}
        path = _again(
            lambda: huggingface_hub.hf_hub_download(
                repo, file, revision=revision, cache_dir=cache_dir, **options
            )
        )
        return pathlib.Path(path)
    except PresetError:
        raise
    except errors.GatedRepoError as error:
        raise PresetError(
            f"{source.label}: {repo} asks for a permission. Log in (`hf auth login`, or HF_TOKEN), "
            f"visit https://huggingface.co/{repo} and accept its terms. "
            f"Received: {first_line(error)}"
        ) from shown_cause(error)
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        reason = (
            f"The Hub has no repository {repo}, or it is private: check the name, and for a "
            "private one set HF_TOKEN or `hf auth login`."
        )
        known = cached_presets(cache_dir), _published_by(repo.partition("/")[0])
        raise not_found(source.label, reason, *known) from shown_cause(error)
    except errors.RevisionNotFoundError as error:
        reason = f"{repo} has no revision {revision!r}."
        raise not_found(source.label, reason) from shown_cause(error)
    except errors.LocalEntryNotFoundError as error:
        raise _out_of_reach(source, file, offline, cache_dir, error) from shown_cause(error)
    except errors.EntryNotFoundError as error:
        raise PresetError(
            f"{source.label}: the repository {repo} is not a preset of c2f_zoo, or incomplete: it "
            f"has no {file}. Received: revision {revision or 'main'}"
        ) from shown_cause(error)
    except Exception as error:
        # A transport's own errors, a full disk, a token that was refused.
        raise PresetError(
            f"{source.label}: {file} could not be downloaded from {repo}.{_advice(error)} "
            f"Received: {type(error).__name__}: {first_line(error)}"
        ) from shown_cause(error)


def _advice(error: Exception) -> str:
    status = _status(error)
    if status == 401:
        return " The token was refused: `hf auth login` anew, or unset HF_TOKEN."
    if status == 403:
        return " Your token may not read it: log in with one that may."
    if status == 429:
        pause = _asked_pause(error)
        when = f"in {pause:.0f} s" if pause else "later"
        return f" The Hub asks for fewer requests: try again {when}, or log in for more of them."
    if status is not None and status >= 500:
        return " The Hub has a failure of its own: try again later."
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return " The disk is full: free some space, or name another with cache_dir or HF_HOME."
    if code in (errno.EACCES, errno.EROFS, errno.EPERM):
        return " The Hub's cache cannot be written: name another with cache_dir or HF_HOME."
    return ""


def _again(action: Callable[[], Any]) -> Any:
    """Carry out an action, up to three times where a server fails for a moment."""
    for pause in (*_PAUSES, None):
        try:
            return action()
        except Exception as error:
            if _status(error) not in _MOMENTARY or pause is None:
                raise
            asked = _asked_pause(error)
            if asked > _LONGEST_PAUSE:
                raise
            time.sleep(max(pause, asked))
    raise AssertionError("unreachable")


def _status(error: BaseException | None) -> int | None:
    """The status of the answer that an error, or what caused it, is about."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None:
            return status
        error = error.__cause__
    return None


def _asked_pause(error: BaseException | None) -> float:
    while error is not None:
        headers = getattr(getattr(error, "response", None), "headers", None)
        if headers is not None:
            asked = headers.get("Retry-After") or ""
            return float(asked) if asked.isdecimal() else 0.0
        error = error.__cause__
    return 0.0


def _is_cached(repo: str, file: str, revision: str | None, cache_dir: CacheDir) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repo, file, cache_dir, revision), str)


def _reach(source: PresetSource, file: str, revision: str | None) -> int | None:
    """Ask the Hub once for a file's size; its client would try an absent network half a minute."""
    import huggingface_hub
    from huggingface_hub import errors

    url = huggingface_hub.hf_hub_url(source.repo_id, file, revision=revision)
    try:
        found = huggingface_hub.get_hf_file_metadata(url)
    except errors.HfHubHTTPError as error:
        if _status(error) in _MOMENTARY:
            raise
        return None  # the Hub answered; the download says what
    except Exception as error:
        raise errors.LocalEntryNotFoundError(str(error)) from error
    start = re.escape(huggingface_hub.constants.ENDPOINT)
    match = re.match(rf"{start}/([^/]+/[^/]+)/resolve/", found.location)
    if file == METADATA and match and match[1] != source.repo_id:
        warnings.warn(
            f"{source.repo_id} was renamed: load hf://{match[1]} from now on", stacklevel=2
        )
    return found.size


def _check_size(
    source: PresetSource, file: str, found: int | None, size: int | None, most: int | None
) -> None:
    if found is None or (size in (None, found) and (most is None or found <= most)):
        return
    allowed = f"{size} bytes" if size is not None else f"at most {most} bytes"
    raise PresetError(
        f"{source.label}: {file} is not the file that was published, so it was not downloaded. It "
        f"must be of {allowed}. Received: {found} bytes"
    )


def _published_by(owner: str) -> tuple[str, ...]:
    """The repositories of an owner, as far as the Hub tells; none if it does not."""
    import huggingface_hub

    try:
        return tuple(model.id for model in huggingface_hub.list_models(author=owner, limit=200))
    except Exception:
        return ()


def _out_of_reach(
    source: PresetSource, file: str, offline: bool, cache_dir: CacheDir, error: Exception
) -> PresetError:
    import huggingface_hub

    endpoint = huggingface_hub.constants.ENDPOINT
    cause = error.__cause__ or error
    if offline or huggingface_hub.constants.HF_HUB_OFFLINE:
        reason = f"Offline mode is on, and {file} of {source.repo_id} is not in the local cache."
    elif _status(error) is not None:
        return PresetError(
            f"{source.label}: {file} could not be downloaded from {source.repo_id}."
            f"{_advice(cause)} Received: {type(cause).__name__}: {first_line(cause)}"
        )
    else:
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


def cached_presets(cache_dir: CacheDir = None) -> tuple[str, ...]:
    """Return the names of the zoo's presets in the Hub's cache, sorted."""
    import huggingface_hub

    cache = pathlib.Path(cache_dir or huggingface_hub.constants.HF_HUB_CACHE)
    prefix = f"models--{organisation()}--"
    found = cache.glob(f"{prefix}*/snapshots/*/{METADATA}")
    return tuple(sorted({path.parents[2].name.removeprefix(prefix) for path in found}))
