import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from c2f_zoo.data.files.atomic import atomic_write, remove_abandoned, temporary_beside

pytestmark = pytest.mark.backend_free


def test_a_file_appears_with_its_whole_content(tmp_path):
    with atomic_write(tmp_path / "a.txt") as file:
        file.write(b"hello")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"hello"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failure", [ValueError("wrong"), KeyboardInterrupt()])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing(tmp_path, failure):
    (tmp_path / "a.txt").write_bytes(b"old")
    with pytest.raises(type(failure)), atomic_write(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise failure
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_keeps_the_old_file_and_names_the_path(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.txt").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OSError, match=r"No space left on device.*a\.txt") as caught,
        atomic_write(tmp_path / "a.txt") as file,
    ):
        file.write(b"new")
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="into the folder .*nowhere"):
        atomic_write(tmp_path / "nowhere" / "a.txt").__enter__()


def test_a_folder_that_is_not_writable_is_named(tmp_path, monkeypatch):
    def denied(*args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(PermissionError, match=f"into the folder {tmp_path}.*Permission denied"):
        atomic_write(tmp_path / "a.txt").__enter__()


def test_folders_and_devices_are_not_replaced(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        atomic_write(tmp_path).__enter__()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="not a regular file"):
            atomic_write(tmp_path / "pipe").__enter__()


def test_a_symbolic_link_is_followed_and_permissions_are_kept(tmp_path):
    (tmp_path / "real.txt").write_bytes(b"old")
    (tmp_path / "real.txt").chmod(0o640)
    (tmp_path / "link.txt").symlink_to("real.txt")
    with atomic_write(tmp_path / "link.txt") as file:
        file.write(b"new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == b"new"
    assert (tmp_path / "real.txt").stat().st_mode & 0o777 == 0o640


def test_a_new_file_follows_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "a.txt") as file:
            file.write(b"hello")
    finally:
        os.umask(old)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


HALF = """
import sys, time
from c2f_zoo.data.files.atomic import atomic_write
with atomic_write(sys.argv[1]) as file:
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_next_write_removes_what_a_killed_process_left(number, tmp_path):
    arguments = [sys.executable, "-c", HALF, str(tmp_path / "a.txt")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(number)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    with atomic_write(tmp_path / "b.txt") as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_temporaries_of_other_machines_are_removed_after_a_day(tmp_path):
    day = 24 * 3600
    kept, running = tmp_path / ".c2f-00000000-1-01234567.tmp", temporary_beside(tmp_path / "a")
    others = [tmp_path / name for name in (".mine.tmp", f"{kept.name}.old", "c2f-1.tmp")]
    old = [
        temporary_beside(tmp_path / "a", ".mp4"),
        kept.with_name(kept.name.replace("-1-", "-2-")),
    ]
    old[1].mkdir()
    for path in (kept, running, old[0], old[1] / "file", *others):
        path.touch()
    for path in (old[0], old[1] / "file", old[1], *others):
        os.utime(path, (0, time.time() - day - 60))
    remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == {kept, running, *others}
    remove_abandoned(tmp_path / "missing")


def test_a_temporary_folder_counts_as_old_as_its_newest_file(tmp_path):
    folder = tmp_path / ".c2f-00000000-1-01234567.tmp"
    folder.mkdir()
    (folder / "file").touch()
    os.utime(folder, (0, 0))
    remove_abandoned(tmp_path)
    assert folder.exists()


def test_what_a_killed_process_of_the_same_number_left_is_removed(tmp_path):
    # The first process of a container that is restarted.
    ours = temporary_beside(tmp_path / "a")
    left = ours.with_name(f"{ours.name[:-12]}00000000.tmp")
    for path in (ours, left):
        path.write_bytes(b"part")
    remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == [ours.name]
