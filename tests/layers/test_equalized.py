import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import EqualizedConv2D, EqualizedDense, average_pool, blur, resampling_conv2d


def built(layer, shape):
    layer.build(shape)
    return layer


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize(("gain", "multiplier"), [(2**0.5, 1.0), (1.0, 0.01)])
def test_dense_is_scaled_by_gain_fan_in_and_multiplier_and_so_is_its_bias(rng, gain, multiplier):
    layer = EqualizedDense(5, gain, multiplier, bias_init=0.5, activation="leaky_relu")
    x = rng.normal(size=(1, 7)).astype("float32")
    layer(x)
    assert float(np.mean(ops.convert_to_numpy(layer.bias))) == pytest.approx(0.5 / multiplier)
    layer.bias.assign(rng.normal(size=5) / multiplier)
    kernel, bias = (ops.convert_to_numpy(v) for v in (layer.kernel, layer.bias))
    expected = leaky(x @ kernel * gain / 7**0.5 * multiplier + bias * multiplier)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_stored_kernels_have_the_inverse_multiplier_as_deviation(multiplier):
    dense = built(EqualizedDense(100, lr_multiplier=multiplier), (1, 200))
    conv = built(EqualizedConv2D(32, 3, lr_multiplier=multiplier), (1, 4, 4, 64))
    for layer in (dense, conv):
        deviation = float(np.std(ops.convert_to_numpy(layer.kernel)))
        assert deviation * multiplier == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 4)])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_convolution_equals_torch_on_the_scaled_kernel(rng, size, kernel_size):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(1, *size, 3)).astype("float32")
    layer = built(EqualizedConv2D(4, kernel_size), x.shape)
    layer.bias.assign(rng.normal(size=4))
    scale = 2**0.5 / (kernel_size**2 * 3) ** 0.5
    weight = ops.convert_to_numpy(layer.kernel).transpose(3, 2, 0, 1) * scale
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(weight.astype("float32")),
        torch.from_numpy(ops.convert_to_numpy(layer.bias).copy()),
        padding=kernel_size // 2,
    )
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-4)


def pieces(layer, x):
    """What the layer is made of: scaled kernel, and the function of bias and activation."""
    kernel = ops.convert_to_numpy(layer.kernel) * layer.kernel_scale
    bias = ops.convert_to_numpy(layer.bias)
    return kernel, lambda y: leaky(ops.convert_to_numpy(y) + bias).astype("float32")


@pytest.mark.parametrize("taps", [None, (1, 2, 1), (1, 3, 3, 1)])
@pytest.mark.parametrize("fused", [False, True])
def test_bias_and_activation_come_where_each_paper_has_them(rng, taps, fused):
    x = rng.normal(size=(1, 4, 6, 3)).astype("float32")
    options = {"resample_filter": taps, "fused": fused, "activation": "leaky_relu"}
    up = built(EqualizedConv2D(4, 3, resample="up", **options), x.shape)
    down = built(EqualizedConv2D(4, 3, resample="down", **options), x.shape)
    for layer in (up, down):
        layer.bias.assign(rng.normal(size=4))

    kernel, finish = pieces(up, x)
    expected = finish(resampling_conv2d(x, kernel, "up", taps))
    np.testing.assert_allclose(ops.convert_to_numpy(up(x)), expected, atol=1e-4)

    kernel, finish = pieces(down, x)
    if taps is None and not fused:  # ProGAN's table: the average of activated pixels
        expected = average_pool(finish(resampling_conv2d(x, kernel)), 2)
    elif taps == (1, 2, 1):
        expected = finish(average_pool(resampling_conv2d(blur(x, taps), kernel), 2))
    else:
        expected = finish(resampling_conv2d(x, kernel, "down", taps))
    expected = ops.convert_to_numpy(expected)
    np.testing.assert_allclose(ops.convert_to_numpy(down(x)), expected, atol=1e-4)


@pytest.mark.parametrize("resample", [None, "up", "down"])
@pytest.mark.parametrize("taps", [None, (1, 2, 1), (1, 3, 3, 1)])
def test_layers_survive_their_configuration_and_know_their_shape(resample, taps):
    layer = EqualizedConv2D(
        4, 3, 1.0, 0.5, activation="leaky_relu", resample=resample, resample_filter=taps
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    x = np.zeros((1, 6, 8, 3), "float32")
    assert tuple(again(x).shape) == again.compute_output_shape(x.shape)
    dense = EqualizedDense(4, lr_multiplier=0.01, use_bias=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(dense))
    assert again.get_config() == dense.get_config()
    again.build((None, 3))
    assert again.count_params() == 12


@pytest.mark.parametrize("resample", [None, "down"])
def test_first_and_second_derivatives_are_right(rng, check_derivatives, resample):
    layer = built(EqualizedConv2D(3, 3, resample=resample, activation="tanh"), (1, 4, 4, 2))
    x = rng.normal(size=(1, 4, 4, 2)).astype("float32")
    kernel, bias = (ops.convert_to_numpy(v) for v in (layer.kernel, layer.bias))
    weights = rng.normal(size=layer.compute_output_shape(x.shape)).astype("float32")

    def function(x, kernel, bias):
        y, _ = layer.stateless_call([kernel, bias], [], x)
        return ops.sum(ops.multiply(y, weights))

    check_derivatives(function, x, kernel, bias)


def test_dense_derivatives_are_right(rng, check_derivatives):
    layer = built(EqualizedDense(3, lr_multiplier=0.5, activation="tanh"), (1, 4))
    x, kernel = rng.normal(size=(2, 4)), rng.normal(size=(4, 3))

    def function(x, kernel, bias):
        return ops.sum(layer.stateless_call([kernel, bias], [], x)[0])

    check_derivatives(function, x, kernel, np.zeros(3))


def test_mixed_precision_computes_in_bfloat16_with_float32_weights(rng):
    layer = EqualizedConv2D(4, 3, dtype="mixed_bfloat16")
    y = layer(rng.normal(size=(1, 4, 4, 3)).astype("float32"))
    assert "bfloat16" in str(y.dtype) and layer.kernel.dtype == "float32"


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: EqualizedConv2D(4, 2), "2"),
        (lambda: EqualizedConv2D(0, 3), "0"),
        (lambda: EqualizedConv2D(4, 3, resample="left"), "'left'"),
        (lambda: EqualizedConv2D(4, 3).build((4, 4, 3)), r"shape \(4, 4, 3\)"),
        (lambda: EqualizedDense(0), "0"),
        (lambda: EqualizedDense(4, lr_multiplier=0), "0"),
    ],
)
def test_wrong_arguments_are_named(make, received):
    with pytest.raises(ValueError, match=f"Received: {received}$"):
        make()
