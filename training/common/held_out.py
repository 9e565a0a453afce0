"""Held-out figures of a network while it trains, as a table, and the best weights by them."""

import csv
import io
import math
from pathlib import Path

import keras

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import atomic_write
from c2f_zoo.hosts import is_first_host


class HeldOutTable(keras.callbacks.Callback):
    """Measures every epoch, into the logs and a table; keeps the weights of the least `score`.

    A subclass says what in `measure`. All of it is a function of the epoch, so a run that resumes
    goes on with the table that it finds.

    Args:
        table: File of the figures, `.csv`.
        preset: Folder of the best weights, a preset.
    """

    def __init__(self, table, preset):
        super().__init__()
        self.table, self.preset = Path(table), Path(preset)

    def measure(self):
        """The figures of the model as it is, a dictionary with `"score"` among them."""
        raise NotImplementedError

    def on_epoch_end(self, epoch, logs=None):
        figures = self.measure()
        row = {"epoch": str(epoch + 1), "step": str(int(to_numpy(self.model.optimizer.iterations)))}
        row |= {name: f"{value:.4f}" for name, value in figures.items()}
        earlier = [old for old in self._rows() if int(old["epoch"]) <= epoch]
        scores = [float(old["score"]) for old in earlier]
        best = min((score for score in scores if math.isfinite(score)), default=math.inf)
        if float(row["score"]) < best:
            self.model.save_pretrained(self.preset, precision="float16")
        self._write(row, earlier)
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in figures.items()})

    def _write(self, row, earlier):
        if not is_first_host():
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*earlier, row])
        with atomic_write(self.table) as file:
            file.write(text.getvalue().encode())

    def _rows(self):
        if not self.table.is_file():
            return []
        with self.table.open(newline="") as file:
            return list(csv.DictReader(file))
