import numpy as np
import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.mutation import mutated, mutated_json

pytestmark = pytest.mark.backend_free


def test_a_change_depends_on_the_generator_alone():
    for change, data in ((mutated, bytes(range(200))), (mutated_json, b'{"a": [1, {"b": 2}]}')):
        first, second = (change(data, np.random.default_rng(3)) for _ in range(2))
        assert first == second != data


def test_damaged_files_end_in_clear_errors():
    counts, findings, _ = run(100, seed=1)
    assert findings == [] and counts
