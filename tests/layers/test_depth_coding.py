import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import decode_depth, encode_depth
from c2f_zoo.layers.depth_coding import check_limits


@pytest.mark.parametrize("kind", ["log", "inverse"])
def test_coding_is_undone_and_covers_its_range(kind, rng):
    limits = (0.3, 80.0)
    depth = rng.uniform(*limits, (2, 5, 6, 1)).astype("float32")
    code = ops.convert_to_numpy(encode_depth(depth, kind, limits))
    assert code.dtype == np.float32 and code.min() > 0 and code.max() < 1
    back = ops.convert_to_numpy(decode_depth(code, kind, limits))
    np.testing.assert_allclose(back, depth, rtol=1e-4)
    ends = ops.convert_to_numpy(encode_depth(np.float32(limits), kind, limits))
    np.testing.assert_allclose(sorted(ends), (0, 1), atol=1e-6)
    assert (ends[0] < ends[1]) == (kind == "log")


@pytest.mark.parametrize("limits", [(0, 1), (2, 1), (1, 1), (-1, 1), (1,), "near", (1, np.inf)])
def test_limits_that_are_none_are_refused(limits):
    with pytest.raises(ValueError, match="limits .*Received"):
        check_limits(limits)


def test_an_unknown_representation_is_refused():
    with pytest.raises(ValueError, match="representation .*Received: 'linear'"):
        encode_depth(np.ones(1, "float32"), "linear", (1, 2))
