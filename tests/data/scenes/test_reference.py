"""An independent renderer, one pixel after the other in plain Python floats, sees the same."""

import functools
import math

import keras
import numpy as np
import pytest
from scipy.interpolate import BSpline

from c2f_zoo.data.scenes import Effects, Scenes
from c2f_zoo.data.scenes.motion import flow_fields, spline_basis


@functools.cache
def basis(points, length, position):
    """Weights of the control points of a uniform cubic spline at a pixel of an axis."""
    if position == length - 1:  # the last knot belongs to the interval before it
        return np.array([0] * (points - 3) + [1 / 6, 4 / 6, 1 / 6])
    knots = (np.arange(points + 4) - 3) * (length - 1) / (points - 3)
    return BSpline(knots, np.eye(points), 3)(position)


def spline(control, size, x, y):
    """Value at (x, y) of the spline surface with `control` (points along x, along y)."""
    across, down = basis(len(control), size[1], x), basis(control.shape[1], size[0], y)
    return float(across @ control @ down)


def level_set(p, layer, x, y):
    """Level set of one layer of one scene, at frame-2 coordinates."""
    x, y = x - p["centre"][layer][0], y - p["centre"][layer][1]
    cos, sin = p["rotation"][layer]
    x, y = x * cos + y * sin, -x * sin + y * cos
    cell_x, cell_y, copies_x, copies_y = p["fold"][layer]
    x -= cell_x * max(-copies_x, min(copies_x, round(x / cell_x)))
    y -= cell_y * max(-copies_y, min(copies_y, round(y / cell_y)))
    r, angle = math.hypot(x, y), math.atan2(y, x)
    edge = p["radius"][layer]
    for order, (a, b) in enumerate(p["harmonics"][layer], start=2):
        edge += a * math.cos(order * angle) + b * math.sin(order * angle)
    distance = r - edge
    for normal_x, normal_y, offset in p["sides"][layer]:
        distance = max(distance, normal_x * x + normal_y * y - offset)
    distance = max(distance, -distance - p["hollow"][layer])
    pitch, half = p["grating"][layer]
    return max(distance, abs(x - pitch * round(x / pitch)) - half)


def texture_color(atlas, p, layer, x, y):
    """Bilinear colour, mirrored at the borders of the texture."""
    m = p["mapping"][layer]
    u, v = m[0] + m[1] * x + m[2] * y, m[3] + m[4] * x + m[5] * y
    texture = atlas[p["texture"][layer]].astype("float64") / 255
    height, width = texture.shape[:2]

    def reflect(i, side):
        i %= 2 * (side - 1)
        return min(i, 2 * (side - 1) - i)

    total = np.zeros(3)
    for row in (math.floor(v), math.floor(v) + 1):
        for column in (math.floor(u), math.floor(u) + 1):
            share = (1 - abs(u - column)) * (1 - abs(v - row))
            total += share * texture[reflect(row, height), reflect(column, width)]
    return total


def layer_color(atlas, p, layer, x, y):
    color = p["color"][layer][:, :3] @ texture_color(atlas, p, layer, x, y)
    color = np.clip(color + p["color"][layer][:, 3], 0, 1)
    light = p["light"][layer] @ [1, x, y]
    fog, haze = p["fog"][layer][0], p["fog"][layer][1:]
    return color * light * (1 - fog) + haze * fog


def pixel(atlas, p, places):
    """Colour and owner of a pixel whose layers lie at `places` in frame 2."""
    layers = range(1, len(places))
    cover = {k: min(1, max(0, 0.5 - level_set(p, k, *places[k]))) for k in layers}
    cover[0] = 1.0
    top = max(k for k in cover if cover[k] > 0)
    below = [k for k in cover if cover[k] >= 0.5 and k < top]
    color = layer_color(atlas, p, top, *places[top])
    if cover[top] < 1:
        color = color * cover[top]
        color += (1 - cover[top]) * layer_color(atlas, p, max(below), *places[max(below)])
    return np.clip(color, 0, 1), top if cover[top] >= 0.5 else max(below)


def render_scene(atlas, parameters, scene, size):
    """Render one scene of a batch without blur, shadows, tone and noise.

    Returns:
        Dict of arrays (H, W, ...): image1, image2, flow, layer, occlusion, outside.
    """
    p = {name: value[scene].astype("float64") for name, value in parameters.items()}
    p["texture"] = parameters["texture"][scene]
    height, width = size
    layers = range(p["control"].shape[0])
    result = {
        "image1": np.zeros((*size, 3)),
        "image2": np.zeros((*size, 3)),
        "flow": np.zeros((*size, 2)),
        "layer": np.zeros(size, int),
        "occlusion": np.zeros(size),
        "outside": np.zeros(size),
    }
    for y in range(height):
        for x in range(width):
            flows = [
                [spline(p["control"][k][axis], size, x, y) for axis in range(2)] for k in layers
            ]
            color, owner = pixel(atlas, p, [(x + u, y + v) for u, v in flows])
            u, v = flows[owner]
            _, there = pixel(atlas, p, [(x + u, y + v)] * len(layers))
            result["image1"][y, x] = color
            result["layer"][y, x] = owner
            result["flow"][y, x] = u, v
            result["occlusion"][y, x] = there != owner
            result["outside"][y, x] = not (0 <= x + u <= width - 1 and 0 <= y + v <= height - 1)
            result["image2"][y, x], _ = pixel(atlas, p, [(x, y)] * len(layers))
    return result


SIZE = (13, 17)


@pytest.fixture(scope="module")
def atlas():
    return np.random.default_rng(3).integers(0, 256, (3, 16, 12, 3)).astype("uint8")


@pytest.fixture(scope="module")
def scenes(atlas):
    effects = Effects(shadow=0, blur=0, photometric=0, noise=0, fog=1.0, shading=1.0)
    return Scenes(SIZE, batch_size=3, textures=atlas, layers=(3, 5), effects=effects, motion=2)


@pytest.fixture(scope="module")
def rendered(scenes):
    parameters = scenes.parameters(0)
    return parameters, {
        name: keras.ops.convert_to_numpy(value) for name, value in scenes.render(parameters).items()
    }


@pytest.mark.parametrize("scene", range(3))
def test_pixels_flow_and_masks_agree_with_the_slow_renderer(scene, rendered, atlas):
    parameters, result = rendered
    expected = render_scene(atlas, parameters, scene, SIZE)
    np.testing.assert_allclose(result["flow"][scene], expected["flow"], atol=1e-3)
    for name in ("image1", "image2"):
        np.testing.assert_allclose(result[name][scene], expected[name], atol=2e-3)
    for name in ("layer", "occlusion", "outside"):
        np.testing.assert_array_equal(result[name][scene, ..., 0], expected[name])
    hidden = np.maximum(expected["occlusion"], expected["outside"])
    np.testing.assert_array_equal(result["valid"][scene, ..., 0], 1 - hidden)


def test_the_scenes_compared_show_every_layer_and_occlusion(rendered):
    _, result = rendered
    assert len(np.unique(result["layer"])) >= 4
    assert 0.02 < result["occlusion"].mean() < 0.5


def test_spline_reproduces_affine_maps(rng):
    height, width = SIZE
    x = (np.arange(11) - 1) * (width - 1) / 8
    y = (np.arange(11) - 1) * (height - 1) / 8
    control = (3 + 0.5 * x[:, None] - 2 * y[None, :]).astype("float32")
    flow = keras.ops.convert_to_numpy(
        flow_fields(keras.ops.convert_to_tensor(control[None, None, None].repeat(2, 2)), SIZE)
    )
    expected = 3 + 0.5 * np.arange(width)[None, :] - 2 * np.arange(height)[:, None]
    np.testing.assert_allclose(flow[0, 0], [expected, expected], atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 9, 50])
def test_spline_weights_sum_to_one(length):
    basis = spline_basis(length)
    np.testing.assert_allclose(basis.sum(-1), 1, rtol=1e-5)
    assert basis.min() >= 0 and (basis > 0).sum(-1).max() <= 4
