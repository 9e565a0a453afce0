"""Disparity and masks of rendered stereo scenes are true, by warping and by a slow renderer."""

import math

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

from c2f_zoo.data.scenes import Effects, StereoScenes, Surfaces
from c2f_zoo.data.scenes.surfaces import left_disparities, right_disparities

SIZE = (64, 96)
SURFACES = Surfaces((8, 40), curvature=0.6, floor=0.5, wall=0.4, attached=0.2, misalignment=2.0)


def render(scenes, parameters):
    return {
        name: keras.ops.convert_to_numpy(value) for name, value in scenes.render(parameters).items()
    }


@pytest.fixture(scope="module")
def smooth_textures():
    """Waves so long that interpolating between pixels costs nothing."""
    y, x = np.mgrid[:96, :96] / 96
    waves = [
        [np.sin(2 * np.pi * (fx * x + fy * y) + phase) for phase in (0.0, 1.3, 2.6)]
        for fx, fy in ((1, 1.5), (-1.5, 0.5), (0.7, -1.2))
    ]
    return np.moveaxis(127 + 100 * np.array(waves), 1, -1).astype("uint8")


@pytest.fixture(scope="module")
def scenes(smooth_textures):
    # Shadows too: they belong to what they fall on.
    effects = Effects(fog=0, blur=0, photometric=0, noise=0, shadow=1, shading=1)
    surfaces = Surfaces(**{**vars(SURFACES), "repeated": 0.0})
    return StereoScenes(SIZE, 8, smooth_textures, (2, 6), surfaces, effects)


@pytest.fixture(scope="module")
def drawn(scenes):
    return scenes.parameters(0)


@pytest.fixture(scope="module")
def rendered(scenes, drawn):
    return render(scenes, drawn)


def matched(parameters, scene, disparity):
    """Where the pixels of the left image lie in the right one: x, y."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype("float64")
    x = x - disparity
    offset = parameters["offset"][scene]
    return x, y + offset[0] + offset[1] * x


def errors_where_clear(parameters, rendered, shift=0.0):
    """Difference of left and warped right image at visible pixels away from edges."""
    errors, kept = [], 0
    for scene in range(len(rendered["left"])):
        one = {name: value[scene] for name, value in rendered.items()}
        x, y = matched(parameters, scene, one["disparity"][..., 0] + shift)
        warped = np.stack(
            [map_coordinates(one["right"][..., c], [y, x], order=1) for c in range(3)], -1
        )
        layer, visible = one["layer"][..., 0], one["occlusion"][..., 0] == 0
        inner = maximum_filter(layer, 5) == minimum_filter(layer, 5)
        where = inner & minimum_filter(visible, 5)
        kept += where.mean() / len(rendered["left"])
        errors.append(np.abs(warped - one["left"]).max(-1)[where])
    return np.concatenate(errors), kept


def test_the_right_image_warped_by_the_disparity_is_the_left_one(drawn, rendered):
    errors, kept = errors_where_clear(drawn, rendered)
    assert kept > 0.3
    assert np.median(errors) < 0.5 / 255
    assert np.percentile(errors, 99) < 4 / 255
    wrong, _ = errors_where_clear(drawn, rendered, shift=1.0)
    assert np.median(wrong) > 2 / 255  # a wrong disparity would not pass


def test_whole_pixel_disparities_move_every_pixel_exactly(scenes):
    parameters = scenes.parameters(1)
    parameters["surface"][..., 0], parameters["surface"][..., 1:6] = 7, 0
    parameters["offset"][:] = 0
    scene = render(scenes, parameters)
    np.testing.assert_allclose(scene["disparity"], 7, atol=1e-5)
    np.testing.assert_allclose(scene["left"][:, :, 7:], scene["right"][:, :, :-7], atol=1e-4)
    assert scene["outside"][:, :, :7].all() and not scene["outside"][:, :, 7:].any()
    np.testing.assert_array_equal(scene["occlusion"], scene["outside"])


def test_the_disparity_at_the_right_inverts_that_of_the_left(drawn):
    tensors = {"surface": keras.ops.convert_to_tensor(drawn["surface"])}
    y, x = (keras.ops.convert_to_tensor(a.astype("float32")) for a in np.mgrid[:9, :40:3] * 2)
    left = left_disparities(tensors, x, y)
    right = keras.ops.convert_to_numpy(right_disparities(tensors, x - left, y))
    left = keras.ops.convert_to_numpy(left)
    # Where a curved surface turns away, far beyond its silhouette, it is seen no more.
    d = drawn["surface"].astype("float64")[..., None, None]
    grid_y, grid_x = np.mgrid[:9, :40:3] * 2.0
    slope = d[:, :, 1] + 2 * d[:, :, 3] * (grid_x - d[:, :, 6]) + d[:, :, 4] * (grid_y - d[:, :, 7])
    # Layers that are absent have no size that would limit how curved they are.
    faces = (slope < 0.8) & (drawn["radius"] > 0)[..., None, None]
    assert faces.mean() > 0.5
    np.testing.assert_allclose(right[faces], left[faces], rtol=1e-3, atol=2e-3)


def test_all_disparities_are_above_zero_and_below_the_limit(smooth_textures):
    scenes = StereoScenes((32, 48), 64, smooth_textures, (3, 9), SURFACES, effects=False)
    for index in range(2):
        disparity = keras.ops.convert_to_numpy(scenes.batch(index)[1])
        assert disparity.min() > 0 and disparity.max() <= 40
    assert disparity.max() > 30 and np.median(disparity) < 20


def test_effects_change_the_images_and_not_the_truth(smooth_textures, scenes, drawn, rendered):
    effects = Effects(shading=1, shadow=1, fog=1, blur=1, photometric=1, noise=1)
    changed = StereoScenes(SIZE, 8, smooth_textures, (2, 6), scenes.surfaces, effects)
    parameters = changed.parameters(0)
    np.testing.assert_array_equal(parameters["surface"], drawn["surface"])
    scene = render(changed, parameters)
    for name in ("disparity", "occlusion", "outside", "layer"):
        np.testing.assert_array_equal(scene[name], rendered[name])
    for name in ("left", "right"):
        assert np.abs(scene[name] - rendered[name]).mean() > 0.01


# An independent renderer of the truth, one pixel after the other in plain Python floats.


def form(p, layer, x, y):
    d0, a, b, xx, xy, yy, x0, y0 = p["surface"][layer]
    x, y = x - x0, y - y0
    return d0 + a * x + b * y + xx * x * x + xy * x * y + yy * y * y


def at_right(p, layer, x, y):
    """Column of the left image that shows the layer's point at column x, by bisection.

    Along a row, x_left - d(x_left) grows as long as the layer faces us.
    """
    d0, a, _, xx, xy, _, x0, y0 = p["surface"][layer]

    def faces(column):
        return 1 - a - 2 * xx * (column - x0) - xy * (y - y0) > 0

    low, high = x - 2000.0, x + 2000.0
    if xx:
        turn = x0 + (1 - a - xy * (y - y0)) / (2 * xx)
        low, high = (low, turn) if faces(turn - 1) else (turn, high)
    excess = [column - form(p, layer, column, y) - x for column in (low, high)]
    if not excess[0] <= 0 <= excess[1]:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if middle - form(p, layer, middle, y) < x:
            low = middle
        else:
            high = middle
    return low


def level_set(p, layer, x, y):
    x, y = x - p["centre"][layer][0], y - p["centre"][layer][1]
    cos, sin = p["rotation"][layer]
    x, y = x * cos + y * sin, -x * sin + y * cos
    cell_x, cell_y, copies_x, copies_y = p["fold"][layer]
    x -= cell_x * max(-copies_x, min(copies_x, round(x / cell_x)))
    y -= cell_y * max(-copies_y, min(copies_y, round(y / cell_y)))
    angle, edge = math.atan2(y, x), p["radius"][layer]
    for order, (a, b) in enumerate(p["harmonics"][layer], start=2):
        edge += a * math.cos(order * angle) + b * math.sin(order * angle)
    distance = math.hypot(x, y) - edge
    for normal_x, normal_y, offset in p["sides"][layer]:
        distance = max(distance, normal_x * x + normal_y * y - offset)
    distance = max(distance, -distance - p["hollow"][layer])
    pitch, half = p["grating"][layer]
    return max(distance, abs(x - pitch * round(x / pitch)) - half)


def owner(p, places):
    """The layer that a pixel shows, whose layers show the left image's `places`: None is nothing.

    The nearest that touches it, if it covers half, or else the nearest of those which do.
    """
    touching, owning = [], []
    for layer, place in enumerate(places):
        if place is None:
            continue
        cover = 1.0 if layer == 0 else 0.5 - level_set(p, layer, *place)
        # What is painted on a layer lies just before it.
        rank = (round(form(p, layer, *place), 3), layer)
        if cover > 0:
            touching.append((rank, layer))
        if cover >= 0.5:
            owning.append((rank, layer))
    top = max(touching)[1]
    return top if max(owning)[1] == top else max(owning)[1]


@pytest.mark.parametrize("scene", [3, 5])
def test_disparity_and_masks_agree_with_the_slow_renderer(scene, drawn, rendered):
    p = {name: value[scene].astype("float64") for name, value in drawn.items()}
    layers, (height, width) = range(len(p["surface"])), SIZE
    differing = hidden = 0
    for y in range(0, height, 3):
        for x in range(0, width, 2):
            one = owner(p, [(x, y)] * len(layers))
            disparity = form(p, one, x, y)
            to_x = x - disparity
            to_y = y + p["offset"][0] + p["offset"][1] * to_x
            outside = not (0 <= to_x <= width - 1 and 0 <= to_y <= height - 1)
            columns = [at_right(p, layer, to_x, y) for layer in layers]
            there = owner(p, [None if column is None else (column, y) for column in columns])
            expected = (one, outside, outside or there != one)
            got = tuple(
                rendered[name][scene, y, x, 0] for name in ("layer", "outside", "occlusion")
            )
            hidden += there != one
            if expected == got:
                assert rendered["disparity"][scene, y, x, 0] == pytest.approx(disparity, abs=2e-3)
            else:
                differing += 1
    # Where surfaces intersect or edges cut a pixel in two, rounding decides.
    assert differing <= 2
    assert hidden > 5
