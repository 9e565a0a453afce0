"""Plans of scattered objects: standing on a ground or floating, before a backdrop."""

import numpy as np

from training.collect.blender import plans
from training.collect.blender.plans import Part, Plan
from training.collect.blender.rooms import heavy_step


def plan(random, models, photographs) -> Plan:
    """A random scene of objects.

    Args:
        random: A `numpy.random.Generator`.
        models: The models to choose from.
        photographs: Paths of the photographs to choose from.
    """
    has_ground = random.random() < 0.6
    height = random.uniform(0.8, 2.2)
    distance = random.uniform(3.0, 6.0)
    target = (0.0, distance, height - random.uniform(0.1, 0.4) * distance * has_ground)
    camera = plans.looking((0.0, 0.0, height), target, random.normal() * np.radians(4))
    angle = float(np.radians(random.uniform(45, 75)))
    parts = _backdrop(random, photographs, has_ground)
    usable = [one for one in models if 0.2 < max(one.size) < 8 and min(one.size) > 0.02]
    for _ in range(random.integers(8, 22)):
        part = _object(random, usable, photographs)
        far = float(np.exp(random.normal(np.log(distance), 0.35)))
        far = max(far, 1.3 + max(part.size))
        across = random.uniform(-0.5, 0.5, 2) * (1.1, 0.8) * 2 * far * np.tan(angle / 2)
        place = camera[:3, :3] @ (across[0], across[1], -far) + camera[:3, 3]
        stands = has_ground and random.random() < 0.65
        if stands:
            # Primitives have their origin in the middle, models at the foot.
            place[2] = part.size[2] / 2 if part.shape in plans.PRIMITIVES else 0.0
            turn = plans.turn_about((0, 0, 1), random.uniform(0, 2 * np.pi))
        else:
            place[2] = max(place[2], 0.75 * max(part.size)) if has_ground else place[2]
            turn = plans.any_turn(random)
        where = plans.pose(turn, place)
        part.poses = _motion(random, where, far, stands)
        parts.append(part)
    sun = random.normal(size=2) * 4
    return Plan(
        "scattered",
        parts,
        plans.camera_motion(random, camera, distance),
        angle,
        [
            {
                "kind": "SUN",
                "place": [float(sun[0]), float(sun[1]), 6.0],
                "target": [0.0, float(distance), 0.0],
                "size": float(plans.heavy(random, 0.01, 0.3)),
                "power": float(plans.heavy(random, 0.3, 5.0)),
                "colour": [1.0, float(random.uniform(0.85, 1)), float(random.uniform(0.7, 1))],
            }
        ],
        {
            "strength": float(random.uniform(0.6, 1.5)),
            "turn": float(random.uniform(0, 2 * np.pi)),
            "number": int(random.integers(1 << 16)),
        },
        plans.heavy(random, 0.05, 0.25),
    )


def _backdrop(random, photographs, has_ground):
    """Five walls of photographs far around the objects, and a ground or a sixth."""
    reach, top = random.uniform(10, 22), random.uniform(8, 14)
    low = 0.0 if has_ground else -top
    parts = []
    for side in range(4):
        turn = plans.turn_about((0, 0, 1), side * np.pi / 2) @ np.array(
            [[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]
        )
        at = turn @ (0, 0, -reach) + (0, 0, (top + low) / 2)
        photo = {
            "photo": str(random.choice(photographs)),
            "metres": float((top - low) * random.uniform(0.6, 1.2)),
            "shine": float(random.uniform(0.4, 1.5)),
        }
        size = (2 * reach, top - low, 0.0)
        parts.append(Part("quad", size, plans.still(plans.pose(turn, at)), photo, lit=False))
    lids = [(top, np.diag([1.0, -1.0, -1.0]))] + ([] if has_ground else [(low, np.eye(3))])
    for level, turn in lids:
        photo = {"photo": str(random.choice(photographs)), "metres": 2 * reach, "shine": 1.0}
        where = plans.still(plans.pose(turn, (0, 0, level)))
        parts.append(Part("quad", (2 * reach, 2 * reach, 0.0), where, photo, lit=False))
    if has_ground:
        ground = plans.surface(random, photographs, 0.6, (1.0, 6.0))
        where = plans.still(plans.pose(np.eye(3), (0, 0, 0)))
        parts.append(Part("quad", (2 * reach, 2 * reach, 0.0), where, ground))
    return parts


def _object(random, models, photographs):
    """A model or a primitive of a random size, its poses still to be chosen."""
    nowhere = plans.still(np.eye(4))
    if random.random() < 0.25:
        size = random.uniform(0.3, 1.3) * random.uniform(0.4, 1, 3)
        surface = plans.surface(random, photographs, 0.75, (0.3, 1.5))
        shape = str(random.choice(plans.PRIMITIVES))
        return Part(shape, tuple(float(one) for one in size), nowhere, surface)
    model = random.choice(models)
    longest = random.uniform(0.5, 1.8)
    size = np.multiply(model.size, longest / max(model.size))
    own = None
    if random.random() < 0.4:
        own = plans.surface(random, photographs, 0.75, (0.3, 1.2))
    return Part(model.name, tuple(float(one) for one in size), nowhere, own)


def _motion(random, where, far, stands):
    if random.random() < 0.25:
        return plans.still(where)
    shift = random.normal(size=3) * heavy_step(random, far)
    angle = np.radians(plans.heavy(random, 0.5, 25)) * random.choice([-1, 1])
    if stands:
        return plans.moving(random, where, (shift[0], shift[1], 0), angle, axis=(0, 0, 1))
    return plans.moving(random, where, shift, angle)
