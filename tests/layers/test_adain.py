import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import AdaIN, instance_norm


@pytest.mark.parametrize("shape", [(1, 2, 2, 1), (2, 3, 5, 4)])
def test_normalises_each_map_then_scales_and_shifts_by_the_style(rng, shape):
    x = rng.normal(2, 3, size=shape).astype("float32")
    w = rng.normal(size=(shape[0], 6)).astype("float32")
    layer = AdaIN()
    result = ops.convert_to_numpy(layer(x, w))
    style = w @ ops.convert_to_numpy(layer.style.kernel) / 6**0.5
    scale, shift = np.split(style[:, None, None], 2, -1)
    norm = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-8)
    np.testing.assert_allclose(result, norm * (scale + 1) + shift, atol=1e-4)


def test_instance_norm_equals_torch(rng):
    torch = pytest.importorskip("torch")
    x = rng.normal(1, 5, size=(2, 7, 3, 4)).astype("float32")
    expected = torch.nn.functional.instance_norm(torch.from_numpy(x).permute(0, 3, 1, 2), eps=1e-8)
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ops.convert_to_numpy(instance_norm(x)), expected, atol=1e-4)


def test_a_constant_map_becomes_zero_with_finite_derivatives(penalty_gradient_of):
    x = np.ones((1, 4, 4, 2), "float32")
    assert not ops.convert_to_numpy(instance_norm(x)).any()
    _, gradients = penalty_gradient_of(lambda x: ops.sum(instance_norm(x)), x)
    assert np.isfinite(gradients[0]).all()


def test_first_and_second_derivatives_are_right(rng, check_derivatives):
    layer = AdaIN()
    layer.build((1, 3, 4, 2), (1, 3))
    weights = rng.normal(size=(1, 3, 4, 2)).astype("float32")

    def function(x, w, kernel, bias):
        y, _ = layer.stateless_call([kernel, bias], [], x, w)
        return ops.sum(ops.multiply(ops.tanh(y), weights))

    x, w, kernel = (rng.normal(size=shape) for shape in ((1, 3, 4, 2), (1, 3), (3, 4)))
    check_derivatives(function, x, w, kernel, np.zeros(4))


def test_the_layer_survives_its_configuration():
    layer = AdaIN(epsilon=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


def test_wrong_ranks_are_named():
    with pytest.raises(ValueError, match=r"Received: shapes \(1, 4, 4, 2\) and \(1, 3, 8\)$"):
        AdaIN()(np.zeros((1, 4, 4, 2), "float32"), np.zeros((1, 3, 8), "float32"))
