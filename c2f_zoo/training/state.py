"""Saving the whole state of a training, and resuming from it exactly."""

import json

import keras
import numpy as np

from c2f_zoo import backend, checks, hosts
from c2f_zoo.training.state_files import StateFiles
from c2f_zoo.training.steps import skip_step


class Stopped(Exception):
    """Ends a `fit` after the running step, with its state saved; see `StopOnSignal`."""


class TrainingState(keras.callbacks.Callback):
    """Saves weights, optimizer and position in one file, so that a killed run resumes exactly.

    On PyTorch dropout draws from the random numbers of the process, which are seeded anew in every
    step. A file takes its name only when all of it is on the disk: a kill or a full disk at any
    moment leaves the last whole state. With data that depends on epoch and step alone (`Scenes`,
    `FlowStream`) a resumed run equals one that was never interrupted.

    The states before are kept beside the newest: `state.1.npz`, `state.2.npz` and so on. What is
    read is compared with a checksum in the file.

    Of several hosts (`join_hosts`) the first one writes the file and reads it for all of them.

    Args:
        path: File of the newest state, `.npz`.
        every: Epochs between saves; the last epoch is always saved.
        keep: States to keep, the newest included.

    Raises:
        OSError: From `fit`, if the disk is full or the folder may not be written. The states
            before are as they were.

    Example:
        ```python
        state = TrainingState("run/state.npz")
        epoch = state.restore(model)  # 0 where there is nothing to restore
        model.fit(data, epochs=50, initial_epoch=epoch, callbacks=[state])
        ```
    """

    def __init__(self, path, every=1, keep=2):
        super().__init__()
        self.files, self.every = StateFiles(path, keep), checks.whole("every", every, least=1)
        self.path = self.files.path
        self._seed, self._stops, self._skipped = None, False, 0
        # Of a state in the middle of an epoch: that epoch, its steps taken, its metrics so far.
        self._middle, self._metrics = None, None

    def on_train_begin(self, logs=None):
        self._seed = backend.global_seed() if self._seed is None else self._seed
        self._stops = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._skipped, self._metrics = epoch, 0, None
        if self._middle is None:
            return
        (first, steps, metrics), self._middle = self._middle, None
        if epoch == first:
            self._skipped, self._metrics = steps, metrics
            self._restore_metrics()
            self._skip(steps // self.model.steps_per_execution)

    def on_train_batch_begin(self, batch, logs=None):
        # Not before: the loader of the batches draws too, once a fit or once an epoch.
        position = 0x9E3779B97F4A7C15 * self._epoch + 0xD1B54A32D192ED03 * batch
        backend.set_global_seed((self._seed + position) % 2**63)

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self._skipped:
            self._restore_metrics()  # if they were not built before the first step
        # An epoch that ends with this step, since another callback stops training, is finished.
        if self._stops and not self.model.stop_training:
            if batch >= self._skipped:  # else the file is right as it is
                self.save(self._epoch, batch + 1)
            self.model.stop_training = True
            raise Stopped

    def stop_after_step(self):
        """Have `fit` save a state after the running step and raise `Stopped`."""
        self._stops = True

    def restore(self, model):
        """Load a saved state into a compiled model.

        Where the newest file is damaged, this warns, keeps it as `state.damaged.npz` and loads the
        state before. A state that was saved in the middle of an epoch is gone on from by a `fit`
        with this callback and the returned `initial_epoch`: its first steps get their data and do
        nothing.

        Args:
            model: The compiled model, of the configuration that was saved.

        Returns:
            Number of epochs done: `initial_epoch` for `fit`. 0 where no state was saved.

        Raises:
            ValueError: If all files are damaged, or the state is of another model.
        """
        self._middle = None
        if not hosts.on_any_host(hosts.is_first_host() and bool(self.files.found())):
            return 0
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        variables = self._variables(model)
        try:
            about, values = self._checked(model, variables) if hosts.is_first_host() else ({}, {})
        except ValueError as error:
            # All hosts raise it, rather than wait for the first one.
            about, values = {"error": str(error)}, {}
        about = json.loads(hosts.text_from_first_host(json.dumps(about)))
        if "error" in about:
            raise ValueError(about["error"])
        for variable, value in zip(
            variables.values(), self._shared(variables, values), strict=True
        ):
            variable.assign(value)
        self._seed = about.get("seed")  # missing in files of earlier versions
        if about.get("step"):
            self._middle = about["epoch"], about["step"], about["metrics"]
        if hasattr(model, "planner"):
            model.planner.lead = about.get("step", 0)
        return about["epoch"]

    def _checked(self, model, variables):
        """The newest whole file's two dicts, if they are of this training."""
        path, about, values = self.files.read()
        self._check_record(path, model, about.get("record"))
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        saved = {name: value.shape for name, value in values.items()}
        wrong = sorted(n for n in {*shapes, *saved} if shapes.get(n) != saved.get(n))
        if wrong:
            raise ValueError(
                f"{path} is the state of another model or optimizer. "
                f"Received: {len(wrong)} variables that do not match, the first {wrong[0]!r}"
            )
        return about, values

    @staticmethod
    def _shared(variables, values):
        """The saved values of variables, on all hosts."""
        if hosts.host()[1] == 1:
            return [values[name] for name in variables]
        types = [keras.backend.standardize_dtype(v.dtype) for v in variables.values()]
        return hosts.from_first_host(
            [
                np.asarray(values[name] if values else np.zeros(variable.shape), dtype)
                for (name, variable), dtype in zip(variables.items(), types, strict=True)
            ]
        )

    def on_epoch_end(self, epoch, logs=None):
        is_last = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if (epoch + 1) % self.every == 0 or is_last:
            self.save(epoch + 1)

    def save(self, epoch, step=0):
        """Write the state after so many epochs, and so many steps of the next one.

        Raises:
            OSError: If it cannot be written.
        """
        if not hosts.is_first_host():
            return
        model = self.model
        values = {name: backend.to_numpy(v) for name, v in self._variables(model).items()}
        about = {"epoch": epoch, "seed": self._seed}
        if step:
            metrics = [backend.to_numpy(v).tolist() for v in model.metrics_variables]
            about |= {"step": step, "metrics": metrics}
        if hasattr(model, "resume_record"):
            about["record"] = model.resume_record()
        self.files.write(about, values)

    def _restore_metrics(self):
        variables = self.model.metrics_variables if self._metrics else []
        if self._metrics and len(variables) == len(self._metrics):
            for variable, value in zip(variables, self._metrics, strict=True):
                variable.assign(np.asarray(value))
            self._metrics = None

    def _skip(self, left):
        """Let the next calls of the train function take their data and do nothing."""
        model = self.model
        if hasattr(model, "planner"):
            model.planner.skips = left
            return
        step = model.train_function  # which `fit` looks up before every step

        def skipping(*args):
            nonlocal left
            left -= 1
            if not left:
                model.train_function = step
            return skip_step(model, *args)

        model.train_function = skipping

    @staticmethod
    def _check_record(path, model, record):
        """Refuse to resume another training; its schedule may differ from here on."""
        if record is None or not hasattr(model, "resume_record"):
            return
        asked = model.resume_record(record["steps"])
        if asked != record:
            raise ValueError(
                f"{path} is the state of a training that took these steps: {record}. "
                f"Received: a training of which they would have been {asked}"
            )

    @staticmethod
    def _variables(model):
        # By position: a path holds the layers' names, which Keras numbers anew per process.
        owners = {"model": model.variables, "optimizer": model.optimizer.variables}
        return {
            f"{owner}/{index}": variable
            for owner, variables in owners.items()
            for index, variable in enumerate(variables)
        }
