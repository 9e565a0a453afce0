"""Pushes a preset to the Hub of HF_ENDPOINT again and again; prints what happened as JSON.

A program of its own, because huggingface_hub reads its settings when it is imported.
"""

import json
import logging
import os
import pathlib
import sys
import tempfile
import time
import traceback
import urllib.request

import huggingface_hub
import numpy as np
from tiny_models import TinyFlow

from c2f_zoo.cli.main import main as c2f
from c2f_zoo.hub import load, push

happened = {}
ENDPOINT = os.environ["HF_ENDPOINT"]


def record(name, action):
    try:
        happened[name] = action()
    except ValueError as error:
        happened[name] = f"{type(error).__name__}: {error}"
        happened[f"{name}, traceback"] = "".join(traceback.format_exception(error))


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{ENDPOINT}/{path}", data=data) as answer:
        return json.load(answer)


def during(action):
    """The requests that change something, while `action` runs."""
    before = len(ask("requests"))
    action()
    return [line for line in ask("requests")[before:] if not line.startswith(("GET", "HEAD"))]


def equal(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def main():
    time.sleep = lambda seconds: None  # the client waits before it tries again
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
    huggingface_hub.logging.set_verbosity_debug()
    model = TinyFlow()
    done = model.push_to_hub("me/mine", {"licence": "MIT"}, private=True, commit_message="First")
    happened["pushed"] = [done.repo_id, list(done.files), list(done.changes.added)]
    record("loaded", lambda: equal(load("hf://me/mine"), model))

    folder = pathlib.Path(tempfile.mkdtemp()) / "mine"
    model.save_pretrained(folder, {"licence": "MIT", "repo_id": "me/other"})
    push(folder, "me/other")
    happened["again"] = during(lambda: push(folder, "me/other"))
    happened["again, commit"] = push(folder, "me/other").changes.head
    model.save_pretrained(folder, {"licence": "MIT", "repo_id": "me/other", "summary": "More."})
    changes = push(folder, "me/other").changes
    happened["new card"] = [list(changes.changed), list(changes.unchanged), str(changes)]

    secret = folder / "secret.txt"
    secret.write_text("secret")
    (folder / ".env").write_text("HF_TOKEN=hf_abc")
    (folder / "optimizer.weights.h5").write_text("secret")
    TinyFlow(channels=6).save_pretrained(folder.with_name("new"))
    for path in folder.with_name("new").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    # A large file goes up, and then the commit fails: the branch keeps its commit.
    ask("faults", [{"match": "POST .*/commit/main", "status": 500, "times": 99}])
    record("failed commit", lambda: push(folder, "me/other"))
    record("after a failed commit", lambda: equal(load("hf://me/other"), model))
    ask("faults", [])
    happened["resumed"] = during(lambda: push(folder, "me/other"))

    for status in (401, 403, 429):
        ask("faults", [{"match": ".*me/new.*", "status": status, "times": 99}])
        record(f"refused {status}", lambda: push(folder, "me/new"))
    ask("faults", [])
    token = "hf_" + "S3cret" * 5
    # No header may hold a line's end: the transport quotes such a token in its error.
    record("a token of two lines", lambda: push(folder, "me/new", token=f"{token}\nx"))
    record("a token for a name", lambda: push(folder, f"{token}/a/b"))
    ask(
        "faults",
        [
            {
                "match": ".*me/new.*",
                "status": 400,
                "headers": {"X-Error-Message": "hf_" + "Ech0ed" * 5},
            }
        ],
    )
    record("a Hub that tells the token", lambda: push(folder, "me/new"))
    ask("faults", [])

    happened["c2f"] = [
        c2f(["push", str(folder), "me/cli", "--dry-run"]),
        c2f(["push", str(folder), "me/cli", "--private", "--revision", "b", "-m", "By c2f"]),
        c2f(["push", str(folder), "me/cli", "--revision", "b", "--dry-run"]),
        c2f(["push", str(folder), "no-owner"]),
        c2f(["push", str(folder / "nothing"), "me/cli"]),
    ]
    json.dump(happened, sys.stdout)


main()
