"""Shared parts of the recipes of the restoration models for photographs."""

import argparse
import functools
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.common.runs import finish, parse_run, rehearsed, remember, stop_after

MARGIN = 16  # of `patches.blurred`
# The multiscale U-Net without what sees the whole image (group normalisation, attention), on
# squares of two by two pixels, which a processor computes several times as fast.
LOCAL_UNET = {
    "width": 48,
    "multipliers": (1, 2, 2),
    "norm": "pixel",
    "dropout": 0.0,
    "attention": 0,
    "time_embedding": False,
    "residual": True,
    "patch": 2,
}


@dataclass(frozen=True)
class PhotoRecipe:
    """What a restoration checkpoint depends on, besides the photographs."""

    preset: str
    architecture: str  # class of c2f_zoo.models
    degradation: str  # function of patches.py; or "photo_noise": noise.py
    model: dict  # constructor arguments
    iterations: int
    patch: int = 64  # side of what the network answers
    batch_size: int = 16
    learning_rate: float = 1e-3  # falls to 0 along half a cosine
    warmup: int = 300
    clip: float = 1.0  # norm of the gradient
    average: float = 0.0  # decay a step of the weights' average, which is what is exported
    options: dict = field(default_factory=dict)  # of the degradation
    validation: dict = field(default_factory=dict)  # options of it that differ in validation
    steps_per_epoch: int = 250  # the state is saved after each
    # For GPUs and processors that compute in it; elsewhere try float32.
    precision: str = "mixed_bfloat16"
    seed: int = 1
    start: str | None = None  # preset whose weights to start from
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
            start=None,
        )

    @property
    def border(self):
        """Pixels that a patch of a photograph is larger than what the network answers."""
        from training.restoration.noise import BORDER

        return {"blurred": 2 * MARGIN, "photo_noise": BORDER}.get(self.degradation, 0)


def parse(recipe, description, argv):
    """Read the command line shared by the recipes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--photos",
        help="folder that `python training/collect/photographs.py photos/ --lossless` made; "
        "without it a rehearsal takes noise",
    )
    parser.add_argument("--start", help="preset whose weights to start from")
    parser.add_argument("--iterations", type=int, help=f"steps (default: {recipe.iterations:,})")
    parser.add_argument(
        "--rate", type=float, help=f"highest learning rate (default: {recipe.learning_rate:g})"
    )
    parser.add_argument(
        "--precision", help=f"dtype policy of the network (default: {recipe.precision})"
    )
    return parse_run(parser, recipe.preset, "photos", argv)


def train(recipe, description, argv=None):
    """Run, or resume, a recipe; returns the trained network."""
    arguments = parse(recipe, description, argv)
    recipe, arguments = rehearsed(recipe, arguments)
    changed = {
        "start": arguments.start,
        "iterations": arguments.iterations,
        "learning_rate": arguments.rate,
        "precision": arguments.precision,
    }
    recipe = replace(recipe, **{key: value for key, value in changed.items() if value})
    out = Path(arguments.out)
    remember(recipe, out)
    training = build(recipe)

    from c2f_zoo.backend import to_numpy
    from c2f_zoo.training import TrainingState
    from c2f_zoo.training.ema import take_average

    state = TrainingState(out / "state.npz")
    epoch = state.restore(training)
    if to_numpy(training.steps) < recipe.iterations:
        fit(training, recipe, epoch, state, arguments)
    is_done = bool(to_numpy(training.steps) >= recipe.iterations)
    if is_done and training.optimizer.use_ema:
        take_average(training)
    finish(training.model, recipe, arguments, out, is_done, state)
    return training.model


def build(recipe):
    """The compiled training of a recipe, with its first weights."""
    import keras

    from c2f_zoo import models
    from c2f_zoo.metrics import PSNR
    from c2f_zoo.training import ClippedAdamW, Multilevel, MultilevelSchedule

    keras.utils.set_random_seed(recipe.seed)
    architecture = getattr(models, recipe.architecture)
    if recipe.start:
        network = architecture.from_pretrained(recipe.start, dtype=recipe.precision)
    else:
        network = architecture(dtype=recipe.precision, **recipe.model)
    training = Multilevel(
        network,
        schedule=MultilevelSchedule.single(recipe.batch_size, recipe.iterations),
        prepare=prepare_of(recipe),
        seed=recipe.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, recipe.iterations - recipe.warmup, 0.0, "rate", recipe.learning_rate, recipe.warmup
    )
    average = {"use_ema": True, "ema_momentum": recipe.average} if recipe.average else {}
    # The mean absolute error weighs much and little noise more evenly than the squared one.
    optimizer = ClippedAdamW(rate, clip_norm=recipe.clip, weight_decay=0.0, **average)
    training.compile(optimizer, "mean_absolute_error", metrics=[PSNR()])
    return training


def prepare_of(recipe):
    """What `Multilevel` makes of a batch: degraded images, and the clean ones in [0, 1]."""
    from keras import ops

    from training.restoration import patches

    if recipe.degradation == "photo_noise":  # made on the host already
        return lambda x, y, weights, seed: (x, ops.cast(y, "float32") / 255.0)
    degrade = functools.partial(getattr(patches, recipe.degradation), **recipe.options)
    return lambda x, y, weights, seed: degrade(ops.cast(x, "float32") / 255.0, seed)


def fit(training, recipe, epoch, state, arguments):
    """Train until all iterations are done, or until somebody stops it."""
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.training import (
        EpochLog,
        MultilevelStream,
        StopOnNaN,
        StopOnSignal,
        TensorBoardLog,
        on_first_host,
    )
    from training.restoration.noise import NoisyPhotos
    from training.restoration.patches import NoisePatches, PhotoPatches
    from training.restoration.validation import Validation, validation_sets

    out = Path(arguments.out)
    size = recipe.patch + recipe.border
    source = NoisePatches(size)
    if arguments.photos:
        source = PhotoPatches(Path(arguments.photos) / "train", size)
    validation, measured = None, []
    if recipe.degradation == "photo_noise":
        source = NoisyPhotos(source, recipe.patch, **recipe.options)
        measured = [Validation(validation_sets(recipe, arguments), recipe, out)]
    else:
        validation = validation_data(recipe, arguments)
    done = int(to_numpy(training.steps))
    stream = MultilevelStream(source, training.schedule, seed=recipe.seed, initial_step=done)
    with StopOnSignal(state) as stop:
        training.fit(
            stream,
            steps_per_epoch=recipe.steps_per_epoch,
            initial_epoch=epoch,
            epochs=-(-recipe.iterations // recipe.steps_per_epoch),
            verbose=2,
            validation_data=validation,
            validation_batch_size=4,
            callbacks=[
                StopOnNaN(),
                stop,
                *measured,
                on_first_host(EpochLog(out / "log.csv")),
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

    from c2f_zoo.backend import to_numpy
    from training.restoration import patches

    clean = patches.crops(Path(arguments.photos) / "validation", 192)
    degrade = getattr(patches, recipe.degradation)
    seed = keras.random.SeedGenerator(recipe.seed)
    clean = keras.ops.convert_to_tensor(clean)
    given = degrade(clean, seed, **{**recipe.options, **recipe.validation})
    return keras.tree.map_structure(to_numpy, given)
