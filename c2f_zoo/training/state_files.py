"""The last states of a training as files, each checked when it is read."""

import hashlib
import json
import os
import re
import warnings
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.atomic import atomic_write, sync_folder


class StateFiles:
    """Keeps the last states: `state.npz` is the newest, `state.1.npz` the one before, and so on.

    A file takes its name only once all of it is on the disk. A kill between two renames leaves a
    gap in the numbers, which is read over and filled by the next state.

    Args:
        path: The newest file.
        keep: Number of files.
    """

    def __init__(self, path, keep):
        self.path, self.keep = Path(path), checks.whole("keep", keep, least=1)

    def found(self):
        """List the files that are there, newest first, also those beyond `keep`."""
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        pattern = re.compile(rf"{stem}(?:\.([1-9]\d*))?{suffix}")
        names = os.listdir(self.path.parent) if self.path.parent.is_dir() else []
        numbered = {int(m[1] or 0): m[0] for m in map(pattern.fullmatch, names) if m}
        return [self.path.with_name(numbered[number]) for number in sorted(numbered)]

    def write(self, about, values):
        """Write the newest state.

        Args:
            about: JSON dict of what the state tells of itself.
            values: Dict of arrays.

        Raises:
            OSError: If it cannot be written; the states before stay as they were.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        about = {**about, "sha256": _digest(about, values)}
        with atomic_write(self.path) as file:
            np.savez(file, about=np.array(json.dumps(about)), **values)
            # A disk may turn out to be full only now: before any file has lost its name.
            file.flush()
            os.fsync(file.fileno())
            self._number_up()
        for path in self.found():
            if path not in map(self._numbered, range(self.keep)):
                path.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def read(self):
        """Read the newest whole state. Damaged newer ones are told of and set aside.

        Returns:
            The state's path, its dict about itself and its dict of arrays.

        Raises:
            ValueError: If no file is whole.
            OSError: If a file may not be read.
        """
        damaged = []
        for path in self.found():
            try:
                about, values = _read(path)
            except ValueError as error:
                damaged.append((path, error))
                continue
            for number, (bad, error) in enumerate(damaged):
                aside = self._set_aside(bad, number)
                warnings.warn(
                    f"{error} It is kept as {aside.name}. Training goes on from the state before "
                    f"it, {path}, after epoch {about['epoch']}.",
                    stacklevel=3,
                )
            return path, about, values
        raise damaged[0][1]

    def _numbered(self, number):
        end = f".{number}{self.path.suffix}" if number else self.path.suffix
        return self.path.with_name(self.path.stem + end)

    def _number_up(self):
        """Free the name of the newest file; the oldest one goes if there is no gap."""
        numbers = range(self.keep - 1)
        gap = next((n for n in numbers if not self._numbered(n).exists()), self.keep - 1)
        for number in range(gap, 0, -1):
            os.replace(self._numbered(number - 1), self._numbered(number))

    def _set_aside(self, path, number):
        """Rename a damaged file: it must neither count as a state nor replace one."""
        end = f".damaged-{number}{self.path.suffix}" if number else f".damaged{self.path.suffix}"
        aside = self.path.with_name(self.path.stem + end)
        try:
            os.replace(path, aside)
        except OSError:  # of a folder that may only be read
            return path
        return aside


def _read(path):
    """The file's dict about itself and its dict of arrays; a ValueError if it is not whole."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = {name: archive[name] for name in archive.files}
        about = json.loads(str(values.pop("about")))
        _check(about, values)
    except PermissionError:
        raise
    # Damage shows in many ways: zipfile, zlib, numpy and json raise a dozen types of error.
    except Exception as error:
        raise ValueError(
            f"{path} is not a whole training state. Received: {type(error).__name__}: {error}"
        ) from error
    return about, values


def _check(about, values):
    record, digest = about.get("record"), about.pop("sha256", None)
    checks.whole("epoch", about["epoch"], least=0)
    if about.get("seed") is not None:
        checks.whole("seed", about["seed"], least=0)
    checks.whole("step", about.get("step", 0), least=0)
    if record is not None:
        checks.whole("steps", record["steps"], least=0)
    for name, array in values.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} holds {array.dtype}")
    # Missing in files of earlier versions, which have zip's 32-bit sums alone.
    if digest is not None and digest != _digest(about, values):
        raise ValueError(f"the contents do not have the sha256 {digest}")


def _digest(about, values):
    """sha256 of what a state holds."""
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, array in sorted(values.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view("uint8"))
    return found.hexdigest()
