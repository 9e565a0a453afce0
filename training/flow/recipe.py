"""What the recipes of the flow networks on rendered scenes share."""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one frame size, down to one level."""

    epochs: int
    size: tuple
    batch_size: int
    motion: float  # median motion of the scenes, pixels
    finest_level: int = 2  # of the pyramid; coarser ones cost less and teach a shared decoder


@dataclass(frozen=True)
class Recipe:
    """What a checkpoint depends on, besides the photographs and the weights it starts from."""

    preset: str
    variant: str
    stages: tuple
    steps_per_epoch: int
    peak: float  # learning rate
    hold: float  # share of all steps after which the rate falls
    warmup: int  # steps
    clip: float  # global gradient norm
    normalize_features: bool | None = None
    weight_decay: float = 0.0
    validation_batches: int = 6
    validation_size: tuple = (256, 320)
    layers: tuple = (2, 8)
    precision: str = "float32"  # dtype policy of the network; the checkpoint keeps float16
    seed: int = 1

    @property
    def epochs(self):
        return sum(stage.epochs for stage in self.stages)

    @property
    def steps(self):
        return self.epochs * self.steps_per_epoch

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        # One stage per level at which estimation stops: the sizes are all one here.
        levels = {stage.finest_level: stage for stage in self.stages}
        stages = tuple(
            replace(stage, epochs=1, size=(64, 64), batch_size=2) for stage in levels.values()
        )
        return replace(
            self,
            stages=stages,
            steps_per_epoch=2,
            warmup=1,
            validation_batches=1,
            validation_size=(64, 64),
            layers=(1, 2),
        )


def parse(recipe, description, argv):
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
    parser.add_argument("--start", help="preset whose weights to start from")
    parser.add_argument("--export", help="also write the preset folder here when done")
    return parser.parse_args(argv)


def train(recipe, description, argv=None):
    """Run, or resume, a recipe; returns the trained model."""
    arguments = parse(recipe, description, argv)
    if arguments.tiny:
        # A folder of its own: the real run must not resume from a rehearsal.
        recipe, arguments.out, arguments.export = recipe.tiny(), f"{arguments.out}_tiny", None
    out = Path(arguments.out)
    remember(recipe, arguments, out)
    model = build(recipe, arguments.start)

    from c2f_zoo.training.callbacks import TrainingState

    state = TrainingState(out / "state.npz")
    done, first = state.restore(model), 0
    for number, stage in enumerate(recipe.stages):
        last = min(first + stage.epochs, arguments.until or recipe.epochs)
        if done < last:
            run_stage(recipe, number, done, last, model, state, arguments)
            done = last
            if model.stop_training:
                print(f"Stopped. The same command resumes from {state.path}")
                return model
        first += stage.epochs
    model.finest_level = 2
    if done >= recipe.epochs:
        folder = arguments.export or out / recipe.preset
        model.save_pretrained(folder, precision="float16")
        print(f"Wrote {folder}")
    return model


def remember(recipe, arguments, out):
    """Write the recipe into the run's folder; refuse to resume the run of another one."""
    out.mkdir(parents=True, exist_ok=True)
    about = {**asdict(recipe), "start": arguments.start, "textures": arguments.textures}
    file, text = out / "recipe.json", json.dumps(about, indent=1) + "\n"
    if (out / "state.npz").exists() and file.exists() and file.read_text() != text:
        raise SystemExit(
            f"{out} holds a run of another recipe (see {file}). Choose another --out, or change "
            "its recipe.json too if the run is to go on under the new one."
        )
    file.write_text(text)


def build(recipe, start=None):
    """The compiled network of a recipe, from its first weights or a preset's."""
    import keras

    from c2f_zoo import PWCNet
    from c2f_zoo.training.schedules import WarmupPlateauCosine

    keras.utils.set_random_seed(recipe.seed)
    options = {"weight_decay": recipe.weight_decay, "dtype": recipe.precision}
    if start:
        model = PWCNet.from_pretrained(start, **options)
    else:
        model = PWCNet(recipe.variant, normalize_features=recipe.normalize_features, **options)
    schedule = WarmupPlateauCosine(
        recipe.peak,
        recipe.warmup,
        max(recipe.warmup, int(recipe.hold * recipe.steps)),
        recipe.steps,
    )
    model.compile(optimizer=keras.optimizers.Adam(schedule, global_clipnorm=recipe.clip))
    return model


def run_stage(recipe, number, done, last, model, state, arguments):
    """Train one stage, from epoch `done` to `last`."""
    import keras

    from c2f_zoo.data import FollowEpoch, Scenes
    from c2f_zoo.training import FlowPictures, StopOnNaN, StopOnSignal, TensorBoardLog

    stage, out = recipe.stages[number], Path(arguments.out)
    model.finest_level = stage.finest_level
    # Keras traces a step anew, with the same optimizer state, once the model is compiled again.
    model.compile(optimizer=model.optimizer)
    folders = {part: None for part in ("train", "validation")}
    if arguments.textures:
        folders = {part: str(Path(arguments.textures) / part) for part in folders}
    scenes = Scenes(
        size=stage.size,
        batch_size=stage.batch_size,
        textures=folders["train"],
        layers=recipe.layers,
        motion=stage.motion,
        seed=recipe.seed + 1000 * number,
    )
    held_out = Scenes(
        size=recipe.validation_size,
        batch_size=4,
        textures=folders["validation"],
        layers=recipe.layers,
        seed=987_654,
    ).stream(recipe.validation_batches)
    validation = FixedBatches([held_out[i] for i in range(len(held_out))])
    stream = scenes.stream(recipe.steps_per_epoch, first_epoch=done)
    with StopOnSignal() as stop:
        model.fit(
            stream,
            initial_epoch=done,
            epochs=last,
            validation_data=validation,
            # Batch i of epoch e must be the same in a run that was resumed.
            shuffle=False,
            callbacks=[
                FollowEpoch(stream),
                StopOnNaN(),
                stop,
                keras.callbacks.CSVLogger(out / "log.csv", append=True),
                TensorBoardLog(out / "tensorboard"),
                FlowPictures(out / "pictures", validation[0]),
                Throughput(recipe.steps_per_epoch * stage.batch_size),
                state,
            ],
            verbose=1 if arguments.tiny else 2,
        )


def FixedBatches(batches):
    """A dataset of the given batches, kept on the host."""
    import keras

    from c2f_zoo import backend

    class Fixed(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.batches = keras.tree.map_structure(backend.to_numpy, batches)

        def __len__(self):
            return len(self.batches)

        def __getitem__(self, index):
            return self.batches[index]

    return Fixed()


def Throughput(samples):
    """A callback that prints the samples a second of every epoch, validation left out."""
    import keras

    class Printed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.time()

        def on_test_begin(self, logs=None):
            print(f"{samples / (time.time() - self.start):.1f} samples/s")

    return Printed()
