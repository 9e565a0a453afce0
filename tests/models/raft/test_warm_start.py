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
@pytest.mark.parametrize(
    "kind", ["noise", "still", "pan", "contraction", "halves", "point", "ring"]
)
def test_equals_the_nearest_of_all_carried_vectors(rng, size, kind, monkeypatch):
    monkeypatch.setattr(warm_start, "_PIXELS", 20)  # in pieces
    y, x = np.mgrid[: size[0], : size[1]].astype("float64")
    flow = {
        "noise": lambda: rng.normal(scale=3, size=(*size, 2)),
        "still": lambda: np.zeros((*size, 2)),
        "pan": lambda: np.full((*size, 2), (size[1] / 2 + 0.3, -0.4)),
        "contraction": lambda: np.stack([size[1] / 2 - x, size[0] / 2 - y], -1) * 0.9,
        "point": lambda: np.stack([size[1] / 2 - x, size[0] / 2 - y], -1),
        "ring": lambda: (
            np.stack([size[1] / 2 - x, size[0] / 2 - y], -1)
            + 0.4 * np.stack([np.cos(x + 9 * y), np.sin(x + 9 * y)], -1)
        ),
        "halves": lambda: rng.choice([-0.5, 0.5], (*size, 2)),  # many are equally near
    }[kind]()
    flow = flow.astype("float32").astype("float64")
    np.testing.assert_array_equal(forward_interpolate(flow), slow_interpolate(flow))


@pytest.mark.parametrize("spread", [0.0, 0.1, 3.0])
def test_a_flow_that_collapses_takes_little_longer_than_any_other(rng, spread):
    y, x = np.mgrid[:55, :128].astype("float64")
    meeting = np.stack([30.3 - x, 20.2 - y], -1)
    visits = {}
    for name, flow in {"collapse": meeting, "calm": np.zeros_like(meeting)}.items():
        flow = flow + rng.normal(scale=spread if name == "collapse" else 1.0, size=flow.shape)
        visits[name] = 0

        class Counting(warm_start._Tree):
            def _to_points(self, node, pixels, name=name):
                visits[name] += len(node)
                return super()._to_points(node, pixels)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(warm_start, "_Tree", Counting)
            forward_interpolate(flow)
    assert visits["collapse"] < 4 * visits["calm"]


def test_a_flow_that_leaves_the_frame_starts_from_zero():
    np.testing.assert_array_equal(
        forward_interpolate(np.full((3, 4, 2), 99.0)), np.zeros((3, 4, 2))
    )


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"flow must .*\(3, 4\)$"):
        forward_interpolate(np.zeros((3, 4)))
