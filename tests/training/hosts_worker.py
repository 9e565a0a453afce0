"""One host of `test_hosts.py`: trains a case, alone or joined to others on the loopback.

    python -m tests.training.hosts_worker CASE FOLDER INDEX HOSTS PORT [EPOCHS] [ACCIDENT]

It writes its weights and logs to FOLDER/result_INDEX.npz. `ACCIDENT`, such as "kill:1", befalls the
host of this number in the middle of the second epoch.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from c2f_zoo import backend, hosts as cluster, models, training
from c2f_zoo.data import FollowEpoch, ImageCache, ImageStream, Scenes
from c2f_zoo.training import on_first_host

STEPS = 2  # of an epoch
START, SILENCE = 240, 20  # seconds


class Accident(keras.callbacks.Callback):
    """Sends this process a signal in the second epoch."""

    def __init__(self, kind):
        super().__init__()
        kinds = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "stop": signal.SIGTERM}
        self.signal = kinds[kind]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            os.kill(os.getpid(), self.signal)


def callbacks(folder, state, *more):
    """What writes files."""
    return [
        *more,
        training.StopOnSignal(),
        on_first_host(keras.callbacks.CSVLogger(folder / "log.csv", append=True)),
        training.TensorBoardLog(folder / "tensorboard"),
        state,
    ]


def flow(folder, state, more, epochs):
    """PWC-Net on rendered scenes."""
    model = models.PWCNetLite()
    # The norm of the gradient of the whole batch, and an average of the weights.
    average = {"use_ema": True, "ema_momentum": 0.5, "epsilon": 1e-2}
    model.compile(training.ClippedAdamW(1e-2, clip_norm=1.0, weight_decay=0.0, **average))
    scenes = Scenes((64, 64), batch_size=4, layers=(1, 2), motion=3.0)
    done = state.restore(model)
    stream = scenes.stream(STEPS, first_epoch=done)
    pictures = training.FlowPictures(folder / "pictures", scenes.batch(99))
    logs = model.fit(
        stream,
        shuffle=False,
        verbose=0,
        initial_epoch=done,
        epochs=epochs,
        callbacks=callbacks(
            folder, state, *more, FollowEpoch(stream), training.OnAverage(pictures)
        ),
    ).history
    with training.averaged_weights(model):
        model.save_pretrained(folder / "preset")
    return model, logs


def gan(folder, state, more, epochs):
    """ProGAN that grows from 4x4 to 8x8, through a fade, with its minibatch deviation."""
    model = models.ProGAN(8, latent_size=4, num_filters=(8, 4), seed=0)
    model.compile("progan")
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype("uint8")
    cache = ImageCache.from_arrays(images, cache=folder / f"cache_{os.getpid()}", progress=False)
    schedule = training.GrowthSchedule.by_images(8, stabilise=8, fade=8, batch_sizes=4)
    stream = ImageStream(cache, schedule, mirror=True)
    done = state.restore(model)
    grids = training.SampleGrids(folder / "grids", every=8, n=4, film=folder / "film.gif")
    logs = model.fit(
        stream,
        steps_per_epoch=STEPS,
        verbose=0,
        initial_epoch=done,
        epochs=epochs,
        callbacks=callbacks(
            folder,
            state,
            *more,
            training.ProgressiveGrowth(schedule),
            training.ImageProgress(24),
            grids,
        ),
    ).history
    assert int(model.images_shown) == 24
    return model, logs


def multilevel(folder, state, more, epochs):
    """A U-Net with the multilevel gradient, on noise that is drawn on the device."""
    network = models.MultiscaleUNet(
        width=8, multipliers=(1, 2), norm="pixel", attention=0, time_embedding=False
    )
    network(np.zeros((1, 16, 16, 3), "float32"))
    rng = np.random.default_rng(0)
    for weight in network.trainable_variables:
        if not np.any(backend.to_numpy(weight)):
            weight.assign(0.05 * rng.normal(size=weight.shape))

    def noisy(x, y, weights, seed):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=seed), x

    schedule = training.MultilevelSchedule.multiscale(levels=1, batch_size=6)
    model = training.Multilevel(network, schedule=schedule, prepare=noisy, seed=3)
    model.compile(training.ClippedAdamW(1e-2, clip_norm=1.0, weight_decay=0.0, epsilon=1e-2), "mse")
    done = state.restore(model)
    images = rng.random((30, 16, 16, 3)).astype("float32")
    log = training.MultilevelLog(folder / "steps.csv", schedule)
    logs = model.fit(
        images,
        steps_per_epoch=STEPS,
        verbose=0,
        initial_epoch=done,
        epochs=epochs,
        callbacks=callbacks(folder, state, *more, log),
    ).history
    return model, logs


def main(case, folder, index, hosts, port, epochs="3", accident=None):
    """Train a case and write what came of it."""
    folder, index, hosts = Path(folder), int(index), int(hosts)
    joined = contextlib.nullcontext()
    if hosts > 1:
        where = (f"127.0.0.1:{port}", hosts, index)
        joined = training.join_hosts(*where, start_timeout=START, timeout=SILENCE)
    with joined:
        assert cluster.host() == (index, hosts)
        keras.utils.set_random_seed(1)
        state = training.TrainingState(folder / "state.npz")
        kind, _, who = (accident or "").partition(":")
        more = [Accident(kind)] if who == str(index) else []
        model, logs = globals()[case](folder, state, more, int(epochs))
        weights = {f"w{i}": backend.to_numpy(w) for i, w in enumerate(model.weights)}
        np.savez(folder / f"result_{index}.npz", logs=json.dumps(logs), **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
