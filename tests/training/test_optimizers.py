import keras
import numpy as np
import pytest

from c2f_zoo.training import ClippedAdamW, OneCycle


def updated(optimizer, gradients, steps=3):
    weights = [keras.Variable(np.ones(g.shape, "float32") * 0.5) for g in gradients]
    optimizer.build(weights)
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


@pytest.mark.parametrize("scale", [1e-3, 10.0])
def test_equals_pytorchs_adamw_of_clipped_gradients(rng, scale):
    torch = pytest.importorskip("torch")
    gradients = [(scale * rng.normal(size=s)).astype("float32") for s in ((3, 4), (5,))]
    optimizer = ClippedAdamW(1e-2, weight_decay=0.1, epsilon=1e-12, clip_norm=1.0)
    found = updated(optimizer, gradients)
    weights = [torch.full(g.shape, 0.5, requires_grad=True) for g in gradients]
    theirs = torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.1, eps=1e-12)
    for _ in range(3):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = torch.from_numpy(gradient.copy())
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        theirs.step()
    for ours, weight in zip(found, weights, strict=True):
        np.testing.assert_allclose(ours, weight.detach().numpy(), atol=1e-6)


def test_configuration_survives_with_its_schedule():
    optimizer = ClippedAdamW(OneCycle(4e-4, 1000), weight_decay=1e-4, clip_norm=0.5)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, ClippedAdamW) and again.clip_norm == 0.5
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="clip_norm must be .*Received: 0$"):
        ClippedAdamW(clip_norm=0)
    with pytest.raises(ValueError, match="Received: gradient_accumulation_steps=4$"):
        ClippedAdamW(gradient_accumulation_steps=4)


@pytest.mark.distributed
def test_two_replicas_clip_the_gradient_of_the_whole_batch():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("MirroredStrategy is TensorFlow's")
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    random = np.random.default_rng(0)
    # Halves of the batch that pull in different directions, far beyond the norm.
    x = random.normal(size=(8, 3)).astype("float32") * np.r_[np.ones(4), np.full(4, 30)][:, None]
    y = random.normal(size=(8, 2)).astype("float32") * 9

    def trained():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(ClippedAdamW(1e-2, clip_norm=0.1, epsilon=1.0), "mse")
        model.fit(x.astype("float32"), y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        return [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]

    alone = trained()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        together = trained()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-6)
