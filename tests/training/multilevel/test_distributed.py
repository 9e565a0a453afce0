"""Two replicas take the multilevel step of one device (each test in a process of its own)."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.training import Multilevel, MultilevelSchedule

pytestmark = pytest.mark.distributed


def strategy():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("MirroredStrategy is TensorFlow's")
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def trained(batches):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, padding="same", activation="tanh")]
    network = keras.Sequential([keras.Input((None, None, 3)), *layers, keras.layers.Conv2D(3, 1)])
    schedule = MultilevelSchedule.multiscale(levels=2, batch_size=2)
    training = Multilevel(network, schedule=schedule)
    training.compile(keras.optimizers.SGD(0.1), "mse")
    import tensorflow as tf

    # By `fit`, which divides a batch among the replicas; `train_on_batch` gives each all of it.
    data = tf.data.Dataset.from_tensor_slices(np.stack(batches)).map(lambda x: (x, x))
    logs = training.fit(data, shuffle=False, verbose=0).history
    return [ops.convert_to_numpy(weight) for weight in network.weights], logs


def test_mirrored_strategy_equals_one_device():
    replicas = strategy()
    random = np.random.default_rng(0)
    batches = [random.normal(size=(14, 8, 8, 3)).astype("float32") for _ in range(3)]
    # Each replica deals out its half, 1 + 2 + 4 samples; one device takes the terms of both.
    order = [0, 7, 1, 2, 8, 9, 3, 4, 5, 6, 10, 11, 12, 13]
    alone, logs = trained([batch[order] for batch in batches])
    with replicas.scope():
        together, both = trained(batches)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-7)
    assert both["work_units"] == logs["work_units"]
    assert both["loss"] == pytest.approx(logs["loss"], rel=1e-6)


def test_samples_that_the_replicas_cannot_share_are_refused():
    replicas = strategy()
    with replicas.scope():
        network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1)])
        training = Multilevel(network, levels=1, batch_size=1)
        training.compile("sgd", "mse")
    x = np.zeros((3, 8, 8, 3), "float32")
    with pytest.raises(ValueError, match=r"divisible by the 2 replicas\. Received: 1"):
        training.fit(x, x, steps_per_epoch=1, verbose=0)
