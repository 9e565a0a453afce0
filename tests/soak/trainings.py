"""Small trainings that go on from what their folder holds; each takes seconds."""

from types import SimpleNamespace

import keras
import numpy as np

from c2f_zoo.backend import to_numpy


def progan(folder, watch):
    """ProGAN from 4x4 to 16x16 through two fades, with R1 and an average of the weights."""
    from c2f_zoo.data import ImageCache, ImageStream
    from c2f_zoo.models import ProGAN
    from c2f_zoo.training import AdversarialTraining, GrowthSchedule, ProgressiveGrowth

    keras.utils.set_random_seed(1)
    schedule = GrowthSchedule.by_images(16, stabilise=20, fade=32, batch_sizes=4)
    model = ProGAN(16, latent_size=8, num_filters=(8, 8, 4), seed=1)
    model.compile(AdversarialTraining(loss="logistic"))
    pictures = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype("uint8")
    cache = ImageCache.from_arrays(pictures, cache=folder / "cache", progress=False)
    stream = ImageStream(cache, schedule, mirror=True, seed=1)

    def place():
        return "in a fade" if 0 < schedule.at(int(to_numpy(model.images_shown))).alpha < 1 else ""

    if int(to_numpy(_restored(model, folder).images_shown)) < schedule.total:
        growth = [ProgressiveGrowth(schedule)]
        _fit(model, stream, folder, watch(place), growth, epochs=1000, steps_per_epoch=4)


def multilevel(folder, watch):
    """Full-Multiscale denoising of three stages, whose noise is drawn on the device."""
    from c2f_zoo.training import Multilevel, MultilevelLog, MultilevelSchedule, MultilevelStream

    keras.utils.set_random_seed(1)
    schedule = MultilevelSchedule.full_multiscale(2, iterations=(12, 12, 12), batch_sizes=(4, 2, 2))
    layers = [
        keras.Input((None, None, 3)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.SpatialDropout2D(0.2),
        keras.layers.Conv2D(3, 3, padding="same"),
    ]

    def noisy(x, y, weights, seed):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=seed), x

    model = Multilevel(keras.Sequential(layers), schedule=schedule, prepare=noisy, seed=2)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, schedule.total)
    model.compile(
        keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.9), "mse", metrics=["mae"]
    )
    images = np.random.default_rng(0).random((10, 16, 16, 3)).astype("float32")

    def place():
        step = int(to_numpy(model.steps))
        ends = step < schedule.total and schedule.at(step) is not schedule.at(step - 1)
        return "between stages" if ends else ""

    done = int(to_numpy(_restored(model, folder).steps))
    if done < schedule.total:
        stream = MultilevelStream(images, schedule, seed=3, initial_step=done, prefetch=2)
        log = [MultilevelLog(folder / "steps.csv", schedule)]
        _fit(model, stream, folder, watch(place), log, epochs=9, steps_per_epoch=4)


def flow(folder, watch):
    """Two stages of rendered scenes, as the recipes run them, with a network of two layers."""
    from c2f_zoo.data import FollowEpoch, Scenes
    from c2f_zoo.training import EpochLog, StopOnSignal
    from training.common.runs import averaging_optimizer, run_stages

    keras.utils.set_random_seed(1)
    stages = (SimpleNamespace(epochs=3, motion=2.0), SimpleNamespace(epochs=3, motion=4.0))
    recipe = SimpleNamespace(
        stages=stages,
        epochs=8,
        steps_per_epoch=4,
        rates=((0, 1e-3), (6, 1e-4)),
        clip=1.0,
        average=0.9,
    )
    frames = [keras.Input((64, 64, 3)) for _ in range(2)]
    features = keras.layers.Concatenate()(frames)
    features = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(features)
    model = keras.Model(frames, keras.layers.Conv2D(2, 3, padding="same")(features))
    model.compile(averaging_optimizer(recipe), "mse")

    def run_stage(recipe, number, done, last, model, state):
        motion = recipe.stages[number].motion
        scenes = Scenes((64, 64), batch_size=2, layers=(1, 2), motion=motion, seed=number)
        stream = scenes.stream(recipe.steps_per_epoch, first_epoch=done)
        with StopOnSignal(state) as stop:
            log = EpochLog(folder / "log.csv")
            model.fit(
                stream,
                initial_epoch=done,
                epochs=last,
                shuffle=False,
                callbacks=[FollowEpoch(stream), watch(lambda: ""), stop, log, state],
                verbose=0,
            )

    run_stages(recipe, model, folder, None, run_stage)


def _restored(model, folder):
    from c2f_zoo.training import TrainingState

    model.soak_state = TrainingState(folder / "state.npz")
    model.soak_epoch = model.soak_state.restore(model)
    return model


def _fit(model, data, folder, watch, callbacks, **options):
    from c2f_zoo.training import EpochLog, StopOnSignal

    state = model.soak_state
    with StopOnSignal(state) as stop:
        callbacks = [*callbacks, watch, stop, EpochLog(folder / "log.csv"), state]
        model.fit(data, initial_epoch=model.soak_epoch, callbacks=callbacks, verbose=0, **options)


TRAININGS = {"progan": progan, "multilevel": multilevel, "flow": flow}
