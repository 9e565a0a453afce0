"""Silhouettes of layers: one formula for blobs, polygons, rings, bars, wires, fences and swarms.

The formula is a level set, negative inside and about the distance in pixels near the edge: the
largest of a star-shaped radial function with a few harmonics, up to `SIDES` half planes, a
hollow, and a grating, in coordinates that may be folded to repeat the shape.
"""

import numpy as np
from keras import ops

HARMONICS = 4  # orders 2 .. 5
SIDES = 5
NEVER = 1e6

# Kind of silhouette: probability.
KINDS = {"blob": 0.3, "polygon": 0.3, "bar": 0.1, "wire": 0.1, "ring": 0.08, "fence": 0.05,
         "swarm": 0.07}  # fmt: skip


def draw_shapes(random, size, batch, layers, present):
    """Draw the silhouettes of a batch of scenes; `present` (B, L) tells which layers exist.

    Returns a dict of float32 arrays (B, L, ...) for `signed_distances`, lengths in pixels; and
    `thickness` (B, L), about half of what a shape measures across. Layer 0 is the background.
    """
    shape = (batch, layers)
    shortest = min(size)
    kind = random.choice(list(KINDS), shape, p=list(KINDS.values()))
    small, large = np.log(0.06 * shortest), np.log(0.55 * shortest)
    radius = np.exp(random.uniform(small, large, shape))
    long = np.isin(kind, ["bar", "wire", "fence", "swarm"])
    reach = np.where(long, random.uniform(0.3, 1.2, shape) * max(size), radius)

    wobble = random.random(shape) ** 2 * np.isin(kind, ["blob", "ring", "swarm"])
    harmonics = random.standard_normal((*shape, HARMONICS, 2))
    harmonics *= (0.35 / np.arange(2, 2 + HARMONICS))[:, None]
    harmonics *= (wobble * radius)[..., None, None]
    lobes = np.abs(harmonics).sum((-1, -2))
    harmonics *= np.minimum(1, 0.8 * radius / np.maximum(lobes, 1e-6))[..., None, None]

    # Sides of polygons: evenly spread directions, jittered, some of them left away.
    angle = np.arange(SIDES) / SIDES + random.uniform(-0.35, 0.35, (*shape, SIDES)) / SIDES
    angle = 2 * np.pi * (angle + random.random(shape)[..., None])
    normal = np.stack([np.cos(angle), np.sin(angle)], -1)
    offset = radius[..., None] * random.uniform(0.45, 1.0, (*shape, SIDES))
    left_away = random.random((*shape, SIDES)) < 0.2
    offset = np.where(left_away | (kind != "polygon")[..., None], NEVER, offset)
    reach = np.where(kind == "polygon", radius * random.uniform(1.1, 1.7, shape), reach)

    # Bars and wires: two opposite sides close together.
    thin = random.uniform(0.6, 2.0, shape)
    half = np.where(kind == "wire", thin, np.maximum(radius * random.uniform(0.1, 0.4, shape), 2))
    strip = np.isin(kind, ["bar", "wire"])
    for side, sign in ((0, 1.0), (1, -1.0)):
        normal[..., side, :] = np.where(
            strip[..., None], [sign * 0.0, sign * 1.0], normal[..., side, :]
        )
        offset[..., side] = np.where(strip, half, offset[..., side])

    hollow = np.where(kind == "ring", radius * random.uniform(0.06, 0.35, shape), NEVER)
    framed = (kind == "polygon") & (random.random(shape) < 0.2)
    hollow = np.where(framed, np.maximum(radius * random.uniform(0.05, 0.25, shape), 1.5), hollow)

    pitch = random.uniform(0.05, 0.2, shape) * shortest + 3
    share = random.uniform(0.15, 0.4, shape)
    fence = kind == "fence"
    slat = np.where(fence, np.maximum(pitch * share, 0.7), NEVER)

    cell = 2 * radius * random.uniform(0.5, 0.9, shape) * 0.6 + 6
    swarm = kind == "swarm"
    radius = np.where(swarm, cell * random.uniform(0.2, 0.42, shape), radius)
    harmonics = harmonics * np.where(swarm, 0.25, 1.0)[..., None, None]
    fold = np.where(swarm[..., None], cell[..., None] * random.uniform(1, 1.4, (*shape, 2)), 1.0)
    copies = random.integers(1, 7, (*shape, 2)) * swarm[..., None]
    reach = np.where(swarm, radius, reach)
    reach = np.where(np.isin(kind, ["blob", "ring"]), radius, reach)

    thickness = np.where(strip, half, np.minimum(radius, hollow / 2))
    thickness = np.where(fence, slat, thickness)
    turn = random.uniform(0, 2 * np.pi, shape)
    absent = ~np.asarray(present)
    reach = np.where(absent, -NEVER, reach)
    reach[:, 0] = NEVER
    offset[:, 0] = NEVER
    hollow[:, 0] = NEVER
    slat[:, 0] = NEVER
    drawn = {
        "rotation": np.stack([np.cos(turn), np.sin(turn)], -1),
        "radius": reach,
        "harmonics": harmonics,
        "sides": np.concatenate([normal, offset[..., None]], -1),
        "hollow": hollow,
        "grating": np.stack([pitch, slat], -1),
        "fold": np.concatenate([fold, copies], -1),
        "thickness": thickness,
    }
    return {name: value.astype("float32") for name, value in drawn.items()}


def signed_distances(shapes, x, y):
    """Level sets (B, L - 1, H, W) of the foreground layers: about the pixels to their edges.

    `shapes` is what `draw_shapes` drew, with `centre` (B, L, 2) added, as tensors; x and y are
    frame-2 coordinates that broadcast to the result, which is negative inside.
    """

    def of(name, *index):
        return per_layer(shapes[name], *index)

    x, y = x - of("centre", 0), y - of("centre", 1)
    cos, sin = of("rotation", 0), of("rotation", 1)
    x, y = x * cos + y * sin, y * cos - x * sin
    cell_x, cell_y = of("fold", 0), of("fold", 1)
    x = x - cell_x * ops.clip(ops.round(x * (1 / cell_x)), -of("fold", 2), of("fold", 2))
    y = y - cell_y * ops.clip(ops.round(y * (1 / cell_y)), -of("fold", 3), of("fold", 3))

    square = x * x + y * y + 1e-6
    inverse = ops.rsqrt(square)
    unit_x, unit_y = x * inverse, y * inverse
    # cos(n t) and sin(n t) by multiplying (cos t, sin t) up, without trigonometry per pixel.
    cosine, sine = unit_x, unit_y
    radius = of("radius")
    for order in range(HARMONICS):
        cosine, sine = cosine * unit_x - sine * unit_y, cosine * unit_y + sine * unit_x
        radius = radius + of("harmonics", order, 0) * cosine + of("harmonics", order, 1) * sine
    distance = square * inverse - radius
    for side in range(SIDES):
        plane = of("sides", side, 0) * x + of("sides", side, 1) * y - of("sides", side, 2)
        distance = ops.maximum(distance, plane)
    distance = ops.maximum(distance, -distance - of("hollow"))
    pitch = of("grating", 0)
    slat = ops.abs(x - pitch * ops.round(x * (1 / pitch))) - of("grating", 1)
    return ops.maximum(distance, slat)


def per_layer(array, *index):
    """One number per scene and foreground layer, to broadcast against (B, L - 1, H, W)."""
    return array[(slice(None), slice(1, None), *index, None, None)]
