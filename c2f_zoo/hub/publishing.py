"""Publishes a preset on the Hugging Face Hub."""

import dataclasses
import hashlib
import os
import pathlib
import re
from typing import Any

from c2f_zoo.hub.card import render_card
from c2f_zoo.hub.errors import PresetError, first_line, shown_cause, without_tokens
from c2f_zoo.hub.metadata import (
    CARD,
    CONFIG,
    METADATA,
    check_format,
    check_metadata,
    fingerprint,
    is_preset_file,
    read_json,
    verify,
)

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Changes:
    """How a repository on the Hub differs from a preset's folder.

    Args:
        added, changed, deleted, unchanged: Names of files, sorted.
        head: Full hash of the commit they were compared with; None if there is no repository or
            no such branch.

    Example:
        >>> bool(Changes(("config.json",), (), (), (), None))
        True
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: tuple[str, ...]
    head: str | None

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.deleted)

    def __str__(self) -> str:
        if not self:
            return "no change"
        kinds = {"new": self.added, "changed": self.changed, "deleted": self.deleted}
        return "; ".join(f"{kind}: {', '.join(files)}" for kind, files in kinds.items() if files)


@dataclasses.dataclass(frozen=True)
class Push:
    """What was published.

    Args:
        repo_id: Repository.
        files: Names of the preset's files, sorted.
        size: Their bytes.
        url: Address of the commit; None of a dry run.
        commit: Full hash of the commit that holds the preset; None of a dry run.
        changes: What the commit changed; None of a dry run, which asks the Hub nothing.
    """

    repo_id: str
    files: tuple[str, ...]
    size: int
    url: str | None
    commit: str | None
    changes: Changes | None = None


def push(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    commit_message: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Push:
    """Publish a preset's folder as a repository on the Hugging Face Hub.

    First the files are compared with their sha256 and the card with the metadata. What differs
    from the repository then goes in one commit, which also deletes weights and pictures of an
    earlier version: whatever fails, the branch holds one version or the other. Nothing but the
    preset's own files is read or sent. Large files that a failed push has sent already are not
    sent again, and a push of what is there sends nothing.

    Args:
        folder: Folder that `save_pretrained` wrote.
        repo_id: Repository, `"owner/repo"`, created if need be.
        private: Whether a new repository is private.
        revision: Branch to commit to, created if need be. Default: the main branch.
        commit_message: Default: `"Publish NAME"`.
        token: Token that may write. Default: `HF_TOKEN` or the stored login.
        dry_run: Whether to check everything and send nothing, without a network.

    Returns:
        Push: The repository and files.

    Raises:
        PresetError: The preset is incomplete or was changed, its card is not that of its
            metadata, or the Hub refused or could not be reached.

    Example:
        >>> from c2f_zoo.hub import list_presets
        >>> for preset in list_presets():
        ...     assert push(preset.path, f"me/{preset.name}", dry_run=True).commit is None
    """
    folder = pathlib.Path(folder)
    check_repo_id(repo_id)
    _check_token(token)
    files = check_preset(folder)
    size = sum((folder / name).stat().st_size for name in files)
    if dry_run:
        return Push(repo_id, files, size, None, None)
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token, library_name="c2f_zoo")
    try:
        changes = _compare(api, folder, files, repo_id, revision)
        if changes.head is None:
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            if revision is not None:
                api.create_branch(repo_id, branch=revision, exist_ok=True)
            changes = _compare(api, folder, files, repo_id, revision)
        if not changes:
            url = f"{api.endpoint}/{repo_id}/commit/{changes.head}"
            return Push(repo_id, files, size, url, changes.head, changes)
        commit = api.create_commit(
            repo_id,
            _operations(folder, changes),
            commit_message=commit_message or f"Publish {folder.resolve().name}",
            revision=revision,
            parent_commit=changes.head,  # refused if another push came between
        )
    except Exception as error:
        # The client's own errors, its transport's, a token that may not write.
        raise refused(
            f"{folder.name} was not published to {api.endpoint}/{repo_id}", error, token
        ) from shown_cause(error, token)
    return Push(repo_id, files, size, str(commit.commit_url), commit.oid, changes)


def refused(what: str, error: Exception, token: str | None) -> PresetError:
    """Return the error for a request to change something on the Hub that failed."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    advice = {
        401: "Log in: set HF_TOKEN, or `hf auth login`, with a token that may write.",
        403: "The token may not write there: take one with the right to, or another owner.",
        409: "Someone else published at the same time: try again.",
        412: "Someone else published at the same time: try again.",
        429: "The Hub asks for fewer requests: try again later.",
    }.get(
        status,
        "Is HF_TOKEN set, or did you `hf auth login`, with a token that may write?"
        if status is None or status < 500
        else "The Hub has a failure of its own: try again, and what was sent is not sent again.",
    )
    received = without_tokens(f"{type(error).__name__}: {first_line(error)}", token)
    return PresetError(f"{what}. {advice} Received: {received}")


def compare(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
) -> Changes:
    """Say what a push would change on the Hub.

    Args:
        folder, repo_id, revision, token: As in `push`.

    Returns:
        Changes.

    Raises:
        PresetError: The preset was changed, or the Hub refused or could not be reached.
    """
    import huggingface_hub

    folder = pathlib.Path(folder)
    check_repo_id(repo_id)
    _check_token(token)
    files = check_preset(folder)
    api = huggingface_hub.HfApi(token=token, library_name="c2f_zoo")
    try:
        return _compare(api, folder, files, repo_id, revision)
    except Exception as error:
        raise refused(
            f"{api.endpoint}/{repo_id} could not be compared with {folder.name}", error, token
        ) from shown_cause(error, token)


def _compare(
    api: Any, folder: pathlib.Path, files: tuple[str, ...], repo_id: str, revision: str | None
) -> Changes:
    from huggingface_hub import errors
    from huggingface_hub.hf_api import RepoFile

    try:
        head = api.repo_info(repo_id, revision=revision).sha
        tree = list(api.list_repo_tree(repo_id, revision=head, recursive=True)) if head else []
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        return Changes(files, (), (), (), None)
    there = {item.path: item for item in tree if isinstance(item, RepoFile)}
    same = {name for name in files if name in there and _is_same(folder / name, there[name])}
    # Others' files (.gitattributes, a LICENSE) stay.
    stale = {name for name in there if is_preset_file(name)} - set(files)
    return Changes(
        tuple(name for name in files if name not in there),
        tuple(name for name in files if name in there and name not in same),
        tuple(sorted(stale)),
        tuple(sorted(same)),
        head,
    )


def _is_same(path: pathlib.Path, there: Any) -> bool:
    if there.size != path.stat().st_size:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == fingerprint(path)["sha256"]
    return there.blob_id == git_name(path.read_bytes())


def git_name(data: bytes) -> str:
    """Return the hash by which git, and so the Hub, names a small file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _operations(folder: pathlib.Path, changes: Changes) -> list[Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    sent = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(folder / name))
        for name in (*changes.added, *changes.changed)
    ]
    return [*sent, *(CommitOperationDelete(path_in_repo=name) for name in changes.deleted)]


def check_repo_id(repo_id: str) -> str:
    """Return the name of a repository, or raise PresetError if it is not `"owner/name"`."""
    if not isinstance(repo_id, str) or not _REPO_ID.fullmatch(repo_id):
        raise PresetError(
            "A repository is named owner/name, in letters, digits and .-_ . "
            f"Received: {without_tokens(repr(repo_id))}"
        )
    return repo_id


def _check_token(token: Any) -> None:
    # The transport logs and quotes what cannot be a header.
    if not (token is None or isinstance(token, bool) or re.fullmatch(r"[!-~]+", str(token))):
        raise PresetError(
            "A token is one word of letters, digits and signs. "
            f"Received: {len(str(token))} characters, with others among them"
        )


def check_preset(folder: pathlib.Path) -> tuple[str, ...]:
    """Return the names of a preset's files, sorted, or raise PresetError if one was changed."""
    label = str(folder)
    metadata = check_metadata(read_json(folder / METADATA, label), label)
    verify(folder, metadata, label)
    config = read_json(folder / CONFIG, label)
    check_format(config, CONFIG, label)
    if config.get("class") != metadata.get("class"):
        raise PresetError(
            f"{label}: {CONFIG} and {METADATA} must name one class. "
            f"Received: {config.get('class')!r} and {metadata.get('class')!r}"
        )
    card = folder / CARD
    expected = render_card(metadata)
    if not card.is_file() or card.read_bytes() != expected.encode():
        raise PresetError(
            f"{label}: {CARD} must be the card of {METADATA}. Write it with "
            "c2f_zoo.hub.render_card; put what you would add by hand into the metadata. "
            f"Received: {'another text' if card.is_file() else 'no card'}"
        )
    return tuple(sorted([*metadata["files"], METADATA, CARD]))
