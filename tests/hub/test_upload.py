import importlib.util
import pathlib

import pytest

from c2f_zoo.hub import PresetError, push

pytestmark = pytest.mark.backend_free

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def upload():
    spec = importlib.util.spec_from_file_location("upload", ROOT / "hub_upload" / "upload.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def models(tiny_models, tmp_path):
    tiny_models.TinyFlow().save_pretrained(tmp_path / "models" / "a.test")
    tiny_models.TinyFlow().save_pretrained(tmp_path / "models" / "b.test")
    return tmp_path / "models"


def test_a_rehearsal_names_what_would_be_published(upload, models, capsys):
    arguments = ["--models", str(models), "--organisation", "you", "--dry-run"]
    assert upload.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "you/a.test: would publish 4 files" in printed
    assert "you/b.test: would publish 4 files" in printed
    assert upload.main(["b.test", *arguments]) == 0
    assert "a.test" not in capsys.readouterr().out


def test_one_damaged_preset_does_not_keep_back_the_others(upload, models, capsys):
    (models / "a.test" / "README.md").write_text("another card")
    assert upload.main(["--models", str(models), "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert "a.test: README.md must be the card" in printed.err
    assert "b.test: would publish" in printed.out


def test_an_unknown_preset_lists_those_there_are(upload, models, capsys):
    assert upload.main(["c.test", "--models", str(models)]) == 1
    expected = "Did you mean 'b.test'? It holds: a.test, b.test. Received: 'c.test'"
    assert expected in capsys.readouterr().err


def test_an_empty_folder_has_nothing_to_publish(upload, tmp_path, capsys):
    assert upload.main(["--models", str(tmp_path)]) == 1
    assert "nothing to publish" in capsys.readouterr().err


def test_the_zoos_own_models_can_be_published(upload):
    if list(upload.MODELS.glob("*/config.json")):
        assert upload.main(["--dry-run"]) == 0


def test_what_is_no_preset_is_not_pushed(tmp_path):
    with pytest.raises(PresetError, match=r"not a complete preset: metadata\.json is missing"):
        push(tmp_path, "me/flow", dry_run=True)
