"""Held-out photographs degraded in several fixed ways, and the best weights by their mean."""

import contextlib
import re
from pathlib import Path

import keras
import numpy as np

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import atomic_write
from c2f_zoo.hosts import is_first_host
from c2f_zoo.training import averaged_weights

CROP = 96  # side of the crops that are restored after every epoch
COUNT = 2  # of each photograph, at full and at half size


def validation_sets(recipe, arguments):
    """The fixed sets of `noise.py`; None in a rehearsal, which has no photographs."""
    from training.restoration import noise, patches

    if not arguments.photos:
        return None
    clean = patches.crops(Path(arguments.photos) / "validation", CROP, COUNT)
    return noise.validation_sets(np.rint(255 * clean).astype("uint8"), recipe.seed)


class Validation(keras.callbacks.Callback):
    """Logs the PSNR on every set and keeps the weights with the highest mean, as a preset.

    What is measured and kept is the average of the weights where the optimizer has one. Place it
    before the callbacks that write logs and state.

    Args:
        sets: Dictionary from a name to (given, clean), arrays (N, H, W, 3) in [0, 1]; or None.
        recipe: `PhotoRecipe`.
        out: Folder of the run: the preset goes to `best/`, its figure to `best.txt`.
    """

    def __init__(self, sets, recipe, out):
        super().__init__()
        self.sets, self.recipe, self.out = sets or {}, recipe, Path(out)
        self.best = -float("inf")

    def on_train_begin(self, logs=None):
        record = self.out / "best.txt"
        if record.exists():
            self.best = float(re.match(r"(\S+) dB", record.read_text())[1])
        elif self.sets and not int(to_numpy(self.model.steps)):
            figures = self.measured()  # of the weights that the run starts from
            print(", ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)

    def on_epoch_end(self, epoch, logs=None):
        if not self.sets:
            return
        has_average = self.model.optimizer.use_ema
        with averaged_weights(self.model) if has_average else contextlib.nullcontext():
            figures = self.measured()
            mean = figures["val_psnr"]
            if mean > self.best:
                self.best = mean
                steps = int(to_numpy(self.model.steps))
                about = {"name": self.recipe.preset, "recipe": {"steps": f"{steps:,}"}}
                folder = self.out / "best" / self.recipe.preset
                self.model.model.save_pretrained(folder, about, precision="float16")
                if is_first_host():
                    with atomic_write(self.out / "best.txt") as file:
                        file.write(f"{mean!r} dB after {steps} steps\n".encode())
        logs.update(figures)

    def measured(self):
        """Mean PSNR in dB of the images of each set, and the mean of these, as logs have them."""
        from c2f_zoo import backend
        from c2f_zoo.metrics import psnr

        figures = {}
        for name, (given, clean) in self.sets.items():
            made = to_numpy(backend.predict_on_batch(self.model.model, given)).astype("float32")
            figures[f"val_psnr_{name}"] = float(np.mean(to_numpy(psnr(clean, made.clip(0, 1)))))
        return figures | {"val_psnr": float(np.mean(list(figures.values())))}
