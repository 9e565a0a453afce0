"""How near the figures of a training step are to stored ones."""

import numpy as np
import pytest


def assert_step(found, expected):
    """Losses agree to 1e-4, lists of projections of gradients to 1e-3."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, list):
            # A projection is of a unit vector: its size is about 1, and may be by chance 0.
            np.testing.assert_allclose(found[key], value, rtol=1e-3, atol=1e-3, err_msg=key)
        else:
            assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-4), key
