import keras
import numpy as np
import pytest

from c2f_zoo.data.files.flo import read_flo
from c2f_zoo.data.files.flow import write_flow
from c2f_zoo.data.files.images import as_numpy, load_image


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)


def test_tensors_of_the_backend_load(pixels):
    expected = load_image(pixels)
    tensor = keras.ops.convert_to_tensor(expected)
    np.testing.assert_array_equal(load_image(tensor), expected)
    np.testing.assert_array_equal(load_image(keras.Variable(expected)), expected)
    half = keras.ops.cast(tensor, "bfloat16")
    np.testing.assert_allclose(load_image(half), expected, atol=2**-8)


def test_a_torch_tensor_that_requires_gradients_loads_on_any_backend(pixels):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tensor = torch.tensor(load_image(pixels), requires_grad=True)
    np.testing.assert_array_equal(load_image(tensor), load_image(pixels))
    assert as_numpy(tensor.to(torch.bfloat16)).dtype == np.float32


def test_tensors_of_the_backend_can_be_written(tmp_path, rng):
    flow = rng.normal(size=(5, 7, 2)).astype(np.float32)
    write_flow(tmp_path / "a.flo", keras.ops.convert_to_tensor(flow))
    np.testing.assert_array_equal(read_flo(tmp_path / "a.flo"), flow)
