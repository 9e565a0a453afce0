"""The list of slow tests names tests that exist."""

import re
from pathlib import Path

import pytest

from tests.conftest import slow_tests

ROOT = Path(__file__).parents[1]


@pytest.mark.backend_free
@pytest.mark.parametrize("name", sorted(slow_tests()))
def test_a_slow_test_exists(name):
    file, *rest = name.partition("[")[0].split("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert all(re.search(rf"(def|class) {part}\b", text) for part in rest)
