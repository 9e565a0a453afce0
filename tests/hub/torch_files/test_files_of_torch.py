"""Checkpoints that torch itself wrote."""

import pytest
from numpy.testing import assert_array_equal

from c2f_zoo.hub import read_torch_checkpoint


@pytest.fixture(params=[True, False], ids=["zip", "stream"])
def torch_file(request, tmp_path):
    torch = pytest.importorskip("torch")

    def write(value, **options):
        path = tmp_path / "torch.pth"
        torch.save(value, path, _use_new_zipfile_serialization=request.param, **options)
        return path

    return write


@pytest.mark.parametrize(
    "dtype",
    "float32 float64 float16 int64 int32 int16 int8 uint8 bool complex64 complex128".split(),
)
def test_each_element_type_of_torch_is_read(torch_file, rng, dtype):
    torch = pytest.importorskip("torch")
    array = (rng.standard_normal((3, 4)) * 50).astype(dtype)
    read = read_torch_checkpoint(torch_file({"a": torch.tensor(array)}))
    assert_array_equal(read["a"], array, strict=True)


def test_bfloat16_becomes_the_equal_float32(torch_file):
    torch = pytest.importorskip("torch")
    tensor = torch.linspace(-3, 3, 100, dtype=torch.bfloat16)
    read = read_torch_checkpoint(torch_file({"a": tensor}))
    assert_array_equal(read["a"], tensor.float().numpy(), strict=True)


def test_strided_and_shared_tensors_of_torch_are_read(torch_file):
    torch = pytest.importorskip("torch")
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "base": base,
        "transposed": base.permute(2, 0, 1),
        "steps": base[:, ::2, 1:],
        "expanded": base[0, 0].expand(3, 4),
        "scalar": base[1, 2, 3],
        "empty": base[:0],
    }
    read = read_torch_checkpoint(torch_file(tensors))
    for key, tensor in tensors.items():
        assert_array_equal(read[key], tensor.numpy(), strict=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_training_checkpoint_of_torch_is_read(torch_file, protocol):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    checkpoint = {
        "epoch": 12,
        "state_dict": model.state_dict(),
        "best": 3.5,
        "schedule": [1e-4, 5e-5],
        "parameters": dict(model.named_parameters()),
    }
    path = torch_file(checkpoint, pickle_protocol=protocol)
    read = read_torch_checkpoint(path)
    assert list(read) == list(model.state_dict())
    for key, tensor in model.state_dict().items():
        assert_array_equal(read[key], tensor.numpy(), strict=True)
    parameters = read_torch_checkpoint(path, key="parameters")
    assert_array_equal(parameters["0.weight"], model[0].weight.detach().numpy())


def test_a_whole_model_of_torch_is_refused(torch_file):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"torch\.nn\.modules"):
        read_torch_checkpoint(torch_file(torch.nn.Linear(2, 2)))


def test_official_weights_of_the_older_format_are_read(shared_data):
    read = read_torch_checkpoint(shared_data / "weights" / "raft-small.pth")
    assert len(read) == 106
    assert sum(array.size for array in read.values()) == 990_162
    assert all(key.startswith("module.") for key in read)
