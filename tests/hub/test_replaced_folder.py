import errno
import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest

from c2f_zoo.hub import PresetSaveError, atomic as module
from c2f_zoo.hub.atomic import replaced_folder

pytestmark = pytest.mark.backend_free


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "a").write_text("old")
    return folder


def replace(target, text="new"):
    with replaced_folder(target, {"a", "b"}) as folder:
        (folder / "b").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_replaced_whole(target):
    replace(target)
    assert names(target) == ["b"]
    assert names(target.parent) == ["target"]


def test_parents_are_created(tmp_path):
    replace(tmp_path / "x" / "y")
    assert (tmp_path / "x" / "y" / "b").read_text() == "new"


def test_a_link_to_a_folder_stays_a_link(target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(target)
    replace(link)
    assert link.is_symlink() and names(target) == ["b"]


def test_others_may_read_the_new_folder_as_any_other(target):
    before = os.umask(0o022)
    try:
        replace(target)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("step", ["rename old", "rename new", "fsync"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_an_interruption_at_any_step_leaves_one_whole_folder(
    target, monkeypatch, step, after, error
):
    real, calls = getattr(os, step.split()[0]), []

    def interrupted(*arguments):
        calls.append(arguments)
        here = len(calls) == (2 if step == "rename new" else 1)
        if not here or after:
            real(*arguments)
        if here:
            raise error

    monkeypatch.setattr(module.os, step.split()[0], interrupted)
    with pytest.raises((KeyboardInterrupt, PresetSaveError)):
        replace(target)
    monkeypatch.undo()
    assert names(target) == (["b"] if step == "rename new" and after else ["a"])
    assert names(target.parent) == ["target"]


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "target").write_text("a file")
    with pytest.raises(PresetSaveError, match="A folder was expected"):
        replace(tmp_path / "target")
    with pytest.raises(PresetSaveError, match="A folder was expected"):
        replace(tmp_path / "target" / "below")
    assert (tmp_path / "target").read_text() == "a file"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_place_that_cannot_be_written_is_told(target, monkeypatch, code):
    def refuse(*_arguments, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.pathlib.Path, "mkdir", refuse)
    with pytest.raises(PresetSaveError, match="choose another folder") as caught:
        replace(target)
    assert caught.value.errno == code
    assert str(target) in str(caught.value)
    assert names(target) == ["a"]


def test_a_read_only_folder_is_not_replaced(target, monkeypatch):
    # Administrators may write everywhere, so the answer is given here and not by the disk.
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    with pytest.raises(PresetSaveError, match="You may not write there"):
        replace(target)
    assert names(target) == ["a"]


KILLED = """
import os, pathlib, signal, sys
from c2f_zoo.hub.atomic import replaced_folder
target, place = pathlib.Path(sys.argv[1]), sys.argv[2]
rename = os.rename
def rename_and_die(*paths):
    rename(*paths)
    os.kill(os.getpid(), signal.SIGKILL)
if place == "between the renames":
    os.rename = rename_and_die
with replaced_folder(target, {"a", "b"}) as folder:
    (folder / "half").write_text("half")
    if place == "while writing":
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("place", ["while writing", "between the renames"])
def test_what_a_killed_process_left_is_gone_after_the_next_save(target, place):
    root = str(pathlib.Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(target), place],
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert -done.returncode in (signal.SIGTERM, signal.SIGKILL)
    assert len(names(target.parent)) == 2  # the folder, or what it held, and the temporary one
    with pytest.raises(KeyError), replaced_folder(target, {"a", "b"}):
        raise KeyError
    assert names(target) == ["a"] and names(target.parent) == ["target"]
    replace(target)
    assert names(target) == ["b"] and names(target.parent) == ["target"]
