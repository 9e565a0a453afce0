"""Callbacks of the recipes: stopping, log, TensorBoard, validation pictures."""

import csv
import io
import math
import os
import signal
import threading
from pathlib import Path

import keras
import numpy as np

from c2f_zoo import backend, hosts
from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.training.state import Stopped


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
    """Ends training on the first ctrl-C or SIGTERM, with its state saved; at once on the second.

    With a `state`, training ends after the running step: the state is saved with the position in
    the epoch, and no measurement, log row or picture of that epoch follows. After the last step of
    an epoch, without a `state`, and on several hosts, of which all stop where any is told to, the
    epoch is finished first.

    Use it as a context manager: the block then ends without an error, with `model.stop_training`
    set, and the signal handlers are restored even if `fit` raises. Otherwise the epoch is finished.

    Args:
        state: `TrainingState` that the same `fit` has as a later callback.
        signals: Signals to catch while `fit` runs.

    Example:
        ```python
        state = TrainingState("run/state.npz")
        with StopOnSignal(state) as stop:
            model.fit(data, initial_epoch=state.restore(model), callbacks=[stop, state])
        ```
    """

    def __init__(self, state=None, signals=(signal.SIGINT, signal.SIGTERM)):
        super().__init__()
        self.state, self.signals = state, signals
        self.previous, self.stopped, self._is_entered = {}, False, False

    def __enter__(self):
        self._is_entered = True
        return self

    def __exit__(self, kind, error, trace):
        self._is_entered = False
        self.on_train_end()
        return isinstance(error, Stopped)

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

    def on_train_batch_end(self, batch, logs=None):
        # At the end of an epoch it is whole. Several hosts would have to agree at every step.
        if self.stopped and self._is_immediate and batch + 1 != self.params.get("steps"):
            self.state.stop_after_step()

    def on_epoch_end(self, epoch, logs=None):
        if hosts.on_any_host(self.stopped):
            self.model.stop_training = True

    @property
    def _is_immediate(self):
        return self.state is not None and self._is_entered and hosts.host()[1] == 1

    def _handle(self, number, frame):
        if self.stopped:
            self.on_train_end()
            raise KeyboardInterrupt
        self.stopped = True
        unit = "step" if self._is_immediate else "epoch"
        print(f"\nStopping after this {unit}, state saved; once more to stop at once.", flush=True)


class EpochLog(keras.callbacks.CSVLogger):
    """`keras.callbacks.CSVLogger` whose file a resumed run continues as an unbroken one would.

    Rows from the epoch on at which `fit` begins are replaced: a killed run may have logged an epoch
    without saving its state, or half a row. The columns stay those of the file.

    Args:
        filename: The `.csv` file.
        separator: Between the columns.

    Raises:
        OSError: From `fit`, if the row cannot be written.

    Example:
        ```python
        model.fit(data, initial_epoch=epoch, callbacks=[EpochLog("run/log.csv"), state])
        ```
    """

    def __init__(self, filename, separator=","):
        super().__init__(filename, separator, append=True)
        self._is_begun = False

    def on_train_begin(self, logs=None):
        self._is_begun = False  # the file is opened with the first epoch, whose number it needs

    def on_epoch_begin(self, epoch, logs=None):
        if self._is_begun:
            return
        self._is_begun, columns = True, self._cut(epoch)
        super().on_train_begin(logs)
        self.keys = columns

    def on_epoch_end(self, epoch, logs=None):
        try:
            super().on_epoch_end(epoch, logs)
        except OSError as error:
            reason = f"The log could not be written ({error.strerror}). Received"
            raise OSError(error.errno, reason, str(self.filename)) from error

    def _cut(self, epoch):
        """Keep the header and the rows of earlier epochs; return the columns, None without any."""
        path = Path(self.filename)
        text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        rows = list(csv.reader(io.StringIO(whole, newline=""), delimiter=self.sep))
        header = rows.pop(0) if rows else []
        rows = [row for row in rows if len(row) == len(header) and int(row[0]) < epoch]
        kept = io.StringIO(newline="")
        csv.writer(kept, delimiter=self.sep).writerows([header, *rows] if rows else [])
        if text and kept.getvalue() != text:
            with atomic_write(path) as file:
                file.write(kept.getvalue().encode())
        return header[1:] if rows else None


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
