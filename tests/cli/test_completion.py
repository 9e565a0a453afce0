"""Tab completion of `c2f`, asked of the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free
argcomplete = pytest.importorskip("argcomplete")

ROOT = Path(__file__).parents[2]

# The command as installed, except that what takes long to import cannot be imported.
COMMAND = """#!{python}
import sys

sys.path.insert(0, {root!r})
sys.modules.update(dict.fromkeys(("keras", "numpy", "tensorflow", "jax", "torch", "PIL"), None))
from c2f_zoo.cli.main import main

sys.exit(main())
"""

BASH = """
eval "$(c2f completion bash)"
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_TYPE=9
[ "{words}" = "{stripped}" ] || {{ COMP_WORDS+=(""); COMP_CWORD=$((COMP_CWORD + 1)); }}
COMP_LINE="{words}" COMP_POINT=${{#COMP_LINE}}
_python_argcomplete c2f "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

# Completion is a function of zsh's, and what the function asks is asked as it does.
ZSH = """
autoload -Uz compinit; compinit -u -d {home}/dump
eval "$(c2f completion zsh)"
print -r -- "$_comps[c2f]"
COMP_LINE="c2f show pwcnet_l" COMP_POINT=17 _ARGCOMPLETE=1 _ARGCOMPLETE_SHELL=zsh \\
  c2f 8>&1 9>/dev/null
"""


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs a script in a shell that finds `c2f`."""
    command = tmp_path / "bin" / "c2f"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable, root=str(ROOT)))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "work" / "my_flow").mkdir(parents=True)

    def run(name, script):
        return subprocess.run(
            [name, "-c", script],
            capture_output=True,
            text=True,
            cwd=tmp_path / "work",
            check=False,
            timeout=100,
        )

    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("c2f den", {"denoise"}),
        ("c2f doctor --j", {"--json"}),
        ("c2f flow --dtype mixed_b", {"mixed_bfloat16"}),
        ("c2f show pwcnet_l", {"pwcnet_lite.scenes"}),
        ("c2f show my", {"my_flow/"}),
        ("c2f flow a.png --preset pwc", {"pwcnet_lite.scenes"}),
        ("c2f evaluate psmnet_lite.scenes pwc", {"pwcnet_lite.scenes"}),
        ("c2f generate stylegan2_64.fluent progan_3", {""}),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_verbs_options_choices_and_presets(shell, words, expected):
    result = shell("bash", BASH.format(words=words, stripped=words.strip()))
    found = {line.strip() for line in result.stdout.split("\n")[:-1]}
    assert found == expected, result.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_presets(shell, tmp_path):
    result = shell("zsh", ZSH.format(home=tmp_path))
    function, found = result.stdout.splitlines()
    assert "argcomplete" in function and found.startswith("pwcnet_lite.scenes"), result.stderr
