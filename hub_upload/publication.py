"""Publishing one preset: push what changed, tag it, verify it, pin it.

Each step looks at what is there first, so that a run that was broken off is continued by the next
one, and a run after a complete one does nothing.
"""

import argparse
import json
import os
import pathlib
import re
import tempfile
from typing import Any

from c2f_zoo.hub import PresetError, compare, load, push
from c2f_zoo.hub.errors import shown_cause
from c2f_zoo.hub.golden import check_golden
from c2f_zoo.hub.publishing import refused


def rehearse(folder: pathlib.Path, repo_id: str) -> str:
    """Say what publishing would change, as far as the Hub can be asked."""
    try:
        changes = compare(folder, repo_id)
    except PresetError as error:
        files = push(folder, repo_id, dry_run=True).files
        return f"would publish {len(files)} files, or those that differ; {error}"
    return f"would publish: {changes}" if changes else "no change"


def publish(folder: pathlib.Path, metadata: dict[str, Any], options: argparse.Namespace) -> str:
    """Publish a validated preset and say what was done."""
    repo_id = f"{options.org}/{folder.name}"
    done = push(folder, repo_id, private=options.private)
    tag = tag_version(repo_id, done.commit)
    if read_pins(options.pins).get(repo_id) == done.commit:
        return f"nothing to do, {tag} is {done.commit}"
    verify_download(repo_id, done.commit, metadata)
    pin(options.pins, repo_id, done.commit)
    return f"{done.changes}; {tag}, verified and pinned at {done.url}"


def tag_version(repo_id: str, commit: str) -> str:
    """Give a commit the next of the tags v1, v2, ..., unless it has one; return the tag."""
    import huggingface_hub

    api = huggingface_hub.HfApi(library_name="c2f_zoo")
    try:
        tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo_id).tags}
        numbers = [int(name[1:]) for name in tags if re.fullmatch(r"v\d+", name)]
        for number in numbers:
            if tags[f"v{number}"] == commit:
                return f"v{number}"
        tag = f"v{max(numbers, default=0) + 1}"
        api.create_tag(repo_id, tag=tag, revision=commit)
    except Exception as error:
        raise refused(f"{repo_id} was published and not tagged", error, None) from shown_cause(
            error
        )
    return tag


def verify_download(repo_id: str, commit: str, metadata: dict[str, Any]) -> None:
    """Download a commit into an empty cache and let it reproduce the golden output."""
    with tempfile.TemporaryDirectory() as cache:
        name = f"hf://{repo_id}@{commit}"
        check_golden(load(name, dtype="float32", cache_dir=cache), metadata, name)


def read_pins(path: pathlib.Path) -> dict[str, str]:
    """Return the pinned commits by repository."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def pin(path: pathlib.Path, repo_id: str, commit: str) -> None:
    """Record the commit that the plain name of a preset leads to from now on."""
    pins = read_pins(path) | {repo_id: commit}
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(dict(sorted(pins.items())), indent=2) + "\n", "utf-8")
    os.replace(new, path)
