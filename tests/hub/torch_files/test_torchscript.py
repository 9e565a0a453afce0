"""The weights of TorchScript programs. What such a file must not do: test_malicious_pickles.py."""

import io
import os
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from c2f_zoo.hub import read_torch_checkpoint, read_torchscript
from c2f_zoo.hub.torch_files.pickle_reader import PickleError


@pytest.fixture
def make(pickle_bytes):
    return pickle_bytes


def module(make, **fields):
    """The instructions that make a module; `fields` are instructions too."""
    pairs = b"".join(make.text(name) + value for name, value in fields.items())
    return make.named("__torch__.net", "Net") + b")\x81}(" + pairs + b"ub"


def memo(index):
    return b"q" + bytes([index]), b"h" + bytes([index])


def archive(make, content, arrays=(), constants=True):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as entries:
        entries.writestr("net/data.pkl", make.program(content))
        entries.writestr("net/code/__torch__/net.py", "raise SystemExit")
        if constants:
            entries.writestr("net/constants.pkl", make.program(b")"))
        for key, array in dict(arrays).items():
            entries.writestr(f"net/data/{key}", array.tobytes())
    file.seek(0)
    return file


@pytest.fixture
def arrays(rng):
    return {
        "0": rng.standard_normal((2, 3)).astype("float32"),
        "1": np.arange(4, dtype="int64"),
    }


def test_tensors_are_named_as_their_modules_hold_them(make, arrays):
    first, second = (make.contiguous(key, array) for key, array in arrays.items())
    padding = make.named("torch.jit._pickle", "build_intlist") + b"](K\x01e\x85R"
    inner = module(make, training=b"\x89", padding=padding, weight=first)
    read = read_torchscript(archive(make, module(make, conv=inner, steps=second), arrays))
    assert list(read) == ["conv.weight", "steps"]
    for found, wanted in zip(read.values(), arrays.values(), strict=True):
        assert_array_equal(found, wanted, strict=True)
        assert not found.flags.writeable


def test_a_module_is_entered_once_though_it_holds_itself(make, arrays):
    put, get = memo(0)
    weight = make.text("weight") + make.contiguous("0", arrays["0"])
    itself = make.named("__torch__", "Net") + b")\x81" + put
    content = itself + b"}(" + make.text("again") + get + weight + b"ub"
    assert list(read_torchscript(archive(make, content, arrays))) == ["weight"]


def test_modules_that_double_at_each_depth_are_read_in_no_time(make, arrays):
    content = module(make, weight=make.contiguous("0", arrays["0"]))
    for depth in range(60):
        put, get = memo(depth)
        content = module(make, a=content + put, b=get)
    assert list(read_torchscript(archive(make, content, arrays))) == ["a." * 60 + "weight"]


def test_modules_deeper_than_any_network_are_refused(make):
    content = module(make)
    for _ in range(100):
        content = module(make, a=content)
    with pytest.raises(PickleError, match="net.pt: modules lie deeper than 64"):
        read_torchscript(archive(make, content), "net.pt")


def test_a_tensor_beyond_its_storage_is_refused(make, arrays):
    storage = make.storage("0", "FloatStorage", 6)
    content = module(make, weight=make.tensor(storage, 0, (7,), (1,)))
    with pytest.raises(PickleError, match="tensor 'weight': its storage holds 6 elements"):
        read_torchscript(archive(make, content, arrays))


def test_other_files_are_refused_by_what_they_are(make, tmp_path, arrays):
    content = module(make, weight=make.contiguous("0", arrays["0"]))
    with pytest.raises(
        PickleError, match="not a TorchScript program but a checkpoint of torch.save"
    ):
        read_torchscript(archive(make, content, arrays, constants=False))
    with pytest.raises(PickleError, match="holds no module. Received: a dict"):
        read_torchscript(archive(make, b"}"))
    path = tmp_path / "net.pt"
    path.write_bytes(archive(make, content, arrays).getvalue())
    with pytest.raises(
        PickleError, match="net.pt is not a checkpoint of .* but a TorchScript program"
    ):
        read_torch_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        read_torchscript(tmp_path / "nothing.pt")


def test_every_truncation_names_the_file(make, arrays, tmp_path):
    content = module(make, weight=make.contiguous("0", arrays["0"]))
    data = archive(make, content, arrays).getvalue()
    path = tmp_path / "net.pt"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(PickleError, match="^net.pt"):
            read_torchscript(path)


@pytest.mark.filterwarnings("ignore")  # PyTorch would rather have its newer formats
def test_what_torch_writes_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4))
    path = tmp_path / "net.pt"
    torch.jit.trace(network.eval(), torch.zeros(1, 3, 8, 8)).save(path)
    read, wanted = read_torchscript(path), network.state_dict()
    assert set(read) == set(wanted)
    for name, tensor in wanted.items():
        assert_array_equal(read[name], tensor.numpy(), strict=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
@pytest.mark.parametrize("read", [read_torch_checkpoint, read_torchscript])
def test_a_pipe_is_refused_before_it_is_opened(read, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "weights.pth")
    # Opening it would wait for a writer.
    monkeypatch.setattr(f"{read.__module__}.open", None, raising=False)
    with pytest.raises(ValueError, match=r"not a pipe or a device. Received: .*weights\.pth$"):
        read(tmp_path / "weights.pth")
