"""Colours of layers: where in the atlas a pixel looks, what it fetches, and how it is lit."""

from keras import ops

from c2f_zoo.data.scenes.compositing import choose_number, frame_grid


def place_in_texture(parameters, index, light, step, size):
    """Find where in its texture each pixel lies, and the light there.

    Args:
        parameters: What `draw_parameters` drew, as tensors.
        index: (B, H, W) int32, the layer of each pixel.
        light: (B, H, W), what shadows leave of the light.
        step: Two arrays broadcastable to (B, H, W), the flow of that layer, pixels.
        size: (H, W), pixels.

    Returns:
        Dict of (B, H, W): `u`, `v`, texture coordinates in pixels, unbounded; `texture`, int32;
        and `light`.
    """
    x, y = frame_grid(size)
    x, y = x + step[0], y + step[1]

    def linear(name, first):
        constant, along_x, along_y = (
            choose_number(index, parameters[name][:, :, first + entry]) for entry in range(3)
        )
        return constant + along_x * x + along_y * y

    return {
        "u": linear("mapping", 0),
        "v": linear("mapping", 3),
        "texture": choose_number(index, parameters["texture"]),
        "light": light * linear("light", 0),
    }


def texels_of(place, atlas_shape):
    """Find the texels to interpolate, mirrored at a texture's borders so that no seam shows.

    Args:
        place: What `place_in_texture` found.
        atlas_shape: (N, h, w).

    Returns:
        Dict of (B, H, W): `corner`, int32 index of the upper left of four neighbours in the
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
    """Interpolate packed colours.

    Args:
        texels: Four arrays (B, H, W) int32, packed by `pack_colors`.
        weights: What `texels_of` returned.

    Returns:
        List of three arrays (B, H, W) in [0, 1].
    """
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
    """Turn texture colours into those of a layer: its tint, light and fog.

    Args:
        parameters: What `draw_parameters` drew, as tensors.
        index: (B, H, W) int32, the layer of each pixel.
        light: (B, H, W).
        color: List of three arrays (B, H, W).

    Returns:
        List of three arrays (B, H, W).
    """
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
