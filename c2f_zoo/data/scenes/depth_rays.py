"""Rays against the boxes and ellipsoids of a room: what each pixel sees, how far, in which light.

A ray of the camera has the direction (x / f, y / f, 1), so that what it meets at the parameter t
has the depth t. All boxes are met in their own frames, where they are aligned with the axes.
Vectors are lists of three arrays, which compilers fuse.
"""

import math

import numpy as np
from keras import ops

from c2f_zoo.data.scenes import sampling
from c2f_zoo.data.scenes.compositing import choose_number
from c2f_zoo.data.scenes.depth_parameters import FACES
from c2f_zoo.data.scenes.textures import pack_colors

NEVER = 1e9  # depth of what is not met
TOUCH = 1e-3  # share of the way to the light within which a surface does not shadow itself


def mip_pyramid(pixels):
    """Textures (N, h, w, 3) uint8, halved again and again: packed, one after the other.

    Returns an int32 array (M,) and a tuple with the (offset, height, width) of every level.
    """
    levels, places, offset = [], [], 0
    pixels = pixels.astype("float32")
    while True:
        rounded = np.rint(pixels).astype("uint8")
        places.append((offset, *pixels.shape[1:3]))
        levels.append(pack_colors(rounded).reshape(-1))
        offset += levels[-1].size
        height, width = (side // 2 for side in pixels.shape[1:3])
        if min(height, width) < 2 or len(levels) == 8:
            return np.concatenate(levels), tuple(places)
        pixels = pixels[:, : 2 * height, : 2 * width]
        pixels = pixels.reshape(-1, height, 2, width, 2, 3).mean((2, 4))


def directions(parameters, size, finer):
    """Rays of every pixel, or of `finer` x `finer` places within each: three (B, H', W')."""
    height, width = size
    rows, columns = (
        (ops.arange(side * finer, dtype="float32") + 0.5) / finer - side / 2
        for side in (height, width)
    )
    focal = parameters["focal"][:, None, None]
    x, y = columns[None, None, :] / focal, rows[None, :, None] / focal
    turn = parameters["rotation"]
    return [
        turn[:, axis, 0, None, None] * x
        + turn[:, axis, 1, None, None] * y
        + turn[:, axis, 2, None, None]
        for axis in range(3)
    ]


def box_of(parameters, box):
    """Half the sides (three arrays), roundness, centre (three) and axes (three by three) of a box.

    `box` is the number of one box, of all scenes: arrays (B, 1, 1). Or it tells one at every pixel,
    (B, H', W'), and the arrays have its shape.
    """

    def of(name, *entry):
        table = parameters[name][(slice(None), slice(None), *entry)]
        if len(getattr(box, "shape", ())) == 3:
            return choose_number(box, table)
        return ops.take(table, box, axis=1)[:, None, None]

    axes = range(3)
    return (
        [of("half", axis) for axis in axes],
        of("round"),
        [of("centre", axis) for axis in axes],
        [[of("axes", axis, entry) for entry in axes] for axis in axes],
    )


def turned(axes, vector):
    """A vector of the scene in the axes of a box: three arrays."""
    return [sum(a * b for a, b in zip(axis, vector, strict=True)) for axis in axes]


def minus(first, second):
    """Difference of two vectors: three arrays."""
    return [a - b for a, b in zip(first, second, strict=True)]


def meet(half, roundness, start, step):
    """Where `start + t * step` enters a box or its ellipsoid, and where it leaves the box.

    `half` are three (B, 1, 1), `start` and `step` three arrays in the frame of the box. Returns
    the t of the entry, `NEVER` where there is none ahead, and that of the exit.
    """
    enters, leaves = [], []
    for side, origin, change in zip(half, start, step, strict=True):
        change = ops.where(ops.abs(change) < 1e-9, 1e-9, change)
        inverse = 1.0 / change
        ends = (-side - origin) * inverse, (side - origin) * inverse
        enters.append(ops.minimum(*ends))
        leaves.append(ops.maximum(*ends))
    first = ops.maximum(ops.maximum(enters[0], enters[1]), enters[2])
    last = ops.minimum(ops.minimum(leaves[0], leaves[1]), leaves[2])
    into_cube = ops.where((first <= last) & (first > 0), first, NEVER)

    start = [origin / side for origin, side in zip(start, half, strict=True)]
    step = [change / side for change, side in zip(step, half, strict=True)]
    a = sum(change * change for change in step)
    b = sum(origin * change for origin, change in zip(start, step, strict=True))
    # From the nearest point of the line, which keeps the digits that b^2 - a c would lose.
    nearest = [origin - b / a * change for origin, change in zip(start, step, strict=True)]
    inside = 1.0 - sum(place * place for place in nearest)
    entry = (-b - ops.sqrt(ops.maximum(inside * a, 0.0))) / a
    into_ball = ops.where((inside >= 0) & (entry > 0), entry, NEVER)
    return ops.where(roundness > 0.5, into_ball, into_cube), last


def nearest(parameters, rays):
    """Depth of what the rays (three arrays) meet first, and the number of its box, int32."""

    def met(box):
        half, roundness, centre, axes = box_of(parameters, box)
        start = turned(axes, [-place for place in centre])
        return meet(half, roundness, start, turned(axes, rays))

    def closer(box, found):
        depth, index = found
        enters, _ = met(box)
        is_closer = enters < depth
        return ops.where(is_closer, enters, depth), ops.where(is_closer, box, index)

    _, depth = met(0)  # the room, from within
    # A loop rather than its steps one after the other: those would take a minute to compile.
    count = parameters["half"].shape[1]
    return ops.fori_loop(1, count, closer, (depth, ops.zeros_like(depth, "int32")))


def only_depth(parameters, size):
    """Depth (B, H, W, 1) of the centre of every pixel."""
    return nearest(parameters, directions(parameters, size, 1))[0][..., None]


def cast(parameters, size, finer):
    """Find what the rays meet first, as a dict of arrays (B, H', W').

    `depth`; `index` of the box, int32; `shade`, 1 where the light reaches it; and lists of three:
    `place`, where it is met, and `ray`, the direction, in the frame of the scene.
    """
    rays = directions(parameters, size, finer)
    depth, index = nearest(parameters, rays)
    place = [depth * ray for ray in rays]
    shade = shadows(parameters, place)
    return {"depth": depth, "index": index, "place": place, "ray": rays, "shade": shade}


def shadows(parameters, place):
    """1 where the light reaches a place (three arrays (B, H', W')), else 0."""
    light = [parameters["light"][:, axis, None, None] for axis in range(3)]
    way = minus(light, place)

    def darken(box, lit):
        half, roundness, centre, axes = box_of(parameters, box)
        start = turned(axes, minus(place, centre))
        enters, _ = meet(half, roundness, start, turned(axes, way))
        return lit * ops.cast((enters < TOUCH) | (enters > 1), "float32")

    return ops.fori_loop(1, parameters["half"].shape[1], darken, ops.ones_like(place[0]))


def look_up(parameters, seen, places):
    """Where in the textures each ray ends, and how bright it is there.

    `places` is what `mip_pyramid` told. Returns a dict of (B, H', W'): `corners`, four lists of
    int32 indices into the packed textures, `right` and `down`, their weights, `surface`, `light`.
    """
    half, roundness, centre, axes = box_of(parameters, seen["index"])
    place = turned(axes, minus(seen["place"], centre))
    share = [ops.abs(a / b) for a, b in zip(place, half, strict=True)]
    is_x = (share[0] >= share[1]) & (share[0] >= share[2])
    is_y = ops.logical_not(is_x) & (share[1] >= share[2])

    def by_axis(x, y, z):
        return ops.where(is_x, x, ops.where(is_y, y, z))

    side = by_axis(*[ops.cast(value > 0, "int32") for value in place])
    face = 2 * by_axis(*[ops.full_like(side, axis) for axis in range(3)]) + side
    surface = ops.where(seen["index"] == 0, face, FACES - 1 + seen["index"])
    a, b = by_axis(place[2], place[0], place[0]), by_axis(place[1], place[2], place[1])

    flat = [
        ops.where(here, 1.0, 0.0) * ops.sign(value)
        for here, value in zip((is_x, is_y, ops.logical_not(is_x | is_y)), place, strict=True)
    ]
    bent = [value / side**2 for value, side in zip(place, half, strict=True)]
    normal = [ops.where(roundness > 0.5, x, y) for x, y in zip(bent, flat, strict=True)]
    slope = _cosine(normal, turned(axes, seen["ray"]))
    lamp = [parameters["light"][:, axis, None, None] for axis in range(3)]
    lamp = turned(axes, minus(lamp, seen["place"]))
    light = ops.maximum(_cosine(normal, lamp) * -ops.sign(slope), 0.0)
    ambient = parameters["ambient"][:, None, None]
    light = ambient + (1 - ambient) * light * seen["shade"]

    def mapping(entry):
        return choose_number(surface, parameters["mapping"][:, :, entry])

    scale = ops.sqrt(mapping(1) ** 2 + mapping(4) ** 2)  # texels per metre
    u = mapping(0) + mapping(1) * a + mapping(2) * b
    v = mapping(3) + mapping(4) * a + mapping(5) * b
    # Between the texels along and across a slanted surface that a pixel covers.
    focal = parameters["focal"][:, None, None]
    covered = seen["depth"] / focal * scale * ops.rsqrt(ops.maximum(ops.abs(slope), 0.05))
    level = ops.log(ops.maximum(covered, 1e-6)) / math.log(2.0)
    level = ops.cast(ops.clip(ops.round(level), 0, len(places) - 1), "int32")
    table = ops.convert_to_tensor(np.array(places, "int32"))
    offset, height, width = (ops.take(table[:, entry], level) for entry in range(3))
    shrink = ops.exp(-math.log(2.0) * ops.cast(level, "float32"))
    column, right = _fold((u + 0.5) * shrink - 0.5, width)
    row, down = _fold((v + 0.5) * shrink - 0.5, height)
    texture = choose_number(surface, parameters["texture"])
    corner = offset + (texture * height + row) * width + column
    return {
        "corners": [corner, corner + 1, corner + width, corner + width + 1],
        "right": right,
        "down": down,
        "surface": surface,
        "light": light,
    }


def paint(parameters, packed, looked, finer):
    """Colours of the rays, averaged over each pixel: three channels (B, H, W)."""
    texels = [ops.take(packed, corner) for corner in looked["corners"]]
    colors = sampling.unpack(texels, looked)
    table = parameters["color"]
    result = []
    for channel in range(3):
        value = choose_number(looked["surface"], table[:, :, channel, 3])
        for source in range(3):
            share = choose_number(looked["surface"], table[:, :, channel, source])
            value = value + share * colors[source]
        value = ops.clip(value, 0, 1) * looked["light"]
        batch, height, width = value.shape
        cells = (batch, height // finer, finer, width // finer, finer)
        result.append(ops.mean(ops.reshape(value, cells), axis=(2, 4)))
    return result


def _cosine(first, second):
    product = sum(a * b for a, b in zip(first, second, strict=True))
    lengths = [sum(a * a for a in vector) for vector in (first, second)]
    return product * ops.rsqrt(ops.maximum(lengths[0] * lengths[1], 1e-20))


def _fold(position, side):
    """Pixel and weight of the next one, of a texture that is mirrored at its borders."""
    last = ops.cast(side - 1, "float32")
    position = position - 2 * last * ops.floor(position / (2 * last))
    position = last - ops.abs(position - last)
    whole = ops.clip(ops.cast(position, "int32"), 0, side - 2)
    return whole, position - ops.cast(whole, "float32")
