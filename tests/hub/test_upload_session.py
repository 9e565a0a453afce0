"""`python -m hub_upload` with the real Hub client, on a Hub on the loopback."""

import json

import pytest

pytestmark = pytest.mark.backend_free

NAMES = ["README.md", "config.json", "metadata.json", "model.weights.h5"]


@pytest.fixture(scope="module")
def session(tmp_path_factory, loopback_hub, run_on_hub):
    done = run_on_hub(tmp_path_factory.mktemp("home"), loopback_hub.url, "upload_session.py")
    return json.loads(done.stdout.splitlines()[-1])


def test_everything_is_published_verified_and_pinned(session, loopback_hub):
    status, requests, printed, errors = session["first"]
    assert status == 0, errors
    assert "[1/2] you/a.test: new: README.md, config.json, metadata.json" in printed
    assert "v1, verified and pinned" in printed
    for name in ("a.test", "b.test"):
        repository = loopback_hub.repositories[f"you/{name}"]
        head = repository["tags"]["v1"]
        assert sorted(repository["commits"][head]) == [".gitattributes", *NAMES]
        assert session["first pins"][f"you/{name}"] == head
        resolved = [f"GET /you/{name}/resolve/{head}/{file}" for file in NAMES[1:]]
        assert set(resolved) <= set(requests)  # into an empty cache


def test_the_collection_and_the_organisations_card_are_published(session, loopback_hub):
    (collection,) = loopback_hub.collections.values()
    assert [item["id"] for item in collection["items"]] == ["you/a.test", "you/b.test"]
    assert collection["items"][0]["note"]["text"] == "Tests | things."
    space = loopback_hub.repositories["space.you/README"]
    card = space["commits"][space["branches"]["main"]]["README.md"]
    assert b"[b.test](https://huggingface.co/you/b.test)" in loopback_hub.blobs[card]


def test_a_second_run_does_nothing(session):
    status, requests, printed, errors = session["second"]
    assert status == 0, errors
    assert "nothing to do, v1 is" in printed
    assert "its card is up to date; its collection is up to date" in printed
    changing = [line for line in requests if not line.startswith(("GET", "HEAD"))]
    assert changing == ["POST /api/repos/create"]  # of the card, which exists
    assert not [line for line in requests if "weights" in line]


def test_a_rehearsal_shows_what_would_change(session):
    status, requests, printed, errors = session["rehearsed"]
    assert status == 0, errors
    assert "you/a.test: would publish: changed: README.md, metadata.json" in printed
    assert "you/b.test: no change" in printed
    assert not [line for line in requests if not line.startswith(("GET", "HEAD"))]


def test_only_what_changed_is_published(session, loopback_hub):
    status, requests, printed, errors = session["changed"]
    assert status == 0, errors
    assert "you/a.test: changed: README.md, metadata.json; v2, verified and pinned" in printed
    assert "you/b.test: nothing to do, v1" in printed
    assert not [line for line in requests if line.startswith("PUT")]
    assert (
        session["changed pins"]["you/a.test"]
        == loopback_hub.repositories["you/a.test"]["tags"]["v2"]
    )


@pytest.mark.parametrize("place", ["upload", "commit", "tag", "download"])
def test_a_failed_upload_goes_on_where_it_failed(session, place):
    failed, resumed = session[f"failed {place}"], session[f"resumed {place}"]
    assert failed[0] == 1 and "Received: " in failed[3]
    assert (
        session[f"failed {place} pins"] == session["changed pins"]
    )  # pinned is only what was verified
    assert resumed[0] == 0 and "verified and pinned" in resumed[2]
    sent = [line for line in resumed[1] if line.startswith("PUT") or "/commit/" in line]
    assert len(sent) == {"upload": 2, "commit": 1}.get(place, 0)
