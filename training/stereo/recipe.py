"""Shared parts of the recipes of the stereo networks on rendered scenes."""

import argparse
import contextlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from training.common.runs import (
    Throughput,
    averaging_optimizer,
    fit_resumably,
    parse_run,
    rehearsed,
    remember,
    run_stages,
    stop_after,
)


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one size of images and range of disparities."""

    epochs: int
    size: tuple
    nearest: tuple  # range of the largest disparity of a scene, pixels
    max_disparity: int  # the network's meanwhile: a short range costs less
    batch_size: int = 8


@dataclass(frozen=True)
class Recipe:
    """What a checkpoint depends on, besides the photographs and the weights it starts from."""

    preset: str
    architecture: str  # class of c2f_zoo
    stages: tuple
    steps_per_epoch: int
    rates: tuple  # learning rate as (epoch, rate), half a cosine from each to the next
    clip: float  # global gradient norm
    max_disparity: int = 128
    model: tuple = ()  # further constructor arguments, pairs
    average: float = 0.999  # decay of the average of the weights, a step
    depth: tuple = (0.05, 0.7)  # of `Surfaces`
    layers: tuple = (4, 10)
    painted: int = 40  # textures that are painted, beside those of the photographs
    validation_batches: int = 8
    validation_size: tuple = (256, 384)
    validation_nearest: tuple = (12.0, 112.0)
    precision: str = "float32"  # dtype policy of the network; the checkpoint keeps float16
    seed: int = 1

    @property
    def epochs(self):
        return sum(stage.epochs for stage in self.stages)

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        stages = tuple(
            Stage(epochs=1, size=(32, 64), nearest=(4.0, limit), max_disparity=limit, batch_size=2)
            for limit in (32, 64)
        )
        return replace(
            self,
            stages=stages,
            rates=tuple((epoch * len(stages) / self.epochs, rate) for epoch, rate in self.rates),
            steps_per_epoch=2,
            max_disparity=64,
            validation_batches=1,
            validation_size=(32, 64),
            validation_nearest=(4.0, 48.0),
            layers=(1, 3),
            painted=4,
            precision="float32",
        )


def parse(recipe, continued, description, argv):
    """Read the command line shared by the recipes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--textures",
        help="folder with train/ and validation/ photographs, as collect/photographs.py makes it; "
        "without it a rehearsal paints its scenes",
    )
    parser.add_argument("--until", type=int, help="stop after this epoch, to be resumed later")
    parser.add_argument(
        "--start",
        help="preset whose weights to start from"
        + (", by the stages that are planned for it" if continued else ""),
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help=f"of the network, in all stages (default: {recipe.precision})",
    )
    return parse_run(parser, recipe.preset, "textures", argv)


def train(recipe, description, argv=None, continued=None):
    """Run, or resume, a recipe, or with `--start` the one it is continued by.

    Returns the model, with the average of the weights once the recipe is done.
    """
    arguments = parse(recipe, continued, description, argv)
    recipe = continued if arguments.start and continued else recipe
    recipe = replace(recipe, precision=arguments.precision or recipe.precision)
    recipe, arguments = rehearsed(recipe, arguments)
    out = Path(arguments.out)
    remember(recipe, out, start=arguments.start, textures=arguments.textures)
    model = build(recipe, arguments.start)

    from c2f_zoo.training import averaged_weights

    callbacks = [stop_after(arguments.minutes, model)] if arguments.minutes else []
    stage = partial(run_stage, arguments=arguments, callbacks=callbacks)
    if run_stages(recipe, model, out, arguments.until, stage):
        folder = arguments.export or out / recipe.preset
        scenes = scenes_of(recipe, len(recipe.stages) - 1, arguments.textures)
        with averaged_weights(model, statistics_batches(recipe, scenes)):
            model.save_pretrained(folder, precision="float16")
        print(f"Wrote {folder}; the best by held-out data is {out / 'best' / recipe.preset}")
    return model


def build(recipe, start=None):
    """The compiled network of a recipe, from its first weights or a preset's."""
    import keras

    import c2f_zoo

    keras.utils.set_random_seed(recipe.seed)
    architecture = getattr(c2f_zoo, recipe.architecture)
    options = {"max_disparity": recipe.max_disparity, "dtype": recipe.precision}
    if start:
        model = architecture.from_pretrained(start, **options)
    else:
        model = architecture(**dict(recipe.model), **options)
    model.compile(optimizer=averaging_optimizer(recipe))
    return model


@contextlib.contextmanager
def ranged(model, max_disparity):
    """Have a network look for disparities below another limit for the length of a block."""
    usual, model.max_disparity = model.max_disparity, max_disparity
    try:
        yield
    finally:
        model.max_disparity = usual


def textures_of(folder, painted):
    """Textures (N, h, w, 3), uint8, of a folder's photographs, with some painted ones.

    Photographs hardly have what misleads a stereo network: stripes, checks, letters.
    """
    import numpy as np

    from c2f_zoo.data.scenes.textures import load_textures, procedural_textures

    drawn = [procedural_textures(painted)] if painted else []
    return np.concatenate([load_textures(folder), *drawn] if folder else drawn)


def scenes_of(recipe, number, textures):
    """The rendered scenes of a stage; `textures` is a folder with train/, or None."""
    from c2f_zoo.data import StereoScenes, Surfaces

    stage = recipe.stages[number]
    return StereoScenes(
        size=stage.size,
        batch_size=stage.batch_size,
        textures=textures_of(str(Path(textures) / "train") if textures else None, recipe.painted),
        layers=recipe.layers,
        surfaces=Surfaces(stage.nearest, recipe.depth),
        seed=recipe.seed + 1000 * number,
    )


def statistics_batches(recipe, scenes):
    """Pairs of images by which the averaged weights get their own batch statistics."""
    return [scenes.batch(index)[0] for index in range(min(16, recipe.steps_per_epoch))]


def run_stage(recipe, number, done, last, model, state, arguments, callbacks=()):
    """Train one stage, from epoch `done` to `last`."""
    from c2f_zoo.losses import MultilevelSmoothL1
    from c2f_zoo.training import OnAverage
    from training.stereo.validation import DisparityPictures, HeldOut, held_out_batches

    stage, out = recipe.stages[number], Path(arguments.out)
    scenes = scenes_of(recipe, number, arguments.textures)
    tell_disparities(f"stage {number + 1} of {len(recipe.stages)}, {stage.size}", scenes)
    validation = str(Path(arguments.textures) / "validation") if arguments.textures else None
    batches = held_out_batches(recipe, validation)
    measure = HeldOut(
        out / "held_out.csv", out / "best" / recipe.preset, batches, recipe.max_disparity
    )
    pictures = DisparityPictures(
        out / "pictures", batches[0], every=max(1, recipe.epochs // 30), limit=recipe.max_disparity
    )
    stream = scenes.stream(recipe.steps_per_epoch, first_epoch=done)
    # Keras traces a step anew, with the same optimizer state, once the model is compiled again.
    with ranged(model, stage.max_disparity):
        model.compile(
            optimizer=model.optimizer, loss=MultilevelSmoothL1(max_disparity=stage.max_disparity)
        )
        fit_resumably(
            model,
            stream,
            done,
            last,
            state,
            out,
            *callbacks,
            Throughput(recipe.steps_per_epoch * stage.batch_size),
            OnAverage(measure, pictures, batches=statistics_batches(recipe, scenes)),
            verbose=1 if arguments.tiny else 2,
        )


def tell_disparities(title, scenes):
    """Print the distribution of the disparities of some scenes."""
    import numpy as np

    from c2f_zoo import backend

    count = -(-32 // scenes.batch_size)
    some = [backend.to_numpy(scenes.batch(index)[1]).ravel() for index in range(count)]
    shares = np.percentile(np.concatenate(some), (5, 25, 50, 75, 95))
    told = ", ".join(f"{value:.1f}" for value in shares)
    print(f"Disparity ({title}), 5 to 95 %: {told} px")
