"""Checkpoints written by hand, which need no torch: read, or refused where they are damaged."""

import contextlib
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from c2f_zoo.hub import read_torch_checkpoint, read_torch_content
from c2f_zoo.hub.torch_files.pickle_reader import (
    ByteSource,
    PickleError,
    PickleReader,
    UnsafePickleError,
)


@pytest.fixture
def make(pickle_bytes):
    return pickle_bytes


@pytest.fixture
def arrays(rng):
    return {
        "weight": rng.standard_normal((2, 3, 4)).astype("float32"),
        "steps": np.arange(5, dtype="int64"),
    }


def legacy(make, arrays, **head):
    content = make.ordered_dict({key: make.contiguous(key, arrays[key]) for key in arrays})
    return make.legacy_file(make.program(content), arrays, **head)


def zipped(make, content, records, root="archive", method=zipfile.ZIP_STORED, extra=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(f"{root}/data.pkl", make.program(content))
        for key, data in records.items():
            archive.writestr(f"{root}/data/{key}", data)
        for name, data in extra:
            archive.writestr(name, data)
    return file.getvalue()


def save(tmp_path, data):
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    return path


def test_the_older_stream_is_read(tmp_path, make, arrays):
    read = read_torch_checkpoint(save(tmp_path, legacy(make, arrays)))
    assert list(read) == ["weight", "steps"]
    for key, array in arrays.items():
        assert_array_equal(read[key], array, strict=True)


def test_the_zip_format_is_read(tmp_path, make, arrays):
    content = make.ordered_dict({key: make.contiguous(key, arrays[key]) for key in arrays})
    records = {key: array.tobytes() for key, array in arrays.items()}
    read = read_torch_checkpoint(save(tmp_path, zipped(make, content, records)))
    for key, array in arrays.items():
        assert_array_equal(read[key], array, strict=True)


def test_a_big_endian_archive_is_read(tmp_path, make):
    array = np.arange(4, dtype="float32")
    content = make.ordered_dict({"a": make.contiguous("0", array)})
    extra = [("archive/byteorder", "big")]
    data = zipped(make, content, {"0": array.astype(">f4").tobytes()}, extra=extra)
    assert_array_equal(read_torch_checkpoint(save(tmp_path, data))["a"], array, strict=True)


def test_tensors_of_torch_0_2_on_a_gpu_are_read(tmp_path, make):
    array = np.arange(6, dtype="float32")
    storage = make.storage("7", "FloatStorage", 6, module="torch.cuda")
    tensor = make.tensor(storage, 1, (2, 2), (2, 1), "_rebuild_tensor")
    data = make.legacy_file(make.program(make.ordered_dict({"a": tensor})), {"7": array})
    read = read_torch_checkpoint(save(tmp_path, data))
    assert_array_equal(read["a"], [[1, 2], [3, 4]])


def test_a_view_of_a_storage_is_read(tmp_path, make):
    array = np.arange(6, dtype="float32")
    storage = make.storage("7", "FloatStorage", 6, view=(2, 3))
    tensor = make.tensor(storage, 1, (2,), (1,))
    data = make.legacy_file(make.program(make.ordered_dict({"a": tensor})), {"7": array})
    assert_array_equal(read_torch_checkpoint(save(tmp_path, data))["a"], [3, 4])


def test_strings_and_pairs_of_python_2_are_read(tmp_path, make):
    array = np.arange(2, dtype="float32")
    key = b"U\x06weight"
    pair = b"](" + key + make.contiguous("0", array) + b"e"
    content = make.named("collections", "OrderedDict") + b"](" + pair + b"e\x85R"
    data = make.legacy_file(make.program(content), {"0": array})
    assert_array_equal(read_torch_checkpoint(save(tmp_path, data))["weight"], array)


def test_arrays_cannot_be_changed_by_accident(tmp_path, make, arrays):
    read = read_torch_checkpoint(save(tmp_path, legacy(make, arrays)))
    with pytest.raises(ValueError, match="read-only"):
        read["steps"][0] = 1


# Which tensors of a checkpoint are meant.


def nested(make, tmp_path, *entries):
    array = np.arange(2, dtype="float32")
    inner = make.ordered_dict({"w": make.contiguous("0", array)})
    pairs = b"".join(make.text(entry) + inner for entry in entries)
    content = b"}(" + make.text("epoch") + make.number(3) + pairs + b"u"
    return save(tmp_path, make.legacy_file(make.program(content), {"0": array}))


@pytest.mark.parametrize("entries", [("state_dict",), ("anything",), ("ema", "state_dict")])
def test_the_tensors_of_a_training_checkpoint_are_found(tmp_path, make, entries):
    assert list(read_torch_checkpoint(nested(make, tmp_path, *entries))) == ["w"]


def test_an_entry_can_be_chosen(tmp_path, make):
    path = nested(make, tmp_path, "ema", "raw")
    assert list(read_torch_checkpoint(path, key="ema")) == ["w"]
    with pytest.raises(PickleError, match=r"choose one by key=. Received: \['ema', 'raw'\]"):
        read_torch_checkpoint(path)
    with pytest.raises(KeyError, match="has no entry 'other'.*'ema', 'raw'"):
        read_torch_checkpoint(path, key="other")


def settings_file(make, tmp_path, is_zip):
    """A tensor, a number and an object of a class."""
    array = np.ones(2, "float32")
    settings = b"cmodels.settings\nSettings\n)\x81}(" + make.text("depth") + make.number(3) + b"ub"
    content = b"}(" + make.text("g") + make.ordered_dict({"w": make.contiguous("0", array)})
    content += make.text("config") + settings + make.text("step") + make.number(7) + b"u"
    if is_zip:
        return save(tmp_path, zipped(make, content, {"0": array.tobytes()}))
    return save(tmp_path, make.legacy_file(make.program(content), {"0": array}))


@pytest.mark.parametrize("is_zip", [True, False])
def test_all_of_a_checkpoint_is_read_with_settings_where_they_are_expected(make, tmp_path, is_zip):
    path = settings_file(make, tmp_path, is_zip)
    with pytest.raises(UnsafePickleError, match=r"models\.settings\.Settings"):
        read_torch_content(path)
    content = read_torch_content(path, record_prefix="models.settings.")
    assert_array_equal(content.pop("g")["w"], np.ones(2, "float32"), strict=True)
    assert content == {"config": {"depth": 3}, "step": 7}


def test_a_dictionary_that_holds_itself_is_read_to_a_depth(make, tmp_path):
    # The memo gives the dictionary its own number.
    path = save(
        tmp_path, make.legacy_file(make.program(b"}q\x00" + make.text("a") + b"h\x00s"), {})
    )
    content, depth = read_torch_content(path), 0
    while content:
        content, depth = content.get("a"), depth + 1
    assert depth <= 4


def test_a_checkpoint_without_tensors_is_refused(tmp_path, make):
    data = make.legacy_file(make.program(b"}(" + make.text("a") + make.number(1) + b"u"), {})
    with pytest.raises(PickleError, match=r"no dictionary of tensors. Received: entries \['a'\]"):
        read_torch_checkpoint(save(tmp_path, data))


# Files that are damaged or something else.


@pytest.mark.backend_free
def test_every_truncation_of_the_stream_names_the_file(tmp_path, make, arrays):
    data = legacy(make, arrays)
    for length in range(1, len(data)):
        with pytest.raises(PickleError, match=r"weights\.pth"):
            read_torch_checkpoint(save(tmp_path, data[:length]))


def test_truncations_of_the_archive_name_the_file(tmp_path, make, arrays):
    content = make.ordered_dict({"weight": make.contiguous("0", arrays["weight"])})
    data = zipped(make, content, {"0": arrays["weight"].tobytes()})
    for length in range(4, len(data), 7):
        with pytest.raises(PickleError, match=r"weights\.pth"):
            read_torch_checkpoint(save(tmp_path, data[:length]))


@pytest.mark.backend_free
def test_no_changed_byte_of_a_pickle_does_more_than_raise(tmp_path, make):
    data = legacy(make, {"a": np.arange(3, dtype="float32")})
    for position in range(len(data)):
        for flip in (1, 0x20, 0x80):
            changed = bytearray(data)
            changed[position] ^= flip
            try:
                read_torch_checkpoint(save(tmp_path, bytes(changed)))
            except ValueError:
                pass  # PickleError and UnsafePickleError; any other error fails the test


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x89HDF\r\n", "not a PyTorch checkpoint"),
        (b"a" * 257 + b"ustar\x00", "from PyTorch 0.1"),
        (pickle.dumps({"a": 1}), "does not begin with PyTorch's magic number"),
    ],
)
def test_another_kind_of_file_is_told(tmp_path, data, hint):
    with pytest.raises(PickleError, match=hint):
        read_torch_checkpoint(save(tmp_path, data))


def test_a_torchscript_program_is_told(tmp_path, make):
    data = zipped(make, b"}", {}, extra=[("archive/constants.pkl", b"")])
    with pytest.raises(PickleError, match="a TorchScript program"):
        read_torch_checkpoint(save(tmp_path, data))


def test_another_zip_archive_is_told(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(PickleError, match=r"another kind of zip archive.*notes\.txt"):
        read_torch_checkpoint(save(tmp_path, file.getvalue()))


# Files that claim more than they hold.


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (2, 2), (3, 1)),
        (0, (2**40,), (0,)),
        (0, (2**30, 2**30), (0, 0)),
        (0, (0, 2**40), (1, 1)),
        (0, (0, *[2**20] * 20), (1,) * 21),
        (0, (1,) * 40, (1,) * 40),
        (2**61, (1,), (1,)),
    ],
)
def test_a_tensor_larger_than_its_storage_is_refused(tmp_path, make, offset, shape, strides):
    tensor = make.tensor(make.storage("0", "FloatStorage", 4), offset, shape, strides)
    content = make.program(make.ordered_dict({"a": tensor}))
    data = make.legacy_file(content, {"0": np.arange(4, dtype="float32")})
    with pytest.raises(PickleError, match="tensor 'a'"):
        read_torch_checkpoint(save(tmp_path, data))


@pytest.mark.parametrize("claimed", [5, 2**40, 2**61])
def test_a_storage_larger_than_the_file_is_refused(tmp_path, make, claimed):
    tensor = make.tensor(make.storage("0", "FloatStorage", claimed), 0, (4,), (1,))
    content = make.ordered_dict({"a": tensor})
    raw = np.arange(4, dtype="float32")
    with pytest.raises(PickleError, match="must hold"):
        read_torch_checkpoint(save(tmp_path, zipped(make, content, {"0": raw.tobytes()})))
    with pytest.raises(PickleError, match="must hold"):
        read_torch_checkpoint(save(tmp_path, make.legacy_file(make.program(content), {"0": raw})))
    forged = make.legacy_file(make.program(content), {"0": raw})
    forged = forged.replace(struct.pack("<q", 4), struct.pack("<q", claimed))
    with pytest.raises(PickleError, match="truncated"):
        read_torch_checkpoint(save(tmp_path, forged))


def test_a_compressed_archive_is_refused(tmp_path, make):
    array = np.zeros(10_000, "float32")
    content = make.ordered_dict({"a": make.contiguous("0", array)})
    data = zipped(make, content, {"0": array.tobytes()}, method=zipfile.ZIP_DEFLATED)
    with pytest.raises(PickleError, match="compressed"):
        read_torch_checkpoint(save(tmp_path, data))


def test_two_storages_cannot_share_the_bytes_of_a_record(tmp_path, make):
    # The central directory may point two names at one record: together they outgrow the file.
    array = np.zeros(20_000, "float32")
    names = [f"{number:02}" for number in range(4)]
    content = make.ordered_dict({name: make.contiguous(name, array) for name in names})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", make.program(content))
        archive.writestr("a/data/00", array.tobytes())
        first = archive.getinfo("a/data/00")
        for name in names[1:]:
            twin = zipfile.ZipInfo(f"a/data/{name}")
            for field in ("header_offset", "CRC", "compress_size", "file_size", "external_attr"):
                setattr(twin, field, getattr(first, field))
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    with pytest.raises(PickleError, match=r"claims more bytes|truncated or damaged"):
        read_torch_checkpoint(save(tmp_path, file.getvalue()))


def test_an_endless_pickle_is_refused(monkeypatch):
    monkeypatch.setattr("c2f_zoo.hub.torch_files.pickle_reader._MOST_INSTRUCTIONS", 1000)
    data = b"\x80\x02" + b"]" * 2000 + b"."
    with pytest.raises(PickleError, match="more than 1000 pickle instructions"):
        read(data)


def read(data, **options):
    return PickleReader(ByteSource(io.BytesIO(data), len(data), "demo"), **options).read()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_is_what_python_reads(protocol):
    value = {
        "text": "é" * 300,
        "long": "x" * 70_000,
        "bytes": b"b" * 300,
        "numbers": [0, 1, 255, 256, -1, 2**31, 2**80, -(2**80), 0.5, True, False, None],
        3: ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "nested": {"list": [[], {}]},
    }
    if protocol == 2:
        del value["bytes"]  # protocol 2 writes bytes as a call of codecs.encode
    assert read(pickle.dumps(value, protocol)) == value


def test_a_list_that_holds_itself_is_read():
    value = [1]
    value.append(value)
    result = read(pickle.dumps(value, 2))
    assert result[1] is result


@pytest.mark.backend_free
def test_no_changed_byte_of_an_archive_does_more_than_raise(tmp_path, make, arrays, rng):
    content = make.ordered_dict({"weight": make.contiguous("0", arrays["weight"])})
    data = zipped(make, content, {"0": arrays["weight"].tobytes()})
    for position in [*rng.integers(0, len(data), 300), *range(len(data) - 200, len(data))]:
        changed = bytearray(data)
        changed[position] = int(rng.integers(256))
        with contextlib.suppress(PickleError):
            read_torch_checkpoint(save(tmp_path, bytes(changed)))


@pytest.mark.parametrize(
    ("field", "value"),  # offsets in a record of the central directory
    [(6, 99), (10, 14), (10, 99), (8, 1), (8, 0x20), (42, 0x7FFFFFFF), (20, 1)],
    ids="version lzma unknown encrypted patch offset size".split(),
)
def test_a_damaged_directory_of_an_archive_is_told(tmp_path, make, arrays, field, value):
    content = make.ordered_dict({"weight": make.contiguous("0", arrays["weight"])})
    data = bytearray(zipped(make, content, {"0": arrays["weight"].tobytes()}))
    place = data.index(b"PK\x01\x02") + field
    data[place : place + 2 + 2 * (field >= 20)] = value.to_bytes(2 + 2 * (field >= 20), "little")
    with pytest.raises(PickleError, match=r"weights\.pth"):
        read_torch_checkpoint(save(tmp_path, bytes(data)))


def test_a_packed_size_beyond_the_file_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"}.")
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 20 : entry + 24] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(PickleError, match="claims more bytes than the file has"):
        read_torch_checkpoint(path)
