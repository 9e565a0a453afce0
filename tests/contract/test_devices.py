"""Two devices train every registered model as one does (each case in a process of its own).

On TensorFlow by `tf.distribute.MirroredStrategy`, on JAX by `keras.distribution.DataParallel`, each
over two parts of the processor. PyTorch has neither.
"""

import contextlib

import keras
import numpy as np
import pytest

from c2f_zoo.training import ClippedAdamW, Multilevel, MultilevelSchedule, averaged_weights
from tests.contract.same_training import (
    BATCH,
    GENERATIVE,
    OTHERS,
    STEPS,
    Batches,
    agree,
    fitted,
    pair,
    pair_batch,
    small,
    state,
    wide_batch,
)

pytestmark = pytest.mark.distributed

# Replicas take halves of a batch. In this order one device has their groups of four images, of
# which each is every second one, for the minibatch standard deviation.
BY_GROUPS = [0, 4, 1, 5, 2, 6, 3, 7]


def devices(monkeypatch):
    """A context in which a model is made and trained on two devices."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, parts)
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
    if backend != "jax":
        pytest.skip("PyTorch's trainer has one device")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    found = keras.distribution.list_devices()
    assert len(found) == 2

    @contextlib.contextmanager
    def distributed():
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=found))
        yield
        keras.distribution.set_distribution(None)

    return distributed


@pytest.mark.parametrize("name", OTHERS)
def test_two_devices_train_as_one(name, monkeypatch):
    scope = devices(monkeypatch)

    def trained():
        model, case = small(name)
        # The norm of the gradient of the whole batch, and an average of the weights.
        options = {"use_ema": True, "ema_momentum": 0.5, "epsilon": 1e-2}
        model.compile(ClippedAdamW(1e-2, clip_norm=1.0, weight_decay=0.0, **options))
        found = fitted(model, *wide_batch(case), batch_size=BATCH, epochs=STEPS)
        with averaged_weights(model):
            return {**found, "average": state(model)}

    alone = trained()
    with scope():
        together = trained()
    agree(alone, together)


@pytest.mark.parametrize("name", ["DepthUNet", "RAFT"])
def test_two_devices_train_in_micro_batches_as_one_trains_at_once(name, monkeypatch):
    scope = devices(monkeypatch)

    def trained(micro_batches):
        model, case = small(name)
        optimizer = ClippedAdamW(1e-2, clip_norm=0.5, weight_decay=1e-2, epsilon=1e-2)
        model.compile(optimizer, micro_batches=micro_batches)
        return fitted(model, *wide_batch(case), batch_size=BATCH, epochs=STEPS)

    alone = trained(1)
    with scope():
        together = trained(2)
    agree(alone, together)


@pytest.mark.parametrize("name", GENERATIVE)
def test_two_devices_train_a_pair_as_one(name, monkeypatch):
    scope = devices(monkeypatch)
    batch = pair_batch(name, np.random.default_rng(3))
    order = np.concatenate([BATCH * step + np.array(BY_GROUPS) for step in range(STEPS)])

    def trained(batch):
        model = pair(name)
        if hasattr(model.generator, "alpha"):
            model.set_alpha(0.5)  # halfway through the growth to the last resolution
        return fitted(model, batch, batch_size=BATCH)

    by_replicas = keras.backend.backend() == "tensorflow"
    alone = trained({k: v[order] if by_replicas else v for k, v in batch.items()})
    with scope():
        together = trained(batch)
    agree(alone, together, tolerance=2e-5)


def test_two_devices_take_multilevel_steps_of_the_zoos_network_as_one(monkeypatch):
    scope = devices(monkeypatch)
    rng = np.random.default_rng(0)
    schedule = MultilevelSchedule.multiscale(levels=2, batch_size=2)
    images = rng.random((STEPS, 14, 32, 32, 3)).astype("float32")
    # Each replica deals out its half, 1 + 2 + 4 samples; one device takes the terms of both.
    order = [0, 7, 1, 2, 8, 9, 3, 4, 5, 6, 10, 11, 12, 13]
    by_replicas = keras.backend.backend() == "tensorflow"

    def trained(images):
        model, _ = small("MultiscaleUNet")
        training = Multilevel(model, schedule=schedule)
        training.compile(ClippedAdamW(1e-2, clip_norm=1.0, weight_decay=0.0, epsilon=1e-2), "mse")
        return fitted(model, Batches(images), training=training)

    alone = trained(images[:, order] if by_replicas else images)
    with scope():
        together = trained(images)
    agree(alone, together)
