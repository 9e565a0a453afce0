"""The pages that the documentation site makes from other files, and the links between them."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="needs the extra docs")
pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site():
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("site_pages")
    sys.path.remove(str(ROOT / "docs"))


@pytest.mark.parametrize(
    "source, link, expected",
    [
        ("docs/raft.md", "[a](stereo.md#range)", "[a](stereo.md#range)"),
        ("docs/raft.md", "[a](../SECURITY.md)", "[a](security.md)"),
        ("docs/raft.md", "[a](../models/x.y/README.md)", "[a](presets/x.y.md)"),
        ("docs/raft.md", "[a](../training/flow/raft.py)", "`training/flow/raft.py`"),
        ("docs/raft.md", "[a](https://arxiv.org/abs/1)", "[a](https://arxiv.org/abs/1)"),
        ("docs/raft.md", "[a](#here)", "[a](#here)"),
        ("models/x.y/README.md", "![a](samples.png)", "![a](x.y/samples.png)"),
        ("training/README.md", "[a](../docs/speed.md)", "[a](speed.md)"),
        ("training/README.md", "![a](../docs/images/b.jpg)", "![a](images/b.jpg)"),
    ],
)
def test_links_lead_to_pages_of_the_site(site, source, link, expected):
    assert site.with_links(f"before {link} after", source) == f"before {expected} after"


def test_the_reference_names_what_is_public(site):
    assert {"PWCNet", "RAFT", "ProGAN"} <= set(site.public_names("models"))
    assert "local_correlation" in site.public_names("layers")
    index = site.reference_index()
    for package in site.PACKAGES:
        names, page = site.public_names(package), site.reference(package)
        assert names and all(f"::: c2f_zoo.{package}.{name}\n" in page for name in names)
        assert all(f"[{name}]({package}.md#c2f_zoo.{package}.{name})" in index for name in names)


def test_the_table_holds_every_preset(site):
    table = site.presets_table()
    for folder in (ROOT / "models").glob("*/"):
        assert f"[{folder.name}](presets/{folder.name}.md)" in table
