"""The real Hub client against a Hub on the loopback, in programs of their own."""

import json
import pathlib
import socket

import pytest

pytestmark = pytest.mark.backend_free

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def run(run_on_hub):
    return lambda *arguments, **settings: run_on_hub(*arguments, **settings).stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("hf_home")


@pytest.fixture(scope="module")
def happened(home, loopback_hub, run):
    return json.loads(run(home, loopback_hub.url, "hub_session.py"))


def test_a_dry_run_checks_everything_and_sends_nothing(happened):
    assert happened["dry run"] == [None, 0]


@pytest.mark.parametrize("name", ["pinned", "main", "branch", "published"])
def test_what_was_pushed_is_loaded_with_equal_weights(happened, name):
    assert happened[name] is True


def test_metadata_is_read_without_the_weights(happened):
    assert happened["metadata"] == "A test."


def test_a_push_deletes_the_shards_of_the_version_before(happened, loopback_hub):
    repository = loopback_hub.repositories["me/flow"]
    files = repository["commits"][repository["branches"]["main"]]
    assert sorted(files) == [
        ".gitattributes",
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]


def test_a_pinned_preset_that_is_cached_asks_the_hub_nothing(happened):
    assert happened["pinned again"] == [True, 0]


def test_offline_takes_what_is_cached_and_asks_nothing(happened):
    assert happened["offline"] == [True, 0]


def test_offline_without_a_cache_says_what_can_be_used(happened):
    message = happened["offline, not cached"]
    assert message.startswith("PresetError: hf://me/flow: Offline mode is on")
    assert "Usable without a network" in message


def test_offline_a_wrong_name_is_compared_with_the_cached_ones(happened):
    message = happened["offline, typo"]
    assert "Did you mean 'flow'?" in message
    assert "In the local Hub cache, usable offline: flow" in message


def test_the_cache_may_be_elsewhere(happened):
    assert happened["other folder"] is True


def test_a_repository_that_is_not_there_is_named(happened):
    message = happened["no repository"]
    assert message.startswith("PresetNotFoundError")
    assert "The Hub has no repository me/nothing" in message


def test_a_name_that_nobody_published_gets_suggestions(happened):
    message = happened["no name"]
    assert message.startswith("PresetNotFoundError: No preset is named 'flo'")
    assert "Did you mean 'flow'?" in message
    assert message.endswith("Received: 'flo'")


def test_a_revision_that_is_not_there_is_named(happened):
    assert "me/flow has no revision 'nothing'" in happened["no revision"]


def test_a_repository_that_is_no_preset_is_refused(happened):
    assert "it has no metadata.json" in happened["no preset"]


def test_an_edited_card_is_not_pushed(happened):
    assert "README.md must be the card of metadata.json" in happened["push of an edited card"]


def test_an_edited_file_is_not_pushed(happened):
    assert "config.json is not the file that was" in happened["push of an edited config"]


def test_a_tampered_download_is_not_opened(happened):
    message = happened["tampered"]
    assert "model.weights.h5 is not the file that was published" in message
    assert "Expected sha256" in message and "Received:" in message


def test_a_damaged_download_is_removed_and_fetched_anew(happened):
    for message in (happened["tampered"], happened["truncated metadata"]):
        assert "It was removed from the local cache" in message
    assert happened["after tampering"] is True
    assert happened["after truncation"] is True


FETCH = """
import sys
from c2f_zoo.hub.download import fetch
for name in sys.argv[1:]:
    try:
        print(fetch(name).metadata["summary"])
    except ValueError as error:
        print(type(error).__name__, str(error).replace(chr(10), " "))
assert "keras" not in sys.modules
"""


def test_an_unreachable_hub_falls_back_on_the_cache_or_says_so(tmp_path, home, happened, run):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        cached = run(home, endpoint, "-c", FETCH, "hf://me/flow")
        missing = run(tmp_path, endpoint, "-c", FETCH, "hf://me/flow", "flow").splitlines()
    assert cached == "A test.\n"
    assert missing[0].startswith(f"PresetError hf://me/flow: {endpoint} could not be reached")
    assert "Usable without a network" in missing[0]
    assert missing[1].startswith("PresetNotFoundError No preset is named 'flow'")


PUSH = """
import sys
from c2f_zoo.hub import push
try:
    push(sys.argv[1], "me/flow")
except ValueError as error:
    print(type(error).__name__, error)
"""


def test_a_push_to_an_unreachable_hub_says_what_to_do(tmp_path, tiny_models, run):
    folder = tiny_models.TinyFlow().save_pretrained(tmp_path / "tiny_flow.test")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        printed = run(tmp_path, endpoint, "-c", PUSH, str(folder))
    assert printed.startswith(f"PresetError tiny_flow.test was not published to {endpoint}/me/flow")
    assert "hf auth login" in printed


def test_the_environment_switches_the_network_off(home, loopback_hub, happened, run):
    before = len(loopback_hub.requests)
    printed = run(
        home, loopback_hub.url, "-c", FETCH, "flow", "hf://me/empty", HF_HUB_OFFLINE="1"
    ).splitlines()
    assert printed[0] == "A test."
    assert "Offline mode is on" in printed[1]
    assert len(loopback_hub.requests) == before
