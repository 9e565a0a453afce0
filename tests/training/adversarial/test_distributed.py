"""Two replicas compute what one device computes (each test in a process of its own)."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.data import ImageCache, ImageStream
from c2f_zoo.models import StyleGAN
from c2f_zoo.training import (
    AdversarialModel,
    AdversarialTraining,
    GrowthSchedule,
    ProgressiveGrowth,
)
from tests.training.adversarial.adversarial_toys import (
    LATENT,
    dense_batch,
    dense_pair,
    labelled_batch,
)

pytestmark = pytest.mark.distributed

SETTINGS = {
    "wgan-gp": AdversarialTraining(ema_decay=None, ema_half_life=8.0),
    "relativistic-hinge": AdversarialTraining(loss="relativistic-hinge"),
    "labels": AdversarialTraining(label_weight=0.5),
    "lazy": AdversarialTraining(
        loss="logistic-r1",
        penalty_interval=2,
        path_length_weight=2.0,
        path_length_interval=2,
        ema_decay=None,
        ema_half_life=8.0,
    ),
}


def strategy():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("MirroredStrategy is TensorFlow's")
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def trained(settings, labels=False):
    model = AdversarialModel(*dense_pair(labels=labels), seed=0)
    model.compile(settings, keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05))
    batch = labelled_batch(16) if labels else dense_batch(16)
    history = model.fit(batch, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    seeds = ops.convert_to_numpy(model.seed_generator.state)
    return [ops.convert_to_numpy(v) for v in model.weights], seeds, history


@pytest.mark.parametrize("name", SETTINGS)
def test_mirrored_strategy_equals_one_device(name):
    replicas = strategy()
    alone = trained(SETTINGS[name], name == "labels")
    with replicas.scope():
        together = trained(SETTINGS[name], name == "labels")
    for a, b in zip(alone[0], together[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(alone[1], together[1])
    for key, values in alone[2].items():
        np.testing.assert_allclose(together[2][key], values, rtol=1e-3, atol=1e-4, err_msg=key)


def test_each_replica_draws_its_own_noise_and_resumes_it():
    replicas = strategy()
    import tensorflow as tf

    from c2f_zoo.training.steps.tensorflow import _seeds_of_this_replica

    with replicas.scope():
        model = AdversarialModel(*dense_pair(), seed=0)

    def draw():
        with _seeds_of_this_replica(model):
            return keras.random.normal((4, LATENT), seed=model.seed_generator)

    first, second = replicas.run(tf.function(draw)).values
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(*[v.numpy() for v in model.seed_generator.state.value.values])
    again = replicas.run(tf.function(draw)).values[0]
    assert not np.allclose(first, again)


def test_a_stylegan_grows_from_a_stream_on_two_replicas_alike(tmp_path, rng):
    replicas = strategy()
    schedule = GrowthSchedule.by_images(8, stabilise={4: 8, 8: 0}, fade=16, batch_sizes=8)
    images = rng.integers(0, 256, (24, 8, 8, 3)).astype("uint8")
    cache = ImageCache.from_arrays(images, cache=tmp_path, progress=False)
    stream = ImageStream(cache, schedule)
    with replicas.scope():
        model = StyleGAN(
            8,
            latent_size=4,
            w_size=4,
            mapping_depth=1,
            num_filters=(4, 4),
            stage=schedule.first_stage,
            seed=0,
        )
        model.compile()
        before = [ops.convert_to_numpy(weight) for weight in model.ema_generator.weights]
        growth = ProgressiveGrowth(schedule)
        history = model.fit(stream, steps_per_epoch=stream.steps, verbose=0, callbacks=[growth])
    assert ops.convert_to_numpy(model.images_shown) == schedule.total == 24
    assert ops.convert_to_numpy(model.steps) == stream.steps == 3
    assert np.isfinite(history.history["loss"]).all()
    for network in (model.generator, model.discriminator, model.ema_generator):
        assert network.stage == 1 and ops.convert_to_numpy(network.alpha) == 1.0
    after = [weight.value.values for weight in model.ema_generator.weights]
    for of_first, of_second in after:
        np.testing.assert_array_equal(of_first.numpy(), of_second.numpy())
    moved = [np.any(old != new.numpy()) for old, (new, _) in zip(before, after, strict=True)]
    assert sum(moved) > len(moved) / 2
