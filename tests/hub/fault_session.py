"""Loads a preset from a Hub that fails in every way; prints what happened as JSON."""

import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import warnings

import huggingface_hub
import keras
import numpy as np
from tiny_models import TinyFlow

from c2f_zoo.hub import load, push
from c2f_zoo.hub.download import fetch

happened = {}
ENDPOINT = os.environ["HF_ENDPOINT"]
NAME = "hf://me/faulty"
WEIGHTS = "GET /me/faulty/resolve/.*/model.weights.h5"
slept = []


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{ENDPOINT}/{path}", data=data) as answer:
        return json.load(answer)


def equal(model, other):
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def main():
    time.sleep = slept.append
    model = TinyFlow(channels=16)
    folder = pathlib.Path(tempfile.mkdtemp()) / "faulty"
    push(model.save_pretrained(folder, {"licence": "MIT"}), "me/faulty")

    def attempt(name, *faults, source=NAME, cache=None):
        """Loads from an empty cache while the Hub has faults, and once more without."""
        cache = cache or tempfile.mkdtemp()
        slept.clear()
        ask("faults", list(faults))
        before = len(ask("requests"))
        try:
            outcome = equal(load(source, cache_dir=cache), model)
        except ValueError as error:
            outcome = f"{type(error).__name__}: {error}"
            happened[f"{name}, traceback"] = "".join(traceback.format_exception(error))
        requests = ask("requests")[before:]
        ask("faults", [])
        left = [path.name for path in pathlib.Path(cache).rglob("*.incomplete")]
        after = None
        with contextlib.suppress(ValueError):
            after = equal(load(NAME, cache_dir=cache), model)
        happened[name] = {
            "outcome": outcome,
            "slept": list(slept),
            "requests": requests,
            "left": left,
            "after": after,
        }

    limit = {"status": 429, "headers": {"Retry-After": "7"}}
    attempt("429 once", {"match": WEIGHTS, **limit})
    attempt("429 for the first file", {"match": "HEAD .*metadata.json", **limit})
    attempt(
        "429 for long",
        {"match": ".*metadata.json", "times": 99, "status": 429, "headers": {"Retry-After": "600"}},
    )
    attempt("500 once", {"match": WEIGHTS, "status": 500})
    attempt("503 for the first file", {"match": "HEAD .*metadata.json", "status": 503, "times": 2})
    attempt("500 for ever", {"match": WEIGHTS, "status": 500, "times": 99})
    attempt("500 for ever, first file", {"match": ".*metadata.json", "status": 500, "times": 99})
    attempt("cut", {"match": WEIGHTS, "cut": 1000})
    attempt("cut at once", {"match": WEIGHTS, "cut": 0})
    attempt("cut for ever", {"match": WEIGHTS, "cut": 0, "times": 99})
    attempt(
        "token refused",
        {
            "match": ".*metadata.json",
            "status": 401,
            "times": 9,
            "headers": {"X-Error-Message": "Invalid credentials in Authorization header"},
        },
    )
    attempt(
        "private",
        {
            "match": ".*metadata.json",
            "status": 401,
            "times": 9,
            "headers": {"X-Error-Code": "RepoNotFound"},
        },
    )
    attempt(
        "gated",
        {
            "match": ".*metadata.json",
            "status": 403,
            "times": 9,
            "headers": {"X-Error-Code": "GatedRepo"},
        },
    )
    attempt("typo", source="hf://me/fautly")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        attempt("renamed", source="hf://me/old-name")
    happened["warned"] = [str(warning.message) for warning in caught]
    token = os.environ["HF_TOKEN"]
    attempt(
        "told token",
        {
            "match": ".*metadata.json",
            "status": 400,
            "times": 9,
            "headers": {"X-Error-Message": token},
        },
    )

    # A file of another length is not even downloaded.
    ask("grow", {"repo": "me/faulty", "file": "model.weights.h5"})
    attempt("longer")
    ask("grow", {"repo": "me/faulty", "file": "model.weights.h5"})

    # A disk without room: no file may grow beyond this.
    cache = tempfile.mkdtemp()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        fetch(NAME, cache_dir=cache)
        happened["full disk"] = "no error"
    except ValueError as error:
        happened["full disk"] = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    happened["full disk, left"] = [p.name for p in pathlib.Path(cache).rglob("*.incomplete")]
    happened["full disk, after"] = equal(load(NAME, cache_dir=cache), model)

    # Two processes at once, into one empty cache.
    cache = tempfile.mkdtemp()
    program = f"from c2f_zoo.hub.download import fetch; fetch({NAME!r}, cache_dir={cache!r})"
    both = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    happened["two at once"] = [process.wait() for process in both]
    happened["two at once, after"] = equal(load(NAME, cache_dir=cache), model)

    # What Keras itself puts on the Hub.
    from c2f_zoo.models import SRParaConvNet

    plain = SRParaConvNet(width=4)
    folder = tempfile.mkdtemp()
    keras.src.saving.saving_lib.save_model(plain, folder, zipped=False)
    api = huggingface_hub.HfApi()
    for repo, shards in (("me/plain", False), ("me/shards", True)):
        if shards:
            os.unlink(f"{folder}/model.weights.h5")
            plain.save_weights(f"{folder}/model.weights.json", max_shard_size=2e-6)
        api.create_repo(repo)
        api.upload_folder(repo_id=repo, folder_path=folder)
        happened[repo] = equal(load(f"hf://{repo}"), plain)
        happened[f"{repo} again"] = equal(load(f"hf://{repo}"), plain)
    json.dump(happened, sys.stdout)


main()
