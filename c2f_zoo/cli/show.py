"""`c2f show`: what a preset says about itself."""

import textwrap

from c2f_zoo.cli.common import print_json, say, table

EXAMPLES = """examples:
  c2f show pwcnet_lite.scenes
  c2f show ./my_preset --json
  c2f show hf://owner/repo --card"""

_WIDTH = 96
_INDENT = 15


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "show",
        help="all about one trained model",
        description="Show what a preset is: task, size, data, recipe, figures. Loads no weights.",
        epilog=EXAMPLES,
    )
    parser.add_argument("preset", metavar="PRESET", help="a name, a folder or hf://owner/repo")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print its metadata.json")
    form.add_argument("--card", action="store_true", help="print its model card (Markdown)")
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    from c2f_zoo.hub import read_metadata

    metadata = read_metadata(arguments.preset)
    if arguments.json:
        print_json(metadata)
    elif arguments.card:
        from c2f_zoo.hub import render_card

        say(render_card(metadata))
    else:
        say(*_description(arguments.preset, metadata))


def _description(name, metadata):
    files = metadata.get("files") or {}
    size = sum(entry["size"] for entry in files.values())
    facts = {
        "summary": metadata.get("summary"),
        "task": metadata.get("task"),
        "class": metadata.get("class"),
        "parameters": f"{metadata['parameters']:,}" if metadata.get("parameters") else None,
        "size": f"{size / 1e6:.1f} MB on disk" if size else None,
        "licence": metadata.get("licence"),
        "input": metadata.get("input"),
        "output": metadata.get("output"),
        "paper": _paper(metadata.get("paper")),
        "trained on": "; ".join(_data_set(entry) for entry in metadata.get("training_data") or ()),
        "recipe": _recipe(metadata.get("recipe")),
        "limits": " ".join(metadata.get("limits") or ()),
        "credits": " ".join(metadata.get("attributions") or ()),
        "made with": _versions(metadata.get("versions") or {}),
    }
    lines = [metadata.get("name") or name, ""]
    for title, text in facts.items():
        start = title.ljust(_INDENT)
        lines += textwrap.wrap(
            str(text or ""),
            _WIDTH,
            initial_indent=start,
            subsequent_indent=" " * _INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    figures = metadata.get("metrics") or ()
    if figures:
        lines += ["", *_figures(figures)]
    return lines


def _figures(figures):
    rows = [
        [figure["name"], figure["dataset"], figure["value"], figure.get("unit") or ""]
        for figure in figures
    ]
    commands = dict.fromkeys(figure["command"] for figure in figures)
    return [
        *table(rows, ["figure", "data set", "value", "unit"]),
        *(f"measured by: {command}" for command in commands),
    ]


def _paper(paper):
    parts = [(paper or {}).get(key) for key in ("title", "authors", "year", "url")]
    return ", ".join(str(part) for part in parts if part)


def _recipe(recipe):
    return recipe.get("command") if isinstance(recipe, dict) else recipe


def _data_set(entry):
    licence = f" ({entry['licence']})" if entry.get("licence") else ""
    return f"{entry.get('name', 'unnamed')}{licence}"


def _versions(versions):
    # The entry "backend" names its package itself.
    return ", ".join(
        str(version) if package == "backend" else f"{package} {version}"
        for package, version in versions.items()
    )
