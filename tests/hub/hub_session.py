"""Pushes presets to the Hub of HF_ENDPOINT and loads them back; prints what happened as JSON.

A program of its own, because huggingface_hub reads its settings when it is imported.
"""

import json
import os
import pathlib
import sys
import tempfile
import urllib.request

import keras
import numpy as np
from tiny_models import TinyFlow

from c2f_zoo.hub import load, push, read_metadata

happened = {}


def record(name, action):
    try:
        happened[name] = action()
    except ValueError as error:
        happened[name] = f"{type(error).__name__}: {error}"


def count():
    with urllib.request.urlopen(f"{os.environ['HF_ENDPOINT']}/count") as answer:
        return json.load(answer)["count"]


def equal(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def main():
    folder = pathlib.Path(tempfile.mkdtemp()) / "tiny_flow.test"
    first, second = TinyFlow(), TinyFlow(channels=5)
    said = {"licence": "MIT", "summary": "A test."}

    first.save_pretrained(folder, said, max_shard_size=1e-6)
    happened["dry run"] = [push(folder, "me/flow", dry_run=True).commit, count()]
    commit = push(folder, "me/flow").commit
    second.save_pretrained(folder, said)
    push(folder, "me/flow")
    third = TinyFlow(channels=6)
    third.save_pretrained(folder, said)
    push(folder, "me/flow", revision="experiment")

    pinned = f"hf://me/flow@{commit}"
    record("pinned", lambda: equal(load(pinned), first))
    record("main", lambda: equal(load("hf://me/flow"), second))
    record("branch", lambda: equal(TinyFlow.from_pretrained("hf://me/flow@experiment"), third))
    record("published", lambda: equal(load("flow"), second))
    record("metadata", lambda: read_metadata("hf://me/flow")["summary"])

    before = count()
    record("pinned again", lambda: [equal(load(pinned), first), count() - before])
    record("offline", lambda: [equal(load("flow", offline=True), second), count() - before])
    elsewhere = tempfile.mkdtemp()
    record("offline, not cached", lambda: load("hf://me/flow", offline=True, cache_dir=elsewhere))
    record("offline, typo", lambda: load("flwo", offline=True))
    record("other folder", lambda: equal(load("flow", cache_dir=elsewhere), second))

    record("no repository", lambda: load("hf://me/nothing"))
    record("no name", lambda: load("flo"))
    record("no revision", lambda: load("hf://me/flow@nothing"))
    record("no preset", lambda: load("hf://me/empty"))

    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card + "More.\n")
    record("push of an edited card", lambda: push(folder, "me/flow"))
    (folder / "README.md").write_text(card)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace("6", "7"))
    record("push of an edited config", lambda: push(folder, "me/flow"))

    cache = tempfile.mkdtemp()
    urllib.request.urlopen(f"{os.environ['HF_ENDPOINT']}/tamper", data=b"").close()
    record("tampered", lambda: load("hf://me/flow", cache_dir=cache))
    urllib.request.urlopen(f"{os.environ['HF_ENDPOINT']}/tamper", data=b"").close()  # and back
    record("after tampering", lambda: equal(load("hf://me/flow", cache_dir=cache), second))
    (metadata,) = pathlib.Path(cache).glob("*/snapshots/*/metadata.json")
    metadata.write_text("{")
    record("truncated metadata", lambda: load("hf://me/flow", cache_dir=cache))
    record("after truncation", lambda: equal(load("hf://me/flow", cache_dir=cache), second))
    happened["backend"] = keras.backend.backend()
    json.dump(happened, sys.stdout)


main()
