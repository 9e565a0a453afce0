"""Two devices take the steps of one (each test in a process of its own)."""

import keras
import numpy as np
import pytest

from c2f_zoo import backend
from c2f_zoo.backend import to_numpy
from c2f_zoo.training import (
    LayerwiseCurriculum,
    ResolutionCurriculum,
    ResolutionSchedule,
    on_devices,
)

pytestmark = pytest.mark.distributed


def trained(devices):
    random = np.random.default_rng(0)
    x, y = random.random((24, 12, 12, 3), dtype="float32"), random.integers(0, 3, 24)
    options = {"batch_size": 4, "equal_memory": True, "divisible_by": 2}
    rates = {"learning_rate": 0.05, "bump": 0.5, "cosine": True}
    schedule = ResolutionSchedule.listed([6, 8, 12], 72, **options, **rates)
    curriculum = ResolutionCurriculum(schedule, epochs=3, statistics_batches=2)
    with on_devices(devices):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Conv2D(4, 3, activation="tanh")]
        norm = keras.layers.BatchNormalization(synchronized=backend.has_replicas())
        pool = keras.layers.GlobalAveragePooling2D()
        head = keras.layers.Dense(3, activation="softmax")
        model = keras.Sequential([keras.Input((None, None, 3)), *layers, norm, pool, head])
        sgd = keras.optimizers.SGD(0.1, momentum=0.9)
        optimizer = LayerwiseCurriculum(sgd, steps=8, lowest=1e-2)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        stream = curriculum.stream((x, y))
        logs = model.fit(stream, epochs=3, callbacks=[curriculum], verbose=0).history
        return [np.array(to_numpy(weight)) for weight in model.weights], logs


def test_two_devices_equal_one_across_the_stages(monkeypatch):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch's trainer has one device")
    if keras.backend.backend() == "jax":
        monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    else:
        backend.divide_processor(2)
    alone, logs = trained(1)
    together, both = trained(2)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
    # Batches of 16, 8 and 4: two steps, two steps and six, in epochs of four.
    assert both["resolution"] == logs["resolution"] == [8, 12, 12]
    np.testing.assert_allclose(both["loss"], logs["loss"], rtol=1e-4)
