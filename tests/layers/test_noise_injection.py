import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import NoiseInjection


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 4)])
def test_one_map_is_added_to_all_channels_by_strength(rng, per_channel, shape):
    x = rng.normal(size=shape).astype("float32")
    noise = rng.normal(size=(*shape[:3], 1)).astype("float32")
    layer = NoiseInjection(per_channel)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, noise)), x)
    strength = rng.normal(size=shape[-1:] if per_channel else ()).astype("float32")
    layer.strength.assign(strength)
    result = ops.convert_to_numpy(layer(x, noise))
    np.testing.assert_allclose(result, x + noise * strength, atol=1e-5)


def test_noise_that_is_not_given_is_drawn_anew_for_each_sample_and_call():
    layer = NoiseInjection(per_channel=False, seed=3)
    x = np.zeros((4, 32, 32, 2), "float32")
    layer.build(x.shape)
    layer.strength.assign(1.0)
    first, second = (ops.convert_to_numpy(layer(x)) for _ in range(2))
    assert first.std() == pytest.approx(1, abs=0.05) and first.mean() == pytest.approx(0, abs=0.05)
    np.testing.assert_array_equal(first[..., 0], first[..., 1])
    assert abs(np.corrcoef(first[0, ..., 0].ravel(), first[1, ..., 0].ravel())[0, 1]) < 0.2
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_the_layer_survives_its_configuration():
    layer = NoiseInjection(per_channel=False, seed=5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


def test_derivatives_are_right(rng, check_derivatives):
    layer = NoiseInjection()
    layer.build((1, 2, 3, 2))
    x, noise = rng.normal(size=(1, 2, 3, 2)), rng.normal(size=(1, 2, 3, 1)).astype("float32")

    def function(x, strength):
        seed = [v.value for v in layer.non_trainable_variables]
        y, _ = layer.stateless_call([strength], seed, x, ops.convert_to_tensor(noise))
        return ops.sum(ops.tanh(y))

    check_derivatives(function, x, rng.normal(size=2))


def test_wrong_shapes_are_named():
    x = np.zeros((1, 4, 4, 2), "float32")
    with pytest.raises(ValueError, match=r"Received: shape \(1, 4, 2, 1\)"):
        NoiseInjection()(x, np.zeros((1, 4, 2, 1), "float32"))
    with pytest.raises(ValueError, match=r"Received: shape \(4, 2\)$"):
        NoiseInjection()(x[0, 0])
