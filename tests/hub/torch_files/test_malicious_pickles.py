"""Checkpoints that ask for something to be run: each is refused by name, and nothing runs."""

import io
import pickle
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from c2f_zoo.hub import read_torch_checkpoint, read_torchscript
from c2f_zoo.hub.torch_files.pickle_reader import PickleError, UnsafePickleError

TOUCHED = []


def touch(*arguments):
    TOUCHED.append(arguments)


class Reduced:
    def __reduce__(self):
        return touch, ("by reduce",)


class WithState:
    def __init__(self):
        self.state = 1

    def __setstate__(self, state):
        TOUCHED.append(state)


def call(m, module, name):
    return m.named(module, name) + m.sequence(m.text("touch malicious")) + b"R"


def storage_id(m, *parts):
    return m.sequence(m.text("storage"), *parts) + b"Q"


def float_tensor(m, hooks=b"N"):
    """A tensor with something of the attacker's choice where its backward hooks go."""
    numbers = [m.number(0), m.sequence(m.number(4)), m.sequence(m.number(1)), b"\x89", hooks]
    function = m.named("torch._utils", "_rebuild_tensor_v2")
    return function + m.sequence(m.storage("0", "FloatStorage", 4), *numbers) + b"R"


def ordered(m):
    return m.named("collections", "OrderedDict")


def rebuild(m):
    return m.named("torch._utils", "_rebuild_tensor_v2")


def float_storage(m):
    return m.named("torch", "FloatStorage")


# What the pickle does, as a function of the assembler, and what the refusal must name.
FORBIDDEN = {
    "call os.system": (lambda m: call(m, "os", "system"), "os.system"),
    "call eval": (lambda m: call(m, "builtins", "eval"), "builtins.eval"),
    "call python 2's eval": (lambda m: call(m, "__builtin__", "eval"), "__builtin__.eval"),
    "name getattr": (lambda m: m.named("builtins", "getattr"), "builtins.getattr"),
    "name a class of NumPy": (lambda m: m.named("numpy", "ndarray"), "numpy.ndarray"),
    "name a method": (lambda m: m.named("collections", "OrderedDict.update"), "OrderedDict.update"),
    "name a module's import": (lambda m: m.named("torch._utils", "sys"), "torch._utils.sys"),
    "name torch's own loader": (lambda m: call(m, "torch", "load"), "torch.load"),
    "name a module class": (lambda m: m.named("torch.nn", "Linear"), "torch.nn.Linear"),
    "STACK_GLOBAL": (lambda m: m.text("os") + m.text("system") + b"\x93", "os.system"),
    "STACK_GLOBAL from the memo": (
        lambda m: m.text("os") + b"q\x00" + m.text("system") + b"q\x010" + b"0h\x00h\x01\x93",
        "os.system",
    ),
    "STACK_GLOBAL of no string": (lambda m: b"]" + m.text("system") + b"\x93", "two strings"),
    "INST": (lambda m: b"(" + m.text("touch") + b"ios\nsystem\n", "INST of os.system"),
    "OBJ": (lambda m: b"(" + ordered(m) + b"o", "OBJ"),
    "NEWOBJ": (lambda m: ordered(m) + b")\x81", "NEWOBJ"),
    "NEWOBJ_EX": (lambda m: ordered(m) + b")}\x92", "NEWOBJ_EX"),
    "EXT1": (lambda m: b"\x82\x01", "EXT1"),
    "EXT2": (lambda m: b"\x83\x01\x00", "EXT2"),
    "EXT4": (lambda m: b"\x84\x01\x00\x00\x00", "EXT4"),
    "NEXT_BUFFER": (lambda m: b"\x97", "NEXT_BUFFER"),
    "a protocol 0 integer": (lambda m: b"I1\n", "INT"),
    "a protocol 0 string": (lambda m: b"S'a'\n", "STRING"),
    "call a storage type": (lambda m: float_storage(m) + b")R", "not a function"),
    "call a string": (lambda m: m.text("os.system") + b")R", "not a function"),
    "call a tensor": (lambda m: float_tensor(m) + b")R", "not a function"),
    "call what a call gave": (lambda m: ordered(m) + b")R)R", "not a function"),
    "BUILD a function's attributes": (
        lambda m: rebuild(m) + b"N}(" + m.text("__defaults__") + b")u\x86b",
        "BUILD is only for",
    ),
    "BUILD a storage type": (lambda m: float_storage(m) + b"}b", "BUILD is only for"),
    "BUILD a tensor": (lambda m: float_tensor(m) + b"}b", "BUILD is only for"),
    "BUILD a list": (lambda m: b"]}b", "BUILD is only for"),
    "APPEND to a function": (lambda m: rebuild(m) + b"Na", "APPENDS is only for"),
    "APPENDS to a dictionary": (lambda m: b"}(Ne", "APPENDS is only for"),
    "SETITEM of a list": (lambda m: b"]NNs", "SETITEMS is only for"),
    "SETITEMS of a tensor": (lambda m: float_tensor(m) + b"(NNu", "SETITEMS is only for"),
    "in a tuple": (lambda m: m.sequence(m.text("a"), call(m, "os", "system")), "os.system"),
    "as a value": (lambda m: b"}" + m.text("a") + call(m, "os", "system") + b"s", "os.system"),
    "as a key": (lambda m: b"}" + call(m, "os", "system") + b"Ns", "os.system"),
    "in an OrderedDict's pairs": (
        lambda m: ordered(m) + b"](" + call(m, "os", "system") + b"e\x85R",
        "os.system",
    ),
    "in an OrderedDict's state": (
        lambda m: ordered(m) + b")R}" + m.text("__reduce__") + call(m, "os", "system") + b"sb",
        "os.system",
    ),
    "as a tensor's hooks": (lambda m: float_tensor(m, call(m, "os", "system")), "os.system"),
    "thrown away": (lambda m: call(m, "os", "system") + b"0}", "os.system"),
    "a persistent id in text": (lambda m: b"Pstorage\n", "PERSID"),
    "a persistent id of a string": (lambda m: m.text("storage") + b"Q", "no such persistent id"),
    "a persistent id of a list": (lambda m: b"]Q", "no such persistent id"),
    "a persistent id of a module": (
        lambda m: m.sequence(m.text("module"), float_storage(m), m.text("a"), m.text("b")) + b"Q",
        "must describe a tensor's storage",
    ),
    "a storage of a forbidden type": (
        lambda m: storage_id(m, m.named("os", "system"), m.text("0"), m.text("cpu")),
        "os.system",
    ),
    "a storage of a function": (
        lambda m: storage_id(m, rebuild(m), m.text("0"), m.text("cpu"), m.number(4)),
        "a storage type was expected",
    ),
    "a storage of a string": (
        lambda m: storage_id(m, m.text("x"), m.text("0"), m.text("cpu"), m.number(4)),
        "a storage type was expected",
    ),
    "a storage of half an element": (
        lambda m: storage_id(m, float_storage(m), m.text("0"), m.text("cpu"), b"G" + bytes(8)),
        "must describe a tensor's storage",
    ),
    "a storage at a device that is called": (
        lambda m: storage_id(m, float_storage(m), m.text("0"), call(m, "os", "system")),
        "os.system",
    ),
}


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    """Fails the test if a pickle called os.system or reached `touch`."""
    TOUCHED.clear()
    monkeypatch.setattr("os.system", touch)
    yield
    assert TOUCHED == []


@pytest.fixture
def refuse(tmp_path):
    def check(data, named, read=read_torch_checkpoint):
        path = tmp_path / "evil.pth"
        path.write_bytes(data)
        modules = set(sys.modules)
        with pytest.raises(UnsafePickleError, match="nothing in it was run") as caught:
            read(path)
        imported = set(sys.modules) - modules
        assert all(name.startswith("encodings.") for name in imported)  # by zipfile, for names
        assert str(caught.value).startswith("evil.pth was refused")
        assert named in str(caught.value)

    return check


@pytest.fixture(params=FORBIDDEN)
def forbidden(request, pickle_bytes):
    instructions, named = FORBIDDEN[request.param]
    return instructions(pickle_bytes), named


def in_archive(data, *more):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", bytes(16))
        for name in more:
            archive.writestr(f"archive/{name}", b"")
    return file.getvalue()


def in_program(data):
    return in_archive(data, "constants.pkl")


def record(m):
    return m.named("__torch__", "Net")


# What only a program's pickle could ask for: it may make records, of classes that it names.
FORBIDDEN_RECORDS = {
    "an object of a real class": (lambda m: m.named("os", "_Environ") + b")\x81", "os._Environ"),
    "a class that is named like one": (
        lambda m: m.named("__torch__x", "Net") + b")\x81",
        "__torch__x.Net",
    ),
    "call a record's class": (lambda m: record(m) + b")R", "not a function"),
    "call a record": (lambda m: record(m) + b")\x81)R", "not a function"),
    "a record made of something": (
        lambda m: record(m) + m.sequence(call(m, "os", "system")) + b"\x81",
        "os.system",
    ),
    "a record made of a number": (lambda m: record(m) + b"N\x85\x81", "made of nothing"),
    "an object of a function": (lambda m: rebuild(m) + b")\x81", "NEWOBJ is only for"),
    "an object of a storage type": (lambda m: float_storage(m) + b")\x81", "NEWOBJ is only for"),
    "an object of a record": (lambda m: record(m) + b")\x81)\x81", "NEWOBJ is only for"),
    "NEWOBJ_EX of a record's class": (lambda m: record(m) + b")}\x92", "NEWOBJ_EX"),
    "OBJ of a record's class": (lambda m: b"(" + record(m) + b"o", "OBJ"),
    "INST of a record's class": (lambda m: b"(i__torch__\nNet\n", "INST of __torch__.Net"),
    "BUILD a record's class": (lambda m: record(m) + b"}b", "BUILD is only for"),
    "BUILD a record from a tuple": (
        lambda m: record(m) + b")\x81N}\x86b",
        "fields are a dictionary",
    ),
    "APPEND to a record": (lambda m: record(m) + b")\x81Na", "APPENDS is only for"),
    "as a record's field": (
        lambda m: record(m) + b")\x81}" + m.text("__class__") + call(m, "os", "system") + b"sb",
        "os.system",
    ),
}


@pytest.mark.backend_free
def test_the_object_of_the_older_stream_runs_nothing(refuse, pickle_bytes, forbidden):
    instructions, named = forbidden
    storages = {"0": np.zeros(4, "float32")}
    refuse(pickle_bytes.legacy_file(pickle_bytes.program(instructions), storages), named)


@pytest.mark.backend_free
def test_the_object_of_an_archive_runs_nothing(refuse, pickle_bytes, forbidden):
    instructions, named = forbidden
    refuse(in_archive(pickle_bytes.program(instructions)), named)


@pytest.mark.backend_free
def test_the_modules_of_a_program_run_nothing(refuse, pickle_bytes, forbidden):
    instructions, named = forbidden
    refuse(in_program(pickle_bytes.program(instructions)), named, read_torchscript)


@pytest.mark.parametrize("what", FORBIDDEN_RECORDS)
def test_a_record_is_made_and_filled_in_one_way(refuse, pickle_bytes, what):
    instructions, named = FORBIDDEN_RECORDS[what]
    data = pickle_bytes.program(instructions(pickle_bytes))
    refuse(in_program(data), named, read_torchscript)


def test_a_checkpoint_holds_no_records(refuse, pickle_bytes):
    data = pickle_bytes.program(record(pickle_bytes) + b")\x81}b")
    refuse(in_archive(data), "__torch__.Net")
    refuse(pickle_bytes.legacy_file(data, {}), "__torch__.Net")


@pytest.mark.parametrize("place", ["magic", "protocol", "facts"])
@pytest.mark.parametrize("function", [("os", "system"), ("collections", "OrderedDict")])
def test_the_first_pickles_of_the_stream_run_nothing(refuse, pickle_bytes, place, function):
    evil = pickle_bytes.program(call(pickle_bytes, *function))
    refuse(pickle_bytes.legacy_file(b"", {}, **{place: evil}), ".".join(function))


def test_the_list_of_storages_runs_nothing(refuse, pickle_bytes):
    m = pickle_bytes
    content = m.program(m.ordered_dict({"a": m.contiguous("0", np.zeros(4, "float32"))}))
    keys = m.program(b"](" + call(m, "os", "system") + b"e")
    refuse(m.legacy_head() + content + keys + bytes(24), "os.system")


def test_a_persistent_id_is_for_the_object_only(refuse, pickle_bytes):
    m = pickle_bytes
    refuse(m.program(m.storage("0", "FloatStorage", 4)), "torch.FloatStorage")
    refuse(m.program(m.sequence(m.text("storage")) + b"Q"), "no such persistent id")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [Reduced, WithState])
def test_what_python_itself_pickles_runs_nothing(refuse, pickle_bytes, kind, protocol):
    name = {Reduced: f"{__name__}.touch", WithState: "copyreg.__newobj__"}[kind]
    data = pickle.dumps({"a": kind()}, protocol)
    if kind is WithState:
        name = f"{__name__}.WithState"
    refuse(in_archive(data), name)
    refuse(pickle_bytes.legacy_file(data, {}), name)


def test_torch_itself_saves_what_is_refused(refuse, tmp_path):
    torch = pytest.importorskip("torch")
    for archive in (True, False):
        path = tmp_path / "torch.pth"
        value = {"a": torch.zeros(2), "b": Reduced()}
        torch.save(value, path, _use_new_zipfile_serialization=archive)
        refuse(path.read_bytes(), f"{__name__}.touch")
        if archive:
            with zipfile.ZipFile(path, "a") as file:
                file.writestr("torch/constants.pkl", b"")
            refuse(path.read_bytes(), f"{__name__}.touch", read_torchscript)


# Small files that would take gigabytes, or hours.

COUNT = 20_000


def pairs(m):
    """A list of as many pairs, in the memo as 1."""
    pair = m.text("a") + b"N\x86q\x02"
    return b"](" + pair + b"h\x02" * COUNT + b"eq\x01" + b"0"


def state(m):
    """A dictionary of as many entries, in the memo as 1."""
    entries = b"".join(b"M" + number.to_bytes(2, "little") + b"N" for number in range(COUNT))
    return b"}(" + entries + b"uq\x01" + b"0"


# What comes once, and what is repeated.
COPIES = {
    "ordered dictionaries of one list": (
        lambda m: pairs(m) + ordered(m) + b"q\x00" + b"0",
        lambda m: b"h\x00h\x01\x85R",
    ),
    "calls with one tuple": (
        lambda m: b"(" + b"K\x00" * COUNT + b"tq\x01" + b"0",
        lambda m: (
            m.named("torch._utils", "_rebuild_tensor_v2")
            + m.sequence(m.storage("0", "FloatStorage", 4), b"K\x00", b"h\x01", b"h\x01")
            + b"R"
        ),
    ),
    "records of one state": (
        lambda m: state(m) + record(m) + b"q\x00" + b"0",
        lambda m: b"h\x00)\x81h\x01b",
    ),
}


@pytest.mark.backend_free
@pytest.mark.parametrize("what", COPIES)
def test_one_list_is_not_copied_again_and_again(tmp_path, pickle_bytes, what):
    once, again = (part(pickle_bytes) for part in COPIES[what])
    path = tmp_path / "large.pt"
    path.write_bytes(in_program(pickle_bytes.program(b"](" + once + again * COUNT + b"e")))
    tracemalloc.start()
    try:
        with pytest.raises(PickleError, match="copies the same objects again"):
            read_torchscript(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.backend_free
def test_long_names_do_not_grow_with_every_tensor(tmp_path, pickle_bytes):
    m = pickle_bytes
    tensors = b"".join(m.text(str(number)) + b"h\x00" for number in range(1000))
    content = record(m) + b")\x81}(" + tensors + b"ub"
    for _ in range(50):
        content = record(m) + b")\x81}(" + m.text("a" * 1000) + content + b"ub"
    tensor = m.tensor(m.storage("0", "FloatStorage", 4), 0, (4,), (1,))
    path = tmp_path / "large.pt"
    path.write_bytes(in_program(m.program(tensor + b"q\x00" + b"0" + content)))
    with pytest.raises(PickleError, match="names of its tensors are longer than the file"):
        read_torchscript(path)
