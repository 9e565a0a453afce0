"""Trains a depth network on rendered rooms: shared by the recipes of this folder."""

import argparse
import math
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
from training.depth.rooms import InTurn, rendered_rooms
from training.flow.validation import HeldOut


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one image size."""

    epochs: int
    size: tuple
    batch_size: int


@dataclass(frozen=True)
class Recipe:
    """What a checkpoint depends on, besides the photographs."""

    preset: str
    model: dict  # arguments of DepthUNet
    loss: dict  # arguments of MultiscaleDepthLoss, but those of the network
    stages: tuple
    steps_per_epoch: int
    rates: tuple  # learning rate as (epoch, rate), half a cosine from each to the next
    clip: float  # global gradient norm
    average: float = 0.999  # decay of the average of the weights, a step
    objects: tuple = (2, 10)
    room: tuple = (3.0, 12.0)
    field_of_view: tuple = (45.0, 75.0)
    validation_batches: int = 12
    precision: str = "float32"  # dtype policy of the network; the checkpoint keeps float16
    seed: int = 1

    @property
    def epochs(self):
        return sum(stage.epochs for stage in self.stages)

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        sizes = ((24, 32), (32, 40))
        stages = tuple(Stage(1, size, 2) for size, _ in zip(sizes, self.stages, strict=False))
        small = {"width": 4, "multipliers": (1, 2), "groups": 2, "attention": 1, "image_side": 32}
        return replace(
            self,
            model={**self.model, **small},
            stages=stages,
            steps_per_epoch=2,
            rates=tuple((epoch * len(stages) / self.epochs, rate) for epoch, rate in self.rates),
            objects=(1, 2),
            validation_batches=1,
            precision="float32",
        )


def train(recipe, description, argv=None):
    """Run, or resume, a recipe. Returns the model, with the average of the weights once done."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", default=f"runs/{recipe.preset}", help="folder of the run")
    parser.add_argument(
        "--textures",
        help="folder with train/ and validation/ photographs, as collect/photographs.py makes it; "
        "without it the rooms are painted",
    )
    parser.add_argument(
        "--rooms",
        help="folder that collect/blender_scenes.py rendered: every second batch is from its "
        "train/, and the best weights are those of the least error on its held_out/",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="rehearse the whole run in a minute or two"
    )
    parser.add_argument("--until", type=int, help="stop after this epoch, to be resumed later")
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help=f"of the network (default: {recipe.precision})",
    )
    parser.add_argument("--export", help="also write the preset folder here when done")
    arguments = parser.parse_args(argv)
    recipe, arguments = rehearsed(recipe, arguments)
    recipe = replace(recipe, precision=arguments.precision or recipe.precision)
    out = Path(arguments.out)
    remember(recipe, out, textures=arguments.textures, rooms=arguments.rooms)
    model = build(recipe)

    from c2f_zoo.training import averaged_weights

    if run_stages(recipe, model, out, arguments.until, partial(run_stage, arguments=arguments)):
        folder = arguments.export or out / recipe.preset
        with averaged_weights(model):
            model.save_pretrained(folder, precision="float16")
        print(f"Wrote {folder}; the best by held-out data is {out / 'best' / recipe.preset}")
    return model


def build(recipe):
    """The compiled network of a recipe."""
    import keras

    from c2f_zoo import DepthUNet
    from c2f_zoo.losses import MultiscaleDepthLoss

    keras.utils.set_random_seed(recipe.seed)
    model = DepthUNet(**recipe.model, dtype=recipe.precision)
    model.compile(
        averaging_optimizer(recipe),
        MultiscaleDepthLoss(
            representation=model.representation, limits=model.limits, **recipe.loss
        ),
    )
    return model


def run_stage(recipe, number, done, last, model, state, arguments):
    """Train stage `number`, from epoch `done` to `last`."""
    from c2f_zoo import backend
    from c2f_zoo.data import DepthScenes
    from c2f_zoo.training import OnAverage

    stage, out = recipe.stages[number], Path(arguments.out)
    folders = dict.fromkeys(("train", "validation"))
    if arguments.textures:
        folders = {part: str(Path(arguments.textures) / part) for part in folders}
    rooms = {
        "objects": recipe.objects,
        "room": recipe.room,
        "field_of_view": recipe.field_of_view,
    }
    scenes = DepthScenes(
        size=stage.size,
        batch_size=stage.batch_size,
        textures=folders["train"],
        seed=recipe.seed + 1000 * number,
        **rooms,
    )
    # At the size of the last stage throughout, so that the figures of all epochs compare.
    size = recipe.stages[-1].size
    stream = scenes.stream(recipe.steps_per_epoch, first_epoch=done)
    if arguments.rooms:
        stream = with_rendered(arguments.rooms, stream, recipe, number, done)
        rendered = rendered_rooms(f"{arguments.rooms}/held_out", size, 4, augment=False)
        batches = [rendered[index][:2] for index in range(len(rendered))]
    else:
        held_out = DepthScenes(
            size=size, batch_size=4, textures=folders["validation"], seed=987_654, **rooms
        )
        batches = [
            tuple(map(backend.to_numpy, held_out.batch(index)))
            for index in range(recipe.validation_batches)
        ]
    measure = HeldOutRooms(out / "held_out.csv", out / "best" / recipe.preset, batches)
    pictures = DepthPictures(out / "pictures", batches[0], max(1, recipe.epochs // 30))
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


def with_rendered(folder, scenes, recipe, number, epoch):
    """A stream of stage `number` of which every second batch is rendered with Blender."""
    stage = recipe.stages[number]
    seed = recipe.seed + 1000 * number
    train = rendered_rooms(f"{folder}/train", stage.size, stage.batch_size, seed)
    return InTurn(scenes, train, recipe.steps_per_epoch, epoch)


class HeldOutRooms(HeldOut):
    """Measures every epoch on held-out rooms; keeps the weights of the least score.

    The score is the geometric mean of AbsRel in metres and of AbsRel scaled to the median: the
    first alone would trade shapes for the right size.

    Args:
        table: File of the figures, `.csv`.
        preset: Folder of the best weights, a preset.
        batches: Held-out batches (image, depth).
    """

    def __init__(self, table, preset, batches):
        super().__init__(table, preset, batches, None, None)

    def measure(self):
        """The figures of the model as it is, a dictionary."""
        from c2f_zoo import backend
        from c2f_zoo.metrics import depth_metrics

        metrics = [*depth_metrics("median"), *depth_metrics()]
        for images, depth in self.batches:
            estimate = backend.predict_on_batch(self.model, images)
            for metric in metrics:
                metric.update_state(depth, estimate)
        figures = {metric.name: float(metric.result()) for metric in metrics}
        score = math.sqrt(figures["abs_rel"] * figures["abs_rel_scaled"])
        return {"score": score, **figures}


def DepthPictures(folder, samples, every):
    """A callback that writes images, their depth and the estimates, one file per epoch."""
    import keras
    import numpy as np

    from c2f_zoo import backend, hosts
    from c2f_zoo.data import depth_picture, save_image

    images, truths = samples

    class Pictures(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if (epoch + 1) % every:
                return
            found = backend.to_numpy(backend.predict_on_batch(self.model, images))
            if not hosts.is_first_host():
                return
            rows = []
            for image, truth, depth in zip(images, truths, found, strict=True):
                limits = tuple(np.percentile(truth, (1, 99)) * (0.95, 1.05))
                maps = [depth_picture(one, limits) for one in (truth, depth)]
                rows.append(np.concatenate([image, *maps], axis=1))
            folder.mkdir(parents=True, exist_ok=True)
            save_image(folder / f"epoch_{epoch + 1:04d}.png", np.concatenate(rows))

    return Pictures()
