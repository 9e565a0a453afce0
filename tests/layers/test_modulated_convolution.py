import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import ModulatedConv2D, modulated_conv2d, resampling_conv2d

RESAMPLINGS = [None, "up", "down"]


def sample_by_sample(x, kernel, style, demodulate, resample):
    """Equations 1 and 3 for one sample at a time, then an ordinary convolution."""
    results = []
    for image, scale in zip(x, style, strict=True):
        scaled = kernel.astype("float64") * scale[None, None, :, None]
        if demodulate:
            scaled = scaled / np.sqrt((scaled**2).sum((0, 1, 2)) + 1e-8)
        result = resampling_conv2d(image[None], scaled.astype("float32"), resample, (1, 3, 3, 1))
        results.append(ops.convert_to_numpy(result)[0])
    return np.stack(results)


@pytest.mark.parametrize("resample", RESAMPLINGS)
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_fused_and_unfused_equal_one_convolution_per_sample(
    rng, resample, demodulate, kernel_size, batch
):
    x = rng.normal(size=(batch, 4, 6, 3)).astype("float32")
    kernel = rng.normal(size=(kernel_size, kernel_size, 3, 4)).astype("float32")
    style = rng.normal(1, 0.5, size=(batch, 3)).astype("float32")
    expected = sample_by_sample(x, kernel, style, demodulate, resample)
    for fused in (False, True):
        result = modulated_conv2d(x, kernel, style, demodulate, resample, fused=fused)
        np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
@pytest.mark.parametrize("resample", [None, "up"])
def test_odd_sizes_work(rng, size, resample):
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    kernel = rng.normal(size=(3, 3, 3, 4)).astype("float32")
    style = rng.normal(size=(2, 3)).astype("float32")
    expected = sample_by_sample(x, kernel, style, True, resample)
    for fused in (False, True):
        result = modulated_conv2d(x, kernel, style, resample=resample, fused=fused)
        np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-4)


def test_demodulated_outputs_of_unit_normal_inputs_have_unit_variance(rng):
    x = rng.normal(size=(1, 32, 32, 16)).astype("float32")
    kernel = rng.normal(size=(3, 3, 16, 8)).astype("float32")
    style = rng.uniform(0.1, 9, size=(1, 16)).astype("float32")
    y = ops.convert_to_numpy(modulated_conv2d(x, kernel, style))
    assert y[:, 1:-1, 1:-1].std() == pytest.approx(1, abs=0.05)


def test_the_layer_is_the_function_on_an_equalised_kernel_and_a_style_around_one(rng):
    x = rng.normal(size=(2, 4, 4, 3)).astype("float32")
    w = rng.normal(size=(2, 5)).astype("float32")
    for fused in (False, True):
        layer = ModulatedConv2D(4, 3, demodulate=False, fused=fused)
        result = ops.convert_to_numpy(layer(x, w))
        style = 1 + w @ ops.convert_to_numpy(layer.style.kernel) / 5**0.5
        kernel = ops.convert_to_numpy(layer.kernel) / 27**0.5
        expected = sample_by_sample(x, kernel, style, False, None)
        np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("resample", RESAMPLINGS)
def test_layers_survive_their_configuration_and_know_their_shape(resample):
    layer = ModulatedConv2D(4, 3, resample=resample, resample_filter=(1, 1))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    x, w = np.ones((1, 4, 6, 3), "float32"), np.ones((1, 5), "float32")
    assert tuple(again(x, w).shape) == again.compute_output_shape(x.shape, w.shape)


# Of the fused forms one alone: TensorFlow compiles grouped convolutions anew for every gradient.
@pytest.mark.parametrize(
    ("resample", "fused"), [(None, False), ("up", False), ("down", False), ("up", True)]
)
def test_first_and_second_derivatives_are_right(rng, check_derivatives, resample, fused):
    x = rng.normal(size=(2, 2, 4, 2))
    kernel, style = rng.normal(size=(3, 3, 2, 2)), rng.normal(1, 0.3, size=(2, 2))

    def function(x, style, kernel):
        y = modulated_conv2d(x, kernel, style, resample=resample, fused=fused)
        return ops.sum(ops.tanh(y * 0.5))

    check_derivatives(function, x, style, kernel)
    if not fused:  # path length differentiates in the style first
        x = x.astype("float32")
        check_derivatives(lambda style, kernel: function(x, style, kernel), style, kernel)


def test_mixed_precision_stays_near_float32(rng):
    x, w = rng.normal(size=(2, 8, 8, 16)).astype("float32"), rng.normal(size=(2, 8))
    exact = ModulatedConv2D(8, 3)
    half = ModulatedConv2D(8, 3, dtype="mixed_bfloat16")
    expected = ops.convert_to_numpy(exact(x, w.astype("float32")))
    half.build(x.shape, w.shape)
    half.set_weights(exact.get_weights())
    result = half(x, w.astype("float32"))
    assert "bfloat16" in str(result.dtype)
    result = ops.convert_to_numpy(ops.cast(result, "float32"))
    assert np.abs(result - expected).max() < 0.05 * np.abs(expected).max()


def test_wrong_arguments_are_named():
    x, kernel = np.zeros((1, 4, 4, 3), "float32"), np.zeros((3, 3, 3, 2), "float32")
    style = np.zeros((1, 3), "float32")
    with pytest.raises(ValueError, match=r"Received: shapes .*, \(1, 2\)$"):
        modulated_conv2d(x, kernel, style[:, :2])
    with pytest.raises(ValueError, match="Received: 'in'$"):
        modulated_conv2d(x, kernel, style, resample="in")
    with pytest.raises(ValueError, match=r"Received: \(1, 2, 1\)$"):
        modulated_conv2d(x, kernel, style, resample="up", resample_filter=(1, 2, 1))
    with pytest.raises(ValueError, match=r"Received: shapes \(1, 4, 4, 3\) and \(1, 2, 5\)$"):
        ModulatedConv2D(4, 3)(x, np.zeros((1, 2, 5), "float32"))
    with pytest.raises(ValueError, match="Received: 4$"):
        ModulatedConv2D(4, 4)
