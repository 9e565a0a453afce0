"""Optical flow as a picture: the colour wheel of the Middlebury benchmark, and its legend.

Source: Baker, Scharstein, Lewis, Roth, Black, Szeliski, "A Database and Evaluation Methodology
for Optical Flow", ICCV 2007 and IJCV 92(1), 2011 (figure 4 and the published colour code).
"""

import functools
import itertools

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.flow_array import UNKNOWN_FLOW_THRESHOLD

# Hues between two neighbouring key colours, in the order red, yellow, green, cyan, blue,
# magenta, red. The arcs are unequal because the eye tells some hues apart better than others.
WHEEL_ARCS = {
    "red to yellow": 15,
    "yellow to green": 6,
    "green to cyan": 4,
    "cyan to blue": 11,
    "blue to magenta": 13,
    "magenta to red": 6,
}
_KEY_COLORS = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)]

_BEYOND_WHEEL = 0.75
_SUPERSAMPLING = 4
_SMALLEST_LEGEND = 64


@functools.cache
def color_wheel():
    """Return the 55 hues of the wheel: float32 (55, 3), RGB in [0, 1], read-only.

    Hue 0, red, is the colour of motion to the right (u > 0, v = 0); motion downwards is yellow.
    """
    arcs = []
    ends = itertools.pairwise(_KEY_COLORS)
    for length, (start, end) in zip(WHEEL_ARCS.values(), ends, strict=True):
        # A falling channel is 255 - floor(255 i / n) in the published code, a rising one
        # floor(255 i / n): the rounding is applied to the step, not to the result.
        step = np.floor(255 * np.arange(length) / length)[:, None]
        arcs.append(255 * np.array(start) + step * (np.array(end) - np.array(start)))
    wheel = (np.concatenate(arcs) / 255).astype(np.float32)
    wheel.flags.writeable = False
    return wheel


def flow_to_color(flow, max_magnitude=None):
    """Colour a flow field: hue for its direction, saturation for its magnitude.

    White is no motion, a full colour is a motion of `max_magnitude` pixels, a colour darkened
    to three quarters is a larger one, and black is an unknown one (NaN, infinite, or a
    component beyond 1e9).

    Args:
        flow: Array of shape (H, W, 2), pixels, u right and v down.
        max_magnitude: Length in pixels that gets the full colour, > 0. Default: the largest
            known motion of this flow. Give it to make several pictures comparable.

    Returns:
        float32 array of shape (H, W, 3), RGB in [0, 1].

    Raises:
        ValueError: If `flow` has another shape, or `max_magnitude` is not positive and finite.

    Example:
        >>> right = np.full((4, 4, 2), (3.0, 0.0))
        >>> [float(x) for x in flow_to_color(right)[0, 0]]
        [1.0, 0.0, 0.0]
    """
    flow = _as_flow(flow)
    known = _known(flow)
    flow = np.where(known[..., None], flow, np.float32(0))
    magnitude = np.hypot(flow[..., 0], flow[..., 1])
    if max_magnitude is None:
        max_magnitude = float(magnitude.max(initial=0.0)) or 1.0
    radius = magnitude / np.float32(checks.number("max_magnitude", max_magnitude, above=0))

    wheel = color_wheel()
    # atan2 of the opposite vector, so that the seam between the last and the first hue lies
    # at motion to the right. Adding 0 turns -0.0 into 0.0, which lies on the seam's other side.
    turn = (np.arctan2(-(flow[..., 1] + 0), -flow[..., 0]) / np.float32(np.pi) + 1) / 2
    position = turn * (len(wheel) - 1)
    lower = position.astype(np.int32)
    fraction = (position - lower)[..., None]
    hue = (1 - fraction) * wheel[lower] + fraction * wheel[(lower + 1) % len(wheel)]

    radius = radius[..., None]
    color = np.where(radius <= 1, 1 - radius * (1 - hue), hue * np.float32(_BEYOND_WHEEL))
    return np.where(known[..., None], color, np.float32(0)).astype(np.float32)


def color_wheel_legend(size=128, max_magnitude=1.0):
    """Draw the colour wheel with a scale bar: what each colour of a flow picture means.

    A pixel of the disc has the colour of the motion from the disc's centre to that pixel. The
    bar below it is as long as the disc's radius and is labelled with the motion in pixels.

    Args:
        size: Height and width of the drawing in pixels, >= 48. Default 128.
        max_magnitude: Motion in pixels at the rim of the disc, > 0. Default 1.

    Returns:
        float32 array of shape (size, size, 3), RGB in [0, 1], on white.

    Raises:
        ValueError: If `size` or `max_magnitude` is out of range.

    Example:
        >>> color_wheel_legend(96, max_magnitude=12.5).shape
        (96, 96, 3)
    """
    from PIL import Image, ImageDraw, ImageFont

    size = checks.whole("size", size, least=48)
    label = _length_label(checks.number("max_magnitude", max_magnitude, above=0))

    text_height = max(10, size // 8)
    diameter = size - text_height - 10
    left, top = (size - diameter) // 2, 2
    picture = np.ones((size, size, 3), np.float32)
    picture[top : top + diameter, left : left + diameter] = _disc(diameter)

    canvas = Image.fromarray(np.round(255 * picture).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    center, rim, bar = left + diameter // 2, left + diameter - 1, top + diameter + 3
    draw.line([(center, bar), (rim, bar)], fill=(0, 0, 0))
    for x in (center, rim):
        draw.line([(x, bar - 2), (x, bar + 2)], fill=(0, 0, 0))
    font = ImageFont.load_default(size=text_height)
    width = draw.textlength(label, font=font)
    # Centred below the bar, but never over the right edge.
    x = min((center + rim) / 2 - width / 2, size - 1 - width)
    draw.text((max(0, x), bar + 3), label, fill=(0, 0, 0), font=font)
    return np.asarray(canvas, dtype=np.float32) / 255


def flow_picture(flow, legend=True, max_magnitude=None):
    """Make the picture of a flow field that explains itself: colours and their legend.

    Args:
        flow: Array of shape (H, W, 2), pixels, u right and v down; NaN where unknown.
        legend: `True` or `"beside"` adds a column on the right with the colour wheel and its
            scale and covers nothing; `"corner"` lays the wheel over the bottom right corner
            and keeps the size of the flow; `False` adds none. Default `True`.
        max_magnitude: Motion in pixels that gets the full colour, > 0. Default: the largest
            known motion.

    Returns:
        float32 array, RGB in [0, 1]: (H, W, 3) with `"corner"` or `False`. Beside, W grows by
        the legend, and H to the legend's height where the flow is lower than 64 pixels.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> flow_picture(np.ones((100, 200, 2)), legend=False).shape
        (100, 200, 3)
    """
    checks.one_of("legend", legend, (True, False, "beside", "corner"))
    flow = _as_flow(flow)
    if max_magnitude is None:
        max_magnitude = largest_motion(flow) or 1.0
    picture = flow_to_color(flow, max_magnitude)
    if not legend:
        return picture
    height, width = picture.shape[:2]
    size = min(max(_SMALLEST_LEGEND, min(height, width) // 4), 256)
    if legend != "corner":
        canvas = np.ones((max(height, size), width + size, 3), np.float32)
        canvas[:height, :width] = picture
        canvas[:size, width:] = color_wheel_legend(size, max_magnitude)
        return canvas
    # A legend that would hide more than a quarter of the picture is worse than none.
    if 4 * size * size <= height * width:
        picture[height - size :, width - size :] = color_wheel_legend(size, max_magnitude)
    return picture


def largest_motion(flow):
    """Length in pixels of the largest known motion of a flow (H, W, 2); 0.0 if none is."""
    flow = _as_flow(flow)
    flow = np.where(_known(flow)[..., None], flow, np.float32(0))
    return float(np.hypot(flow[..., 0], flow[..., 1]).max(initial=0.0))


def _as_flow(flow):
    return checks.shape("flow", np.asarray(flow, np.float32), "(H, W, 2)", (None, None, 2))


def _known(flow):
    # A comparison with NaN is false, so one test covers NaN, infinite and huge.
    return (np.abs(flow) <= UNKNOWN_FLOW_THRESHOLD).all(axis=-1)


def _length_label(pixels):
    digits = 0 if pixels >= 100 else 1 if pixels >= 1 else 2
    number = f"{pixels:.{digits}f}" if pixels >= 0.01 else f"{pixels:.0e}"
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} px"


@functools.lru_cache(maxsize=8)
def _disc(diameter):
    """The wheel as (diameter, diameter, 3) on white; averaged from a finer one: smooth rim."""
    fine = diameter * _SUPERSAMPLING
    axis = (np.arange(fine, dtype=np.float32) + 0.5) / fine * 2 - 1
    motion = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = np.hypot(motion[..., 0], motion[..., 1]) <= 1
    picture = np.where(inside[..., None], flow_to_color(motion, 1.0), np.float32(1))
    blocks = picture.reshape(diameter, _SUPERSAMPLING, diameter, _SUPERSAMPLING, 3)
    return blocks.mean(axis=(1, 3))
