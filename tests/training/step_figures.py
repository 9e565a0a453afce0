"""How near the figures of a training step are to stored ones."""

import numpy as np
import pytest


def assert_step(found, expected, tolerance=1e-3):
    """Losses agree to 1e-4, lists of projections of gradients to a tolerance."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, list):
            # A projection is of a unit vector: its size is about 1, and may be by chance 0.
            options = {"rtol": tolerance, "atol": tolerance, "err_msg": key}
            np.testing.assert_allclose(found[key], value, **options)
        else:
            assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-4), key
