"""Shared parts of the recipes of the flow networks on rendered scenes."""

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from training.common.runs import (
    Throughput,
    averaging_optimizer,
    fit_resumably,
    rehearsed,
    remember,
    run_stages,
)


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one frame size, down to one level."""

    epochs: int
    size: tuple
    batch_size: int
    motion: float | tuple  # median motion, pixels; or of a mixture (share, median, spread) each
    finest_level: int = 2  # of the pyramid; coarser ones cost less and teach a shared decoder
    loss: str = "multiscale"  # or "robust": of the finest levels, at full resolution


@dataclass(frozen=True)
class Recipe:
    """What a checkpoint depends on, besides the photographs and the weights it starts from."""

    preset: str
    variant: str
    stages: tuple
    steps_per_epoch: int
    rates: tuple  # learning rate as (epoch, rate), half a cosine from each to the next
    clip: float  # global gradient norm
    average: float = 0.999  # decay of the average of the weights, a step
    normalize_features: bool | None = None
    weight_decay: float = 0.0
    validation_batches: int = 12
    validation_size: tuple = (256, 320)
    validation_motion: float | tuple = 6.0
    layers: tuple = (2, 8)
    precision: str = "float32"  # dtype policy of the network; the checkpoint keeps float16
    seed: int = 1

    @property
    def epochs(self):
        return sum(stage.epochs for stage in self.stages)

    @property
    def steps(self):
        return self.epochs * self.steps_per_epoch

    def network(self, start=None):
        """The network with its first weights, or with a preset's."""
        from c2f_zoo import PWCNet

        options = {"weight_decay": self.weight_decay, "dtype": self.precision}
        if start:
            return PWCNet.from_pretrained(start, **options)
        return PWCNet(self.variant, normalize_features=self.normalize_features, **options)

    def stop_at(self, model, level):
        """Have the network estimate down to a level, if it has levels."""
        model.finest_level = level

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        # One stage per level at which estimation stops and loss: the sizes are all one here.
        kinds = {(stage.finest_level, stage.loss): stage for stage in self.stages}
        stages = tuple(
            replace(stage, epochs=1, size=(64, 64), batch_size=2) for stage in kinds.values()
        )
        return replace(
            self,
            stages=stages,
            rates=tuple((epoch * len(stages) / self.epochs, rate) for epoch, rate in self.rates),
            steps_per_epoch=2,
            validation_batches=1,
            validation_size=(64, 64),
            layers=(1, 2),
        )


def parse(recipe, continued, description, argv):
    """Read the command line shared by the recipes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", default=f"runs/{recipe.preset}", help="folder of the run")
    parser.add_argument(
        "--textures",
        help="folder with train/ and validation/ photographs, as collect/photographs.py makes it; "
        " without it the scenes are painted",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="rehearse the whole run in a minute or two"
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
        help="of the network, in all stages (default: "
        + " with --start ".join(plan.precision for plan in (recipe, continued) if plan)
        + ")",
    )
    parser.add_argument("--export", help="also write the preset folder here when done")
    return parser.parse_args(argv)


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

    is_done = run_stages(
        recipe, model, out, arguments.until, partial(run_stage, arguments=arguments)
    )
    recipe.stop_at(model, 2)
    if is_done:
        folder = arguments.export or out / recipe.preset
        with averaged_weights(model):
            model.save_pretrained(folder, precision="float16")
        print(f"Wrote {folder}; the best by held-out data is {out / 'best' / recipe.preset}")
    return model


def build(recipe, start=None):
    """The compiled network of a recipe, from its first weights or a preset's."""
    import keras

    keras.utils.set_random_seed(recipe.seed)
    model = recipe.network(start)
    model.compile(optimizer=averaging_optimizer(recipe))
    return model


def loss_of(stage):
    """The loss of a stage; None for the network's own."""
    from c2f_zoo.losses import MultiscaleRobust

    if stage.loss == "multiscale":
        return None
    # At full resolution. The weight makes the gradient at an error of a pixel what it was under
    # the other loss, which Adam's second moments, and the clipping, have got used to.
    return MultiscaleRobust(level_weights=(0, 0, 0, 2e-5, 1e-4), sparse=True)


def motion_of(motion):
    """Motion as `Scenes` takes it, of a stage's."""
    from c2f_zoo.data.scenes import Motion, MotionMixture

    if not isinstance(motion, tuple):
        return Motion(median=motion)
    shares = tuple(share for share, _, _ in motion)
    parts = tuple(Motion(median=median, spread=spread) for _, median, spread in motion)
    return MotionMixture(parts, shares)


def run_stage(recipe, number, done, last, model, state, arguments):
    """Train one stage, from epoch `done` to `last`."""
    import keras

    from c2f_zoo import backend
    from c2f_zoo.data import Scenes
    from c2f_zoo.training import (
        FlowPictures,
        OnAverage,
    )
    from training.flow.validation import HeldOut, photographs_of

    stage, out = recipe.stages[number], Path(arguments.out)
    recipe.stop_at(model, stage.finest_level)
    # Keras traces a step anew, with the same optimizer state, once the model is compiled again.
    model.compile(optimizer=model.optimizer, loss=loss_of(stage))
    folders = dict.fromkeys(("train", "validation"))
    if arguments.textures:
        folders = {part: str(Path(arguments.textures) / part) for part in folders}
    scenes = Scenes(
        size=stage.size,
        batch_size=stage.batch_size,
        textures=folders["train"],
        layers=recipe.layers,
        motion=motion_of(stage.motion),
        seed=recipe.seed + 1000 * number,
    )
    tell_motion(f"stage {number + 1} of {len(recipe.stages)}, {stage.size}", scenes)
    held_out = Scenes(
        size=recipe.validation_size,
        batch_size=4,
        textures=folders["validation"],
        layers=recipe.layers,
        motion=motion_of(recipe.validation_motion),
        seed=987_654,
    )
    tell_motion("held out", held_out)
    batches = [
        keras.tree.map_structure(backend.to_numpy, held_out.batch(index))
        for index in range(recipe.validation_batches)
    ]
    measure = HeldOut(
        out / "held_out.csv",
        out / "best" / recipe.preset,
        batches,
        photographs_of(folders["validation"]),
        recipe.validation_size,
    )
    pictures = FlowPictures(out / "pictures", batches[0], every=max(1, recipe.epochs // 30))
    stream = scenes.stream(recipe.steps_per_epoch, first_epoch=done)
    fit_resumably(
        model,
        stream,
        done,
        last,
        state,
        out,
        Throughput(recipe.steps_per_epoch * stage.batch_size),
        OnAverage(measure, pictures),
        verbose=1 if arguments.tiny else 2,
    )


def tell_motion(title, scenes):
    """Print which share of the pixels of some scenes moves how far."""
    from training.flow.validation import length_names, length_shares

    count = -(-32 // scenes.batch_size)
    shares = sum(length_shares(scenes.batch(index)[1]) for index in range(count)) / count
    told = ", ".join(
        f"{name} px {share:.0%}" for name, share in zip(length_names(), shares, strict=True)
    )
    print(f"Motion ({title}): {told}")
