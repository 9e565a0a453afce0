"""Render batches of layered scenes: two frames and the exact flow between them.

Every layer has its silhouette and texture in the coordinates of frame 2, and a smooth flow F on
the grid of frame 1. Frame 1 shows at x what frame 2 has at x + F(x), so the flow of the topmost
layer is exact, for any F. Silhouettes are formulas: which layers a pixel sees is decided without
touching a texture, then the two topmost are fetched and blended at their antialiased edge.

The work is cut into stages that are compiled one by one: within a stage a compiler fuses some
hundred operations into one pass over the pixels; given all at once, XLA repeats work that
several results share and takes minutes to compile.
"""

import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.data.scenes import effects as effect
from c2f_zoo.data.scenes.motion import flow_fields
from c2f_zoo.data.scenes.shapes import per_layer, signed_distances


class Renderer:
    """The compiled stages of rendering, for one frame size and atlas.

    Args:
        size: (H, W) of the frames, pixels.
        atlas: (N, h, w) int32, textures packed by `pack_colors`.
        effects: `Effects`; stages of effects that never happen are left out.
    """

    def __init__(self, size, atlas, effects):
        self.size = size
        self.atlas_shape = atlas.shape
        self.atlas = ops.convert_to_tensor(atlas.reshape(-1))
        self.tile = ops.convert_to_tensor(effect.noise_tile(size))
        self.effects = effects

        def compiled(stage):
            return backend.jit(stage, xla=True)

        # One compiled function per frame where shapes differ, so that none is traced again.
        self._flows = compiled(self._flows)
        self._level_sets = {view: compiled(self._level_sets) for view in ("1", "2", "landing")}
        self._choose_flow = {view: compiled(choose_flow) for view in ("1", "2", "onward")}
        self._place = {view: compiled(self._place) for view in ("1", "2")}
        self._visibility = compiled(visibility)
        self._texels = compiled(self._texels)
        self._fetch = compiled(self._fetch)
        self._unpack = compiled(unpack)
        self._light = compiled(light_colors)
        self._blend = compiled(blend)
        self._pack = compiled(effect.pack_frame)
        self._streaks = compiled(self._streaks)
        self._mean_of_taps = compiled(effect.mean_of_taps)
        self._develop = compiled(self._develop)
        self._add_noise = compiled(effect.add_noise)
        self._masks = compiled(self._masks)

    def __call__(self, parameters, masks=False):
        """Render a batch of scenes.

        Args:
            parameters: What `draw_parameters` drew, as tensors.
            masks: Whether to add what training does not need.

        Returns:
            Dict as of `Scenes.render`.
        """
        flows = self._flows(parameters)
        still = ops.zeros((1, 1, 2, 1, 1))
        first, owner1, flow = self._frame(parameters, flows, view="1")
        second, owner2, _ = self._frame(parameters, still, view="2")
        if self.effects.blur:
            first = self._blur(first, flow, parameters["blur"])
            onward = self._choose_flow["onward"](owner2, flows)
            second = self._blur(second, onward, parameters["blur"])
        result = {"flow": ops.stack(flow, -1)}
        for frame, image in enumerate((first, second)):
            tone, start = parameters["tone"][:, frame], parameters["noise_start"][:, frame]
            image = self._develop(image, tone)
            if self.effects.noise:
                image = self._add_noise(image, self.tile, parameters["noise"], start)
            result[f"image{frame + 1}"] = image
        if masks:
            landing = ops.stack(flow, 1)[:, None]
            seen = self._visibility(parameters, self._level_sets["landing"](parameters, landing))
            result.update(self._masks(parameters, owner1, flow, seen))
        return result

    def _frame(self, parameters, flows, view):
        seen = self._visibility(parameters, self._level_sets[view](parameters, flows))
        layers = (seen["top"], seen["light"]), (seen["second"], seen["light_second"])
        colors, steps = [], []
        for index, light in layers:
            step = self._choose_flow[view](index, flows)
            place = self._place[view](parameters, index, light, step)
            texels = self._texels(place)
            color = self._unpack(self._fetch(self.atlas, texels["corner"]), texels)
            colors.append(self._light(parameters, index, place["light"], color))
            steps.append(step)
        return self._blend(seen, colors, steps)

    def _place(self, parameters, index, light, step):
        x, y = self._grid()
        return place_in_texture(parameters, index, light, x + step[0], y + step[1])

    def _grid(self):
        x = ops.arange(self.size[1], dtype="float32")
        y = ops.arange(self.size[0], dtype="float32")
        return x[None, :], y[:, None]

    def _flows(self, parameters):
        return flow_fields(parameters["control"], self.size)

    def _level_sets(self, parameters, flows):
        x, y = self._grid()
        # The background has no silhouette; its flow is left out unless all layers share one.
        x, y = (axis + flows[:, min(1, flows.shape[1] - 1) :, i] for i, axis in enumerate((x, y)))
        distances = signed_distances(parameters, x, y)
        if not self.effects.shadow:
            return distances, None
        return distances, shadows(parameters, distances, x, y)

    def _texels(self, place):
        return texels_of(place, self.atlas_shape)

    def _fetch(self, atlas, corner):
        width = self.atlas_shape[2]
        return [ops.take(atlas, corner + step) for step in (0, 1, width, width + 1)]

    def _blur(self, image, flow, exposure):
        taps = self._streaks(self._pack(image), flow, exposure)
        return self._mean_of_taps(image, taps, exposure)

    def _streaks(self, packed, flow, exposure):
        return effect.streaks(packed, flow, exposure, self.effects.blur_limit)

    def _develop(self, image, tone):
        if self.effects.photometric:
            image = effect.develop(image, tone)
        return ops.clip(ops.stack(image, -1), 0, 1)

    def _masks(self, parameters, owner, flow, seen):
        x, y = self._grid()
        height, width = self.size
        to_x, to_y = x + flow[0], y + flow[1]
        covered = owner_of(seen) != owner
        inside = (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
        plane = [choose_number(owner, parameters["plane"][:, :, entry]) for entry in range(3)]
        nearness = ops.maximum(plane[0] + plane[1] * x + plane[2] * y, 0.05)
        return {
            "occlusion": ops.cast(covered, "float32")[..., None],
            "outside": ops.cast(ops.logical_not(inside), "float32")[..., None],
            "valid": ops.cast(inside & ops.logical_not(covered), "float32")[..., None],
            "nearness": nearness[..., None],
            "layer": owner[..., None],
        }


def shadows(parameters, distances, x, y):
    """What the shadow of each layer leaves of the light.

    Args:
        parameters: What `draw_parameters` drew, as tensors.
        distances: (B, L - 1, H, W) level sets.
        x, y: Frame-2 coordinates, broadcastable to that shape.

    Returns:
        (B, L - 1, H, W) in [0, 1].
    """
    shadow = parameters["shadow"]
    x, y = x - per_layer(parameters["centre"], 0), y - per_layer(parameters["centre"], 1)
    shift = (x * per_layer(shadow, 2) + y * per_layer(shadow, 3)) * ops.rsqrt(x * x + y * y + 1)
    # Where the shape, shifted, would be: to first order its level set there.
    inside = ops.clip(0.5 - (distances - shift) / (2 * per_layer(shadow, 1)), 0, 1)
    return 1 - per_layer(shadow, 0) * inside * inside * (3 - 2 * inside)


def visibility(parameters, level_sets):
    """Decide which two layers each pixel shows.

    Args:
        parameters: What `draw_parameters` drew, as tensors; gives the shapes only.
        level_sets: Level sets (B, L - 1, H, W) and shadows, the same shape or None.

    Returns:
        Dict of (B, H, W): `top`, the index of the topmost layer that touches the pixel, its
        `coverage` in (0, 1], `second`, the index of the layer that fills the rest, and `light`,
        `light_second`, what shadows leave of the light on either.
    """
    distances, shades = level_sets
    count = distances.shape[1]
    nothing = ops.zeros_like(distances[:, 0])
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


def owner_of(seen):
    """The layer that covers half of the pixel or more: (B, H, W) int32."""
    return ops.where(seen["coverage"] >= 0.5, seen["top"], seen["second"])


def choose(index, values):
    """Pick one of a list of arrays, one per layer, at each pixel of `index` (B, H, W)."""
    result = values[0]
    for layer in range(1, len(values)):
        result = ops.where(index == layer, values[layer], result)
    return result


def choose_number(index, table):
    """Pick one number of `table` (B, L) at each pixel of `index` (B, H, W)."""
    batch, layers = table.shape
    row = ops.arange(batch, dtype="int32")[:, None, None] * layers
    return ops.take(ops.reshape(table, (-1,)), row + index)


def choose_flow(index, flows):
    """Pick the flow of each pixel's layer: a tuple of u and v, (B, H, W)."""
    return tuple(
        choose(index, [flows[:, layer, axis] for layer in range(flows.shape[1])])
        for axis in range(2)
    )


def place_in_texture(parameters, index, light, x, y):
    """Where in its texture each pixel lies, and the light there.

    Args:
        parameters: What `draw_parameters` drew, as tensors.
        index: (B, H, W) int32, the layer of each pixel.
        light: (B, H, W), what shadows leave of the light.
        x, y: Frame-2 coordinates, broadcastable to (B, H, W), pixels.

    Returns:
        Dict of (B, H, W): `u`, `v`, texture coordinates in pixels, unbounded; `texture`, int32;
        and `light`.
    """

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
    """Which texels to interpolate, mirrored at a texture's borders so that no seam shows.

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


def unpack(texels, weights):
    """Interpolate packed colours.

    Args:
        texels: Four arrays (B, H, W) int32.
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


def blend(seen, colors, steps):
    """Put the topmost layer over the second one.

    Args:
        seen: What `visibility` decided.
        colors: Two lists of three arrays (B, H, W).
        steps: Two pairs of arrays (B, H, W), the flows of the layers.

    Returns:
        Tuple of the blended list, the owner (B, H, W) int32 of each pixel, the layer that covers
        half of it or more, and the owner's flow.
    """
    coverage = seen["coverage"]
    color = [back + coverage * (front - back) for front, back in zip(*colors, strict=True)]
    flow = [ops.where(coverage >= 0.5, front, back) for front, back in zip(*steps, strict=True)]
    return color, owner_of(seen), flow
