"""Shared parts of the recipes: options, folder and end of a run."""

import importlib
import json
import time
from dataclasses import asdict

# Attributes of a recipe that its run does not depend on.
REMARKS = ("summary", "limits", "hardware")


def parse_run(parser, preset, data, argv):
    """Add the options of every run and parse the command line.

    `data` names the option of the training data, which only a rehearsal may leave out.
    """
    parser.add_argument("--out", default=f"runs/{preset}", help="folder of the run")
    parser.add_argument(
        "--tiny", action="store_true", help="rehearse the whole run in a minute or two"
    )
    parser.add_argument("--minutes", type=float, help="stop after so many, to be resumed later")
    parser.add_argument("--export", help="also write the preset folder here when done")
    arguments = parser.parse_args(argv)
    if not (getattr(arguments, data) or arguments.tiny):
        parser.error(f"--{data} is needed, but for a rehearsal (--tiny)")
    return arguments


def rehearsed(recipe, arguments):
    """The recipe, or with `--tiny` its rehearsal, and the arguments that go with it."""
    if arguments.tiny:
        # A folder of its own: the real run must not resume from a rehearsal.
        recipe, arguments.out, arguments.export = recipe.tiny(), f"{arguments.out}_tiny", None
    return recipe, arguments


def remember(recipe, out, **more):
    """Write the recipe and `more` into the run's folder; refuse to resume another one's run."""
    from c2f_zoo import hosts
    from c2f_zoo.data import atomic_write
    from c2f_zoo.training import TrainingState

    if not hosts.is_first_host():
        return
    out.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in asdict(recipe).items() if key not in REMARKS}
    file, text = out / "recipe.json", json.dumps({**settings, **more}, indent=1) + "\n"
    has_state = bool(TrainingState(out / "state.npz").files.found())
    if has_state and file.exists() and file.read_text() != text:
        raise SystemExit(
            f"{out} holds a run of another recipe (see {file}). Choose another --out, or change "
            "its recipe.json too if the run is to go on under the new one."
        )
    with atomic_write(file) as opened:
        opened.write(text.encode())


def averaging_optimizer(recipe):
    """Adam by a recipe's rates, whose gradients are clipped and whose weights are averaged."""
    from c2f_zoo.training import ClippedAdamW, PiecewiseCosine

    schedule = PiecewiseCosine(
        [epoch * recipe.steps_per_epoch for epoch, _ in recipe.rates],
        [rate for _, rate in recipe.rates],
    )
    return ClippedAdamW(
        schedule,
        clip_norm=recipe.clip,
        weight_decay=0.0,
        use_ema=True,
        ema_momentum=recipe.average,
    )


def finish(model, recipe, arguments, out, is_done, state):
    """Write the preset of a run that is done; tell how to go on with another."""
    if is_done:
        folder = arguments.export or out / recipe.preset
        model.save_pretrained(folder, precision="float16")
        print(f"Wrote {folder}")
    else:
        print(f"Stopped. The same command resumes from {state.path}")


def recipe_of(kind, preset):
    """The `RECIPE` of the file in `training/KIND/` that rebuilds a preset."""
    return importlib.import_module(f"training.{kind}.{preset.replace('.', '_')}").RECIPE


def stop_after(minutes, model):
    """A callback that ends the training of a model after an epoch beyond so many minutes."""
    import keras

    from c2f_zoo import hosts

    deadline = time.monotonic() + 60 * minutes

    def on_epoch_end(epoch, logs):
        if hosts.on_any_host(time.monotonic() > deadline):
            model.stop_training = True

    return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)


def run_stages(recipe, model, out, until, run_stage):
    """Run the stages of a recipe, from where the run in the folder `out` stopped.

    `run_stage(recipe, number, done, last, model, state)` trains stage `number` from epoch `done`
    to `last` with the callback `state`; `until` is the epoch to stop after, or None. Returns
    whether the recipe is done.
    """
    from c2f_zoo.training import TrainingState

    state = TrainingState(out / "state.npz")
    done, first = 0, 0
    for number, stage in enumerate(recipe.stages):
        # Before every stage: Keras leaves the average in the model when `fit` ends.
        done = state.restore(model)
        last = min(first + stage.epochs, until or recipe.epochs)
        if done < last:
            run_stage(recipe, number, done, last, model, state)
            done = last
            if model.stop_training:
                print(f"Stopped. The same command resumes from {state.path}")
                return False
        first += stage.epochs
    return done >= recipe.epochs


def fit_resumably(model, stream, done, last, state, out, *callbacks, name=None, **options):
    """Train from epoch `done` to `last`, by `fit`; a run that is resumed equals an unbroken one.

    Args:
        model: The compiled model.
        stream: Data set whose batches follow from its epoch and their number.
        done: Epochs done.
        last: Epoch to stop after.
        state: The `TrainingState` that was restored.
        out: Folder of the run, which gets a table of the logs and TensorBoard's files.
        *callbacks: More callbacks; what they add to the logs is in the table.
        name: Of the files, where several trainings share the folder.
        **options: More arguments of `fit`.
    """
    from c2f_zoo.data import FollowEpoch
    from c2f_zoo.training import EpochLog, StopOnNaN, StopOnSignal, TensorBoardLog, on_first_host

    with StopOnSignal(state) as stop:
        model.fit(
            stream,
            initial_epoch=done,
            epochs=last,
            # Batch i of epoch e must be the same in a run that was resumed.
            shuffle=False,
            callbacks=[
                FollowEpoch(stream),
                StopOnNaN(),
                stop,
                *callbacks,
                on_first_host(EpochLog(out / f"{name or 'log'}.csv")),
                TensorBoardLog(out / "tensorboard" / (name or "")),
                state,
            ],
            **options,
        )


def run_paper_stage(model, stream, epochs, out, name, *callbacks, **options):
    """Run, or resume, a stage of a paper's training, and save the weights for the next one.

    The arguments are those of `fit_resumably`; `name` is the stage's. Returns the model.
    """
    from c2f_zoo.training import TrainingState

    state = TrainingState(out / f"{name}.npz")
    done = state.restore(model)
    fit_resumably(model, stream, done, epochs, state, out, *callbacks, name=name, **options)
    if model.stop_training:
        print(f"Stopped. The same command resumes from {state.path}")
    else:
        model.save_weights(out / f"{name}.weights.h5")
    return model


def Throughput(samples):
    """A callback that logs the samples a second of every epoch, validation left out."""
    import keras

    class Printed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.time()

        def on_epoch_end(self, epoch, logs=None):
            logs["samples_per_second"] = samples / (time.time() - self.start)

    return Printed()
