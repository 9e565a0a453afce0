import numpy as np
import pytest

from c2f_zoo.models.raft import warm_start
from c2f_zoo.models.raft.warm_start import forward_interpolate

pytestmark = pytest.mark.backend_free


def slow_interpolate(flow):
    """The definition: every pixel looks at every vector; of equally near ones the first counts."""
    height, width = flow.shape[:2]
    carried = [
        (column + flow[row, column, 0], row + flow[row, column, 1], flow[row, column])
        for row, column in np.ndindex(height, width)
    ]
    carried = [(x, y, vector) for x, y, vector in carried if 0 < x < width and 0 < y < height]
    result = np.zeros_like(flow)
    for row, column in np.ndindex(height, width) if carried else ():
        distances = [(x - column) ** 2 + (y - row) ** 2 for x, y, _ in carried]
        result[row, column] = carried[int(np.argmin(distances))][2]
    return result


@pytest.mark.parametrize("size", [(1, 1), (7, 12), (16, 9)])
@pytest.mark.parametrize("kind", ["noise", "still", "pan", "contraction", "halves"])
def test_equals_the_nearest_of_all_carried_vectors(rng, size, kind, monkeypatch):
    monkeypatch.setattr(warm_start, "_PAIRS", 100)  # in pieces
    y, x = np.mgrid[: size[0], : size[1]].astype("float64")
    flow = {
        "noise": lambda: rng.normal(scale=3, size=(*size, 2)),
        "still": lambda: np.zeros((*size, 2)),
        "pan": lambda: np.full((*size, 2), (size[1] / 2 + 0.3, -0.4)),
        "contraction": lambda: np.stack([size[1] / 2 - x, size[0] / 2 - y], -1) * 0.9,
        "halves": lambda: rng.choice([-0.5, 0.5], (*size, 2)),  # many are equally near
    }[kind]()
    flow = flow.astype("float32").astype("float64")
    np.testing.assert_array_equal(forward_interpolate(flow), slow_interpolate(flow))


def test_a_flow_that_leaves_the_frame_starts_from_zero():
    np.testing.assert_array_equal(
        forward_interpolate(np.full((3, 4, 2), 99.0)), np.zeros((3, 4, 2))
    )


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"flow must .*\(3, 4\)$"):
        forward_interpolate(np.zeros((3, 4)))
