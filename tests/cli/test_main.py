"""The command as a whole: help, version, exit statuses, messages, and the choice of a backend."""

import argparse
import errno
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import c2f_zoo
from c2f_zoo.cli import common, models
from c2f_zoo.cli.main import main, make_parser

VERBS = (
    *("flow", "interpolate", "denoise", "deblur", "inpaint", "upscale", "generate"),
    *("models", "show", "evaluate", "convert", "train", "doctor", "completion"),
)


def run_python(*arguments, **environment):
    """Run Python in the repository with a changed environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.backend_free
class TestHelp:
    def test_it_names_every_verb_with_examples(self, capsys):
        assert main(["--help"]) == 0
        printed = capsys.readouterr().out
        for verb in VERBS:
            # argparse puts the help of the longest name on a line of its own.
            assert re.search(rf"\n    {verb}\s", printed) and f"\n  c2f {verb}" in printed

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_has_examples(self, capsys, verb):
        assert main([verb, "--help"]) == 0
        printed = capsys.readouterr().out
        assert "examples:" in printed and printed.count(f"  c2f {verb}") >= 2

    @pytest.mark.parametrize("verb", VERBS)
    def test_the_examples_are_command_lines_that_parse(self, verb):
        examples = sys.modules[f"c2f_zoo.cli.{verb}"].EXAMPLES.partition("examples:\n")[2]
        for line in re.sub(r"\\\n\s*", "", examples).splitlines():
            # A remark stands behind a wider gap.
            words = line.strip().split("    ")[0].split()
            assert words[:2] == ["c2f", words[1]]
            if words[1] != "train":  # whose arguments are the recipe's
                make_parser().parse_args(words[1:])

    def test_no_verb_prints_the_help_and_is_a_wrong_usage(self, capsys):
        assert main([]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and "verbs:" in captured.err

    def test_no_help_imports_keras_numpy_or_a_framework(self):
        code = (
            "import sys; from c2f_zoo.cli.main import main; "
            f"[main(words) for words in [['--help'], *([v, '--help'] for v in {VERBS!r})]]; "
            "heavy = {'jax', 'keras', 'numpy', 'tensorflow', 'torch', 'PIL', 'tqdm', 'h5py'}; "
            "print((heavy | {'huggingface_hub', 'statistics'}) & set(sys.modules))"
        )
        assert run_python("-c", code).stdout.splitlines()[-1] == "set()"

    def test_listing_the_models_imports_no_framework(self):
        code = (
            "import sys; from c2f_zoo.cli.main import main; main(['models']); "
            "print({'keras', 'numpy', 'huggingface_hub'} & set(sys.modules))"
        )
        assert run_python("-c", code).stdout.splitlines()[-1] == "set()"


def test_python_m_is_the_same_command():
    result = run_python("-m", "c2f_zoo", "--version")
    assert (result.returncode, result.stdout) == (0, f"c2f_zoo {c2f_zoo.__version__}\n")
    assert run_python("-m", "c2f_zoo", "no_such_verb").returncode == 2


def test_a_reader_that_leaves_early_is_no_error():
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "c2f_zoo", "models", "--json"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
        )
    finally:
        os.close(write_end)
    assert result.returncode == 0 and result.stderr == ""


@pytest.mark.parametrize(
    "order",
    ["a b -o out --quiet", "-o out a b --quiet", "a -o out b --quiet", "--quiet a b -o out"],
)
def test_options_may_stand_anywhere(order):
    arguments = make_parser().parse_args(["flow", *order.split()])
    assert (arguments.frames, arguments.output) == (["a", "b"], "out")
    assert arguments.quiet and not arguments.images


@pytest.mark.backend_free
class TestExitStatus:
    @pytest.fixture
    def fail_with(self, monkeypatch):
        def arrange(error):
            def run(arguments):
                raise error

            monkeypatch.setattr(models, "run", run)

        return arrange

    @pytest.mark.parametrize(
        ("error", "status", "line"),
        [
            (common.CommandError("a. Received: b"), 1, "c2f: error: a. Received: b"),
            (common.UsageError("a"), 2, "c2f: error: a"),
            (ValueError("two\nlines"), 1, "c2f: error: two lines"),
            (FileNotFoundError("no x"), 1, "c2f: error: no x"),
            (
                OSError(errno.ENOSPC, "No space left on device", "/out/a.flo"),
                1,
                "c2f: error: No space left on device: /out/a.flo",
            ),
            (KeyError("x"), 1, "c2f: error: KeyError: 'x' (--debug shows where)"),
            (KeyboardInterrupt(), 130, "c2f: stopped"),
        ],
    )
    def test_an_error_is_one_line_on_standard_error(self, fail_with, capsys, error, status, line):
        fail_with(error)
        assert main(["models"]) == status
        assert capsys.readouterr() == ("", line + "\n")

    def test_the_wrapping_of_keras_is_taken_off(self, fail_with, capsys):
        fail_with(
            ValueError("Exception when calling X.call().\n\x1b[1mToo\nsmall.\x1b[0m\nArguments:")
        )
        assert main(["models"]) == 1
        assert capsys.readouterr().err == "c2f: error: Too small.\n"

    def test_a_framework_that_prints_programs_is_cut_short(self, fail_with, capsys):
        fail_with(RuntimeError("x" * 100_000))
        assert main(["models"]) == 1
        assert len(capsys.readouterr().err) < 1100

    @pytest.mark.parametrize("arguments", [["--debug", "models"], ["models", "--debug"]])
    def test_debug_shows_where_it_happened(self, fail_with, arguments):
        fail_with(ValueError("here"))
        with pytest.raises(ValueError, match="here"):
            main(arguments)

    @pytest.mark.parametrize(
        "arguments", [["no_such_verb"], ["flow", "--no-such-option"], ["show"], ["evaluate", "x"]]
    )
    def test_a_wrong_command_line_is_2(self, capsys, arguments):
        assert main(arguments) == 2
        assert "usage: c2f" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "meant"),
        [
            (["flwo", "a", "b"], "flow"),
            (["upscale", "a.png", "--overwite"], "--overwrite"),
            (["flow", "--format", "kiti"], "kitti"),
            (["flow", "--dtype", "mixed_bfloat"], "mixed_bfloat16"),
        ],
    )
    def test_a_mistyped_word_gets_the_nearest_one(self, capsys, words, meant):
        assert main(words) == 2
        assert f"Did you mean '{meant}'?" in capsys.readouterr().err

    def test_an_unknown_preset_lists_what_there_is(self, capsys):
        assert main(["show", "./no/such/preset"]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith("c2f: error: ") and "'./no/such/preset'" in lines[0]
        assert any("hf://owner/repo" in line for line in lines)

    def test_a_warning_is_one_line_without_a_source(self, monkeypatch, capsys):
        monkeypatch.setattr(
            models, "run", lambda arguments: warnings.warn("take\ncare", stacklevel=1)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            assert main(["models"]) == 0
        assert capsys.readouterr().err == "c2f: warning: take care\n"

    def test_a_framework_s_deprecations_are_not_the_user_s(self, monkeypatch, capsys):
        def run(arguments):
            warnings.warn("old", DeprecationWarning, stacklevel=1)

        monkeypatch.setattr(models, "run", run)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            assert main(["models"]) == 0
        assert capsys.readouterr().err == ""


@pytest.mark.backend_free
class TestBackend:
    """Which backend is chosen, by what is installed and asked for."""

    @pytest.fixture
    def choose(self, monkeypatch, tmp_path):
        def arrange(installed, asked=None, configured=None):
            # Keras is imported by other tests of this process; here it is not yet.
            monkeypatch.delitem(sys.modules, "keras", raising=False)
            monkeypatch.setattr(
                "importlib.util.find_spec", lambda name: "spec" if name in installed else None
            )
            monkeypatch.setenv("KERAS_HOME", str(tmp_path))
            # Set first, so that what the choice puts there is removed after the test.
            monkeypatch.setenv("KERAS_BACKEND", "")
            monkeypatch.delenv("KERAS_BACKEND")
            if asked:
                monkeypatch.setenv("KERAS_BACKEND", asked)
            if configured:
                (tmp_path / "keras.json").write_text(json.dumps({"backend": configured}))
            chosen = common.choose_backend()
            return chosen, os.environ.get("KERAS_BACKEND")

        return arrange

    def test_tensorflow_is_the_default(self, choose, capsys):
        assert choose({"tensorflow", "jax", "torch"}) == ("tensorflow", None)
        assert capsys.readouterr().err == ""

    def test_without_it_an_installed_one_is_taken_and_named(self, choose, capsys):
        assert choose({"jax", "torch"}) == ("jax", "jax")
        note = "c2f: tensorflow is not installed: computing with jax\n"
        assert capsys.readouterr().err == note
        assert choose({"torch"}) == ("torch", "torch")

    def test_the_environment_decides(self, choose, capsys):
        assert choose({"tensorflow", "jax"}, asked="jax") == ("jax", "jax")
        assert capsys.readouterr().err == ""

    def test_keras_own_settings_are_followed(self, choose, capsys):
        assert choose({"tensorflow", "torch"}, configured="torch") == ("torch", None)
        assert choose({"jax"}, configured="torch") == ("jax", "jax")
        assert "torch is not installed" in capsys.readouterr().err

    def test_damaged_settings_are_passed_over(self, choose, tmp_path):
        (tmp_path / "keras.json").write_text("[1]")
        assert choose({"tensorflow"}) == ("tensorflow", None)

    def test_one_asked_for_and_missing_names_the_extra(self, choose):
        with pytest.raises(common.CommandError, match=r'pip install "c2f_zoo\[jax\]".*tensorflow'):
            choose({"tensorflow"}, asked="jax")

    def test_none_installed_names_the_extras(self, choose):
        with pytest.raises(common.CommandError, match=r'pip install "c2f_zoo\[tensorflow\]"'):
            choose(set())


class TestQuietStart:
    """What a framework writes while it starts: to the file descriptor, as C++ does."""

    def test_messages_are_held_back(self, capfd):
        with common._held_back_messages():
            os.write(2, b"I0000 oneDNN custom operations are on\n")
        os.write(2, b"after\n")
        assert capfd.readouterr().err == "after\n"

    def test_a_start_that_fails_shows_them(self, capfd):
        with pytest.raises(ImportError), common._held_back_messages():
            os.write(2, b"libcudart is missing\n")
            raise ImportError
        assert capfd.readouterr().err == "libcudart is missing\n"

    def test_a_command_prints_no_log_line_of_a_framework(self, tmp_path):
        recipe = tmp_path / "recipe.py"
        recipe.write_text(
            "from keras import ops\n\ndef main(argv):\n    print(float(ops.sum(ops.ones(4))))\n"
        )
        environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
        done = subprocess.run(
            [sys.executable, "-m", "c2f_zoo", "train", str(recipe)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            env=environment,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "4" in done.stdout

    def test_the_log_level_is_the_user_s_where_it_is_set(self, monkeypatch):
        monkeypatch.setattr(common, "choose_backend", lambda: "jax")
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
        common.start_backend()
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
        common.start_backend()
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


class TestOptions:
    """`--dtype` and `--debug`, which every verb hands on in one place."""

    @pytest.fixture
    def loaded_with(self, monkeypatch):
        from c2f_zoo import hub

        calls = []
        monkeypatch.setattr(common, "start_backend", lambda: "jax")
        monkeypatch.setattr(hub, "load", lambda name, **options: calls.append(options))
        return calls

    @pytest.mark.parametrize(
        "verb",
        [
            *("flow", "interpolate", "denoise", "deblur", "inpaint", "upscale", "generate"),
            "evaluate",
        ],
    )
    def test_every_verb_that_computes_takes_a_dtype(self, monkeypatch, loaded_with, verb):
        words = {"inpaint": ["a", "--mask", "b"], "evaluate": "--dataset x --root y".split()}
        words = [verb, *words.get(verb, ["a"]), "--dtype", "mixed_bfloat16"]
        run = sys.modules[f"c2f_zoo.cli.{verb}"]
        monkeypatch.setattr(run, "run", lambda arguments: common.load_model("any.preset"))
        assert main(words) == 0
        assert loaded_with == [{"dtype": "mixed_bfloat16"}]

    def test_it_holds_for_one_command_only(self, monkeypatch, loaded_with):
        monkeypatch.setattr(models, "run", lambda arguments: common.load_model("any.preset"))
        with common.options_of(argparse.Namespace(dtype="mixed_float16")):
            common.load_model("any.preset")
        main(["models"])
        assert loaded_with == [{"dtype": "mixed_float16"}, {}]

    def test_debug_lets_frameworks_speak(self, monkeypatch):
        monkeypatch.setattr(common, "choose_backend", lambda: "tensorflow")
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
        with common.options_of(argparse.Namespace(debug=True)):
            common.start_backend()
        assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ


@pytest.mark.backend_free
class TestTable:
    def test_numbers_stand_to_the_right_and_gaps_are_shown(self):
        lines = common.table(
            [["zero", 1234567, float("nan")], ["farneback", 5, 0.25]], ["method", "pairs", "EPE"]
        )
        assert lines == [
            "method         pairs    EPE",
            "---------  ---------  -----",
            "zero       1,234,567      -",
            "farneback          5  0.250",
        ]

    def test_nothing_is_a_header(self):
        assert common.table([], ["a", "b"]) == ["a  b", "-  -"]


def test_json_has_no_nan(capsys):
    common.print_json({"a": [float("nan"), float("inf"), 1.5], "b": ("x", None)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "b": ["x", None]}


def test_a_preset_of_another_task_is_named(monkeypatch):
    monkeypatch.setattr(common, "load_model", lambda preset: argparse.Namespace())
    with pytest.raises(common.CommandError, match="optical flow is needed.*other.preset"):
        common.load_flow_model("other.preset")
