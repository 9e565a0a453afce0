"""Draw everything that is random about a batch of rooms with objects, as a few small arrays.

All lengths are metres, in a frame whose origin is the camera: x to the right, y down along gravity,
z ahead. The camera is turned in it by `rotation`.
"""

import numpy as np

from c2f_zoo.data.scenes.effects import NOISE_SPARE
from c2f_zoo.data.scenes.motion import sometimes
from c2f_zoo.data.scenes.parameters import draw_looks

FACES = 6  # of the room; surfaces 0 to 5, then one of each object
FAR_BEHIND = np.array([0.0, 0.0, -1e3])  # where objects are that a scene does not have


def draw_rooms(seed, index, size, batch_size, objects, room, field_of_view, effects, atlas):
    """Draw a batch of rooms; the same seed and index give the same on every backend.

    Args:
        seed, index: Seed of the endless sequence of batches, and which batch of it.
        size: (H, W), pixels.
        batch_size: Number of scenes B.
        objects: (fewest, most) objects; L is most + 1, the room included as the first.
        room: (shortest, longest) side of a room.
        field_of_view: (narrowest, widest) horizontal angle, degrees.
        effects: Whether there are light, shadows, tone and noise.
        atlas: (N, h, w) of the textures.

    Returns:
        Dict of float32 arrays: `focal` (B,), pixels; `rotation` (B, 3, 3), from the camera's frame;
        of every box, the room first, `centre` (B, L, 3), `axes` (B, L, 3, 3), the rows its own
        axes, `half` (B, L, 3), half its sides, `round` (B, L), 1 for the ellipsoid within; `light`
        (B, 3), its place; `ambient` (B,); of every surface `texture` (B, S) int32, `mapping`
        (B, S, 6) from metres on it to pixels of the texture, `color` (B, S, 3, 4); `tone` (B, 7);
        `noise` (B,) and `noise_start` (B,) int32.
    """
    random = np.random.default_rng([seed, index, 5])
    shape = (batch_size, objects[1] + 1)
    camera = _draw_camera(random, batch_size, size, field_of_view)
    boxes = _draw_room(random, batch_size, shape, room)
    _draw_objects(random, boxes, objects, camera.pop("angle"))
    light = boxes["centre"][:, 0] + np.einsum(
        "bij,bi->bj",
        boxes["axes"][:, 0],
        random.uniform(-0.7, 0.7, (batch_size, 3)) * boxes["half"][:, 0],
    )
    # Not below the middle, nor in the ceiling.
    half, middle = boxes["half"][:, 0, 1], boxes["centre"][:, 0, 1]
    light[:, 1] = middle - half * random.uniform(0.2, 0.9, batch_size)
    ambient = random.uniform(0.3, 0.8, batch_size) if effects else np.ones(batch_size)
    drawn = {**camera, **boxes, "light": light, "ambient": ambient}
    drawn |= _draw_surfaces(random, boxes["half"], atlas)
    drawn |= _draw_sensor(random, batch_size, effects)
    return {
        name: value.astype("int32" if value.dtype.kind == "i" else "float32")
        for name, value in drawn.items()
    }


def _draw_camera(random, batch_size, size, field_of_view):
    angle = np.deg2rad(random.uniform(*field_of_view, batch_size))
    pitch = np.deg2rad(random.normal(8, 12, batch_size).clip(-15, 40))  # down is positive
    roll = np.deg2rad(random.normal(0, 2.5, batch_size))
    zero, one = np.zeros(batch_size), np.ones(batch_size)
    about_x = [[one, zero, zero], [zero, np.cos(pitch), np.sin(pitch)],
               [zero, -np.sin(pitch), np.cos(pitch)]]  # fmt: skip
    about_z = [[np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero],
               [zero, zero, one]]  # fmt: skip
    about_x, about_z = (np.moveaxis(np.array(turn), -1, 0) for turn in (about_x, about_z))
    return {
        "angle": angle,
        "focal": size[1] / 2 / np.tan(angle / 2),
        "rotation": about_x @ about_z,
    }


def _turns(yaw):
    """Axes (..., 3, 3) of boxes that stand upright, turned by angles (...)."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    rows = [[cos, zero, -sin], [zero, one, zero], [sin, zero, cos]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _draw_room(random, batch_size, shape, room):
    """The room around the camera, and room for the objects."""
    half = np.exp(random.uniform(*np.log(room), (batch_size, 3))) / 2
    longest = half[:, [0, 2]].max(1)
    half[:, 1] = (random.uniform(2.2, 3.2, batch_size) + 0.15 * longest) / 2
    yaw = random.uniform(-np.pi, np.pi, batch_size)
    axes = _turns(yaw)
    # Where the camera is in the room, from its middle; mostly with the more of it ahead.
    place = random.uniform(-0.85, 0.85, (batch_size, 3)) * half
    height = random.uniform(0.5, 2.0, batch_size)  # above the floor
    place[:, 1] = half[:, 1] - np.minimum(height, 1.6 * half[:, 1])
    ahead = np.einsum("bij,j->bi", axes, [0.0, 0.0, 1.0])
    looks_out = (place * ahead)[:, [0, 2]].sum(1) > 0
    flips = looks_out & (random.random(batch_size) < 0.8)
    place[:, [0, 2]] *= np.where(flips, -1, 1)[:, None]
    boxes = {
        "centre": np.tile(FAR_BEHIND, (*shape, 1)),
        "axes": np.tile(np.eye(3), (*shape, 1, 1)),
        "half": np.full((*shape, 3), 1e-3),
        "round": np.zeros(shape),
    }
    boxes["centre"][:, 0] = -np.einsum("bij,bi->bj", axes, place)
    boxes["axes"][:, 0], boxes["half"][:, 0] = axes, half
    return boxes


def _draw_objects(random, boxes, objects, angle):
    """Boxes and ellipsoids in sight, on the floor or above it, none around the camera."""
    batch_size, most = len(angle), boxes["half"].shape[1] - 1
    if not most:
        return
    shape = (batch_size, most)
    room = boxes["half"][:, :1]
    longest = room[..., [0, 2]].max(-1)
    present = np.arange(most) < random.integers(objects[0], most + 1, (batch_size, 1))
    half = np.exp(random.uniform(np.log(0.06), np.log(0.45), (*shape, 3)))
    half *= (longest / 2.5)[..., None] ** 0.6
    tall = random.random(shape) < 0.25  # cupboards and columns
    half[..., 1] = np.where(tall, half[..., 1] * 3, half[..., 1])
    half[..., 1] = np.minimum(half[..., 1], 0.95 * room[..., 1])

    distance = np.exp(random.uniform(np.log(0.9), np.log(2.5 * longest.clip(1)), shape))
    bearing = random.uniform(-0.6, 0.6, shape) * angle[:, None]
    place = np.stack(
        [distance * np.sin(bearing), np.zeros(shape), distance * np.cos(bearing)], axis=-1
    )
    # Into the room, in its own axes.
    axes, middle = boxes["axes"][:, 0], boxes["centre"][:, :1]
    within = np.einsum("bij,blj->bli", axes, place - middle)
    reach = np.hypot(half[..., 0], half[..., 2])
    for axis in (0, 2):
        limit = np.maximum(room[..., axis] - 0.7 * reach, 0)
        within[..., axis] = within[..., axis].clip(-limit, limit)
    floats = random.random(shape) < 0.2
    top = room[..., 1] - half[..., 1]
    within[..., 1] = np.where(floats, random.uniform(-1, 1, shape) * top, top)
    centre = middle + np.einsum("bij,bli->blj", axes, within)
    # The camera stays outside, with some air around it.
    near = np.hypot(centre[..., 0], centre[..., 2])
    shrink = np.minimum(1, (0.85 * near - 0.25).clip(1e-3) / reach)
    half[..., [0, 2]] *= shrink[..., None]
    present &= near > 0.45
    turns = _turns(random.uniform(-np.pi, np.pi, shape))
    aligned = random.random(shape) < 0.4  # with the walls
    turns = np.where(aligned[..., None, None], axes[:, None], turns)
    keep = present[..., None]
    boxes["centre"][:, 1:] = np.where(keep, centre, FAR_BEHIND)
    boxes["axes"][:, 1:] = turns
    boxes["half"][:, 1:] = np.where(keep, half, 1e-3)
    boxes["round"][:, 1:] = random.random(shape) < 0.3


def _draw_surfaces(random, half, atlas):
    """Textures of the room's faces and of the objects; the four walls mostly share theirs."""
    batch_size, boxes = half.shape[:2]
    looks = draw_looks(random, (batch_size, FACES + boxes - 1), atlas[0], atlas[1:])
    # Metres that a texture covers: of rooms 0.8 to 5, of objects about their size.
    side = np.exp(random.uniform(np.log(0.8), np.log(5), (batch_size, FACES)))
    size = 2 * half[:, 1:].max(-1) * np.exp(random.uniform(-0.7, 0.7, (batch_size, boxes - 1)))
    density = min(atlas[1:]) / np.concatenate([side, size.clip(0.02)], axis=1)
    looks["mapping"][..., [1, 2, 4, 5]] *= density[..., None]
    share = random.random(batch_size) < 0.7
    walls = [0, 1, 4, 5]  # faces of the axes x and z, either side
    for value in looks.values():
        value[share[:, None] & np.isin(np.arange(value.shape[1]), walls)] = np.repeat(
            value[share, 0], len(walls), axis=0
        )
    return looks


def _draw_sensor(random, batch_size, effects):
    change = sometimes(random, 0.6 * effects, (batch_size, 1)) * 0.1
    contrast = random.uniform(-1, 1, (batch_size, 1)) * change
    gain = 1 + contrast + random.uniform(-1, 1, (batch_size, 3)) * change
    bias = random.uniform(-0.5, 0.5, (batch_size, 1)) * change - 0.5 * contrast
    curve = (random.uniform(-4, 4, (batch_size, 1)) * change).clip(-0.8, 0.8)
    noise = random.random(batch_size) ** 2 * 0.03 * sometimes(random, 0.5 * effects, batch_size)
    return {
        "tone": np.concatenate([gain, np.repeat(bias, 3, 1), curve], 1),
        "noise": noise,
        "noise_start": random.integers(0, NOISE_SPARE, batch_size).astype("int32"),
    }
