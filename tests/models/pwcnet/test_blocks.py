"""The parts of PWC-Net."""

import numpy as np
from keras import ops

from c2f_zoo.models.pwcnet.blocks import normalize_together


def test_large_features_that_hardly_differ_are_normalised_without_nan(rng):
    query = (1.5e5 + 10 * rng.normal(size=(2, 1, 1, 32))).astype("float32")
    key = (query + rng.normal(size=query.shape)).astype("float32")
    found = [ops.convert_to_numpy(each) for each in normalize_together(query, key)]
    both = np.stack([query, key], axis=1).astype("float64")
    both -= both.mean(axis=(1, 2, 3), keepdims=True)
    both /= np.sqrt(both.var(axis=(1, 2, 3), keepdims=True) + 1e-6)
    both /= np.sqrt((both**2).mean(axis=-1, keepdims=True) + 1e-2)
    for ours, expected in zip(found, (both[:, 0], both[:, 1]), strict=True):
        assert np.isfinite(ours).all()
        assert np.median(np.abs(ours - expected)) < 0.05  # float32 has 7 digits
