"""The pages of docs/ keep their word: their Python runs and the verbs of their commands exist."""

from pathlib import Path

import pytest

from c2f_zoo.cli.main import main
from tests.test_readme import commands, options_named, run_blocks

pytestmark = pytest.mark.backend_free

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [
    "confidence.md",
    "curricula.md",
    "depth.md",
    "multilevel.md",
    "raft.md",
    "restoration.md",
    "stereo.md",
    "tutorials/fine_tune.md",
    "tutorials/methods.md",
    "tutorials/use.md",
    "using.md",
    "video.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_of_a_page_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks((DOCS / page).read_text(encoding="utf-8"), page, {"__name__": "__main__"})


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in ("curricula.md", "multilevel.md")]
)
def test_every_option_of_a_page_s_commands_exists(page, capsys):
    for words in commands((DOCS / page).read_text(encoding="utf-8")):
        assert words[0] == "c2f" and main([words[1], "--help"]) == 0
        text = capsys.readouterr().out
        assert all(option in text for option in options_named(words)), words
