"""Where the name of a preset leads. Nothing here touches a network."""

import dataclasses
import json
import os
import pathlib
import re
import tomllib
import warnings
from typing import Any, Literal

from c2f_zoo.checks import suggestion
from c2f_zoo.hub.errors import PresetError, PresetNotFoundError
from c2f_zoo.hub.metadata import CONFIG, METADATA, check_metadata, read_json
from c2f_zoo.hub.registry import check_task
from c2f_zoo.tables import table

HUB_ORGANISATION = "c2f-zoo"

# Commits, by repository, that `python -m hub_upload` published and verified.
PINS = pathlib.Path(__file__).with_name("pins.json")

_OF_TORCH = (".pth", ".pt", ".tar", ".ckpt")  # suffixes of files of weights

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_NAME = re.compile(
    r"hf://(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.][\w./-]*))?", re.ASCII
)


@dataclasses.dataclass(frozen=True)
class PresetSource:
    """Where a preset's files are.

    Args:
        label: The name that was asked for.
        kind: `"folder"`, `"file"` for a `.keras` file, `"shipped"` with the package, `"hub"` for
            an `hf://` name, or `"published"` by the zoo's organisation on the Hub.
        folder: Their folder, or the file; None on the Hub.
        repo_id: `"owner/repo"` on the Hub.
        revision: Branch, tag or commit there; None is the main branch.

    Example:
        >>> resolve("hf://someone/flow@v1").revision
        'v1'
    """

    label: str
    kind: Literal["folder", "file", "shipped", "hub", "published"]
    folder: pathlib.Path | None = None
    repo_id: str | None = None
    revision: str | None = None


@dataclasses.dataclass(frozen=True)
class PresetInfo:
    """A preset that is shipped with the package.

    Args:
        name: Name that `from_pretrained` takes.
        task: Key of `TASKS`.
        class_name: Name of the model's class.
        parameters: Number of weights.
        licence: SPDX identifier of the weights' licence, or "".
        path: Folder of its files.
        metrics: Figures, each a dict with name, value, unit, dataset and command.
        size: Bytes of its weights on disk.

    Example:
        >>> from pathlib import Path
        >>> PresetInfo("demo", "optical_flow", "PWCNet", 10, "MIT", Path("."), (), 40).size
        40
    """

    name: str
    task: str
    class_name: str
    parameters: int
    licence: str
    path: pathlib.Path
    metrics: tuple[dict[str, Any], ...] = dataclasses.field(repr=False)  # pages of them
    size: int

    @property
    def headline(self) -> str:
        """The first of `metrics` in a few words, such as "EPE 3.29 px, FlyingChairs", or ""."""
        if not self.metrics:
            return ""
        first = self.metrics[0]
        value, unit = first["value"], (first.get("unit") or "").partition(",")[0]
        number = f"{value:.4g}" if isinstance(value, (int, float)) else str(value)
        name, dataset = (str(first[key]).partition(",")[0] for key in ("name", "dataset"))
        return f"{name} {number} {unit}".strip() + f", {dataset}"


class PresetList(list[PresetInfo]):
    """A list of presets that prints as a table.

    Args:
        iterable: `PresetInfo` objects.

    Example:
        >>> print(PresetList())
        no preset
    """

    HEADER = ("name", "model", "task", "parameters", "MB", "licence", "figure (of its card)")

    def lines(self) -> list[str]:
        """Lay out the table.

        Returns:
            Its lines, the first two the header.
        """
        rows = [
            [p.name, p.class_name, p.task, p.parameters, p.size / 1e6, p.licence or "-"]
            + [p.headline or "-"]
            for p in self
        ]
        return table(rows, self.HEADER)

    def __repr__(self) -> str:
        return "\n".join(self.lines()) if self else "no preset"

    __str__ = __repr__


def organisation() -> str:
    """Return the zoo's organisation on the Hub, or `C2F_ZOO_ORGANISATION` where it is set."""
    return os.environ.get("C2F_ZOO_ORGANISATION") or HUB_ORGANISATION


def resolve(name: str | os.PathLike) -> PresetSource:
    """Find where a preset's name leads, without a network.

    In this order: a folder that holds a preset, a name shipped with the package,
    `hf://owner/repo[@revision]`, and any other plain name, which is looked for under the zoo's
    Hub organisation when it is fetched. A repository of the zoo's own is pinned to the commit
    that this version of the package was tested with, unless a revision is named.

    Args:
        name: Name of the preset, or path of its folder.

    Returns:
        PresetSource.

    Raises:
        PresetNotFoundError: The name has none of these forms, or the folder holds no preset.
            The message lists the forms and the names that exist.
        TypeError: The name is neither a string nor a path.

    Example:
        >>> resolve("hf://c2f-zoo/pwcnet.scenes").repo_id
        'c2f-zoo/pwcnet.scenes'
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"A preset is named by a string or path. Received: {name!r}")
    label = os.fspath(name)
    if label.startswith("hf://"):
        match = _HUB_NAME.fullmatch(label)
        if match is None:
            raise not_found(label, "It is not of the form hf://owner/repo[@revision].")
        repo = match["repo"]
        return PresetSource(label, "hub", None, repo, match["revision"] or pinned_revision(repo))
    folder = pathlib.Path(label).expanduser()
    if label and (folder / CONFIG).is_file():
        return PresetSource(label, "folder", folder)
    if label.endswith(".keras") and folder.is_file():
        return PresetSource(label, "file", folder)
    plain = isinstance(name, str) and _PLAIN_NAME.fullmatch(label)
    if plain and label in (shipped := shipped_folders()):
        return PresetSource(label, "shipped", shipped[label])
    if folder.is_dir() and (label in (".", "..") or not plain):
        raise not_found(label, f"The folder holds no {CONFIG}.")
    if folder.is_file() and (not plain or folder.suffix.lower() in _OF_TORCH):
        reason = "It is a file. c2f convert makes a preset of weights published for PyTorch."
        raise not_found(label, reason)
    if not plain:
        raise not_found(label, "There is no such folder.")
    repo = f"{organisation()}/{label}"
    return PresetSource(label, "published", None, repo, pinned_revision(repo))


def pinned_revision(repo_id: str) -> str | None:
    """Return the commit to which this version of the package pins a repository of the zoo's own.

    What the Hub holds can change; what a pinned name leads to cannot, and once it is cached it
    needs no request. `hf://owner/repo@main` leads to the newest.
    """
    try:
        revision = json.loads(PINS.read_text("utf-8")).get(repo_id)
    except (OSError, ValueError, AttributeError):
        return None
    return revision if isinstance(revision, str) and _COMMIT.fullmatch(revision) else None


def shipped_folders() -> dict[str, pathlib.Path]:
    """Find the folders of the presets in `c2f_zoo/presets`, or `models/` of a checkout, by name."""
    homes = [_PACKAGE / "presets"]
    if _is_checkout(_PACKAGE.parent):
        homes.append(_PACKAGE.parent / "models")
    found: dict[str, pathlib.Path] = {}
    for home in homes:
        for folder in sorted(home.iterdir()) if home.is_dir() else ():
            if (folder / CONFIG).is_file() and _PLAIN_NAME.fullmatch(folder.name):
                found.setdefault(folder.name, folder)
    return dict(sorted(found.items()))


def _is_checkout(root: pathlib.Path) -> bool:
    # Beside an installed package lies site-packages, where `models/` would be someone else's.
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, ValueError):
        return False
    return project.get("name", "").replace("-", "_") == "c2f_zoo"


def list_presets(task: str | None = None) -> PresetList:
    """List the presets that are shipped with the package, without a network.

    A preset whose `metadata.json` cannot be read is left out with a warning.

    Args:
        task: Key of `TASKS`, or a short name such as `"flow"`, `"denoising"` or
            `"generation"`. Default: every task.

    Returns:
        List of `PresetInfo`, sorted by name, which prints as a table.

    Raises:
        ValueError: There is no such task.

    Example:
        >>> {preset.task for preset in list_presets("flow")} <= {"optical_flow"}
        True
    """
    wanted = None if task is None else check_task(task)
    presets = PresetList()
    for name, folder in shipped_folders().items():
        try:
            metadata = check_metadata(read_json(folder / METADATA, name), name)
            info = _info(name, folder, metadata)
        except (PresetError, KeyError, TypeError) as error:
            warnings.warn(f"Preset {name} is left out of the list: {error}", stacklevel=2)
            continue
        if wanted in (None, info.task):
            presets.append(info)
    return presets


def _info(name: str, folder: pathlib.Path, metadata: dict[str, Any]) -> PresetInfo:
    size = sum(entry["size"] for file, entry in metadata["files"].items() if file != CONFIG)
    about = [metadata[key] for key in ("task", "class", "parameters")]
    metrics = tuple(metadata.get("metrics") or ())
    return PresetInfo(name, *about, metadata.get("licence") or "", folder, metrics, size)


def not_found(
    label: str, reason: str, cached: tuple[str, ...] = (), published: tuple[str, ...] = ()
) -> PresetNotFoundError:
    """Make the error for an unknown name: it lists the forms and the nearest names.

    `cached` are names of the zoo's, `published` repositories on the Hub.
    """
    shipped = list(shipped_folders())
    known = [*shipped, *cached]
    own = f"{organisation()}/"
    if label.startswith("hf://"):
        known = [f"hf://{name}" for name in (*published, *(f"{own}{name}" for name in known))]
    else:
        known += [name.removeprefix(own) for name in published if name.startswith(own)]
    lines = [
        f"No preset is named {label!r}. {reason}{suggestion(label, known)}",
        "A preset is named by one of",
        f"  a folder that holds {CONFIG}, {METADATA} and the weights, as save_pretrained writes it",
        "  a .keras file, as model.save writes it",
        f"  a name shipped with c2f_zoo: {', '.join(shipped) or 'none in this installation'}",
        "  hf://owner/repo or hf://owner/repo@revision, on the Hugging Face Hub",
        f"  a name published under https://huggingface.co/{organisation()}",
    ]
    if cached:
        lines.append(f"In the local Hub cache, usable offline: {', '.join(cached)}")
    return PresetNotFoundError("\n".join([*lines, f"Received: {label!r}"]))
