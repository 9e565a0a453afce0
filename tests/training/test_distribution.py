"""Two replicas compute what one device computes (each test in a process of its own)."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo import PWCNet

pytestmark = pytest.mark.distributed


def batch():
    random = np.random.default_rng(0)
    images = tuple(random.random((2, 4, 64, 64, 3), dtype="float32"))
    valid = (random.random((4, 64, 64, 1)) < 0.8).astype("float32")
    return images, random.normal(size=(4, 64, 64, 2)).astype("float32"), valid


def trained():
    keras.utils.set_random_seed(0)
    model = PWCNet("lite")
    model.compile(optimizer=keras.optimizers.SGD(1e-4))
    images, flow, valid = batch()
    options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    history = model.fit(images, flow, sample_weight=valid, **options).history
    return [ops.convert_to_numpy(v) for v in model.trainable_variables], history


def agree(alone, together):
    for a, b in zip(alone[0], together[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(together[1]["loss"], alone[1]["loss"], rtol=1e-4)
    np.testing.assert_allclose(together[1]["epe"], alone[1]["epe"], rtol=1e-3)


def test_mirrored_strategy_equals_one_device():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("MirroredStrategy is TensorFlow's")
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    alone = trained()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        together = trained()
    agree(alone, together)


def test_data_parallel_equals_one_device(monkeypatch):
    if keras.backend.backend() != "jax":
        pytest.skip("keras.distribution is JAX's here")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    alone = trained()
    devices = keras.distribution.list_devices()
    assert len(devices) == 2
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    together = trained()
    agree(alone, together)
