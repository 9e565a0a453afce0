"""The model card: the README.md of a preset, rendered from its metadata."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from c2f_zoo.hub.errors import PresetError
from c2f_zoo.hub.registry import TASKS
from c2f_zoo.hub.resolving import HUB_ORGANISATION

# Licences that the Hub knows by these identifiers; others are `other` with a name.
_HUB_LICENCES = frozenset(
    """apache-2.0 mit bsd-2-clause bsd-3-clause isc unlicense cc0-1.0 cc-by-3.0 cc-by-4.0
    cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cc-by-nc-nd-4.0 cc-by-nd-4.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0 mpl-2.0""".split()
)


def render_card(metadata: Mapping[str, Any]) -> str:
    """Render the model card of a preset.

    The text depends on the metadata alone, so a card that was edited by hand or is out of date
    can be detected.

    Args:
        metadata: The content of a preset's `metadata.json`.

    Returns:
        Markdown that begins with the Hub's YAML header.

    Raises:
        PresetError: The metadata lacks name, class or task, or the task is unknown.

    Example:
        >>> card = render_card({"name": "demo", "class": "PWCNet", "task": "optical_flow"})
        >>> card.splitlines()[:2]
        ['---', 'library_name: keras']
    """
    for key in ("name", "class", "task"):
        value = metadata.get(key)
        if not isinstance(value, str) or (key == "task" and value not in TASKS):
            raise PresetError(f"A model card needs the preset's {key}. Received: {value!r}")
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
    return "\n\n".join([_header(metadata), *filter(None, sections)]) + "\n"


def _header(metadata: Mapping[str, Any]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    task = TASKS[metadata["task"]]
    paper, figures = metadata.get("paper") or {}, metadata.get("metrics") or ()
    tags = ["keras", "c2f_zoo", task.tag, metadata["class"].lower()]
    if paper.get("arxiv"):
        tags.append(f"arxiv:{paper['arxiv']}")
    licence = (metadata.get("licence") or "").lower()
    is_known = licence in _HUB_LICENCES
    results = [
        EvalResult(
            task_type=_slug(task.title),
            task_name=task.title,
            dataset_type=_slug(figure["dataset"]),
            dataset_name=figure["dataset"],
            metric_type=_slug(figure["name"]),
            metric_name=_with_unit(figure),
            metric_value=figure["value"],
        )
        for figure in figures
    ]
    data = ModelCardData(
        library_name="keras",
        license=(licence if is_known else "other") if licence else None,
        license_name=None if is_known or not licence else _slug(licence),
        pipeline_tag=task.pipeline_tag,
        tags=list(dict.fromkeys(tags)),
        datasets=[e["hub_id"] for e in metadata.get("training_data") or () if e.get("hub_id")]
        or None,
        metrics=list(dict.fromkeys(_slug(figure["name"]) for figure in figures)) or None,
        model_name=metadata["name"] if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "unnamed"


def _with_unit(figure: Mapping[str, Any]) -> str:
    return f"{figure['name']} ({figure['unit']})" if figure.get("unit") else figure["name"]


def _introduction(metadata: Mapping[str, Any]) -> str:
    task = TASKS[metadata["task"]]
    paper = metadata.get("paper") or {}
    facts = [f"Task: {task.title}"]
    if paper.get("title"):
        facts.append(f"Paper: {_paper(paper)}")
    count = metadata.get("parameters")
    size = "" if count is None else f", {count:,} parameters"
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
    by = authors if isinstance(authors, str) else ", ".join(map(str, authors))
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
    """Return a table of the figures, with others' beside them, and how each was measured."""
    metrics = list(metrics)
    if not metrics:
        return ""
    others = list(dict.fromkeys(n for figure in metrics for n in figure.get("compared_with") or ()))
    header = ["Data set", "Metric", "This preset", *others]
    rows = [header, ["---"] * 2 + ["---:"] * (len(header) - 2)]
    for figure in metrics:
        compared = figure.get("compared_with") or {}
        values = [_number(figure["value"]), *(_number(compared.get(name)) for name in others)]
        rows.append([figure["dataset"], _with_unit(figure), *values])
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
