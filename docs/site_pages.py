"""MkDocs hook: pages of the site that are made from other files, and links between all of them.

The reference lists the public names of each package by its stub. The table of presets and their
cards come from `models/`. Files beside `docs/` that pages link to become pages too.
"""

import ast
import json
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "tasks", "layers", "losses", "metrics", "data", "training", "hub")
# Files of the repository that are pages, and the pages' names.
PAGES = {
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "models/README.md": "presets.md",
    "training/README.md": "recipes.md",
}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Add the pages that are not in `docs/`."""
    for source, page in PAGES.items():
        text = with_links((ROOT / source).read_text(encoding="utf-8"), source)
        if source == "models/README.md":
            text += "\n" + presets_table()
        files.append(File.generated(config, page, content=text))
    for folder in presets():
        source = f"models/{folder.name}/README.md"
        text = re.sub(r"\A---\n.*?\n---\n", "", (ROOT / source).read_text("utf-8"), flags=re.S)
        page = f"presets/{folder.name}.md"
        files.append(File.generated(config, page, content=with_links(text, source)))
        for picture in folder.glob("*.png"):
            name = f"presets/{folder.name}/{picture.name}"
            files.append(File.generated(config, name, abs_src_path=str(picture)))
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=reference(package)))
    files.append(File.generated(config, "api/index.md", content=reference_index()))
    return Files(files)


def on_page_markdown(markdown, page, config, files):
    """Turn links to files outside of `docs/` into links to their pages, or into plain code."""
    if page.file.generated_by:
        return markdown
    return with_links(markdown, f"docs/{page.file.src_uri}")


def with_links(text, source):
    """Point the links of a file of the repository to pages of the site."""
    here = page_of(source)

    def rewritten(match):
        start, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = os.path.normpath(PurePosixPath(source).parent / target)
        page = page_of(path)
        if page is None:  # a file that the site does not hold
            return f"`{path}`" if not start.startswith("!") else match[0]
        return f"{start}{os.path.relpath(page, PurePosixPath(here).parent)}{anchor})"

    return LINK.sub(rewritten, text)


def page_of(path):
    """The site's name for a file of the repository, or None."""
    if path in PAGES:
        return PAGES[path]
    if path == "README.md":
        return "README.md"
    card = re.fullmatch(r"models/([^/]+)/README\.md", path)
    if card:
        return f"presets/{card[1]}.md"
    picture = re.fullmatch(r"models/([^/]+/[^/]+\.png)", path)
    if picture:
        return f"presets/{picture[1]}"
    inside = PurePosixPath(path)
    if inside.parts[:1] == ("docs",) and inside.suffix in (".md", ".png", ".jpg", ".gif", ".svg"):
        return str(inside.relative_to("docs"))
    return None


def presets():
    """The folders of the presets in the repository."""
    return sorted(path.parent for path in (ROOT / "models").glob("*/metadata.json"))


def presets_table():
    """A table of the presets from their metadata."""
    lines = [
        "| preset | task | parameters | MB | licence | measured |",
        "|---|---|---:|---:|---|---|",
    ]
    for folder in presets():
        about = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        first = next(iter(about.get("metrics", [])), None)
        measured = "{name} {value} {unit}, {dataset}".format(**first) if first else ""
        lines.append(
            f"| [{folder.name}](presets/{folder.name}.md) | {about['task'].replace('_', ' ')} "
            f"| {about['parameters']:,} | {size:.1f} | {about['licence']} | {measured} |"
        )
    return "\n".join(lines) + "\n"


def public_names(package):
    """The public names of a package, in the order of its stub or of its imports."""
    folder = ROOT / "c2f_zoo" / package
    stub = folder / "__init__.pyi"
    tree = ast.parse((stub if stub.is_file() else folder / "__init__.py").read_text("utf-8"))
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return [name.asname or name.name for node in imports for name in node.names]


def reference(package):
    """The page of a package: all of its public names."""
    lines = [f"# c2f_zoo.{package}", ""]
    for name in sorted(public_names(package), key=str.lower):
        lines += [f"::: c2f_zoo.{package}.{name}", ""]
    return "\n".join(lines)


def reference_index():
    """The page that lists the packages and their public names."""
    lines = ["# Reference", "", "What can be imported, by package.", ""]
    for package in PACKAGES:
        names = (
            f"[{name}]({package}.md#c2f_zoo.{package}.{name})"
            for name in sorted(public_names(package), key=str.lower)
        )
        lines += [f"## [c2f_zoo.{package}]({package}.md)", "", ", ".join(names) + ".", ""]
    return "\n".join(lines)
