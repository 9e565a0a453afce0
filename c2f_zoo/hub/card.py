"""The model card: README.md of a preset, made from its metadata and nothing else."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from c2f_zoo.hub.registry import TASKS
from c2f_zoo.hub.resolving import HUB_ORGANISATION

# Licences that the Hub knows by these identifiers; others are `other` with a name.
_HUB_LICENCES = frozenset(
    """apache-2.0 mit bsd-2-clause bsd-3-clause isc unlicense cc0-1.0 cc-by-3.0 cc-by-4.0
    cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cc-by-nc-nd-4.0 cc-by-nd-4.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0 mpl-2.0""".split()
)
_PLAIN_SCALAR = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def render_card(metadata: Mapping[str, Any]) -> str:
    """Writes the model card of a preset.

    The same metadata gives the same text, to the byte; so a card that was edited by hand, or is
    older than its preset, can be told.

    Args:
        metadata: The content of a preset's `metadata.json`.

    Returns:
        Markdown that begins with the Hub's YAML header.

    Example:
        >>> card = render_card({"name": "demo", "class": "PWCNet", "task": "optical_flow"})
        >>> card.splitlines()[:2]
        ['---', 'library_name: keras']
    """
    header = "\n".join(["---", *_yaml(_header(metadata)), "---"])
    sections = [
        f"# {metadata['name']}",
        _introduction(metadata),
        _pictures(metadata.get("pictures") or ()),
        _use(metadata),
        _figures(metadata.get("metrics") or ()),
        _training(metadata),
        _list_section("Limits", metadata.get("limits") or ()),
        _list_section("Attributions", metadata.get("attributions") or ()),
        _citation(metadata.get("paper") or {}),
        _files(metadata),
    ]
    return "\n\n".join([header, *filter(None, sections)]) + "\n"


def _header(metadata: Mapping[str, Any]) -> dict[str, Any]:
    task = TASKS[metadata["task"]]
    paper = metadata.get("paper") or {}
    tags = ["keras", "c2f_zoo", task.tag, metadata["class"].lower()]
    if paper.get("arxiv"):
        tags.append(f"arxiv:{paper['arxiv']}")
    header: dict[str, Any] = {"library_name": "keras"}
    licence = (metadata.get("licence") or "").lower()
    if licence:
        known = licence in _HUB_LICENCES
        header["license"] = licence if known else "other"
        if not known:
            header["license_name"] = _slug(licence)
    header["pipeline_tag"] = task.pipeline_tag
    header["tags"] = list(dict.fromkeys(tags))
    training = metadata.get("training_data") or ()
    hub_ids = [entry["hub_id"] for entry in training if entry.get("hub_id")]
    if hub_ids:
        header["datasets"] = hub_ids
    results = [_result(task.title, figure) for figure in metadata.get("metrics") or ()]
    if results:
        names = (figure["name"] for figure in metadata["metrics"])
        header["metrics"] = list(dict.fromkeys(map(_slug, names)))
        header["model-index"] = [{"name": metadata["name"], "results": results}]
    return header


def _result(task: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    unit = f" ({figure['unit']})" if figure.get("unit") else ""
    return {
        "task": {"type": _slug(task), "name": task},
        "dataset": {"type": _slug(figure["dataset"]), "name": figure["dataset"]},
        "metrics": [
            {
                "type": _slug(figure["name"]),
                "name": f"{figure['name']}{unit}",
                "value": figure["value"],
            }
        ],
    }


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "unnamed"


def _yaml(value: Any, indent: str = "") -> list[str]:
    """Returns the lines of a mapping or list as block YAML; a JSON string is a YAML string."""
    lines = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, (Mapping, list)):
                lines += [f"{indent}{key}:", *_yaml(item, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {_scalar(item)}")
        return lines
    for item in value:
        if isinstance(item, Mapping):
            first, *rest = _yaml(item, indent + "  ")
            lines += [f"{indent}- {first.strip()}", *rest]
        else:
            lines.append(f"{indent}- {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    plain = isinstance(value, str) and _PLAIN_SCALAR.fullmatch(value)
    if plain and value.lower() not in _YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _introduction(metadata: Mapping[str, Any]) -> str:
    task = TASKS[metadata["task"]]
    paper = metadata.get("paper") or {}
    facts = [f"Task: {task.title}"]
    if paper.get("title"):
        facts.append(f"Paper: {_paper(paper)}")
    size = f", {metadata['parameters']:,} parameters" if "parameters" in metadata else ""
    facts.append(f"Model: `{metadata['class']}`{size}")
    for key in ("input", "output", "licence"):
        if metadata.get(key):
            facts.append(f"{key.capitalize()}: {metadata[key]}")
    lines = [metadata["summary"], ""] if metadata.get("summary") else []
    return "\n".join([*lines, *(f"- {fact}" for fact in facts)])


def _paper(paper: Mapping[str, Any]) -> str:
    url = paper.get("url") or (
        f"https://arxiv.org/abs/{paper['arxiv']}" if "arxiv" in paper else ""
    )
    title = f"[{paper['title']}]({url})" if url else paper["title"]
    authors = paper.get("authors") or ()
    by = authors if isinstance(authors, str) else ", ".join(authors)
    return ", ".join(str(part) for part in (title, by, paper.get("year")) if part)


def _pictures(pictures: Iterable[Mapping[str, Any]]) -> str:
    shown = (f"![{p['caption']}]({p['file']})\n\n{p['caption']}" for p in pictures)
    return "\n\n".join(shown)


def _use(metadata: Mapping[str, Any]) -> str:
    model, task = metadata["class"], TASKS[metadata["task"]]
    repo_id = metadata.get("repo_id") or f"{HUB_ORGANISATION}/{metadata['name']}"
    return f"""## Use

With the Python package `c2f_zoo` installed:

```python
from c2f_zoo import {model}

model = {model}.from_pretrained("hf://{repo_id}")
{task.use}
```

`model` is a `keras.Model`: `model.compile(); model.fit(...)` fine-tunes it, on TensorFlow, JAX or
PyTorch."""


def _figures(metrics: Iterable[Mapping[str, Any]]) -> str:
    """Returns a table of the figures, with others' beside them, and how each was measured."""
    metrics = list(metrics)
    if not metrics:
        return ""
    others = list(dict.fromkeys(n for figure in metrics for n in figure.get("compared_with") or ()))
    header = ["Data set", "Metric", "This preset", *others]
    rows = [header, ["---"] * 2 + ["---:"] * (len(header) - 2)]
    for figure in metrics:
        unit = f" ({figure['unit']})" if figure.get("unit") else ""
        compared = figure.get("compared_with") or {}
        values = [_number(figure["value"]), *(_number(compared.get(name)) for name in others)]
        rows.append([figure["dataset"], f"{figure['name']}{unit}", *values])
    table = "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)
    commands = dict.fromkeys(figure["command"] for figure in metrics)
    notes = dict.fromkeys(figure["note"] for figure in metrics if figure.get("note"))
    measured = "\n".join(["Measured by", "", "```", *commands, "```"])
    return "\n\n".join(["## Figures", table, *notes, measured])


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _training(metadata: Mapping[str, Any]) -> str:
    parts = []
    entries = metadata.get("training_data") or ()
    if entries:
        rows = [["Data", "Licence", "Attribution"], ["---"] * 3]
        for entry in entries:
            name = f"[{entry['name']}]({entry['url']})" if entry.get("url") else entry["name"]
            rows.append([name, entry.get("licence") or "", entry.get("attribution") or ""])
        parts.append("\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows))
    recipe = metadata.get("recipe") or {}
    recipe = {"command": recipe} if isinstance(recipe, str) else dict(recipe)
    if recipe.get("command"):
        parts.append(f"```\n{recipe.pop('command')}\n```")
    if recipe:
        parts.append("\n".join(f"- {_cell(key)}: {_cell(value)}" for key, value in recipe.items()))
    return "\n\n".join(["## Training", *parts]) if parts else ""


def _list_section(title: str, sentences: Iterable[str]) -> str:
    lines = [f"- {' '.join(str(sentence).split())}" for sentence in sentences]
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _citation(paper: Mapping[str, Any]) -> str:
    bibtex = str(paper.get("bibtex") or "").strip()
    return f"## Citation\n\n```bibtex\n{bibtex}\n```" if bibtex else ""


def _files(metadata: Mapping[str, Any]) -> str:
    files = metadata.get("files") or {}
    weights = [entry["size"] for name, entry in files.items() if name.endswith(".h5")]
    if not weights:
        return ""
    made = metadata.get("versions") or {}
    tools = ", ".join(f"{name} {made[name]}" for name in ("c2f_zoo", "keras") if name in made)
    made_by = f" Made with {tools}." if tools else ""
    return (
        f"## Files\n\nWeights: {sum(weights) / 1e6:.1f} MB, {metadata.get('precision', 'float32')}."
        f"{made_by}\n`metadata.json` lists the sha256 of every file; it is checked before any is "
        "opened. The weights are\narrays in HDF5 and the config is JSON: loading runs no code from "
        "this repository."
    )
