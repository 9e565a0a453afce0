import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import Conv2D, Conv2DTranspose, convolution
from c2f_zoo.layers.convolution import convolve_by_taps
from c2f_zoo.layers.convolution3d import Conv3D, Conv3DTranspose


@pytest.mark.parametrize("size", [(5, 8), (6, 7), (1, 1)])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (7, 2, 1), (3, 1, 4), (1, 1, 1)]
)
def test_convolution_has_the_geometry_of_torch(rng, size, kernel, stride, dilation):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    layer = Conv2D(4, kernel, strides=stride, dilation_rate=dilation)
    result = ops.convert_to_numpy(layer(x))
    weight = ops.convert_to_numpy(layer.kernel).transpose(3, 2, 0, 1)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(weight.copy()),
        stride=stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
    )
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert layer.compute_output_shape(x.shape) == result.shape


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2D(2, 3, activation="relu"), (2, 5, 8, 3)),
        (Conv2D(1, (3, 7)), (1, 1, 2, 4)),
        (Conv2D(2, 3), (0, 4, 4, 3)),
        (Conv3D(1), (2, 3, 1, 4, 5)),
        (Conv3D(2, use_bias=False), (1, 2, 3, 3, 8)),
    ],
)
def test_few_outputs_are_computed_by_taps_with_equal_results(rng, monkeypatch, layer, shape):
    x = rng.normal(size=shape).astype("float32")
    layer.build(shape)
    assert layer._gains_from_taps(layer.kernel)
    found = ops.convert_to_numpy(layer(x))
    taps = ops.convert_to_numpy(convolve_by_taps(x, layer.kernel))
    if shape[0]:
        monkeypatch.setattr(convolution, "FEW_FILTERS", 0)
        np.testing.assert_allclose(found, ops.convert_to_numpy(layer(x)), atol=1e-5)
    assert found.shape == taps.shape == (*shape[:-1], layer.filters)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(2, 3, strides=2),
        Conv2D(2, 3, dilation_rate=2),
        Conv2D(2, 1),
        Conv2D(3, 3),
        Conv2D(2, 3, dtype="bfloat16"),
        Conv3D(1, strides=2),
    ],
)
def test_other_convolutions_are_not_computed_by_taps(layer):
    layer.build((1,) + (8,) * (layer.rank + 1))
    assert not layer._gains_from_taps(layer.kernel)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 2)])
def test_transposed_convolution_has_the_geometry_of_torch(rng, size):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(2, *size, 3)).astype("float32")
    layer = Conv2DTranspose(2)
    result = ops.convert_to_numpy(layer(x))
    weight = ops.convert_to_numpy(layer.kernel).transpose(3, 2, 0, 1)
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(weight.copy()),
        stride=2,
        padding=1,
    )
    np.testing.assert_allclose(result, expected.permute(0, 2, 3, 1).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "layer", [Conv2D(4, 3, strides=2), Conv2D(4, 3, dilation_rate=2), Conv2DTranspose(2)]
)
def test_layers_survive_their_configuration(layer):
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    shape = (1, 6, 8, 3)
    result = again(np.zeros(shape, "float32"))
    assert tuple(result.shape) == tuple(again.compute_output_shape(shape))


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match="4$"):
        Conv2D(3, 4)


def test_a_large_kernel_is_applied_in_parts_with_equal_values(rng, monkeypatch):
    from c2f_zoo.layers import convolution

    x = rng.normal(size=(1, 6, 7, 5)).astype("float32")
    layer = Conv2D(10, 3, activation="relu", bias_initializer="normal")
    whole = ops.convert_to_numpy(layer(x))
    monkeypatch.setattr(convolution, "KERNEL_BYTES", 4 * 9 * 5 * 6)  # 10 filters in two parts
    monkeypatch.setattr(Conv2D, "_gains_from_halves", staticmethod(lambda: True))
    applied, original = [], keras.layers.Conv2D.convolution_op

    def convolve(self, inputs, kernel):
        applied.append(kernel.shape[-1])
        return original(self, inputs, kernel)

    monkeypatch.setattr(keras.layers.Conv2D, "convolution_op", convolve)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), whole, atol=1e-5)
    assert applied == [5, 5]


@pytest.mark.parametrize("name", ["padding", "data_format"])
def test_arguments_that_the_geometry_settles_are_refused(name):
    makers = (
        lambda **options: Conv2D(4, 3, **options),
        lambda **options: Conv3D(4, **options),
        lambda **options: Conv2DTranspose(4, **options),
        lambda **options: Conv3DTranspose(4, **options),
    )
    for make in makers:
        with pytest.raises(ValueError, match=f"takes no {name}.*Received: {name}='other'$"):
            make(**{name: "other"})
        assert name not in make().get_config()
    with pytest.raises(ValueError, match="takes no kernel_size.*Received: kernel_size=5$"):
        Conv3DTranspose(4, kernel_size=5)
