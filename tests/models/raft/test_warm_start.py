import numpy as np
import pytest

from c2f_zoo.models.raft import warm_start
from c2f_zoo.models.raft.warm_start import forward_interpolate

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("size", [(1, 1), (7, 12), (16, 9)])
def test_equals_nearest_neighbours_of_the_carried_vectors(rng, size, monkeypatch):
    interpolate = pytest.importorskip("scipy.interpolate")
    monkeypatch.setattr(warm_start, "_DISTANCES", 100)  # in pieces
    flow = rng.normal(scale=3, size=(*size, 2)).astype("float32")
    x, y = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    u, v = x + flow[..., 0], y + flow[..., 1]
    inside = (u > 0) & (u < size[1]) & (v > 0) & (v < size[0])
    if inside.any():
        points = (u[inside], v[inside])
        expected = np.stack(
            [interpolate.griddata(points, flow[..., i][inside], (x, y), "nearest") for i in (0, 1)],
            axis=-1,
        )
    else:
        expected = np.zeros_like(flow)
    np.testing.assert_array_equal(forward_interpolate(flow), expected)


def test_a_flow_that_leaves_the_frame_starts_from_zero():
    np.testing.assert_array_equal(
        forward_interpolate(np.full((3, 4, 2), 99.0)), np.zeros((3, 4, 2))
    )


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"flow must .*\(3, 4\)$"):
        forward_interpolate(np.zeros((3, 4)))
