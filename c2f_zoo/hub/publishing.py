"""Publishes a preset on the Hugging Face Hub."""

import dataclasses
import os
import pathlib

from c2f_zoo.hub.card import render_card
from c2f_zoo.hub.errors import PresetError, first_line
from c2f_zoo.hub.metadata import (
    CARD,
    CONFIG,
    METADATA,
    check_format,
    check_metadata,
    read_json,
    verify,
)


@dataclasses.dataclass(frozen=True)
class Push:
    """What was published; of a dry run `url` and `commit`, the full hash, are None."""

    repo_id: str
    files: tuple[str, ...]
    size: int
    url: str | None
    commit: str | None


def push(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Push:
    """Publish a preset's folder as a repository on the Hugging Face Hub.

    First the files are compared with their sha256 and the card with the metadata. All files go in
    one commit, which also deletes weights of an earlier version.

    Args:
        folder: Folder that `save_pretrained` wrote.
        repo_id: Repository, `"owner/repo"`, created if need be.
        private: Whether a new repository is private.
        revision: Branch to commit to, created if need be. Default: the main branch.
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
    files = check_preset(folder)
    size = sum((folder / name).stat().st_size for name in files)
    if dry_run:
        return Push(repo_id, files, size, None, None)
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token, library_name="c2f_zoo")
    try:
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            allow_patterns=list(files),
            delete_patterns=["*.weights.h5", "model.weights.json"],
            commit_message=f"Publish {folder.resolve().name}",
        )
    except Exception as error:
        # The client's own errors, its transport's, a token that may not write.
        raise PresetError(
            f"{folder.name} was not published to {api.endpoint}/{repo_id}. Is HF_TOKEN set, or did "
            "you `hf auth login`, with a token that may write? "
            f"Received: {type(error).__name__}: {first_line(error)}"
        ) from error
    return Push(repo_id, files, size, str(commit.commit_url), commit.oid)


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
