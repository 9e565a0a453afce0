"""Caches that were interrupted, or damaged afterwards."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from c2f_zoo.data import ImageCache
from tests.data.images.image_files import caches_in

pytestmark = pytest.mark.backend_free

BUILD = """
import signal, sys, time
# A test run in the background of a shell inherits SIGINT ignored; a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)
import c2f_zoo.data.images.cache as module
def slow(*arguments):
    print("started", flush=True)
    time.sleep(0.2)
    return fit(*arguments)
fit, module.fit_image = module.fit_image, slow
module.ImageCache.from_folder(sys.argv[1], 8, cache=sys.argv[2], progress=False, threads=1)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_no_half_cache(number, pictures, cached, tmp_path):
    caches = tmp_path / "caches"
    arguments = [sys.executable, "-c", BUILD, str(pictures), str(caches)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(number)
    process.wait(timeout=30)
    left = caches_in(tmp_path)
    assert all(name.startswith(".c2f-") for name in left)
    assert len(left) == (number == signal.SIGKILL)
    cache = cached(pictures)
    assert len(cache) == 6 and caches_in(tmp_path) == [cache.folder.name]


def test_a_full_disk_leaves_nothing(pictures, cached, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cached(pictures)
    assert caches_in(tmp_path) == []


def test_a_cache_that_another_process_finished_first_is_taken(pictures, cached, monkeypatch):
    theirs = cached(pictures)
    kept = theirs.folder.with_name("kept")
    theirs.folder.rename(kept)
    rename = os.rename

    def late(source, target):
        rename(kept, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert cached(pictures).folder == theirs.folder
    assert len(list(theirs.folder.parent.iterdir())) == 1


def test_a_damaged_cache_says_what_to_do(pictures, cached, tmp_path):
    cache = cached(pictures)
    with open(cache.folder / "4x4.npy", "r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match=r"damaged: delete the folder.*Received: "):
        cached(pictures)
    (cache.folder / "about.json").write_text("{}")
    with pytest.raises(ValueError, match=r"damaged: delete the folder.*Received: "):
        ImageCache(cache.folder)
    with pytest.raises(FileNotFoundError, match=f"no image cache. Received: {tmp_path}$"):
        ImageCache(tmp_path)


def change_about(name, value):
    def change(folder):
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps({**about, name: value}))

    return change


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def save(name, array):
    return lambda folder: np.save(folder / name, array, allow_pickle=True)


def replace_by_pipe(name):
    def change(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


HEADER = b"\x93NUMPY\x01\x00\x10\x00"


@pytest.mark.parametrize(
    "damage",
    [
        write("about.json", b""),
        write("about.json", b"null"),
        write("about.json", b"\xff\xfe"),
        write("about.json", b"[" * 100_000),
        change_about("resolutions", None),
        change_about("resolutions", []),
        change_about("resolutions", [[4], [8, 8]]),
        change_about("count", None),
        change_about("count", 5),
        change_about("channels", None),
        change_about("skipped", None),
        change_about("grey", 1),
        change_about("classes", 2),
        write("4x4.npy", b""),
        write("4x4.npy", HEADER + b"{'descr': (((((\n"),
        write("4x4.npy", HEADER + b"'\n" * 8),
        write("4x4.npy", b"PK\x05\x06" + bytes(18)),
        save("8x8.npy", np.zeros((6, 8, 8, 1), np.uint8)),
        save("8x8.npy", np.zeros((6, 8, 8, 3), np.float32)),
        save("labels.npy", np.zeros(5, np.int64)),
        save("labels.npy", np.zeros((6, 1), np.int64)),
        save("labels.npy", np.zeros(6, np.float32)),
        save("labels.npy", np.array([None] * 6)),
        write("labels.npy", b""),
        write("labels.npy", HEADER + b"{'descr': (((((\n"),
        replace_by_pipe("about.json"),
        replace_by_pipe("8x8.npy"),
        replace_by_pipe("labels.npy"),
    ],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_any_damage_of_a_cache_is_told_as_such(damage, tmp_path, rng):
    images = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    options = {"labels": range(6), "cache": tmp_path, "progress": False}
    folder = ImageCache.from_arrays(images, **options).folder
    damage(folder)
    with pytest.raises(ValueError, match=f"{folder} is damaged: delete the folder.*Received: "):
        ImageCache(folder)


def test_a_cache_that_does_not_say_its_channels_has_three(pictures, cached):
    cache = cached(pictures)
    about = json.loads((cache.folder / "about.json").read_text())
    del about["channels"]
    (cache.folder / "about.json").write_text(json.dumps(about))
    assert ImageCache(cache.folder).channels == 3
