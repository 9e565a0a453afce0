"""Callbacks of the recipes: exact resume, stopping, TensorBoard, validation pictures."""

import json
import math
import os
import signal
import threading
from pathlib import Path

import keras
import numpy as np

from c2f_zoo import backend, checks, hosts
from c2f_zoo.data.files.atomic import atomic_write


class TrainingState(keras.callbacks.Callback):
    """Saves weights, optimizer and epoch in one file, so that a killed run resumes exactly.

    On PyTorch dropout draws from the random numbers of the process, which are seeded anew in every
    epoch. The file is replaced at once: a kill or a full disk at any moment leaves the last whole
    state. With data that depends on epoch and step alone (`Scenes`, `FlowStream`) a resumed run
    equals one that was never interrupted.

    Of several hosts (`join_hosts`) the first one writes the file and reads it for all of them.

    Args:
        path: File of the state, `.npz`.
        every: Epochs between saves; the last epoch is always saved.

    Example:
        ```python
        state = TrainingState("run/state.npz")
        epoch = state.restore(model)  # 0 where there is nothing to restore
        model.fit(data, epochs=50, initial_epoch=epoch, callbacks=[state])
        ```
    """

    def __init__(self, path, every=1):
        super().__init__()
        self.path, self.every = Path(path), checks.whole("every", every, least=1)
        self._seed, self._is_seeded = None, False

    def on_train_begin(self, logs=None):
        self._seed = backend.global_seed() if self._seed is None else self._seed

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._is_seeded = epoch, False

    def on_train_batch_begin(self, batch, logs=None):
        # Not before: the loader of the batches draws too, once a fit or once an epoch.
        if not self._is_seeded:
            backend.set_global_seed((self._seed + 0x9E3779B97F4A7C15 * self._epoch) % 2**63)
            self._is_seeded = True

    def restore(self, model):
        """Load a saved state into a compiled model.

        Args:
            model: The compiled model, of the configuration that was saved.

        Returns:
            Number of epochs done: `initial_epoch` for `fit`. 0 where no state was saved.

        Raises:
            ValueError: If the file is damaged or of another model.
        """
        if not hosts.on_any_host(hosts.is_first_host() and self.path.exists()):
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
        return about["epoch"]

    def _checked(self, model, variables):
        """The file's two dicts, if they are of this training."""
        about, values = self._read()
        self._check_record(model, about.get("record"))
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        saved = {name: value.shape for name, value in values.items()}
        wrong = sorted(n for n in {*shapes, *saved} if shapes.get(n) != saved.get(n))
        if wrong:
            raise ValueError(
                f"{self.path} is the state of another model or optimizer. "
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

    def _read(self):
        """The file's dict about itself and its dict of arrays."""
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                values = {name: archive[name] for name in archive.files}
            about = json.loads(str(values.pop("about")))
            record = about.get("record")
            checks.whole("epoch", about["epoch"], least=0)
            if about.get("seed") is not None:
                checks.whole("seed", about["seed"], least=0)
            if record is not None:
                checks.whole("steps", record["steps"], least=0)
            for name, array in values.items():
                if array.dtype.kind not in "biuf":
                    raise ValueError(f"{name} holds {array.dtype}")
        # Damage shows in many ways: zipfile, zlib, numpy and json raise a dozen types of error.
        except Exception as error:
            raise ValueError(
                f"{self.path} is not a whole training state. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        return about, values

    def on_epoch_end(self, epoch, logs=None):
        is_last = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if (epoch + 1) % self.every == 0 or is_last:
            self.save(epoch + 1)

    def save(self, epoch):
        """Write the state after so many epochs."""
        if not hosts.is_first_host():
            return
        values = {name: backend.to_numpy(v) for name, v in self._variables(self.model).items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        about = {"epoch": epoch, "seed": self._seed}
        if hasattr(self.model, "resume_record"):
            about["record"] = self.model.resume_record()
        with atomic_write(self.path) as file:
            np.savez(file, about=np.array(json.dumps(about)), **values)

    def _check_record(self, model, record):
        """Refuse to resume another training; its schedule may differ from here on."""
        if record is None or not hasattr(model, "resume_record"):
            return
        asked = model.resume_record(record["steps"])
        if asked != record:
            raise ValueError(
                f"{self.path} is the state of a training that took these steps: {record}. "
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


class StopOnNaN(keras.callbacks.Callback):
    """Stops as soon as the loss is NaN or infinite; place it before `TrainingState`.

    Raises:
        FloatingPointError: From `fit`, with advice.

    Example:
        ```python
        model.fit(data, callbacks=[StopOnNaN(), TrainingState("run/state.npz")])
        ```
    """

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise FloatingPointError(
                "The loss is no longer finite. If you keep a TrainingState, resume from its last "
                f"state, else begin anew, with {self._advice()}. "
                f"Received: loss {loss} at batch {batch}"
            )

    def _advice(self):
        if hasattr(self.model, "discriminator"):
            # A label out of range becomes NaN inside a compiled step, see `as_labels`.
            return (
                "lower learning rates, another weight of the gradient penalty (penalty_weight: "
                "R1's gamma, or lambda), labels that are all in range, or float32 instead of "
                "bfloat16"
            )
        return (
            "a lower learning rate, gradient clipping (global_clipnorm), or float32 instead of "
            "float16"
        )


class StopOnSignal(keras.callbacks.Callback):
    """Ends training after the running epoch on the first ctrl-C; at once on the second.

    Where any of several hosts is told to stop, all of them do.

    Use it as a context manager to restore the signal handlers even if `fit` raises.

    Args:
        signals: Signals to catch while `fit` runs.

    Example:
        ```python
        with StopOnSignal() as stop:
            model.fit(data, callbacks=[stop, TrainingState("run/state.npz")])
        ```
    """

    def __init__(self, signals=(signal.SIGINT, signal.SIGTERM)):
        super().__init__()
        self.signals, self.previous, self.stopped = signals, {}, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.on_train_end()

    def on_train_begin(self, logs=None):
        self.stopped = False
        if threading.current_thread() is not threading.main_thread():
            return  # signal handlers can only be set in the main thread
        for number in self.signals:
            self.previous[number] = signal.signal(number, self._handle)

    def on_train_end(self, logs=None):
        for number, handler in self.previous.items():
            # None: the handler was not installed from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self.previous = {}

    def on_epoch_end(self, epoch, logs=None):
        if hosts.on_any_host(self.stopped):
            self.model.stop_training = True

    def _handle(self, number, frame):
        if self.stopped:
            self.on_train_end()
            raise KeyboardInterrupt
        self.stopped = True
        print("\nStopping after this epoch, state saved; once more to stop at once.", flush=True)


class TensorBoardLog(keras.callbacks.Callback):
    """Writes every epoch's logs for TensorBoard, on any backend and without TensorFlow.

    `keras.callbacks.TensorBoard` does more (graphs, histograms, profiles) and needs TensorFlow.
    Validation figures go into a separate run under the same tags, as with Keras' callback. Without
    the package `tensorboard` it prints a line and training goes on.

    Args:
        folder: Where the event files go; `tensorboard --logdir FOLDER` shows them.

    Example:
        ```python
        model.fit(data, callbacks=[TensorBoardLog("run/tensorboard")])
        ```
    """

    def __init__(self, folder):
        super().__init__()
        self.folder, self.writers = Path(folder), {}

    def on_train_begin(self, logs=None):
        if not hosts.is_first_host():
            return
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            print(f'No TensorBoard log: pip install "c2f_zoo[tensorboard]". Received: {error}')
            return
        self.writers = {part: Writer(str(self.folder / part)) for part in ("train", "validation")}

    def on_epoch_end(self, epoch, logs=None):
        if not self.writers:
            return
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            tag = f"epoch_{name.removeprefix('val_')}"
            self.writers[part].add_scalar(tag, float(value), epoch)
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        for writer in self.writers.values():
            writer.close()
        self.writers = {}


class FlowPictures(keras.callbacks.Callback):
    """Writes an image per epoch: first frame, ground truth and estimate of a few fixed samples.

    Args:
        folder: Where `epoch_0001.png` and so on go.
        samples: ((image1, image2), flow): arrays (B, H, W, 3), (B, H, W, 3), (B, H, W, 2).
        every: Epochs between pictures.

    Example:
        ```python
        pictures = FlowPictures("run/pictures", scenes.batch(0), every=5)
        model.fit(data, callbacks=[pictures])
        ```
    """

    def __init__(self, folder, samples, every=1):
        super().__init__()
        (image1, image2), flow = samples[:2]
        self.folder, self.every = Path(folder), every
        self.images = (backend.to_numpy(image1), backend.to_numpy(image2))
        self.truth = backend.to_numpy(flow)

    def on_epoch_end(self, epoch, logs=None):
        from c2f_zoo.data.files.images import save_image

        if (epoch + 1) % self.every:
            return
        estimate = backend.to_numpy(backend.predict_on_batch(self.model, self.images))
        if not hosts.is_first_host():
            return
        rows = []
        for image, truth, flow in zip(self.images[0], self.truth, estimate, strict=True):
            colors = self.pictures(truth, flow)
            rows.append(np.concatenate([np.asarray(image), *colors], axis=1))
        os.makedirs(self.folder, exist_ok=True)
        save_image(self.folder / f"epoch_{epoch + 1:04d}.png", np.concatenate(rows, axis=0))

    def pictures(self, truth, estimate):
        """Colour ground truth and estimate of one sample on the same scale.

        Args:
            truth: Array (H, W, 2).
            estimate: Array (H, W, 2).

        Returns:
            List of two arrays (H, W, 3), RGB in [0, 1].
        """
        from c2f_zoo.data.flow.picture import flow_to_color

        scale = float(np.percentile(np.linalg.norm(truth, axis=-1), 99)) + 1e-3
        return [flow_to_color(field, max_magnitude=scale) for field in (truth, estimate)]
