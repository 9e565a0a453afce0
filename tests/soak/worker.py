"""One process of a training, which tells how far it is and ends itself where it is told to."""

import contextlib
import os
import signal
import sys
import traceback

import keras
import numpy as np

from tests.soak.trainings import TRAININGS


def work(kind, folder, channel, target):
    """Train, or go on; the exit status is 0 once `fit` has returned.

    Args:
        kind: Key of `TRAININGS`.
        folder: Folder of the run.
        channel: File descriptor to tell by: a line for each step and each part of a save.
        target: (save, call): number of a save, from 0, and of a call of the operating system's or
            write in it at which to send this process signal 9; or None.
    """
    with open(folder.with_suffix(".txt"), "ab", 0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    status = 1
    try:
        watch = _watched(channel, _Saves(channel, target))
        TRAININGS[kind](folder, watch)
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _watched(channel, saves):
    from c2f_zoo.training import state_files

    saves.patch(state_files)

    class Watch(keras.callbacks.Callback):
        def __init__(self, place):
            super().__init__()
            self.place = place

        def on_train_batch_end(self, batch, logs=None):
            if logs:
                _tell(channel, f"step {self.place()}")

    return Watch


class _Saves:
    """Counts the saves, and in each one its writes, flushes and renames."""

    def __init__(self, channel, target):
        self.channel, self.target = channel, target
        self.save, self.call, self.is_saving = -1, 0, False

    def patch(self, files):
        write, atomic_write = files.StateFiles.write, files.atomic_write

        def counted_write(this, about, values):
            self.save, self.call, self.is_saving = self.save + 1, 0, True
            _tell(self.channel, "save")
            write(this, about, values)
            self.is_saving = False
            _tell(self.channel, f"saved {self.call}")

        @contextlib.contextmanager
        def counted_file(path):
            with atomic_write(path) as file:
                yield _Counted(file, self.count)

        files.StateFiles.write, files.atomic_write = counted_write, counted_file
        for name in ("fsync", "replace"):
            setattr(os, name, self._counting(getattr(os, name)))

    def _counting(self, function):
        def counting(*args, **kwargs):
            self.count()
            return function(*args, **kwargs)

        return counting

    def count(self):
        if self.is_saving:
            if self.target == (self.save, self.call):
                os.kill(os.getpid(), signal.SIGKILL)
            self.call += 1


class _Counted:
    """A file whose writes are counted, half of each written before."""

    def __init__(self, file, count):
        self._file, self._count = file, count

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        data = memoryview(data).cast("B") if not isinstance(data, bytes) else data
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._count()
        return half + self._file.write(data[half:])


def _tell(channel, text):
    os.write(channel, f"{text.strip()}\n".encode())


def result_of(folder):
    """What a finished run leaves, by name: arrays of state and preset, and the rows of the logs."""
    import csv

    import h5py

    found = {}
    with np.load(folder / "state.npz") as archive:
        found |= {f"state {name}": archive[name].tobytes() for name in archive.files}
    for path in sorted(folder.rglob("*.csv")):
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        times = ("seconds", "samples_per_second", "val_samples_per_second")
        found[str(path.relative_to(folder))] = [
            {key: value for key, value in row.items() if key not in times} for row in rows
        ]

    def take(path):
        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                found[f"{path.relative_to(folder)} {name}"] = np.asarray(item).tobytes()

        return visit

    for path in sorted(folder.rglob("*.h5")):
        with h5py.File(path) as file:
            file.visititems(take(path))
    return found
