"""Shared parts of the recipes of the generative models."""

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.common.runs import finish, parse_run, rehearsed, remember, stop_after


@dataclass(frozen=True)
class GenerativeRecipe:
    """What a generative checkpoint depends on, besides the images."""

    preset: str
    architecture: str  # class of c2f_zoo.models
    resolution: int
    data: str  # of data.py
    model: dict  # other constructor arguments
    settings: str  # name known to AdversarialTraining.named
    changes: dict = field(default_factory=dict)  # attributes that differ
    growth: dict | None = None  # arguments of GrowthSchedule.by_images
    images: int | None = None  # real images shown, where nothing grows
    batch_size: int = 16  # where nothing grows
    steps_per_epoch: int = 250  # the state is saved after each
    mirror: bool = True
    grid_every: int = 10_000
    precision: str = "float32"  # dtype policy of the networks; the checkpoint keeps float16
    seed: int = 1
    # What the card says of the published checkpoint, once somebody has looked at its grids.
    limits: str = ""
    hardware: str = ""

    def schedule(self):
        """The `GrowthSchedule`, or None where nothing grows."""
        from c2f_zoo.training import GrowthSchedule

        return self.growth and GrowthSchedule.by_images(self.resolution, **self.growth)

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        # Two epochs a fade, so that one ends in its middle.
        growth = {"stabilise": 8, "fade": 16, "batch_sizes": 4}
        return replace(
            self,
            model={**self.model, "num_filters": (8,) * len(self.model["num_filters"])},
            growth=self.growth and {**growth, "first_stage": self.growth.get("first_stage", 0)},
            images=self.images and 24,
            batch_size=4,
            steps_per_epoch=2,
            grid_every=16,
            precision="float32",
        )


def parse(recipe, description, argv):
    """Read the command line shared by the recipes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        help="archive of the package with the images, or the folder it was unpacked to "
        "(training/generation/data.py fetches it); without it a rehearsal takes noise",
    )
    parser.add_argument("--cache", help="folder of the image caches")
    return parse_run(parser, recipe.preset, "data", argv)


def train(recipe, description, argv=None):
    """Run, or resume, a recipe; returns the trained model."""
    arguments = parse(recipe, description, argv)
    recipe, arguments = rehearsed(recipe, arguments)
    out = Path(arguments.out)
    remember(recipe, out)
    model, schedule = build(recipe), recipe.schedule()

    from c2f_zoo.backend import to_numpy
    from c2f_zoo.training import TrainingState

    state = TrainingState(out / "state.npz")
    epoch = state.restore(model)
    total = schedule.total if schedule else recipe.images
    if to_numpy(model.images_shown) < total:
        fit(model, recipe, schedule, total, epoch, state, arguments)
    is_done = bool(to_numpy(model.images_shown) >= total)
    finish(model, recipe, arguments, out, is_done, state)
    return model


def build(recipe):
    """The compiled model of a recipe, with its first weights."""
    import keras

    from c2f_zoo import models
    from c2f_zoo.training import AdversarialTraining

    keras.utils.set_random_seed(recipe.seed)
    model = getattr(models, recipe.architecture)(
        recipe.resolution, dtype=recipe.precision, seed=recipe.seed, **recipe.model
    )
    model.compile(AdversarialTraining.named(recipe.settings, **recipe.changes))
    return model


def fit(model, recipe, schedule, total, epoch, state, arguments):
    """Train until all images are shown, or until somebody stops it."""
    from c2f_zoo.data import ImageStream
    from c2f_zoo.training import (
        EpochLog,
        ImageProgress,
        ProgressiveGrowth,
        SampleGrids,
        StopOnNaN,
        StopOnSignal,
        TensorBoardLog,
        on_first_host,
    )

    out = Path(arguments.out)
    fixed = {} if schedule else {"batch_size": recipe.batch_size, "resolution": recipe.resolution}
    stream = ImageStream(
        images_of(recipe, arguments), schedule, mirror=recipe.mirror, seed=recipe.seed, **fixed
    )
    with StopOnSignal(state) as stop:
        model.fit(
            stream,
            steps_per_epoch=recipe.steps_per_epoch,
            initial_epoch=epoch,
            epochs=10**6,
            verbose=0,
            callbacks=[
                *([ProgressiveGrowth(schedule)] if schedule else []),
                ImageProgress(schedule or total),
                StopOnNaN(),
                stop,
                on_first_host(EpochLog(out / "log.csv")),
                TensorBoardLog(out / "tensorboard"),
                SampleGrids(out / "grids", recipe.grid_every, n=64, film=out / "growth.gif"),
                *([stop_after(arguments.minutes, model)] if arguments.minutes else []),
                state,
            ],
        )


def images_of(recipe, arguments):
    """The `ImageCache` to train on; noise for a rehearsal without data."""
    import numpy as np

    from c2f_zoo.data import ImageCache
    from training.generation.data import image_cache

    if arguments.data:
        return image_cache(recipe.data, arguments.data, recipe.resolution, arguments.cache)
    size = (16, recipe.resolution, recipe.resolution, 3)
    noise = np.random.default_rng(recipe.seed).integers(0, 256, size).astype("uint8")
    cache = arguments.cache or Path(arguments.out) / "cache"
    return ImageCache.from_arrays(noise, cache=cache, progress=False)
