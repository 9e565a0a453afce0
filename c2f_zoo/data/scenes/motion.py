"""How the layers of a scene move: random smooth flow fields as small grids of control points.

A flow field is a uniform cubic B-spline. Such a spline reproduces every affine map exactly, so one
grid per layer holds camera motion, the layer's own motion and its smooth deformation together,
and evaluating it is two matrix products. Whoever wants other motion (a stereo pair, for instance,
whose layers move by their disparity) supplies other grids; shapes and textures stay.
"""

import dataclasses

import numpy as np
from keras import ops

INTERVALS = 8
CONTROL_POINTS = INTERVALS + 3


@dataclasses.dataclass(frozen=True)
class Motion:
    """Distribution of the motion in a scene. Lengths are in pixels of the rendered frame.

    Magnitudes of translations are log-normal, `median * exp(spread * normal)`, so that most are
    small while the tail is heavy.

    Args:
        median: Median length of a translation that is not at rest, in pixels, > 0.
        spread: Standard deviation of the logarithm of that length; 0 makes all equal.
        limit: Largest translation as a fraction of the longer image side.
        still_camera: Probability that the camera does not move.
        attached: Probability that a layer moves exactly with the background.
        gentle: Probability that a layer which moves by itself does so by a quarter of `median`
            only: small relative motions are the commonest ones in real footage.
        rotation: Scale of rotations, radians; half of the layers rotate.
        zoom: Scale of the relative change of size; half of the layers change theirs.
        shear: Scale of shears; a third of the layers is sheared.
        deformation: Largest gradient of the smooth deformation, below 0.5 so that the map from
            frame to frame stays invertible; a third of the layers deforms.
        ground: Probability that the background is a tilted plane, nearer at its lower end.

    Example:
        >>> Motion(median=12.0, spread=0.5).median
        12.0
    """

    median: float = 6.0
    spread: float = 1.15
    limit: float = 0.7
    still_camera: float = 0.15
    attached: float = 0.12
    gentle: float = 0.3
    rotation: float = 0.12
    zoom: float = 0.1
    shear: float = 0.05
    deformation: float = 0.3
    ground: float = 0.35

    def __post_init__(self):
        if not self.median > 0:
            raise ValueError(f"Motion: median must be positive pixels. Received: {self.median}")
        if not 0 <= self.deformation < 0.5:
            raise ValueError(
                "Motion: deformation must lie in [0, 0.5), beyond which flow fields fold. "
                f"Received: {self.deformation}"
            )


def spline_basis(length: int) -> np.ndarray:
    """Weights of the control points at every pixel of one image axis.

    Args:
        length: Number of pixels.

    Returns:
        (length, CONTROL_POINTS) float32; rows sum to one, four entries of each are not zero.
    """
    position = np.arange(length) * (INTERVALS / max(length - 1, 1))
    distance = np.abs(position[:, None] + 1 - np.arange(CONTROL_POINTS)[None, :])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype("float32")


def control_positions(length: int) -> np.ndarray:
    """Pixel coordinates of the control points along one image axis, (CONTROL_POINTS,)."""
    return (np.arange(CONTROL_POINTS) - 1) * (max(length - 1, 1) / INTERVALS)


def flow_fields(control, size):
    """Evaluate every layer's flow at every pixel of frame 1.

    Args:
        control: (B, L, 2, CONTROL_POINTS along x, CONTROL_POINTS along y) displacements, pixels.
        size: (H, W) of the frame.

    Returns:
        (B, L, 2, H, W) flow in pixels, u then v.
    """
    height, width = size
    batch, layers = control.shape[:2]
    rows = ops.reshape(control, (-1, CONTROL_POINTS)) @ spline_basis(height).T
    rows = ops.reshape(rows, (-1, CONTROL_POINTS, height))
    rows = ops.reshape(ops.transpose(rows, (0, 2, 1)), (-1, CONTROL_POINTS))
    return ops.reshape(rows @ spline_basis(width).T, (batch, layers, 2, height, width))


def _heavy_tailed(random, motion, shape, longest, scale=1.0):
    """Random translations (*shape, 2) whose lengths are log-normal."""
    length = motion.median * scale * np.exp(motion.spread * random.standard_normal(shape))
    length = np.minimum(length, motion.limit * longest)
    # Real cameras and things move along the horizon more than up and down.
    angle = random.uniform(0, 2 * np.pi, shape)
    angle = angle - 0.25 * np.sin(2 * angle)
    return length[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def _sometimes(random, probability, shape):
    return (random.random(shape) < probability).astype("float64")


def _smooth_noise(random, shape):
    """Unit-amplitude noise on control grids, each a mixture of coarse and fine waves."""
    y, x = np.meshgrid(*[np.linspace(0, 1, CONTROL_POINTS)] * 2, indexing="ij")
    total = np.zeros((*shape, CONTROL_POINTS, CONTROL_POINTS))
    for waves in (0.7, 1.2, 1.9):
        direction = random.uniform(0, 2 * np.pi, shape)[..., None, None]
        phase = random.uniform(0, 2 * np.pi, shape)[..., None, None]
        along = x * np.cos(direction) + y * np.sin(direction)
        amplitude = random.random(shape)[..., None, None] / waves
        total += amplitude * np.sin(2 * np.pi * waves * along + phase)
    return total


def draw_motion(random, motion: Motion, size, nearness, middle):
    """Draw the flow of every layer of a batch of scenes.

    Args:
        random: `numpy.random.Generator`.
        motion: Distribution to draw from.
        size: (H, W) of the frame, pixels.
        nearness: (B, L) inverse depth of the layers, background (layer 0) first, which is 1.
        middle: (B, L, 2) where, halfway between the frames, the centres of the layers lie.

    Returns:
        Tuple of `control` (B, L, 2, CONTROL_POINTS, CONTROL_POINTS) as `flow_fields` takes it,
        `centre` (B, L, 2), the centres of the layers in frame 2, and `plane` (B, L, 3), the
        inverse depth of each layer at pixel (x, y) of frame 1 as plane[0] + plane[1] * x +
        plane[2] * y.
    """
    batch, layers = nearness.shape
    height, width = size
    longest = max(size)
    frame_centre = np.array([(width - 1) / 2, (height - 1) / 2])

    tilt = random.normal(0, 0.12 / longest, (batch, layers, 2)) * nearness[..., None]
    ground = _sometimes(random, motion.ground, batch)
    tilt[:, 0, 1] += ground * random.uniform(0.3, 1.5, batch) / height
    attached = _sometimes(random, motion.attached, (batch, layers))
    attached[:, 0] = 1
    plane = np.concatenate([nearness[..., None], tilt], -1)
    plane[..., 0] -= (tilt * np.where(attached[..., None], frame_centre, middle)).sum(-1)

    # Camera: it turns (the same for all depths) and moves (the more the nearer the layer).
    moving = 1 - _sometimes(random, motion.still_camera, (batch, 1, 1))
    share = random.random((batch, 1, 1)) ** 2
    shift = _heavy_tailed(random, motion, (batch, 1), longest) * moving
    forward = random.standard_t(3, (batch, 1, 1)) * 0.3 * motion.zoom * moving
    forward = np.clip(forward, -0.25, 0.25) * _sometimes(random, 0.6, (batch, 1, 1))
    roll = random.standard_t(3, (batch, 1, 1)) * 0.2 * motion.rotation * moving
    roll = np.clip(roll, -0.5, 0.5) * _sometimes(random, 0.5, (batch, 1, 1))
    camera = {"pan": shift * (1 - share), "shift": shift * share, "forward": forward, "roll": roll}

    def camera_flow(position, inverse_depth):
        away = position - frame_centre
        across = np.stack([-away[..., 1], away[..., 0]], -1)
        expand = [(Ellipsis,) + (None,) * (position.ndim - 3) + (slice(None),)]
        pan, shift, forward, roll = (camera[name][expand[0]] for name in camera)
        moved = inverse_depth[..., None] * (shift + forward * away)
        return pan + roll * across + moved

    # Own motion of the layers, about their centres.
    free = (1 - attached)[..., None]
    own = _heavy_tailed(random, motion, (batch, layers), longest)
    own = own * np.where(_sometimes(random, motion.gentle, (batch, layers, 1)), 0.25, 1.0) * free
    heavy = random.standard_t(4, (4, batch, layers))
    some = random.random((4, batch, layers)) < np.array([0.5, 0.5, 0.33, 0.33])[:, None, None]
    scales = np.array([motion.rotation, motion.zoom, motion.shear, motion.shear])[:, None, None]
    turn, grow, shear_x, shear_y = np.clip(0.6 * heavy * scales, -0.4, 0.4) * some * free[..., 0]

    inverse_depth = np.where(
        attached, plane[:, :1, 0] + (plane[:, :1, 1:] * middle).sum(-1), nearness
    )
    plane = np.where(attached[..., None], plane[:, :1], plane)
    step = camera_flow(middle, np.clip(inverse_depth, 0.05, None)) + own
    first, centre = middle - step / 2, middle + step / 2

    x, y = np.meshgrid(control_positions(width), control_positions(height), indexing="ij")
    grid = np.broadcast_to(np.stack([x, y], -1), (batch, layers, *x.shape, 2))
    depth_there = (
        plane[..., 0, None, None]
        + plane[..., 1, None, None] * x
        + plane[..., 2, None, None] * y
    )
    away = grid - first[:, :, None, None]
    matrix = np.stack(
        [np.stack([grow, shear_x - turn], -1), np.stack([shear_y + turn, grow], -1)], -2
    )
    flow = camera_flow(grid, np.clip(depth_there, 0.05, None))
    flow = flow + own[:, :, None, None] + np.einsum("blij,blxyj->blxyi", matrix, away)

    noise = _smooth_noise(random, (batch, layers, 2))
    spacing = np.array([max(width - 1, 1), max(height - 1, 1)]) / INTERVALS
    steepest = np.maximum(
        np.abs(np.diff(noise, axis=-2)).max((-1, -2)) / spacing[0],
        np.abs(np.diff(noise, axis=-1)).max((-1, -2)) / spacing[1],
    )
    bend = motion.deformation * random.random((batch, layers)) ** 2 * free[..., 0]
    bend[:, 0] = motion.deformation * 0.5 * random.random(batch) ** 2
    bend *= random.random((batch, layers)) < 0.35
    noise = noise * (bend[..., None] / np.maximum(steepest, 1e-9))[..., None, None]
    control = np.moveaxis(flow, -1, 2) + noise
    control = np.where(attached[..., None, None, None], control[:, :1], control)
    return (
        control.astype("float32"),
        centre.astype("float32"),
        plane.astype("float32"),
    )
