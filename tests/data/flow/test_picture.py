"""The Middlebury colour wheel, its legend, and pictures of flow."""

import math

import numpy as np
import pytest

from c2f_zoo.data.flow.picture import (
    color_wheel,
    color_wheel_legend,
    flow_picture,
    flow_to_color,
    largest_motion,
)

pytestmark = pytest.mark.backend_free


def slow_wheel():
    """The wheel as Baker et al. describe it, hue by hue, in whole numbers from 0 to 255."""
    wheel = []
    wheel += [(255, 255 * i // 15, 0) for i in range(15)]
    wheel += [(255 - 255 * i // 6, 255, 0) for i in range(6)]
    wheel += [(0, 255, 255 * i // 4) for i in range(4)]
    wheel += [(0, 255 - 255 * i // 11, 255) for i in range(11)]
    wheel += [(255 * i // 13, 0, 255) for i in range(13)]
    wheel += [(255, 0, 255 - 255 * i // 6) for i in range(6)]
    return wheel


def slow_color(u, v, max_magnitude):
    """Colour one motion vector: plain Python, one pixel."""
    if not (abs(u) <= 1e9 and abs(v) <= 1e9):
        return (0.0, 0.0, 0.0)
    u, v = u / max_magnitude, v / max_magnitude
    radius = math.hypot(u, v)
    angle = math.atan2(-v, -u) / math.pi
    position = (angle + 1) / 2 * 54
    first = int(position)
    second = 0 if first == 54 else first + 1
    fraction = position - first
    color = []
    for channel in range(3):
        a, b = slow_wheel()[first][channel] / 255, slow_wheel()[second][channel] / 255
        value = (1 - fraction) * a + fraction * b
        color.append(1 - radius * (1 - value) if radius <= 1 else value * 0.75)
    return tuple(color)


def slow_flow_to_color(flow, max_magnitude):
    return np.array(
        [[slow_color(float(u), float(v), max_magnitude) for u, v in row] for row in flow]
    )


@pytest.fixture
def motion():
    return np.random.default_rng(0).normal(scale=5, size=(13, 17, 2)).astype(np.float32)


def test_the_wheel_has_the_55_published_hues():
    np.testing.assert_allclose(color_wheel() * 255, slow_wheel(), atol=1e-4)
    assert color_wheel().shape == (55, 3)


def test_every_pixel_equals_the_slow_reference(motion):
    np.testing.assert_allclose(
        flow_to_color(motion, max_magnitude=7.5), slow_flow_to_color(motion, 7.5), atol=2e-5
    )


def test_without_a_scale_the_largest_motion_is_the_full_colour(motion):
    largest = max(math.hypot(u, v) for u, v in motion.reshape(-1, 2).tolist())
    np.testing.assert_allclose(
        flow_to_color(motion), slow_flow_to_color(motion, largest * (1 + 1e-6)), atol=2e-5
    )


def test_the_result_is_float32_in_the_unit_range(motion):
    color = flow_to_color(motion)
    assert color.dtype == np.float32 and color.shape == (13, 17, 3)
    assert color.min() >= 0 and color.max() <= 1


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf, 1e10, -1e10])
@pytest.mark.parametrize("component", [0, 1])
def test_unknown_motion_is_black_and_does_not_set_the_scale(motion, unknown, component):
    expected = flow_to_color(motion)
    spoiled = motion.copy()
    # A pixel that is not the largest, so that the scale of the others stays.
    y, x = np.unravel_index(np.hypot(motion[..., 0], motion[..., 1]).argmin(), (13, 17))
    spoiled[y, x, component] = unknown
    color = flow_to_color(spoiled)
    assert (color[y, x] == 0).all()
    expected[y, x] = 0
    np.testing.assert_array_equal(color, expected)


def test_no_motion_at_all_is_white():
    assert (flow_to_color(np.zeros((3, 4, 2))) == 1).all()


def test_nothing_known_is_black():
    assert (flow_to_color(np.full((3, 4, 2), np.nan)) == 0).all()


def test_motion_beyond_the_scale_is_darkened_to_three_quarters():
    color = flow_to_color(np.full((1, 1, 2), (8.0, 0.0)), max_magnitude=4)
    np.testing.assert_allclose(color[0, 0], [0.75, 0, 0])


def test_the_sign_of_a_zero_does_not_change_the_colour():
    plus = flow_to_color([[[1.0, 0.0]]])
    minus = flow_to_color([[[1.0, -0.0]]])
    np.testing.assert_array_equal(plus, minus)


def test_directions_have_their_familiar_colours():
    right, down, left, up = flow_to_color([[[1, 0], [0, 1], [-1, 0], [0, -1]]])[0]
    assert right[0] == 1 and right[1:].max() < 0.01  # red
    assert down[:2].min() > 0.85 and down[2] < 0.01  # yellow
    assert left[1:].min() > 0.7 and left[0] < 0.01  # cyan to blue
    assert up[2] == 1 and up[:2].max() < 0.5  # blue to magenta


def test_an_empty_flow_has_an_empty_picture():
    assert flow_to_color(np.zeros((0, 5, 2))).shape == (0, 5, 3)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (1, 4, 5, 2)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"\(H, W, 2\). Received: shape \(" + str(shape[0])):
        flow_to_color(np.zeros(shape))


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf])
def test_a_scale_that_is_no_length_is_refused(scale):
    with pytest.raises(ValueError, match=f"number > 0. Received: {scale}"):
        flow_to_color(np.zeros((2, 2, 2)), max_magnitude=scale)


def test_largest_motion_skips_what_is_unknown(motion):
    motion[2, 3] = np.nan
    motion[5, 6] = (30.0, -40.0)
    assert largest_motion(motion) == pytest.approx(50.0)
    assert largest_motion(np.full((2, 2, 2), np.nan)) == 0.0


@pytest.mark.parametrize("size", [48, 65, 128])
def test_the_legend_shows_each_direction_at_its_place(size):
    legend = color_wheel_legend(size, max_magnitude=10)
    assert legend.shape == (size, size, 3) and legend.dtype == np.float32
    assert (legend[0, 0] == 1).all() and (legend[-1, 0] == 1).all()
    # The disc's horizontal diameter: strongly coloured left and right, white in the middle.
    diameter = size - max(10, size // 8) - 10
    y, left = 2 + diameter // 2, (size - diameter) // 2
    row = legend[y, left : left + diameter]
    u = (2 * (diameter - 3) + 1) / diameter - 1  # of the centre of the third pixel from the rim
    np.testing.assert_allclose(row[-3], flow_to_color([[[u, 0.0]]], 1)[0, 0], atol=0.1)
    np.testing.assert_allclose(row[2], flow_to_color([[[-u, 0.0]]], 1)[0, 0], atol=0.1)
    assert row[diameter // 2].min() > 0.85


def test_the_legend_carries_the_scale_as_text():
    # The same wheel, another label: only the text below the bar differs.
    small, large = color_wheel_legend(96, 1), color_wheel_legend(96, 123)
    differs = (small != large).any(axis=(1, 2))
    assert differs.any() and not differs[: 96 - 12 - 8].any()


@pytest.mark.parametrize("size", [0, 47, 64.5])
def test_a_legend_too_small_to_read_is_refused(size):
    with pytest.raises(ValueError, match=f"Received: {size}"):
        color_wheel_legend(size)


def test_the_legend_beside_covers_nothing(motion):
    flow = np.tile(motion, (8, 8, 1))
    picture = flow_picture(flow)
    np.testing.assert_array_equal(picture[:, : flow.shape[1]], flow_to_color(flow))
    assert picture.shape == (104, 136 + 64, 3)
    assert (picture[64:, 136:] == 1).all()


def test_a_flow_lower_than_the_legend_gets_a_taller_picture(motion):
    picture = flow_picture(motion)
    assert picture.shape == (64, 17 + 64, 3)
    np.testing.assert_array_equal(picture[:13, :17], flow_to_color(motion))


def test_the_legend_in_the_corner_keeps_the_size():
    flow = np.ones((200, 300, 2), np.float32)
    picture, plain = flow_picture(flow, legend="corner"), flow_picture(flow, legend=False)
    assert picture.shape == plain.shape == (200, 300, 3)
    np.testing.assert_array_equal(picture[:136], plain[:136])
    assert (picture[136:, 236:] != plain[136:, 236:]).any()


def test_a_tiny_flow_gets_no_legend_in_its_corner(motion):
    np.testing.assert_array_equal(
        flow_picture(motion, legend="corner"), flow_picture(motion, legend=False)
    )


def test_a_still_flow_has_a_picture_with_a_legend():
    picture = flow_picture(np.zeros((100, 100, 2)))
    assert (picture[:, :100] == 1).all() and np.isfinite(picture).all()


def test_an_unknown_place_for_the_legend_is_refused(motion):
    with pytest.raises(ValueError, match="Received: 'above'"):
        flow_picture(motion, legend="above")
