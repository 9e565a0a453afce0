"""Loading with the real Hub client, from a Hub on the loopback that fails in every way."""

import json

import pytest

pytestmark = pytest.mark.backend_free

TOKEN = "hf_" + "Tok3n" * 6


@pytest.fixture(scope="module")
def session(tmp_path_factory, loopback_hub, run_on_hub):
    loopback_hub.repositories["me/old-name"] = {"state": {"to": "me/faulty"}}
    home = tmp_path_factory.mktemp("hf_home")
    return run_on_hub(home, loopback_hub.url, "fault_session.py", HF_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def happened(session):
    return json.loads(session.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["429 once", "429 for the first file"])
def test_a_busy_hub_is_asked_again_when_it_said(happened, name):
    assert happened[name]["outcome"] is True
    assert sum(happened[name]["slept"]) >= 7


def test_a_hub_that_is_busy_for_long_is_not_waited_for(happened):
    told = happened["429 for long"]
    assert told["slept"] == []
    assert "asks for fewer requests: try again in 600 s" in told["outcome"]


@pytest.mark.parametrize("name", ["500 once", "503 for the first file"])
def test_a_failure_of_a_moment_is_passed_over(happened, name):
    assert happened[name]["outcome"] is True
    assert 1.0 in happened[name]["slept"]


@pytest.mark.parametrize("name", ["500 for ever", "500 for ever, first file"])
def test_a_failing_hub_is_told_after_three_times(happened, name):
    assert "The Hub has a failure of its own: try again later" in happened[name]["outcome"]
    assert happened[name]["slept"] == [1.0, 3.0]


@pytest.mark.parametrize(("name", "rest"), [("cut", 2), ("cut at once", 2)])
def test_a_cut_connection_is_resumed(happened, name, rest):
    assert happened[name]["outcome"] is True
    got = [
        line for line in happened[name]["requests"] if line.startswith("GET") and "weights" in line
    ]
    assert len(got) == rest


def test_a_connection_that_is_always_cut_is_told(happened):
    assert "model.weights.h5 could not be downloaded" in happened["cut for ever"]["outcome"]


def test_the_cache_is_never_poisoned(happened):
    for name, told in happened.items():
        if isinstance(told, dict) and name != "longer":  # which it is in the second try, too
            assert told["after"] is True, name
            assert told["left"] == [], name


def test_a_refused_token_says_to_log_in_anew(happened):
    told = happened["token refused"]["outcome"]
    assert told.startswith("PresetError") and "The token was refused: `hf auth login`" in told


def test_a_private_repository_says_to_log_in(happened):
    told = happened["private"]["outcome"]
    assert "or it is private" in told and "set HF_TOKEN or `hf auth login`" in told


def test_a_gated_repository_says_to_accept_its_terms(happened):
    told = happened["gated"]["outcome"]
    assert "visit https://huggingface.co/me/faulty and accept its terms" in told


def test_a_wrong_name_gets_the_nearest_of_the_owners(happened):
    assert "Did you mean 'hf://me/faulty'?" in happened["typo"]["outcome"]


def test_a_renamed_repository_is_loaded_and_its_new_name_told(happened):
    assert happened["renamed"]["outcome"] is True
    assert "me/old-name was renamed: load hf://me/faulty from now on" in happened["warned"]


def test_a_file_of_another_length_is_not_downloaded(happened):
    told = happened["longer"]
    assert "is not the file that was published, so it was not downloaded" in told["outcome"]
    assert not [line for line in told["requests"] if line.startswith("GET") and "weights" in line]


def test_a_full_disk_is_told_and_leaves_nothing(happened):
    assert "The disk is full: free some space" in happened["full disk"]
    assert happened["full disk, left"] == []
    assert happened["full disk, after"] is True


def test_two_processes_at_once_share_a_cache(happened):
    assert happened["two at once"] == [0, 0]
    assert happened["two at once, after"] is True


@pytest.mark.parametrize("repo", ["me/plain", "me/shards"])
def test_what_keras_puts_on_the_hub_is_loaded(happened, repo):
    assert happened[repo] is True and happened[f"{repo} again"] is True


def test_no_token_is_told(happened, session):
    assert happened["told token"]["outcome"].startswith("PresetError")
    assert TOKEN not in session.stdout + session.stderr
