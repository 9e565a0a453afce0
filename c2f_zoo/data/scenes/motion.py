"""How the layers of a scene move: random smooth flow fields as small grids of control points.

A flow field is a uniform cubic B-spline. Such a spline reproduces every affine map exactly, so one
grid per layer holds camera motion, the layer's own motion and its smooth deformation together,
and evaluating it is two weighted sums. Whoever wants other motion (a stereo pair, for instance,
whose layers move by their disparity) supplies other grids; shapes and textures stay.
"""

import dataclasses
import numbers

import numpy as np
from keras import ops

from c2f_zoo import checks

INTERVALS = 8
CONTROL_POINTS = INTERVALS + 3


@dataclasses.dataclass(frozen=True)
class Motion:
    """Distribution of the motion in a scene. Lengths are in pixels of the rendered frame.

    Each scene has a speed, and each length in it is log-normal about that speed,
    `median * exp(spread * normal)` in all, so that most motions are small, some scenes nearly
    rest, and the tail is heavy. Angles and changes of size follow the speed of their scene.

    Args:
        median: About the median length of the flow over all pixels, > 0.
        spread: Standard deviation of the logarithm of the lengths; 0 makes all equal.
        limit: Largest translation as a fraction of the longer image side.
        still_camera: Probability that the camera does not move.
        attached: Probability that a layer moves exactly with the background.
        gentle: Probability that a layer which moves by itself does so at a quarter of the speed.
        rotation: Scale of rotations, radians, where the median is 2.3% of the shorter image side
            (6 pixels of 256); in proportion below that. Half of the layers rotate.
        zoom: Scale of the relative change of size, likewise; half of the layers change theirs.
        shear: Scale of shears, likewise; a third of the layers is sheared.
        deformation: Largest gradient of the smooth deformation, below 0.5 so that the map from
            frame to frame stays invertible; a third of the layers deforms.
        ground: Probability that the background is a tilted plane, nearer at its lower end.

    Example:
        >>> Motion(median=12.0, spread=0.5).median
        12.0
    """

    median: float = 6.0
    spread: float = 1.2
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
        checks.number("median", self.median, above=0)
        checks.number("spread", self.spread, least=0)
        checks.number("deformation", self.deformation, least=0, below=0.5)


@dataclasses.dataclass(frozen=True)
class MotionMixture:
    """Several distributions of motion, of which every scene follows one.

    Args:
        motions: `Motion`s, or numbers: their medians in pixels.
        shares: How many of the scenes follow each of them, positive, in any unit. None for equal
            shares.

    Raises:
        ValueError: If there is no motion, or `shares` are not one positive number for each.

    Example:
        >>> mixture = MotionMixture((1.5, Motion(median=16.0, spread=0.8)), shares=(1, 3))
        >>> mixture.motions[0].median, mixture.shares
        (1.5, (0.25, 0.75))
    """

    motions: tuple
    shares: tuple | None = None

    def __post_init__(self):
        motions = tuple(as_motion(motion) for motion in self.motions)
        shares = (1.0,) * len(motions) if self.shares is None else tuple(self.shares)
        if any(isinstance(motion, MotionMixture) for motion in motions):
            raise ValueError("MotionMixture: motions must not be mixtures. Received: a mixture")
        if not motions or len(shares) != len(motions) or not all(share > 0 for share in shares):
            raise ValueError(
                "MotionMixture: shares must be a positive number for each motion, of which there "
                f"must be one. Received: {len(motions)} motions, shares={self.shares}"
            )
        object.__setattr__(self, "motions", motions)
        object.__setattr__(self, "shares", tuple(share / sum(shares) for share in shares))


def as_motion(motion):
    """Return a `Motion` or `MotionMixture`; a number is the median in pixels, None `Motion()`."""
    if motion is None:
        return Motion()
    if isinstance(motion, (Motion, MotionMixture)):
        return motion
    if isinstance(motion, numbers.Real) and not isinstance(motion, bool):
        return Motion(median=float(motion))
    raise ValueError(f"motion must be a Motion, a MotionMixture or pixels. Received: {motion!r}")


def spline_basis(length: int) -> np.ndarray:
    """Weights (length, CONTROL_POINTS) of the control points at every pixel of an axis, float32."""
    position = np.arange(length) * (INTERVALS / max(length - 1, 1))
    distance = np.abs(position[:, None] + 1 - np.arange(CONTROL_POINTS)[None, :])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype("float32")


def control_positions(length: int) -> np.ndarray:
    """Pixel coordinates of the control points along one image axis, (CONTROL_POINTS,)."""
    return (np.arange(CONTROL_POINTS) - 1) * (max(length - 1, 1) / INTERVALS)


def flow_fields(control, size):
    """Evaluate every layer's flow (B, L, 2, H, W), u then v in pixels, on frame 1 of `size` (H, W).

    `control` (B, L, 2, CONTROL_POINTS along x, CONTROL_POINTS along y) are displacements, pixels.
    """
    height, width = size
    # Sums, not matrix products: those lose precision where a GPU computes them in TF32.
    along_y = ops.convert_to_tensor(spline_basis(size[0]))
    along_x = ops.convert_to_tensor(spline_basis(size[1]))
    rows = flow = 0.0
    for point in range(CONTROL_POINTS):
        rows = rows + control[..., point, None] * along_y[:, point]
    for point in range(CONTROL_POINTS):
        flow = flow + rows[..., point, :, None] * along_x[:, point]
    return flow


def _translations(random, motion, speed, shape, size):
    """Random translations (*shape, 2) whose lengths are log-normal about `speed`."""
    spread = motion.spread * 0.7
    length = speed * np.exp(spread * random.standard_normal(shape))
    length = np.minimum(length, motion.limit * max(size))
    # Real cameras and things move along the horizon more than up and down.
    angle = random.uniform(0, 2 * np.pi, shape)
    angle = angle - 0.25 * np.sin(2 * angle)
    return length[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def sometimes(random, probability, shape):
    """Draw 1.0 with a probability, else 0.0."""
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


def draw_motion(random, motion, size, nearness, middle):
    """Draw the flow of every layer of a batch of scenes.

    `nearness` (B, L) is the layers' inverse depth, 1 at the background (layer 0); `middle`
    (B, L, 2) where, halfway between the frames, their centres lie. Returns `control` (B, L, 2,
    CONTROL_POINTS, CONTROL_POINTS) for `flow_fields`, `centre` (B, L, 2), the centres in frame 2,
    and `plane` (B, L, 3), the inverse depth of each layer at pixel (x, y) of frame 1 as
    plane[0] + plane[1] * x + plane[2] * y.
    """
    if isinstance(motion, MotionMixture):
        chosen = random.choice(len(motion.motions), len(nearness), p=motion.shares)
        # Every scene is drawn from every motion: few numbers, and no scene depends on its fellows.
        drawn = [draw_motion(random, one, size, nearness, middle) for one in motion.motions]
        scene = np.arange(len(nearness))
        return tuple(np.stack(parts)[chosen, scene] for parts in zip(*drawn, strict=True))
    batch, layers = nearness.shape
    height, width = size
    longest = max(size)
    frame_centre = np.array([(width - 1) / 2, (height - 1) / 2])

    tilt = random.normal(0, 0.12 / longest, (batch, layers, 2)) * nearness[..., None]
    ground = sometimes(random, motion.ground, batch)
    tilt[:, 0, 1] += ground * random.uniform(0.3, 1.5, batch) / height
    attached = sometimes(random, motion.attached, (batch, layers))
    attached[:, 0] = 1
    plane = np.concatenate([nearness[..., None], tilt], -1)
    plane[..., 0] -= (tilt * np.where(attached[..., None], frame_centre, middle)).sum(-1)

    # Half of the variance of the logarithm is the scene's, half each layer's. Camera and own
    # motion add up, and rotation and zoom to them; 0.8 makes up for that.
    pace = np.exp(0.7 * motion.spread * random.standard_normal((batch, 1)))
    speed = 0.8 * motion.median * pace
    vigour = np.minimum(1.5, motion.median / (0.0234 * min(size))) * np.minimum(pace, 1.5)

    # Camera: it turns (the same for all depths) and moves (the more the nearer the layer).
    moving = 1 - sometimes(random, motion.still_camera, (batch, 1, 1))
    share = random.random((batch, 1, 1)) ** 2
    shift = _translations(random, motion, speed, (batch, 1), size) * moving
    forward = random.standard_t(3, (batch, 1, 1)) * 0.3 * motion.zoom * moving * vigour[..., None]
    forward = np.clip(forward, -0.25, 0.25) * sometimes(random, 0.6, (batch, 1, 1))
    roll = random.standard_t(3, (batch, 1, 1)) * 0.2 * motion.rotation * moving * vigour[..., None]
    roll = np.clip(roll, -0.5, 0.5) * sometimes(random, 0.5, (batch, 1, 1))
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
    own = _translations(random, motion, speed, (batch, layers), size)
    own = own * np.where(sometimes(random, motion.gentle, (batch, layers, 1)), 0.25, 1.0) * free
    heavy = random.standard_t(4, (4, batch, layers))
    some = random.random((4, batch, layers)) < np.array([0.5, 0.5, 0.33, 0.33])[:, None, None]
    scales = np.array([motion.rotation, motion.zoom, motion.shear, motion.shear])[:, None, None]
    turn, grow, shear_x, shear_y = (
        np.clip(0.6 * heavy * scales * vigour, -0.4, 0.4) * some * free[..., 0]
    )

    inverse_depth = np.where(
        attached, plane[:, :1, 0] + (plane[:, :1, 1:] * middle).sum(-1), nearness
    )
    plane = np.where(attached[..., None], plane[:, :1], plane)
    step = camera_flow(middle, np.clip(inverse_depth, 0.05, None)) + own
    first, centre = middle - step / 2, middle + step / 2

    x, y = np.meshgrid(control_positions(width), control_positions(height), indexing="ij")
    grid = np.broadcast_to(np.stack([x, y], -1), (batch, layers, *x.shape, 2))
    depth_there = (
        plane[..., 0, None, None] + plane[..., 1, None, None] * x + plane[..., 2, None, None] * y
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
    bend *= (random.random((batch, layers)) < 0.35) * np.minimum(vigour, 1)
    noise = noise * (bend[..., None] / np.maximum(steepest, 1e-9))[..., None, None]
    control = np.moveaxis(flow, -1, 2) + noise
    control = np.where(attached[..., None, None, None], control[:, :1], control)
    return (control.astype("float32"), centre.astype("float32"), plane.astype("float32"))
