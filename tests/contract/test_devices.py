"""Two devices train every registered model as one does (each case in a process of its own).

On TensorFlow by `tf.distribute.MirroredStrategy`, on JAX by `keras.distribution.DataParallel`, each
over two parts of the processor. PyTorch has neither.
"""

import contextlib
import dataclasses

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.hub import registered_models
from c2f_zoo.hub.registry import task_of
from c2f_zoo.training import (
    AdversarialTraining,
    ClippedAdamW,
    Multilevel,
    MultilevelSchedule,
    averaged_weights,
)
from tests.contract.small_models import CASES, SMALL

pytestmark = pytest.mark.distributed

BATCH, STEPS = 8, 3
# Replicas take halves of a batch. In this order one device has their groups of four images, of
# which each is every second one, for the minibatch standard deviation.
BY_GROUPS = [0, 4, 1, 5, 2, 6, 3, 7]
GENERATIVE = [
    name
    for name in sorted(SMALL)
    if task_of(registered_models()[name.split("-")[0]]) == "image_generation"
]
OTHERS = sorted(set(SMALL) - set(GENERATIVE))


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


def state(model):
    return [np.array(to_numpy(weight)) for weight in model.weights]


def agree(alone, together, tolerance=1e-5):
    """Weights and logged values are those of one device, and training has moved the weights."""
    for key in {"after", "average"} & alone.keys():
        for name, value, found in zip(alone["names"], alone[key], together[key], strict=True):
            np.testing.assert_allclose(found, value, atol=tolerance, rtol=1e-4, err_msg=name)
    pairs = zip(alone["before"], alone["after"], strict=True)
    assert max(np.abs(after - before).max() for before, after in pairs) > 50 * tolerance
    assert alone["logs"].keys() == together["logs"].keys()
    for name, values in alone["logs"].items():
        found = together["logs"][name]
        np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-4, err_msg=name)


def fitted(model, *data, **options):
    """Train, and tell the weights before and after, and what was logged."""
    names, before = [weight.path for weight in model.weights], state(model)
    trained = options.pop("training", model)
    logs = trained.fit(*data, shuffle=False, verbose=0, **options).history
    return {"names": names, "before": before, "after": state(model), "logs": logs}


def small(name):
    """A small model, none of its weights zero, and what its task asks of it."""
    keras.utils.set_random_seed(1)
    # Replicas drop features of their own.
    model = SMALL[name](**({"dropout": 0.0} if name == "MultiscaleUNet" else {}))
    case, rng = CASES[task_of(type(model))], np.random.default_rng(1)
    model(case.inputs(rng, (64, 64)), training=False)
    for weight in model.trainable_variables:
        if not np.any(to_numpy(weight)):
            weight.assign(0.05 * rng.normal(size=weight.shape))
    return model, case


def wide_batch(case):
    """`BATCH` samples of the case's data."""
    parts = [case.data(np.random.default_rng(seed)) for seed in range(BATCH // 2)]
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


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


def pair_batch(name, rng):
    """Images, and all random numbers of a step."""
    size = BATCH * STEPS
    images = rng.integers(0, 256, (size, 8, 8, 3)).astype("uint8")
    names = ("discriminator_latents", "generator_latents", "path_latents")
    batch = {name: rng.normal(size=(size, 4)).astype("float32") for name in names}
    batch["path_noise"] = rng.normal(size=(size, 8, 8, 3)).astype("float32")
    batch["interpolation"] = rng.random(size).astype("float32")
    if name != "StyleGAN2":
        del batch["path_latents"], batch["path_noise"]
    return {"images": images, **batch}


def pair(name):
    """A small pair that draws nothing by itself, compiled with its paper's settings."""
    keras.utils.set_random_seed(1)
    model = SMALL[name](seed=0, name="pair")
    for weight in model.generator.weights:
        if "strength" in weight.path:  # of the noise in its layers, zero in the beginning
            weight.trainable = False
    settings = AdversarialTraining.named(model.generator.paper)
    changes = {"style_mixing": 0.0}
    if settings.has_lazy_path_length:
        # The half of a batch that the paper takes would be another half on two devices.
        changes |= {"path_length_interval": 2, "penalty_interval": 2, "path_length_shrink": 1}
    model.compile(
        dataclasses.replace(settings, **changes),
        keras.optimizers.SGD(0.02),
        keras.optimizers.SGD(0.02),
    )
    return model


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


class Batches(keras.utils.PyDataset):
    """Given batches of images, each its own target."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index], self.batches[index]


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
