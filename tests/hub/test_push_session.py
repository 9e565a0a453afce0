"""Publishing with the real Hub client, on a Hub on the loopback."""

import json

import pytest

pytestmark = pytest.mark.backend_free

NAMES = ["README.md", "config.json", "metadata.json", "model.weights.h5"]
TOKEN = "hf_" + "Tok3n" * 6


@pytest.fixture(scope="module")
def session(tmp_path_factory, loopback_hub, run_on_hub):
    home = tmp_path_factory.mktemp("hf_home")
    return home, run_on_hub(home, loopback_hub.url, "push_session.py", HF_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def happened(session):
    return json.loads(session[1].stdout.splitlines()[-1])


def files_of(hub, repo, branch="main"):
    repository = hub.repositories[repo]
    return repository["commits"][repository["branches"][branch]]


def test_a_model_is_pushed_in_one_line(happened, loopback_hub):
    assert happened["pushed"] == ["me/mine", NAMES, NAMES]
    assert happened["loaded"] is True
    assert loopback_hub.messages[0] == "First"
    assert loopback_hub.repositories["me/mine"]["private"] is True


def test_config_weights_metadata_and_card_go_in_one_commit(happened, loopback_hub):
    assert len(loopback_hub.repositories["me/mine"]["commits"]) == 2  # the first is the Hub's own


def test_a_second_push_of_the_same_changes_nothing(happened):
    assert happened["again"] == []
    assert len(happened["again, commit"]) == 40


def test_only_what_changed_is_sent(happened):
    changed, same, said = happened["new card"]
    assert changed == ["README.md", "metadata.json"]
    assert same == ["config.json", "model.weights.h5"]
    assert said == "changed: README.md, metadata.json"


def test_a_failed_commit_leaves_the_branch_as_it_was(happened):
    assert "has a failure of its own: try again" in happened["failed commit"]
    assert happened["after a failed commit"] is True


def test_what_a_failed_push_has_sent_is_not_sent_again(happened):
    assert not [line for line in happened["resumed"] if line.startswith("PUT")]
    assert [line for line in happened["resumed"] if "/commit/" in line] == [
        "POST /api/models/me/other/commit/main"
    ]


def test_only_the_files_of_a_preset_leave_the_machine(happened, loopback_hub):
    assert sorted(files_of(loopback_hub, "me/other")) == [".gitattributes", *NAMES]
    for data in loopback_hub.blobs.values():
        assert b"secret" not in data and b"HF_TOKEN" not in data


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "Log in"), (403, "may not write there"), (429, "try again later")]
)
def test_a_refusal_says_what_to_do(happened, status, advice):
    assert advice in happened[f"refused {status}"]


def test_a_token_is_in_no_error_log_or_file(happened, session, loopback_hub):
    home, done = session
    assert f"Bearer {TOKEN}" in loopback_hub.headers  # it was used
    for name in ("a token of two lines", "a token for a name", "a Hub that tells the token"):
        assert happened[name].startswith("PresetError: ")
        told = happened[name] + happened[f"{name}, traceback"]
        assert "S3cret" not in told and "Ech0ed" not in told
    assert "S3cret" not in done.stderr and "DEBUG" in done.stderr
    assert TOKEN not in done.stderr + done.stdout
    for path in home.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
    for data in loopback_hub.blobs.values():
        assert TOKEN.encode() not in data


def test_the_command_pushes_a_folder(happened, session, loopback_hub):
    assert happened["c2f"] == [0, 0, 0, 1, 1]
    printed = session[1].stdout
    assert "me/cli: new: README.md, config.json, metadata.json, model.weights.h5" in printed
    assert "4 files" in printed and "nothing was sent" in printed
    assert "me/cli: no change" in printed
    assert sorted(files_of(loopback_hub, "me/cli", "b")) == [".gitattributes", *NAMES]
    assert "By c2f" in loopback_hub.messages
    errors = session[1].stderr
    assert "owner/name, in letters, digits and .-_ . Received: 'no-owner'" in errors
    assert "DIR is the folder of a preset. Received: " in errors
