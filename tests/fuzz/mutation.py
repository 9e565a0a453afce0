"""Changes bytes as damage and malice do: each change depends on the generator alone."""

import json

import numpy as np

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_VALUES = (None, True, -1, 0, 1e308, 10**9, 2**63, "", "x", "../x", [], [None], {}, {"x": None})
_LONGEST_PIECE = 64


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` after one to four changes, each of one of eight kinds."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        reach = len(changed) if rng.random() < 0.6 else min(len(changed), 128)  # the head
        place = int(rng.integers(reach + 1))
        piece = int(rng.integers(1, _LONGEST_PIECE))
        kind = int(rng.integers(8))
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[place : place + 1] = rng.bytes(1)
        elif kind == 2:
            width = int(rng.choice([1, 2, 4, 8]))
            order = "little" if rng.random() < 0.5 else "big"
            number = int(rng.choice(np.array(_NUMBERS, object))) % 256**width
            changed[place : place + width] = number.to_bytes(width, order)
        elif kind == 3:
            del changed[place : place + piece]
        elif kind == 4:
            changed[place:place] = rng.bytes(piece)
        elif kind == 5:
            start = int(rng.integers(len(changed) + 1))
            changed[place:place] = changed[start : start + piece]
        elif kind == 6:
            del changed[place:]
        else:
            digits = [i for i in range(min(len(changed), 400)) if 48 <= changed[i] < 58]
            if digits:  # a number of a header in text
                changed[digits[int(rng.integers(len(digits)))]] = 48 + int(rng.integers(10))
    return bytes(changed)


def mutated_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Return JSON with one to three values replaced; or, one time in four, its bytes changed."""
    if rng.random() < 0.25:
        return mutated(data, rng)
    content = json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        content = _replaced(content, rng)
    return json.dumps(content).encode()


def _replaced(value, rng):
    is_leaf = not isinstance(value, (dict, list)) or not value
    if is_leaf or rng.random() < 0.1:
        return _VALUES[int(rng.integers(len(_VALUES)))]
    copy = value.copy()
    keys = list(copy) if isinstance(copy, dict) else range(len(copy))
    key = keys[int(rng.integers(len(keys)))]
    copy[key] = _replaced(copy[key], rng)
    return copy
