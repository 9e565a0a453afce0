"""The README keeps its word: its Python runs and its commands exist."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

# A comment above a block keeps it from being run, and says why: <!-- not run: needs a webcam -->
NOT_RUN = re.compile(r"<!--\s*not run:\s*\S.*-->")
# Programs that a fresh Linux machine with git and Python has, and those that the package brings.
PROGRAMS = {"bash", "c2f", "cd", "git", "pip", "pytest", "python", "python3", "ruff", "source", "."}


def blocks(text, language):
    """Fenced blocks of one language as (line of the first line of code, code), in order."""
    found, start, is_run, previous = [], None, True, ""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if start is None and line.strip() == f"```{language}":
            start, is_run = number + 1, not NOT_RUN.search(previous)
        elif start is not None and line.strip() == "```":
            if is_run:
                found.append((start, "\n".join(lines[start - 1 : number - 1]) + "\n"))
            start = None
        if line.strip():
            previous = line
    assert start is None, f"the block that starts at line {start} never ends"
    return found


def run_blocks(text, name, namespace):
    """Runs the Python blocks of a document in order in one namespace, as a reader would."""
    for line, code in blocks(text, "python"):
        # Blank lines in front make a traceback name the document's own line.
        exec(compile("\n" * (line - 1) + code, name, "exec"), namespace)


def commands(text):
    """Commands of the shell blocks as lists of words, without comments and assignments."""
    found = []
    for _, code in blocks(text, "bash"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            current = []
            for word in [*words, "&&"]:
                if word in ("&&", ";", "|", "||"):
                    if current:
                        found.append(current)
                    current = []
                elif current or not re.fullmatch(r"\w+=.*", word):
                    current.append(word)
    return found


def extras_named(words):
    """Extras of the package that a pip command asks for."""
    named = re.findall(r"(?:c2f_zoo|\.)\[([\w,-]+)\]", " ".join(words))
    return {extra for group in named for extra in group.split(",")}


def options_named(words):
    """Long options of a command."""
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def help_of(command):
    """The `--help` text of a Python program, run as a program."""
    return subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_every_python_block_runs_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = keras.config.dtype_policy()
    try:
        run_blocks(README.read_text(encoding="utf-8"), str(README), {"__name__": "__main__"})
    finally:
        keras.config.set_dtype_policy(policy)


def test_every_shell_command_names_a_program_that_exists():
    for words in commands(README.read_text(encoding="utf-8")):
        program = words[0]
        is_ours = (ROOT / program).is_file()
        assert program in PROGRAMS or is_ours, f"{program} of {words}"
        if program.startswith("python") and words[1:2] == ["-m"]:
            assert words[2] in ("venv", "pip") or importlib.util.find_spec(words[2]), words
        elif program in ("bash", "python", "python3"):
            assert (ROOT / words[1]).is_file(), f"{words[1]} of {words}"


def test_every_extra_named_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for words in commands(README.read_text(encoding="utf-8")):
        assert extras_named(words) <= set(extras["optional-dependencies"]), words


def test_every_verb_and_option_of_our_command_exists():
    verbs = {}
    for words in commands(README.read_text(encoding="utf-8")):
        if words[:3] in (["python", "-m", "c2f_zoo"], ["python3", "-m", "c2f_zoo"]):
            words = words[2:]
        if words[0] in ("c2f", "c2f_zoo") and len(words) > 1:
            verbs.setdefault(words[1], set()).update(options_named(words))
    for verb, options in verbs.items():
        text = help_of(["-m", "c2f_zoo", verb] if not verb.startswith("-") else ["-m", "c2f_zoo"])
        assert all(option in text for option in options), f"c2f {verb}: {options}"


def test_every_option_of_our_scripts_exists():
    scripts = {}
    for words in commands(README.read_text(encoding="utf-8")):
        if words[0] in ("python", "python3") and words[1].endswith(".py"):
            scripts.setdefault(words[1], set()).update(options_named(words))
    for script, options in scripts.items():
        text = help_of([script])
        assert all(option in text for option in options), f"{script}: {options}"


def test_every_file_linked_exists():
    text = re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text)
    for link in (one or other for one, other in links):
        if "://" not in link and not link.startswith("mailto:"):
            assert (ROOT / link).exists(), link


def test_the_test_command_is_where_the_checks_look_for_it():
    # `.ci/run` runs the first shell block that contains `pytest`.
    assert any("pytest" in code for _, code in blocks(README.read_text("utf-8"), "bash"))
    if shutil.which("git") is None:
        pytest.fail("the README's commands start with git, which is not installed")


def test_blocks_share_one_namespace_and_may_be_kept_from_running():
    text = (
        "```python\nx = 1\n```\n<!-- not run: it would fail -->\n"
        "```python\nraise ValueError\n```\n\n```python\ny = x + 1\n```\n"
    )
    names = {}
    run_blocks(text, "text", names)
    assert names["y"] == 2


def test_a_failing_block_names_its_line_in_the_document():
    with pytest.raises(ZeroDivisionError) as failure:
        run_blocks("words\n\n```python\nx = 1\nx / 0\n```\n", "README.md", {})
    assert failure.traceback[-1].lineno + 1 == 5


def test_commands_are_taken_apart_at_their_separators():
    text = "```bash\nA=1 pip install -e '.[test]' && \\\n  pytest -q  # all\n```\n"
    assert commands(text) == [["pip", "install", "-e", ".[test]"], ["pytest", "-q"]]
    assert extras_named(commands(text)[0]) == {"test"}
