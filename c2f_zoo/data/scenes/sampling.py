"""Colours of layers: where in the atlas a pixel looks, what it fetches, and how it is lit."""

from keras import ops

from c2f_zoo.data.scenes.compositing import choose_number, frame_grid


def place_in_texture(parameters, index, light, step, size):
    """Find where in its texture each pixel of the layers `index` (B, H, W) lies, and its light.

    `light` (B, H, W) is what shadows leave, `step` the flow of the layer: two arrays, pixels.
    Returns a dict of (B, H, W): `u`, `v`, texture coordinates in pixels, unbounded; `texture`,
    int32; and `light`.
    """
    x, y = frame_grid(size)
    x, y = x + step[0], y + step[1]

    def linear(name, first):
        constant, along_x, along_y = (
            choose_number(index, parameters[name][:, :, first + entry]) for entry in range(3)
        )
        return constant + along_x * x + along_y * y

    u, v = linear("mapping", 0), linear("mapping", 3)
    if "repeat" in parameters:
        # A patch of the texture, mirrored over and over, where its side is not beyond all bounds.
        start_u, start_v, side = (
            choose_number(index, parameters["repeat"][:, :, entry]) for entry in range(3)
        )
        period, per_period = 2 * side, 0.5 / side
        u = start_u + ops.abs(u - period * ops.round(u * per_period))
        v = start_v + ops.abs(v - period * ops.round(v * per_period))
    return {
        "u": u,
        "v": v,
        "texture": choose_number(index, parameters["texture"]),
        "light": light * linear("light", 0),
    }


def texels_of(place, atlas_shape):
    """Find the texels to interpolate, mirrored at a texture's borders so that no seam shows.

    Returns a dict of (B, H, W): `corner`, int32 index of the upper left of four neighbours in the
    flat atlas, and the weights `down` and `right` of the others.
    """
    _, height, width = atlas_shape

    def fold(position, side):
        period = 2.0 * (side - 1)
        position = position - period * ops.floor(position * (1 / period))
        position = (side - 1) - ops.abs(position - (side - 1))
        whole = ops.clip(ops.cast(position, "int32"), 0, side - 2)
        return whole, position - ops.cast(whole, "float32")

    column, right = fold(place["u"], width)
    row, down = fold(place["v"], height)
    corner = (place["texture"] * height + row) * width + column
    return {"corner": corner, "down": down, "right": right}


def fetch(atlas, corner):
    """Fetch four neighbours of `atlas` (N, h, w) int32 from `corner` (B, H, W) of it, flattened."""
    width = atlas.shape[2]
    flat = ops.reshape(atlas, (-1,))
    return [ops.take(flat, corner + step) for step in (0, 1, width, width + 1)]


def unpack(texels, weights):
    """Interpolate four packed colours (B, H, W) by what `texels_of` returned: three channels."""
    right, down = weights["right"], weights["down"]
    shares = ((1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down)
    result = []
    for channel in range(3):
        total = 0.0
        for texel, share in zip(texels, shares, strict=True):
            level = ops.bitwise_and(ops.right_shift(texel, 8 * channel), 255)
            total = total + share * ops.cast(level, "float32")
        result.append(total * (1 / 255))
    return result


def light_colors(parameters, index, light, color):
    """Turn three channels (B, H, W) of a texture into a layer's: its tint, light and fog."""
    table, fog = parameters["color"], parameters["fog"]
    weight = choose_number(index, fog[:, :, 0])
    result = []
    for channel in range(3):
        value = choose_number(index, table[:, :, channel, 3])
        for source in range(3):
            value = value + choose_number(index, table[:, :, channel, source]) * color[source]
        value = ops.clip(value, 0, 1) * light
        haze = choose_number(index, fog[:, :, 1 + channel])
        result.append(value + weight * (haze - value))
    return result
