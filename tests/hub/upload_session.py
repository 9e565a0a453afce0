"""Publishes presets by `python -m hub_upload`, again and again; prints what happened as JSON."""

import contextlib
import io
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.request

from tiny_models import GoldenFlow

from hub_upload.__main__ import main as upload

happened = {}
ENDPOINT = os.environ["HF_ENDPOINT"]
HOME = pathlib.Path(tempfile.mkdtemp())
SAID = {
    "licence": "MIT",
    "summary": "Tests | things.",
    "training_data": [{"name": "None", "licence": "CC0-1.0", "attribution": "Nobody"}],
}


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{ENDPOINT}/{path}", data=data) as answer:
        return json.load(answer)


def record(name, *arguments):
    """Runs the program; keeps its status, the requests, and what it printed."""
    before = len(ask("requests"))
    out, err = io.StringIO(), io.StringIO()
    places = ["--models", str(HOME / "models"), "--pins", str(HOME / "pins.json"), "--org", "you"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = upload([*arguments, *places])
    happened[name] = [status, ask("requests")[before:], out.getvalue(), err.getvalue()]
    happened[f"{name} pins"] = json.loads((HOME / "pins.json").read_text())


def save(model, name, **said):
    model.save_pretrained(HOME / "models" / name, {**SAID, **said}, golden=True)


def main():
    time.sleep = lambda seconds: None  # the client waits before it tries again
    save(GoldenFlow(), "a.test")
    save(GoldenFlow(), "b.test")
    record("first", "--all")
    record("second", "--all")
    save(GoldenFlow(), "a.test", limits=["Tests."])
    record("rehearsed", "--all", "--dry-run")
    record("changed", "--all")
    for number, (place, request) in enumerate(
        {
            "upload": "PUT /large/.*",
            "commit": "POST .*/commit/main",
            "tag": "POST .*/tag/.*",
            "download": "GET /you/.*/model.weights.h5",
        }.items()
    ):
        model = GoldenFlow()
        model.head.bias.assign([1.0 + number, 0.0])
        save(model, f"{place}.test")
        ask("faults", [{"match": request, "status": 500, "times": 99}])
        record(f"failed {place}", f"{place}.test")
        ask("faults", [])
        record(f"resumed {place}", f"{place}.test")
        # So that what is pinned is compared with the same in every case.
        pins = json.loads((HOME / "pins.json").read_text())
        pins.pop(f"you/{place}.test")
        (HOME / "pins.json").write_text(json.dumps(pins))
    shutil.rmtree(HOME)
    json.dump(happened, sys.stdout)


main()
