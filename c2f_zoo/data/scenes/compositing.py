"""Which layers a pixel shows, how much of each, and in whose shadow, from formulas alone."""

from keras import ops

from c2f_zoo.data.scenes.shapes import per_layer, signed_distances


def level_sets(parameters, flows, size, with_shadows):
    """Evaluate the silhouettes of all layers in one frame.

    `flows` say where each pixel of the frame lies in frame 2, as a displacement: (B, L, 2, H, W),
    or one for all layers, (B, 1, 2, H, W), or zeros (1, 1, 2, 1, 1) for frame 2 itself. Returns the
    level sets (B, L - 1, H, W) of the layers before the background, negative inside, and what the
    shadow of each leaves of the light, of the same shape, or None.
    """
    # The background has no silhouette: its flow is left out, unless it is that of all layers.
    flows = flows[:, 1:] if flows.shape[1] > 1 else flows
    x, y = frame_grid(size)
    x, y = x + flows[:, :, 0], y + flows[:, :, 1]
    distances = signed_distances(parameters, x, y)
    if not with_shadows:
        return distances, None

    shadow = parameters["shadow"]
    x, y = x - per_layer(parameters["centre"], 0), y - per_layer(parameters["centre"], 1)
    shift = (x * per_layer(shadow, 2) + y * per_layer(shadow, 3)) * ops.rsqrt(x * x + y * y + 1)
    # Where the shape, shifted, would be: to first order its level set there.
    inside = ops.clip(0.5 - (distances - shift) / (2 * per_layer(shadow, 1)), 0, 1)
    return distances, 1 - per_layer(shadow, 0) * inside * inside * (3 - 2 * inside)


def visibility(sets):
    """Decide from `level_sets` which two layers each pixel shows.

    Returns a dict of (B, H, W): `top`, the index of the topmost layer that touches the pixel,
    int32, its `coverage` in (0, 1], `second`, the index of the layer that fills the rest, and
    `light`, `light_second`, what shadows leave of the light on either.
    """
    distances, shades = sets
    batch, count, height, width = distances.shape
    nothing = ops.zeros((batch, height, width))
    top = second = ops.cast(nothing, "int32")
    coverage = light = light_second = nothing + 1.0
    own = [ops.clip(0.5 - distances[:, layer], 0, 1) for layer in range(count)]
    for layer in range(count):
        top = ops.where(own[layer] > 0, layer + 1, top)
    for layer in range(count):
        # Only a layer that owns the pixel (covers half of it) may fill behind a nearer one.
        second = ops.where((own[layer] >= 0.5) & (top > layer + 1), layer + 1, second)
        coverage = ops.where(top == layer + 1, own[layer], coverage)
    if shades is not None:
        for layer in range(count):
            light = light * ops.where(top <= layer, shades[:, layer], 1.0)
            light_second = light_second * ops.where(second <= layer, shades[:, layer], 1.0)
    return {"top": top, "coverage": coverage, "second": second, "light": light,
            "light_second": light_second}  # fmt: skip


def blend(seen, colors, steps):
    """Put the topmost layer over the second one, as `visibility` decided.

    `colors` are two lists of three channels (B, H, W), `steps` the two layers' flows. Returns the
    blended channels, the owner (B, H, W) int32 of each pixel, and the owner's flow.
    """
    coverage = seen["coverage"]
    color = [back + coverage * (front - back) for front, back in zip(*colors, strict=True)]
    flow = [ops.where(coverage >= 0.5, front, back) for front, back in zip(*steps, strict=True)]
    return color, owner_of(seen), flow


def owner_of(seen):
    """The layer that covers half of the pixel or more, (B, H, W) int32."""
    return ops.where(seen["coverage"] >= 0.5, seen["top"], seen["second"])


def choose_number(index, table):
    """Pick one number of `table` (B, L) at each pixel of `index` (B, H, W)."""
    batch, layers = table.shape
    row = ops.arange(batch, dtype="int32")[:, None, None] * layers
    return ops.take(ops.reshape(table, (-1,)), row + index)


def choose_flow(index, flows):
    """Pick u and v of each pixel's layer, `index` (B, H, W), from flows (B, L, 2, H, W)."""
    chosen = [flows[:, 0, 0], flows[:, 0, 1]]
    for layer in range(1, flows.shape[1]):
        here = index == layer
        chosen = [ops.where(here, flows[:, layer, axis], chosen[axis]) for axis in range(2)]
    return chosen


def frame_grid(size):
    """Pixel coordinates x (1, W) and y (H, 1) of a frame of `size` (H, W), float32."""
    y, x = (ops.arange(length, dtype="float32") for length in size)
    return x[None, :], y[:, None]


def masks(parameters, owner, flow, seen, size):
    """Masks and depth (B, H, W, 1) of frame 1, exact: see `Scenes.render`.

    `owner` (B, H, W) int32 is the visible layer, `flow` its u and v, `seen` what `visibility`
    decides at the places in frame 2 that the flow leads to.
    """
    x, y = frame_grid(size)
    height, width = size
    to_x, to_y = x + flow[0], y + flow[1]
    covered = owner_of(seen) != owner
    # A thousandth of a pixel is rounding: whole-pixel motion onto the border is inside.
    inside = (to_x >= -1e-3) & (to_x <= width - 1 + 1e-3)
    inside = inside & (to_y >= -1e-3) & (to_y <= height - 1 + 1e-3)
    plane = [choose_number(owner, parameters["plane"][:, :, entry]) for entry in range(3)]
    nearness = ops.maximum(plane[0] + plane[1] * x + plane[2] * y, 0.05)
    return {
        "occlusion": ops.cast(covered, "float32")[..., None],
        "outside": ops.cast(ops.logical_not(inside), "float32")[..., None],
        "valid": ops.cast(inside & ops.logical_not(covered), "float32")[..., None],
        "nearness": nearness[..., None],
        "layer": owner[..., None],
    }
