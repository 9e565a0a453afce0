"""A reader of pickles that has no way to run what they ask for.

A pickle is a program for a small stack machine. This one knows the instructions that build plain
data (numbers, strings, lists, tuples, dictionaries): it imports nothing, creates no instance of a
class, sets no attribute, and refuses a global that the caller did not list. What a listed name
stands for is the caller's own pure function or value. Objects of classes that the caller expects
become a `Record` of the fields that the pickle states.

Torch writes its checkpoints with pickle protocol 2, or any up to 5 on request.
Source: the instruction set is documented in Python's `pickletools` module.
"""

import collections
import dataclasses
import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

_LONGEST_NAME = 512  # bytes in one line of a GLOBAL instruction; real ones have about 30
_LONGEST_INTEGER = 1024  # bytes; torch's own longest is 10
_MOST_INSTRUCTIONS = 4_000_000  # about 50 a tensor; each may cost 100 bytes of memory


class PickleError(ValueError):
    """A pickle that is damaged, truncated or not made of plain data."""


class UnsafePickleError(PickleError):
    """A pickle that asks for something to be imported or run. Nothing of it was run."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """A global that the pickle may name, and what it means here; frozen, so nothing can be set."""

    name: str
    meaning: Any


class Record(dict):
    """The fields of an object whose class the pickle names: a dictionary, and nothing more."""


# What the name of a record's class stands for. It is no function, so that no pickle can call it.
_RECORD_CLASS = object()


class ByteSource:
    """Reads an open file of `size` bytes and never asks for more than it still has."""

    def __init__(self, file: BinaryIO, size: int, name: str):
        self._file = file
        self._remaining = size - file.tell()
        self.name = name

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, or raise PickleError."""
        data = self._file.read(count) if 0 <= count <= self._remaining else b""
        if len(data) != count:
            raise PickleError(
                f"{self.name} is truncated: {count} more bytes were expected. "
                f"Received: {self._remaining}"
            )
        self._remaining -= count
        return data

    def readline(self) -> bytes:
        """Return the bytes up to the next newline, at most 512, or raise PickleError."""
        line = self._file.readline(min(_LONGEST_NAME, self._remaining))
        self._remaining -= len(line)
        if not line.endswith(b"\n"):
            raise PickleError(f"{self.name} is truncated or damaged inside the name of a global.")
        return line[:-1]


class PickleReader:
    """Reads one pickle into plain data; `source` then stands behind it.

    Args:
        source: Source of the bytes.
        symbols: Globals that may appear, as `"module.name"`, and what each stands for. A callable
            may be called by the pickle, so it must be pure; a value may not.
        persistent: Function of the tuple of a persistent id; its result takes the id's place.
        record_prefix: Prefix of the names of classes whose objects are read as `Record`s.
            Default: an object of any class is refused.
    """

    def __init__(
        self,
        source: ByteSource,
        symbols: Mapping[str, Any] | None = None,
        persistent: Callable[[tuple], Any] | None = None,
        record_prefix: str | None = None,
    ):
        self._source = source
        self._symbols = symbols or {}
        self._persistent = persistent
        self._record_prefix = record_prefix
        self._stack: list = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._instructions = 0
        self._copied = 0

    def read(self) -> Any:
        """Run the pickle's instructions up to its STOP and return the object.

        Raises UnsafePickleError for a global that is not listed and for instructions that could
        create or change an object of a class; PickleError for a damaged pickle.
        """
        name = self._source.name
        try:
            for self._instructions in range(_MOST_INSTRUCTIONS):
                code = self._source.read(1)
                if code == b".":
                    return self._stack.pop()
                self._step(code)
            raise PickleError(f"{name}: more than {_MOST_INSTRUCTIONS} pickle instructions.")
        except PickleError:
            raise
        except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            received = f"{type(error).__name__}: {error}"
            raise PickleError(f"{name} holds a damaged pickle. Received: {received}") from error

    def _step(self, code: bytes) -> None:
        if code in _CONSTANTS:
            self._stack.append(_CONSTANTS[code]())
        elif code in _NUMBERS:
            self._stack.append(self._number(_NUMBERS[code]))
        elif code in _STRINGS:
            layout, decode = _STRINGS[code]
            self._stack.append(decode(self._source.read(self._number(layout))))
        elif code in _ACTIONS:
            _ACTIONS[code](self)
        else:
            self._refuse(code)

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._source.read(struct.calcsize(layout)))[0]

    def _damaged(self, reason: str) -> PickleError:
        return PickleError(f"{self._source.name} holds a damaged pickle: {reason}")

    def _unsafe(self, reason: str, received: str) -> UnsafePickleError:
        return UnsafePickleError(
            f"{self._source.name} was refused, and nothing in it was run: {reason}. "
            f"Received: {received}"
        )

    def _refuse(self, code: bytes) -> None:
        instruction = pickletools.code2op.get(code.decode("latin-1"))
        if instruction is None:
            raise self._damaged(f"there is no such instruction. Received: {code!r}")
        detail = instruction.name
        if code == b"i":  # INST carries the name of a class within itself
            detail += f" of {self._global_name()}"
        raise self._unsafe("plain data does not need this pickle instruction", detail)

    # The instructions that do more than push one value.

    def _protocol(self) -> None:
        (version,) = self._source.read(1)
        if not 2 <= version <= 5:
            raise PickleError(
                f"{self._source.name}: the pickle protocol must be 2 to 5. Received: {version}"
            )

    def _frame(self) -> None:
        self._source.read(8)  # only a hint for buffering

    def _long(self, layout: str) -> None:
        length = self._number(layout)
        if not 0 <= length <= _LONGEST_INTEGER:
            raise PickleError(
                f"{self._source.name}: an integer of at most {_LONGEST_INTEGER} bytes was "
                f"expected. Received: {length} bytes"
            )
        self._stack.append(int.from_bytes(self._source.read(length), "little", signed=True))

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _pop_mark(self) -> list:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _pop(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _tuple(self, count: int | None) -> None:
        if count is None:
            self._stack.append(tuple(self._pop_mark()))
            return
        items = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def _put(self, layout: str) -> None:
        self._memo[self._number(layout)] = self._stack[-1]

    def _get(self, layout: str) -> None:
        self._stack.append(self._memo[self._number(layout)])

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _append(self, items: list) -> None:
        self._target(list, "APPENDS").extend(items)

    def _set_items(self, items: list) -> None:
        target = self._target(dict, "SETITEMS")
        if len(items) % 2:
            raise self._damaged("a key has no value.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def _target(self, kind: type, instruction: str) -> Any:
        # Python's machine would call the methods `append` or `__setitem__` of any object here.
        target = self._stack[-1]
        if not isinstance(target, kind):
            raise self._unsafe(f"{instruction} is only for a {kind.__name__}", _describe(target))
        return target

    def _global_name(self) -> str:
        module = self._source.readline().decode("utf-8")
        return f"{module}.{self._source.readline().decode('utf-8')}"

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            received = f"{_describe(module)}, {_describe(name)}"
            raise self._unsafe("a global is named by two strings", received)
        self._push_symbol(f"{module}.{name}")

    def _push_symbol(self, name: str) -> None:
        if name in self._symbols:
            self._stack.append(Symbol(name, self._symbols[name]))
        elif self._record_prefix is not None and name.startswith(self._record_prefix):
            self._stack.append(Symbol(name, _RECORD_CLASS))
        else:
            raise self._unsafe("it asks for a global that a file of arrays has no use for", name)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Symbol) or not callable(function.meaning):
            raise self._unsafe("it calls something that is not a function", _describe(function))
        if not isinstance(arguments, tuple):
            raise self._damaged("a call needs a tuple.")
        self._count_copies(len(arguments), *(_length(argument) for argument in arguments))
        self._stack.append(function.meaning(*arguments))

    def _count_copies(self, *lengths: int) -> None:
        # The memo gives one list to any number of calls, and each may copy it. Python's own
        # pickles push each element by an instruction and copy it once or twice.
        self._copied += sum(lengths)
        if self._copied > 4 * self._instructions + 1000:
            raise self._damaged(
                "it copies the same objects again and again. "
                f"Received: {self._copied} copies in {self._instructions} instructions"
            )

    def _new_object(self) -> None:
        if self._record_prefix is None:
            self._refuse(b"\x81")
        arguments, kind = self._stack.pop(), self._stack.pop()
        if not isinstance(kind, Symbol) or kind.meaning is not _RECORD_CLASS:
            raise self._unsafe("NEWOBJ is only for a record", _describe(kind))
        if arguments != ():
            raise self._unsafe("a record is made of nothing", _describe(arguments))
        self._stack.append(Record())

    def _build(self) -> None:
        state = self._stack.pop()
        if isinstance(self._stack[-1], Record):
            if not isinstance(state, dict):
                raise self._unsafe("a record's fields are a dictionary", _describe(state))
            self._count_copies(len(state))
            self._stack[-1].update(state)
            return
        # A state dictionary carries `_metadata` this way; it is dropped, no attribute is set.
        self._target(collections.OrderedDict, "BUILD")

    def _persistent_id(self) -> None:
        identity = self._stack.pop()
        if self._persistent is None or not isinstance(identity, tuple):
            raise self._unsafe("no such persistent id was expected here", _describe(identity))
        self._stack.append(self._persistent(identity))


def checked_key(key: Any) -> Any:
    """Return a plain key; hashing a tuple nested a million deep would end the process."""
    if key is None or isinstance(key, (str, bytes, int, float)):
        return key
    raise PickleError(f"A dictionary's keys must be strings or numbers. Received: {_describe(key)}")


def _describe(value: Any) -> str:
    """Name a value without printing it: it may be huge, nested a million deep, or cyclic."""
    return value.name if isinstance(value, Symbol) else f"an object of type {type(value).__name__}"


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple, dict)) else 1


def _text(data: bytes) -> str:
    """Decode a string of Python 2, where text and bytes were one type."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unicode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


_CONSTANTS: dict[bytes, Callable[[], Any]] = {
    b"N": lambda: None,
    b"\x88": lambda: True,
    b"\x89": lambda: False,
    b")": tuple,
    b"]": list,
    b"}": dict,
}
_NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
_STRINGS: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"X": ("<I", _unicode),
    b"\x8c": ("<B", _unicode),
    b"\x8d": ("<Q", _unicode),
    b"U": ("<B", _text),
    b"T": ("<i", _text),
    b"C": ("<B", bytes),
    b"B": ("<I", bytes),
    b"\x8e": ("<Q", bytes),
}
_ACTIONS: dict[bytes, Callable[[PickleReader], None]] = {
    b"\x80": PickleReader._protocol,
    b"\x95": PickleReader._frame,
    b"\x8a": lambda reader: reader._long("<B"),
    b"\x8b": lambda reader: reader._long("<i"),
    b"(": PickleReader._mark,
    b"0": PickleReader._pop,
    b"1": lambda reader: reader._pop_mark() and None,
    b"2": lambda reader: reader._stack.append(reader._stack[-1]),
    b"t": lambda reader: reader._tuple(None),
    b"\x85": lambda reader: reader._tuple(1),
    b"\x86": lambda reader: reader._tuple(2),
    b"\x87": lambda reader: reader._tuple(3),
    b"l": lambda reader: reader._stack.append(reader._pop_mark()),
    b"a": lambda reader: reader._append([reader._stack.pop()]),
    b"e": lambda reader: reader._append(reader._pop_mark()),
    b"s": lambda reader: reader._set_items([reader._stack.pop(-2), reader._stack.pop()]),
    b"u": lambda reader: reader._set_items(reader._pop_mark()),
    b"q": lambda reader: reader._put("<B"),
    b"r": lambda reader: reader._put("<I"),
    b"h": lambda reader: reader._get("<B"),
    b"j": lambda reader: reader._get("<I"),
    b"\x94": PickleReader._memoize,
    b"c": lambda reader: reader._push_symbol(reader._global_name()),
    b"\x93": PickleReader._stack_global,
    b"R": PickleReader._reduce,
    b"\x81": PickleReader._new_object,
    b"b": PickleReader._build,
    b"Q": PickleReader._persistent_id,
}
