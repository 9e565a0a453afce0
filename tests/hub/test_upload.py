import json
import pathlib

import pytest

from c2f_zoo.hub import PresetError, list_presets, push, read_metadata
from hub_upload import validation
from hub_upload.__main__ import MODELS, main
from hub_upload.organisation import render_organisation

pytestmark = pytest.mark.backend_free

SAID = {
    "licence": "MIT",
    "summary": "Tests | things.",
    "training_data": [{"name": "None", "licence": "CC0-1.0", "attribution": "Nobody"}],
}


@pytest.fixture
def models(tiny_models, tmp_path, monkeypatch):
    for name in ("a.test", "b.test"):
        tiny_models.GoldenFlow().save_pretrained(tmp_path / "models" / name, SAID, golden=True)
    # Nothing listens there.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "models"


def change(folder, **fields):
    """Writes a preset's metadata anew, with its card."""
    from c2f_zoo.hub import render_card

    record = {**json.loads((folder / "metadata.json").read_text()), **fields}
    (folder / "metadata.json").write_text(json.dumps(record))
    (folder / "README.md").write_text(render_card(record))


def test_a_rehearsal_names_what_would_be_published(models, capsys):
    arguments = ["--models", str(models), "--org", "you", "--dry-run"]
    assert main(["--all", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "[1/2] you/a.test: would publish 4 files, or those that differ; " in printed
    assert "[2/2] you/b.test: would publish" in printed
    assert "could not be compared" in printed
    assert "| [a.test](https://huggingface.co/you/a.test) | 14 | MIT | Tests / things. |" in printed
    assert main(["b.test", *arguments]) == 0
    assert "a.test" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"licence": ""}, "a licence must be stated"),
        ({"training_data": []}, "the training data must be stated"),
        ({"training_data": [{"name": "X", "licence": "MIT"}]}, "needs its attribution"),
        ({"training_data": [{"name": "X", "attribution": "Y"}]}, "needs its licence"),
        ({"name": "another"}, "named as its folder"),
        ({"golden": None}, "must hold the golden output"),
    ],
)
def test_what_is_not_stated_keeps_a_preset_back(models, capsys, fields, message):
    change(models / "a.test", **fields)
    assert main(["--all", "--models", str(models), "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert "b.test: would publish" in printed.out  # the others are published all the same


def test_an_output_that_is_not_reproduced_keeps_a_preset_back(models, capsys):
    golden = read_metadata(models / "a.test")["golden"]
    golden["values"][0] += 0.1
    change(models / "a.test", golden=golden)
    assert main(["a.test", "--models", str(models), "--dry-run"]) == 1
    assert "does not reproduce the golden output" in capsys.readouterr().err


def test_an_edited_card_or_file_keeps_a_preset_back(models, capsys):
    (models / "a.test" / "README.md").write_text("another card")
    (models / "b.test" / "config.json").write_text("{}")
    assert main(["--all", "--models", str(models), "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert "a.test: README.md must be the card" in printed.err
    assert "b.test: config.json is truncated" in printed.err


def test_an_unknown_preset_lists_those_there_are(models, capsys):
    assert main(["c.test", "--models", str(models)]) == 1
    expected = "Did you mean 'b.test'? It holds: a.test, b.test. Received: 'c.test'"
    assert expected in capsys.readouterr().err


def test_an_empty_folder_has_nothing_to_publish(tmp_path, capsys):
    assert main(["--all", "--models", str(tmp_path)]) == 1
    assert "nothing to publish" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--all", "a.test"]])
def test_presets_are_named_or_all(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "name presets, or give --all" in capsys.readouterr().err


def test_the_zoos_own_models_state_their_terms():
    for path in MODELS.glob("*/config.json"):
        push(path.parent, f"me/{path.parent.name}", dry_run=True)
        validation.check_terms(read_metadata(path.parent), path.parent.name)


def test_the_organisations_card_lists_the_zoos_models_by_task():
    card = render_organisation([preset.path for preset in list_presets()], "c2f-zoo")
    assert card.startswith("---\ntitle: README\nsdk: static\n")
    assert card.index("## Optical flow") < card.index("pwcnet_lite.scenes](https")
    assert all(f"[{preset.name}]" in card for preset in list_presets())


def test_what_is_no_preset_is_not_pushed(tmp_path):
    with pytest.raises(PresetError, match=r"not a complete preset: metadata\.json is missing"):
        push(tmp_path, "me/flow", dry_run=True)


def test_no_pin_of_a_test_reaches_the_package():
    from c2f_zoo.hub import resolving

    assert pathlib.Path(resolving.PINS).name == "pins.json"
    assert not [repo for repo in json.loads(resolving.PINS.read_text()) if repo.startswith("you/")]
