"""How the layers of a stereo scene lie in space: surfaces of known disparity in both views.

The disparity of a layer is a quadratic form of the pixel in the left image, most often a plane:

    d(x, y) = d0 + a x' + b y' + p x'^2 + q x' y' + r y'^2,  x' = x - x0, y' = y - y0.

What the right image shows at column x lies at column x + d of the left one; along a row that is a
quadratic equation, so both views are exact formulas.
"""

import dataclasses
import numbers

import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.scenes.compositing import frame_grid
from c2f_zoo.data.scenes.motion import sometimes
from c2f_zoo.data.scenes.shapes import NEVER

STEEPEST = 0.45  # gradient of a plane, pixels per pixel: below 1 nothing folds
BENDING = 0.3  # what the curvature of a layer may add to it
SPREAD = 0.9  # part of what a layer may vary by before it leaves the range of disparities


@dataclasses.dataclass(frozen=True)
class Surfaces:
    """Distribution of the surfaces of `StereoScenes`. Disparities are in pixels of the frame.

    Each scene has a largest disparity, log-uniform in `nearest`, so that many scenes have small
    disparities, and a smallest one, a part of it. Its layers lie in between; where surfaces meet
    they intersect.

    Args:
        nearest: Range (low, high) of a scene's largest disparity; no pixel has more than high.
        depth: Range of a scene's smallest disparity as a part of its largest one.
        slant: Probability that a layer is no upright plane.
        curvature: Probability that a layer is curved.
        floor: Probability of a ground plane (or ceiling) before the background.
        wall: Probability of a side wall.
        attached: Probability that a layer is painted on the background.
        plain: Probability that a layer has hardly any texture.
        repeated: Probability that the texture of a layer repeats itself.
        misalignment: Largest vertical offset between the images, pixels; their disparity stays
            that of the left image's pixels.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> Surfaces(nearest=(4, 64), floor=0.0).nearest
        (4.0, 64.0)
    """

    nearest: tuple = (8.0, 128.0)
    depth: tuple = (0.05, 0.6)
    slant: float = 0.7
    curvature: float = 0.35
    floor: float = 0.4
    wall: float = 0.25
    attached: float = 0.08
    plain: float = 0.12
    repeated: float = 0.15
    misalignment: float = 0.0

    def __post_init__(self):
        for name, least, most in (("nearest", 1, None), ("depth", 0.01, 0.95)):
            low, high = checks.interval(name, getattr(self, name), least=least, most=most)
            object.__setattr__(self, name, (float(low), float(high)))
        for field in dataclasses.fields(self)[2:-1]:
            checks.number(field.name, getattr(self, field.name), least=0, most=1)
        checks.number("misalignment", self.misalignment, least=0)


def as_surfaces(surfaces):
    """Return a `Surfaces`; a number is the largest disparity in pixels, None `Surfaces()`."""
    if surfaces is None:
        return Surfaces()
    if isinstance(surfaces, Surfaces):
        return surfaces
    if isinstance(surfaces, numbers.Real) and not isinstance(surfaces, bool):
        high = checks.number("surfaces", surfaces, least=1)
        return Surfaces(nearest=(max(1.0, high / 16), high))
    raise ValueError(f"surfaces must be a Surfaces or pixels. Received: {surfaces!r}")


def draw_surfaces(random, surfaces, size, shapes, present):
    """Draw the surfaces of the layers of a batch of scenes.

    `shapes` is what `draw_shapes` drew, with `centre` (B, L, 2); `present` (B, L) tells which
    layers exist. Returns `surface` (B, L, 8), per layer d0, a, b, p, q, r, x0, y0; `offset` (B, 2),
    the vertical offset of the right image at its column x as offset[0] + offset[1] * x; and
    `endless` (B, L), whether the layer fills the frame, whatever its shape.
    """
    batch, layers = present.shape
    height, width = size
    corner = np.array([width - 1.0, height - 1.0])
    low, high = surfaces.nearest
    largest = np.exp(random.uniform(np.log(low), np.log(high), batch))
    smallest = largest * random.uniform(*surfaces.depth, batch)
    span = largest - smallest

    middle = smallest[:, None] + span[:, None] * random.random((batch, layers)) ** 1.3
    surface = np.zeros((batch, layers, 8))
    surface[..., 0], surface[..., 6:] = middle, shapes["centre"]
    # No pixel of a layer is farther from its centre than `reach`.
    centre = shapes["centre"].astype("float64")
    reach = np.hypot(*np.moveaxis(np.maximum(np.abs(centre), np.abs(corner - centre)), -1, 0))
    reach = np.maximum(np.minimum(reach, _extent(shapes)), 1.0)
    room = SPREAD * np.minimum(middle, high - middle)
    share = random.random((batch, layers)) * sometimes(random, surfaces.curvature, (batch, layers))
    bend = np.minimum(0.5 * room / reach**2, 0.5 * BENDING / reach) * share
    # Most things bulge towards the camera: balls, columns, cloth over something.
    bend *= random.choice([-1.0, -1.0, -1.0, 1.0], (batch, layers))
    surface[..., 3:6] = _quadratic(random, bend)
    tilt = np.minimum(0.5 * room / reach, STEEPEST) * random.random((batch, layers)) ** 0.7
    tilt *= sometimes(random, surfaces.slant, (batch, layers))
    surface[..., 1:3] = tilt[..., None] * _directions(random, (batch, layers))

    # The background: a plane over the whole frame, which now and then spans the whole depth.
    leaning = sometimes(random, 0.25, batch)
    base = np.where(leaning, smallest + span / 2, smallest)
    swing = np.where(leaning, SPREAD * span / 2, np.minimum(0.7 * smallest, high - smallest))
    swing *= random.random(batch) * sometimes(random, surfaces.slant, batch)
    direction = _directions(random, batch)
    steepness = swing / np.maximum((np.abs(direction) * corner).sum(-1) / 2, 1)
    steepness = np.minimum(steepness, STEEPEST)
    nothing = np.zeros(batch)
    surface[:, 0, :3] = np.stack([base, *(steepness[:, None] * direction).T], -1)
    surface[:, 0, 3:6], surface[:, 0, 6:] = 0, corner / 2
    attached = random.random((batch, layers)) < surfaces.attached
    surface = np.where(attached[..., None], surface[:, :1], surface)

    # Floor or ceiling, and a side wall: planes that rise from behind the background.
    endless = np.zeros((batch, layers), bool)
    endless[:, 0] = True
    chances = (surfaces.floor, surfaces.wall)
    for layer, (axis, chance) in enumerate(zip((1, 0), chances, strict=True), start=1):
        # All is drawn, whether or not there is such a layer.
        there = random.random(batch) < chance
        end, vanishing = random.uniform(0.4, 1.0, batch), random.uniform(0.0, 0.75, batch)
        other_side = random.random(batch) < (0.15 if axis == 1 else 0.5)
        if layer >= layers:
            break
        length = max(corner[axis], 1.0)
        rise = np.minimum((smallest + end * span) / ((1 - vanishing) * length), STEEPEST)
        rise = np.where(other_side, -rise, rise)
        # Zero disparity is at the vanishing line.
        start = np.where(other_side, 1 - vanishing, vanishing) * length
        plane = np.stack([nothing] * 8, -1)
        plane[:, 1 + (axis == 1)], plane[:, 6 + axis] = rise, start
        there &= present[:, layer]
        endless[:, layer] = there
        surface[:, layer] = np.where(there[:, None], plane, surface[:, layer])

    offset = random.uniform(-1, 1, (batch, 2)) * surfaces.misalignment / 2
    offset = offset * np.array([1.0, 2 / max(width - 1, 1)])
    offset[:, 0] -= offset[:, 1] * (width - 1) / 2
    return {
        "surface": surface.astype("float32"),
        "offset": offset.astype("float32"),
        "endless": endless,
    }


def _extent(shapes):
    """How far from its centre a silhouette reaches at most, (B, L), pixels."""
    lobes = np.abs(shapes["harmonics"]).sum((-1, -2))
    copies = np.abs(shapes["fold"][..., :2] * shapes["fold"][..., 2:])
    return np.maximum(shapes["radius"] + lobes, 0) + np.hypot(copies[..., 0], copies[..., 1])


def _directions(random, shape):
    angle = random.uniform(0, 2 * np.pi, shape)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _quadratic(random, bend):
    """Coefficients of x^2, xy and y^2 (*, 3): bent by `bend` one way, by a part of it across."""
    along = _directions(random, bend.shape)
    across = bend * random.choice([0.0, 0.5, 1.0], bend.shape)
    cos, sin = along[..., 0], along[..., 1]
    return np.stack(
        [
            bend * cos**2 + across * sin**2,
            2 * (bend - across) * cos * sin,
            bend * sin**2 + across * cos**2,
        ],
        -1,
    )


def left_disparities(parameters, x, y):
    """Disparity (B, L, H, W) of all layers at places of the left image, which broadcast to it."""
    d0, a, b, p, q, r, x0, y0 = _coefficients(parameters)
    x, y = x - x0, y - y0
    return d0 + x * (a + p * x + q * y) + y * (b + r * y)


def right_disparities(parameters, x, y):
    """Disparity (B, L, H, W) of what all layers show at column x of the right image.

    `y` is the row in the left image. Where a layer shows nothing it is `NEVER`.
    """
    d0, a, b, p, q, r, x0, y0 = _coefficients(parameters)
    # Columns as if the disparity were d0 everywhere: what is left to find is little, e = d - d0.
    x, y = x + d0 - x0, y - y0
    here = x * (a + p * x + q * y) + y * (b + r * y)
    # e = here + (a + 2 p x + q y) e + p e^2; of its roots the one where the surface faces us.
    steep = 1 - a - 2 * p * x - q * y
    square = steep * steep - 4 * p * here
    below = steep + ops.sqrt(ops.maximum(square, 0.0))
    found = (square > 0) & (below > 1e-3)
    return ops.where(found, d0 + 2 * here / ops.maximum(below, 1e-3), NEVER)


def _coefficients(parameters):
    surface = parameters["surface"]
    return [surface[:, :, entry, None, None] for entry in range(8)]


def left_view(parameters, size):
    """Disparity (B, L, H, W) of all layers at the pixels of the left image."""
    x, y = frame_grid(size)
    return left_disparities(parameters, x, y)


def right_view(parameters, size):
    """Disparity (B, L, H, W) of all layers at the pixels of the right image, and their places.

    The places are displacements (B, L, 2, H, W) to where in the left image the layers show the
    same.
    """
    x, y = frame_grid(size)
    down = vertical_offset(parameters, x)
    disparities = right_disparities(parameters, x, y - down)
    return disparities, ops.stack([disparities, ops.broadcast_to(-down, disparities.shape)], 2)


def vertical_offset(parameters, x):
    """Rows by which what the right image shows at column x lies lower than in the left one."""
    offset = parameters["offset"]
    return offset[:, 0, None, None, None] + offset[:, 1, None, None, None] * x


def landing(parameters, disparity, size):
    """What the right image could show where the pixels of the left one lead.

    `disparity` (B, H, W) is the left image's. Returns disparities (B, L, H, W) of all layers there
    and, as displacements (B, L, 2, H, W) from the left image's pixels, where in the left image
    they show the same.
    """
    x, y = frame_grid(size)
    disparity = disparity[:, None]
    there = right_disparities(parameters, x - disparity, y)
    return there, ops.stack([there - disparity, ops.zeros_like(there)], 2)
