"""What stands where in a random scene, how it moves, and where the camera is.

Numbers alone: `stage.py` builds with Blender what is planned here. Metres, Z up. A plan follows
from its random generator, the models and the photographs.
"""

from dataclasses import dataclass, field

import numpy as np

from training.collect.blender.furniture import Model

INDOORS = ("Bedroom", "Living room", "Office", "Kitchen", "Bathroom", "Miscellaneous")
PRIMITIVES = ("cube", "sphere", "cylinder", "cone", "torus", "ball", "head")
PATTERNS = ("planks", "tiles", "bricks", "marble", "spots", "grain", "checker")


@dataclass
class Part:
    """One rigid thing.

    Attributes:
        shape: Name of a model, one of `PRIMITIVES`, "box", or "quad" in its own XY plane.
        size: Metres along its own axes; of a model its width, depth and height.
        poses: Array (2, 4, 4), own coordinates to world at both times. The origin of boxes,
            primitives and quads is their middle, that of models the middle of their foot.
        surface: What `stage.surface` makes a material of; None keeps a model's own.
        lit: False for a backdrop, which shines itself and neither shades nor lights anything.
    """

    shape: str
    size: tuple[float, float, float]
    poses: np.ndarray
    surface: dict | None = None
    lit: bool = True


@dataclass
class Plan:
    """A scene.

    Attributes:
        kind: "room" or "scattered".
        parts: Everything in it.
        camera: Array (2, 4, 4), poses of the left camera at both times.
        field_of_view: Of the image's width, radians.
        lamps: Each a dict of kind, place, target, size, power and colour.
        sky: Strength and turn of the environment, and its number.
        nearest_disparity: Disparity of what is near, as a share of the image's width; it chooses
            the distance between the cameras.
    """

    kind: str
    parts: list[Part]
    camera: np.ndarray
    field_of_view: float
    lamps: list[dict] = field(default_factory=list)
    sky: dict = field(default_factory=dict)
    nearest_disparity: float = 0.1


# Geometry.


def pose(turn: np.ndarray, place) -> np.ndarray:
    """A pose (4, 4) of a rotation (3, 3) and a place."""
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = turn, place
    return result


def turn_about(axis, angle: float) -> np.ndarray:
    """The rotation (3, 3) about an axis by an angle in radians (Rodrigues' formula)."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def any_turn(random) -> np.ndarray:
    """A rotation (3, 3), all alike probable."""
    w, x, y, z = (lambda q: q / np.linalg.norm(q))(random.normal(size=4))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def looking(place, target, roll: float = 0.0) -> np.ndarray:
    """The pose of a camera at a place that looks at a target: its -Z, with Y up."""
    back = np.subtract(place, target, dtype=float)
    back /= np.linalg.norm(back)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(back, right), back], axis=1)
    return pose(turn @ turn_about([0, 0, 1], roll), place)


def still(where: np.ndarray) -> np.ndarray:
    """Both poses of what does not move."""
    return np.stack([where, where])


def moving(random, where: np.ndarray, shift, angle: float, axis=None) -> np.ndarray:
    """Both poses of what turns about its own origin and shifts."""
    axis = random.normal(size=3) if axis is None else axis
    after = pose(turn_about(axis, angle) @ where[:3, :3], where[:3, 3] + shift)
    return np.stack([where, after])


def heavy(random, low: float, high: float) -> float:
    """A number between two, its logarithm uniform: mostly small, now and then large."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def footprint(model: Model, yaw: float) -> tuple[float, float]:
    """Width and depth of the box along X and Y around a model that is turned by yaw."""
    cosine, sine = abs(np.cos(yaw)), abs(np.sin(yaw))
    width, depth, _ = model.size
    return width * cosine + depth * sine, width * sine + depth * cosine


# Surfaces.


def colour(random, value=(0.15, 0.9), saturation=0.6) -> list[float]:
    """A random linear RGB."""
    hue = random.uniform(0, 6, 1) + (0, 4, 2)
    strength, light = random.uniform(0, saturation) ** 1.3, random.uniform(*value)
    wheel = np.clip(np.abs(hue % 6 - 3) - 1, 0, 1)
    return [float(channel) for channel in (light * (1 - strength * (1 - wheel))) ** 2]


def surface(random, photographs, photo_share=0.5, metres=(0.5, 3.0), value=(0.15, 0.9)) -> dict:
    """A random surface: a photograph or a pattern, `metres` long before it repeats."""
    common = {"rough": float(random.uniform(0.25, 1.0)), "metres": heavy(random, *metres)}
    if random.random() < photo_share:
        return {"photo": str(random.choice(photographs)), **common}
    return {
        "pattern": str(random.choice(PATTERNS)),
        "colours": [colour(random, value) for _ in range(3)],
        **common,
    }


def camera_motion(random, before: np.ndarray, distance: float) -> np.ndarray:
    """Both poses of a camera that looks at something at a distance."""
    shift = random.normal(size=3) * distance * heavy(random, 0.002, 0.06)
    angle = np.radians(heavy(random, 0.05, 3.5))
    turn = turn_about(random.normal(size=3) * (1.0, 1.0, 0.6), angle)
    return np.stack([before, pose(before[:3, :3] @ turn, before[:3, 3] + shift)])
