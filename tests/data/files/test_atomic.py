import errno
import os

import pytest

from c2f_zoo.data.files.atomic import atomic_write


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
