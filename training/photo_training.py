"""What the recipes of the restoration models for photographs share."""

import argparse
import functools
import json
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Attributes of a recipe that its run does not depend on.
REMARKS = ("summary", "limits", "hardware")
MARGIN = 16  # of `photo_patches.blurred`


@dataclass(frozen=True)
class PhotoRecipe:
    """What a restoration checkpoint depends on, besides the photographs."""

    preset: str
    architecture: str  # class of c2f_zoo.models
    degradation: str  # function of photo_patches.py
    model: dict  # constructor arguments
    iterations: int
    patch: int = 64  # side of what the network answers
    batch_size: int = 16
    learning_rate: float = 1e-3  # falls to 0 along half a cosine
    warmup: int = 300
    clip: float = 1.0  # norm of the gradient
    options: dict = field(default_factory=dict)  # of the degradation
    validation: dict = field(default_factory=dict)  # options of it that differ in validation
    steps_per_epoch: int = 250  # the state is saved after each
    # For GPUs and processors that compute in it; elsewhere try float32.
    precision: str = "mixed_bfloat16"
    seed: int = 1
    # What the card says of the published checkpoint, once somebody has looked at its pictures.
    summary: str = ""
    limits: str = ""
    hardware: str = ""

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        return replace(
            self,
            model={**self.model, "width": 8},
            iterations=6,
            patch=32,
            batch_size=2,
            warmup=2,
            steps_per_epoch=3,
            precision="float32",
        )


def parse(recipe, description, argv):
    """Read the command line shared by the recipes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--photos",
        help="folder that `python training/photographs.py photos/ --lossless` made; without it a "
        "rehearsal takes noise",
    )
    parser.add_argument("--out", default=f"runs/{recipe.preset}", help="folder of the run")
    parser.add_argument(
        "--tiny", action="store_true", help="rehearse the whole run in a minute or two"
    )
    parser.add_argument("--minutes", type=float, help="stop after so many, to be resumed later")
    parser.add_argument("--export", help="also write the preset folder here when done")
    arguments = parser.parse_args(argv)
    if not (arguments.photos or arguments.tiny):
        parser.error("--photos is needed, but for a rehearsal (--tiny)")
    return arguments


def train(recipe, description, argv=None):
    """Run, or resume, a recipe; returns the trained network."""
    arguments = parse(recipe, description, argv)
    if arguments.tiny:
        # A folder of its own: the real run must not resume from a rehearsal.
        recipe, arguments.out, arguments.export = recipe.tiny(), f"{arguments.out}_tiny", None
    out = Path(arguments.out)
    remember(recipe, out)
    training = build(recipe)

    from c2f_zoo.training import TrainingState

    state = TrainingState(out / "state.npz")
    epoch = state.restore(training)
    if int(training.steps) < recipe.iterations:
        fit(training, recipe, epoch, state, arguments)
    if int(training.steps) >= recipe.iterations:
        folder = arguments.export or out / recipe.preset
        training.model.save_pretrained(folder, precision="float16")
        print(f"Wrote {folder}")
    else:
        print(f"Stopped. The same command resumes from {state.path}")
    return training.model


def remember(recipe, out):
    """Write the recipe into the run's folder; refuse to resume the run of another one."""
    out.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in asdict(recipe).items() if key not in REMARKS}
    file, text = out / "recipe.json", json.dumps(settings, indent=1) + "\n"
    if (out / "state.npz").exists() and file.exists() and file.read_text() != text:
        raise SystemExit(f"{out} holds a run of another recipe (see {file}): choose another --out.")
    file.write_text(text)


def build(recipe):
    """The compiled training of a recipe, with its first weights."""
    import keras
    import photo_patches

    from c2f_zoo import models
    from c2f_zoo.metrics import PSNR
    from c2f_zoo.training import Multilevel, MultilevelSchedule

    keras.utils.set_random_seed(recipe.seed)
    network = getattr(models, recipe.architecture)(dtype=recipe.precision, **recipe.model)
    degrade = functools.partial(getattr(photo_patches, recipe.degradation), **recipe.options)
    training = Multilevel(
        network,
        schedule=MultilevelSchedule.single(recipe.batch_size, recipe.iterations),
        prepare=lambda x, y, weights, seed: degrade(keras.ops.cast(x, "float32") / 255.0, seed),
        seed=recipe.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, recipe.iterations - recipe.warmup, 0.0, "rate", recipe.learning_rate, recipe.warmup
    )
    # The mean absolute error weighs much and little noise more evenly than the squared one.
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=recipe.clip)
    training.compile(optimizer, "mean_absolute_error", metrics=[PSNR()])
    return training


def fit(training, recipe, epoch, state, arguments):
    """Train until all iterations are done, or until somebody stops it."""
    import keras
    from photo_patches import NoisePatches, PhotoPatches

    from c2f_zoo.training import MultilevelStream, StopOnNaN, StopOnSignal, TensorBoardLog

    out = Path(arguments.out)
    size = recipe.patch + (2 * MARGIN if recipe.degradation == "blurred" else 0)
    source = NoisePatches(size)
    if arguments.photos:
        source = PhotoPatches(Path(arguments.photos) / "train", size)
    stream = MultilevelStream(
        source, training.schedule, seed=recipe.seed, initial_step=int(training.steps)
    )
    with StopOnSignal() as stop:
        training.fit(
            stream,
            steps_per_epoch=recipe.steps_per_epoch,
            initial_epoch=epoch,
            epochs=-(-recipe.iterations // recipe.steps_per_epoch),
            verbose=2,
            validation_data=validation_data(recipe, arguments),
            validation_batch_size=4,
            callbacks=[
                StopOnNaN(),
                stop,
                keras.callbacks.CSVLogger(out / "log.csv", append=True),
                TensorBoardLog(out / "tensorboard"),
                *([stop_after(arguments.minutes, training)] if arguments.minutes else []),
                state,
            ],
        )


def validation_data(recipe, arguments):
    """Crops of photographs held out, degraded once and for all; None in a rehearsal."""
    if not arguments.photos:
        return None
    import keras
    import photo_patches

    from c2f_zoo.backend import to_numpy

    clean = photo_patches.crops(Path(arguments.photos) / "validation", 192)
    degrade = getattr(photo_patches, recipe.degradation)
    seed = keras.random.SeedGenerator(recipe.seed)
    clean = keras.ops.convert_to_tensor(clean)
    given = degrade(clean, seed, **{**recipe.options, **recipe.validation})
    return keras.tree.map_structure(to_numpy, given)


def stop_after(minutes, model):
    """A callback that ends the training of a model after an epoch beyond so many minutes."""
    import keras

    deadline = time.monotonic() + 60 * minutes

    def on_epoch_end(epoch, logs):
        if time.monotonic() > deadline:
            model.stop_training = True

    return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
