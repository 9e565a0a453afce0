"""Assembles pickles and torch files by hand, so that no torch is needed to write them."""

import struct

import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + struct.pack("<B", len(data)) + data


def named(module, name):
    """The instruction that asks for a global."""
    return f"c{module}\n{name}\n".encode()


def sequence(*items):
    return b"(" + b"".join(items) + b"t"


def program(*instructions):
    return b"\x80\x02" + b"".join(instructions) + b"."


def storage(key, kind, count, module="torch", view=None):
    last = b"N" if view is None else sequence(text("view"), number(view[0]), number(view[1]))
    return (
        sequence(text("storage"), named(module, kind), text(key), text("cpu"), number(count), last)
        + b"Q"
    )


def tensor(storage_bytes, offset, shape, strides, function="_rebuild_tensor_v2"):
    arguments = [
        storage_bytes,
        number(offset),
        sequence(*map(number, shape)),
        sequence(*map(number, strides)),
    ]
    if function == "_rebuild_tensor_v2":
        arguments += [b"\x89", named("collections", "OrderedDict") + b")R"]
    return named("torch._utils", function) + sequence(*arguments) + b"R"


def ordered_dict(items):
    pairs = b"".join(text(key) + value for key, value in items.items())
    return named("collections", "OrderedDict") + b")R(" + pairs + b"u"


def contiguous(key, array, module="torch"):
    kind = STORAGES[str(array.dtype)]
    strides = [step // array.itemsize for step in np.zeros(array.shape, array.dtype).strides]
    return tensor(storage(key, kind, array.size, module), 0, array.shape, strides)


def legacy_head(magic=None, protocol=None, facts=None):
    parts = [
        magic or program(number(LEGACY_MAGIC)),
        protocol or program(number(1001)),
        facts or program(b"}(" + text("little_endian") + b"\x88u"),
    ]
    return b"".join(parts)


def legacy_file(content, arrays, **head):
    """The bytes of an older torch file: `content` is a pickle, `arrays` its storages by key."""
    keys = program(b"](" + b"".join(text(key) for key in arrays) + b"e")
    raw = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
    return legacy_head(**head) + content + keys + raw
