"""`c2f train`: finding and running recipes."""

import contextlib
import json
import textwrap
from pathlib import Path

import pytest

from c2f_zoo.cli.main import main
from c2f_zoo.cli.train import NO_RECIPES, split_recipe_arguments

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder with recipes that do nothing but write down how they were called."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "shared_part.py").write_text("GREETING = 'hello'\n")
    (folder / "_private.py").write_text("def main(argv): pass\n")
    (folder / "demo_recipe.py").write_text(
        textwrap.dedent(
            '''
            """Trains nothing,
            quickly.

            More about it.
            """
            import argparse
            import json

            from shared_part import GREETING


            def main(argv):
                parser = argparse.ArgumentParser()
                parser.add_argument("--status", type=int)
                parser.add_argument("--debug", action="store_true")
                parser.add_argument("rest", nargs="*")
                arguments = parser.parse_args(argv)
                with open("called.json", "w") as file:
                    json.dump([GREETING, argv, __name__], file)
                if "fail" in arguments.rest:
                    raise ValueError("no textures")
                if "leave" in arguments.rest:
                    raise SystemExit("enough")
                if "stop" in arguments.rest:
                    raise KeyboardInterrupt
                return arguments.status
            '''
        )
    )
    return tmp_path


def called(repository):
    return json.loads((repository / "called.json").read_text())


def test_a_recipe_runs_by_name_with_its_own_arguments(repository):
    assert main(["train", "demo_recipe", "--debug", "a", "b"]) == 0
    greeting, argv, name = called(repository)
    assert (greeting, argv) == ("hello", ["--debug", "a", "b"])
    assert name != "__main__"


def test_a_recipe_runs_by_path(repository, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    elsewhere.write_text("def main(argv):\n    return len(argv)\n")
    assert main(["train", str(elsewhere), "x", "y", "--z"]) == 3


def test_the_number_of_devices_is_the_command_s_own(repository, capsys):
    for words in (["demo_recipe", "a", "--devices", "1"], ["--devices=1", "demo_recipe", "a"]):
        assert main(["train", *words]) == 0
        assert called(repository)[1] == ["a"]
    for count in ("0", "two"):
        assert main(["train", "demo_recipe", "--devices", count]) == 2
        assert f"a number from 1 up, or all. Received: {count}" in capsys.readouterr().err


def test_micro_batches_are_the_default_of_the_recipe_s_models(tmp_path, capsys):
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from c2f_zoo.training.micro_batches import chosen_parts\n"
        "def main(argv):\n    return chosen_parts(None) if argv == ['a'] else 9\n"
    )
    assert main(["train", str(recipe), "a", "--accumulate", "4"]) == 4
    assert main(["train", str(recipe), "a"]) == 1
    for count in ("0", "all"):
        assert main(["train", str(recipe), "--accumulate", count]) == 2
        assert f"a number from 1 up. Received: {count}" in capsys.readouterr().err


def test_the_hosts_are_the_command_s_own(repository, capsys, monkeypatch):
    from c2f_zoo import training

    asked = []

    @contextlib.contextmanager
    def joined(*hosts):
        asked.append(hosts)
        yield 2

    monkeypatch.setattr(training, "join_hosts", joined)
    address = "10.0.0.1:1234"
    words = ["demo_recipe", "a", "--hosts", f"{address},2,1", "--devices", "all"]
    assert main(["train", *words]) == 0
    assert called(repository)[1] == ["a"]
    assert main(["train", "--hosts=auto", "demo_recipe", "a"]) == 0
    assert asked == [(address, 2, 1), ()]
    for wrong in ("2", address, f"{address},2", f"{address},2,2", f"{address},two,0", "here,2,0"):
        assert main(["train", "demo_recipe", "--hosts", wrong]) == 2
        assert "the number of hosts, and which" in capsys.readouterr().err
    assert main(["train", "demo_recipe", "--hosts", "auto", "--devices", "2"]) == 2
    assert "Received: --devices 2" in capsys.readouterr().err


def test_the_recipe_s_help_is_its_own(repository, capsys):
    assert main(["train", "demo_recipe", "--help"]) == 0
    assert "usage: demo_recipe.py" in capsys.readouterr().out


def test_the_recipe_s_exit_status_is_passed_on(repository):
    assert main(["train", "demo_recipe", "--status", "7"]) == 7
    assert main(["train", "demo_recipe", "--no-such-option"]) == 2


def test_the_recipe_s_errors_are_one_line(repository, capsys):
    assert main(["train", "demo_recipe", "fail"]) == 1
    assert capsys.readouterr().err == "c2f: error: no textures\n"
    assert main(["train", "demo_recipe", "leave"]) == 1
    assert capsys.readouterr().err == "c2f: error: enough\n"
    assert main(["train", "demo_recipe", "stop"]) == 130


def test_debug_before_the_verb_shows_where_a_recipe_failed(repository):
    with pytest.raises(ValueError, match="no textures"):
        main(["--debug", "train", "demo_recipe", "fail"])


def test_the_list_shows_names_and_first_lines(repository, capsys):
    assert main(["train", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("demo_recipe")] == [
        ["demo_recipe", "Trains", "nothing,", "quickly."]
    ]
    assert not any("shared_part" in line or "_private" in line for line in lines)


def test_the_list_holds_the_recipes_of_the_families_and_no_tools(repository, capsys):
    for place in ("flow/small_net", "flow/data", "common/runs", "collect/photos", "measure/flow"):
        file = repository / "training" / f"{place}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'"""About {place}."""\n\n\ndef main(argv):\n    return 5\n')
    (repository / "training" / "flow" / "recipe.py").write_text("def train(): pass\n")
    assert main(["train", "--list"]) == 0
    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert {"small_net", "demo_recipe"} <= set(lines)
    assert not {"data", "runs", "photos", "flow", "recipe"} & set(lines)
    assert main(["train", "small_net"]) == 5


def test_the_repository_s_own_list_holds_a_recipe_for_each_preset(capsys):
    assert main(["train", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = {line.split()[0] for line in lines}
    presets = {path.parent.name for path in (ROOT / "models").glob("*/config.json")}
    assert {name.replace(".", "_") for name in presets} <= names
    tools = {path.stem for tool in NO_RECIPES for path in (ROOT / "training" / tool).glob("*.py")}
    assert not names & tools


@pytest.mark.parametrize("name", ["small_net.photos", "small_net_photos"])
def test_a_recipe_runs_by_the_name_of_the_preset_that_it_makes(repository, name):
    folder = repository / "training" / "restoration"
    folder.mkdir()
    (folder / "small_net_photos.py").write_text("def main(argv):\n    return len(argv)\n")
    assert main(["train", name, "x"]) == 1


def test_a_mistyped_recipe_gets_the_nearest_one(repository, capsys):
    assert main(["train", "demo_recip"]) == 1
    assert "Did you mean 'demo_recipe'?" in capsys.readouterr().err


def test_an_unknown_recipe_lists_those_there_are(repository, capsys):
    assert main(["train", "no_such"]) == 1
    error = capsys.readouterr().err
    assert "demo_recipe" in error and error.endswith("Received: no_such\n")


def test_no_recipe_is_a_wrong_usage(repository, capsys):
    assert main(["train"]) == 2
    assert "demo_recipe" in capsys.readouterr().err


def test_a_file_that_is_no_recipe_is_named(repository, capsys):
    assert main(["train", "training/shared_part.py"]) == 1
    assert "main(argv). Received: training/shared_part.py" in capsys.readouterr().err
    (repository / "broken.py").write_text("def main(:\n")
    assert main(["train", "broken.py"]) == 1
    assert "not readable Python" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "ours", "rest"),
    [
        (["train"], ["train"], []),
        (["train", "--list"], ["train", "--list"], []),
        (["--debug", "train", "a", "-x", "b"], ["--debug", "train", "a"], ["-x", "b"]),
        (["flow", "train", "b.png"], ["flow", "train", "b.png"], []),
        (["train", "a", "--list"], ["train", "a"], ["--list"]),
    ],
)
def test_the_command_line_is_parted_behind_the_recipe(argv, ours, rest):
    assert split_recipe_arguments(argv) == (ours, rest)
