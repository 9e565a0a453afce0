"""The organisation's card and the collection of its presets, both generated from the metadata."""

import pathlib
from typing import Any

from c2f_zoo.hub import PresetError, read_metadata
from c2f_zoo.hub.errors import shown_cause
from c2f_zoo.hub.publishing import git_name, refused
from c2f_zoo.hub.registry import TASKS

COLLECTION = "Coarse-to-fine models"
_ABOUT = "Trained checkpoints of c2f_zoo, coarse-to-fine vision models for Keras 3."
_LONGEST_NOTE = 500  # characters, on the Hub


def render_organisation(folders: list[pathlib.Path], owner: str) -> str:
    """Render the card of the organisation: its presets, by task."""
    presets = [read_metadata(folder) for folder in folders]
    lines = ["---", "title: README", "sdk: static", "pinned: false", "---", "", "# c2f_zoo", ""]
    lines += [_ABOUT, "", "```python", "import c2f_zoo", ""]
    lines += [f'model = c2f_zoo.hub.load("{presets[0]["name"]}")', "```"]
    for task, about in TASKS.items():
        rows = [_row(preset, owner) for preset in presets if preset["task"] == task]
        if rows:
            title = about.title[0].upper() + about.title[1:]
            lines += [
                "",
                f"## {title}",
                "",
                "| preset | parameters | licence | |",
                "| --- | ---: | --- | --- |",
            ]
            lines += rows
    return "\n".join(lines) + "\n"


def _row(preset: dict[str, Any], owner: str) -> str:
    name = preset["name"]
    cells = [
        f"[{name}](https://huggingface.co/{owner}/{name})",
        f"{preset.get('parameters') or 0:,}",
        preset.get("licence") or "",
        preset.get("summary") or "",
    ]
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def publish_organisation(folders: list[pathlib.Path], owner: str, private: bool) -> str:
    """Bring the organisation's card and the collection up to date; say what was done."""
    import huggingface_hub

    api = huggingface_hub.HfApi(library_name="c2f_zoo")
    try:
        card = _publish_card(api, owner, render_organisation(folders, owner).encode())
        added = _publish_collection(api, owner, folders, private)
    except PresetError:
        raise
    except Exception as error:
        raise refused(
            f"The card or the collection of {owner} was not published", error, None
        ) from shown_cause(error)
    return f"{card}; {added}"


def _publish_card(api: Any, owner: str, text: bytes) -> str:
    """The card of an organisation is the README.md of its Space named README."""
    import huggingface_hub

    options = {"repo_id": f"{owner}/README", "repo_type": "space"}
    api.create_repo(**options, space_sdk="static", exist_ok=True)
    there = {item.path: item for item in api.list_repo_tree(**options)}
    if "README.md" in there and there["README.md"].blob_id == git_name(text):
        return "its card is up to date"
    operation = huggingface_hub.CommitOperationAdd("README.md", text)
    api.create_commit(
        **options, operations=[operation], commit_message="List the presets of c2f_zoo"
    )
    return "its card was published"


def _publish_collection(api: Any, owner: str, folders: list[pathlib.Path], private: bool) -> str:
    found = [one for one in api.list_collections(owner=owner) if one.title == COLLECTION]
    if found:
        slug = found[0].slug
    else:
        slug = api.create_collection(
            COLLECTION, namespace=owner, description=_ABOUT, private=private
        ).slug
    known = {item.item_id for item in api.get_collection(slug).items}
    missing = [folder for folder in folders if f"{owner}/{folder.name}" not in known]
    for folder in missing:
        note = (read_metadata(folder).get("summary") or "")[:_LONGEST_NOTE] or None
        api.add_collection_item(slug, f"{owner}/{folder.name}", "model", note=note, exists_ok=True)
    if not missing:
        return "its collection is up to date"
    return f"{len(missing)} added to its collection {slug}"
