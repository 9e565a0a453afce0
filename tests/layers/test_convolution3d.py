import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import Conv3D, Conv3DTranspose


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 4)])
@pytest.mark.parametrize("strides", [1, 2])
def test_convolution_has_pytorchs_geometry(rng, shape, strides):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(*shape, 3)).astype("float32")
    layer = Conv3D(4, strides=strides)
    found = ops.convert_to_numpy(layer(x))
    kernel = ops.convert_to_numpy(layer.kernel).transpose(4, 3, 0, 1, 2)
    expected = torch.nn.functional.conv3d(
        torch.from_numpy(x.transpose(0, 4, 1, 2, 3)), torch.from_numpy(kernel.copy()), None,
        strides, 1,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected.numpy().transpose(0, 2, 3, 4, 1), atol=1e-5)
    assert found.shape == layer.compute_output_shape(x.shape)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 4)])
def test_transposed_convolution_has_pytorchs_geometry(rng, shape):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(*shape, 3)).astype("float32")
    layer = Conv3DTranspose(4)
    found = ops.convert_to_numpy(layer(x))
    kernel = ops.convert_to_numpy(layer.kernel).transpose(4, 3, 0, 1, 2)
    expected = torch.nn.functional.conv_transpose3d(
        torch.from_numpy(x.transpose(0, 4, 1, 2, 3)), torch.from_numpy(kernel.copy()), None,
        stride=2, padding=1, output_padding=1,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected.numpy().transpose(0, 2, 3, 4, 1), atol=1e-5)
    assert found.shape == layer.compute_output_shape(x.shape)


@pytest.mark.parametrize("layer", [Conv3D(2, strides=2, use_bias=False), Conv3DTranspose(2)])
def test_a_configuration_makes_the_layer_again(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
