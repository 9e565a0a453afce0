"""Callbacks of a multilevel training: progress through its stages, and a row for every step."""

import csv
import io
import sys
import time
from pathlib import Path

import keras

from c2f_zoo import backend, checks, hosts
from c2f_zoo.data.files.atomic import atomic_write


class MultilevelProgress(keras.callbacks.Callback):
    """A progress bar with stage, mesh and loss, which ends training after the last stage.

    Stages change inside one `fit`, at the exact step, with or without this callback. Use it with
    `fit(..., verbose=0)`. After a resume the bar continues.

    Args:
        schedule: `MultilevelSchedule` of the `Multilevel` that is trained.
        unit: What the bar counts: `"step"`, or `"work"` for work units, which are proportional to
            time.
        stop: Whether to end training with the schedule, if it has an end.

    Raises:
        ValueError: If `unit` is unknown.

    Source: arXiv 2501.12739 (Full-Multiscale).

    Example:
        ```python
        training = Multilevel(network, mode="fullmultiscale")
        training.compile("adam", "mse")
        progress = MultilevelProgress(training.schedule)
        training.fit(noisy, clean, epochs=1000, verbose=0, callbacks=[progress])
        ```
    """

    def __init__(self, schedule, unit="step", stop=True):
        super().__init__()
        self.schedule, self.stop = schedule, stop
        self.unit = checks.one_of("unit", unit, ("step", "work"))
        self.step, self.bar = 0, None

    def on_train_begin(self, logs=None):
        from tqdm import tqdm

        self.step = _steps_taken(self.model)
        total = self.schedule.total
        # Rarely, if the bar goes to a log file.
        interval = 0.1 if sys.stderr.isatty() else 30.0
        self.bar = tqdm(
            total=None if total is None else self._amount(total),
            initial=self._amount(self.step),
            unit=self.unit,
            unit_scale=self.unit == "work",
            dynamic_ncols=True,
            mininterval=interval,
            disable=not hosts.is_first_host(),
        )
        self._end_if_done()

    def on_train_batch_end(self, batch, logs=None):
        if not logs:
            return  # no step was taken: training has ended
        stage = self.schedule.at(self.step)
        self.step += 1
        self.bar.update(self._amount(self.step) - self.bar.n)
        stages = self.schedule.stages
        postfix = {"image": _fraction(stage), "loss": f"{float(logs['loss']):.4g}"}
        if len(stages) > 1:
            postfix = {"stage": f"{stages.index(stage) + 1}/{len(stages)}", **postfix}
        self.bar.set_postfix(postfix, refresh=False)
        self._end_if_done()

    def on_train_end(self, logs=None):
        self.bar.close()

    def _amount(self, steps):
        return steps if self.unit == "step" else float(self.schedule.work(steps))

    def _end_if_done(self):
        total = self.schedule.total
        if self.stop and total is not None and self.step >= total:
            self.model.stop_training = True


class MultilevelLog(keras.callbacks.Callback):
    """Writes a CSV row for every step and one for every validation, with work units and seconds.

    A row has the number of steps taken, the stage (from 1), its finest mesh as a fraction of the
    image, the seconds of training so far (without validation and other callbacks), the work
    units, and what `fit` logs. Keras logs means since the beginning of the epoch: with
    `steps_per_epoch=1` those of the step.

    After a resume the files continue: rows beyond the step it resumes at are replaced. Of several
    hosts the first one writes.

    Args:
        path: File of the steps, `.csv`.
        schedule: `MultilevelSchedule` of the `Multilevel` that is trained.
        validation: File of the validations, `.csv`, or None.

    Example:
        ```python
        log = MultilevelLog("run/train.csv", training.schedule, "run/validation.csv")
        training.fit(stream, validation_data=held_out, steps_per_epoch=1, epochs=8000,
                     validation_freq=50, verbose=0, callbacks=[log])
        ```
    """

    def __init__(self, path, schedule, validation=None):
        super().__init__()
        self.schedule = schedule
        self.steps_table = _Table(path)
        self.validation_table = None if validation is None else _Table(validation)
        self.step, self.seconds, self._since, self._validated = 0, 0.0, 0.0, 0

    def on_train_begin(self, logs=None):
        self.step = _steps_taken(self.model)
        last = self.steps_table.open(self.step)
        self.seconds = float(last["seconds"]) if last else 0.0
        if self.validation_table is not None:
            last = self.validation_table.open(self.step)
            self._validated = int(last["step"]) if last else 0

    def on_epoch_begin(self, epoch, logs=None):
        self._since = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if not logs:
            return  # no step was taken: training has ended
        figures = {name: float(value) for name, value in logs.items()}  # waits for the device
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        figures.pop("work_units", None)
        stage = self.schedule.at(self.step)
        self.step += 1
        self.steps_table.add(self._row(stage) | figures)

    def on_epoch_end(self, epoch, logs=None):
        found = {
            name.removeprefix("val_"): float(value)
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        if found and self.validation_table is not None and self.step > self._validated:
            self.validation_table.add(self._row(self.schedule.at(self.step - 1)) | found)
            self._validated = self.step

    def on_train_end(self, logs=None):
        for table in (self.steps_table, self.validation_table):
            if table is not None:
                table.close()

    def _row(self, stage):
        return {
            "step": self.step,
            "stage": self.schedule.stages.index(stage) + 1,
            "image": _fraction(stage),
            "seconds": round(self.seconds, 4),
            "work_units": float(self.schedule.work(self.step)),
        }


class _Table:
    """A CSV file to append rows to, truncated where a run resumes."""

    def __init__(self, path):
        self.path, self.file, self.columns = Path(path), None, None

    def open(self, step):
        """Keep the rows up to a step; return the last one, or None."""
        if not hosts.is_first_host():
            return None
        rows = []
        if self.path.exists():
            with open(self.path, newline="") as file:
                # A row that was cut off by a kill has no value in its last columns.
                rows = [row for row in csv.DictReader(file) if None not in row.values()]
            rows = [row for row in rows if int(row["step"]) <= step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        self.columns = list(rows[0]) if rows else None
        if rows:
            writer = csv.DictWriter(text, self.columns)
            writer.writeheader()
            writer.writerows(rows)
        with atomic_write(self.path) as file:
            file.write(text.getvalue().encode())
        self.file = open(self.path, "a", newline="")
        return rows[-1] if rows else None

    def add(self, row):
        if self.file is None:
            return
        is_first = self.columns is None
        self.columns = self.columns or list(row)
        writer = csv.DictWriter(self.file, self.columns, extrasaction="ignore")
        if is_first:
            writer.writeheader()
        writer.writerow(row)
        self.file.flush()

    def close(self):
        if self.file is not None:
            self.file.close()


def _steps_taken(model):
    return int(backend.to_numpy(model.steps))


def _fraction(stage):
    return f"1/{2**stage.mesh}"
