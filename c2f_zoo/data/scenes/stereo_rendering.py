"""Render batches of stereo scenes: left and right image and the disparity of the left one.

Silhouettes and textures of all layers are given in the coordinates of the left image, their depth
by `surfaces`. Of the layers that a pixel touches it shows the one of the largest disparity.
"""

from keras import ops

from c2f_zoo.data.scenes import compositing, surfaces
from c2f_zoo.data.scenes.render import compiled, sensed, shown

COPLANAR = 1e-3  # pixels: what is painted on a surface lies this much before it


def render_stereo(parameters, atlas, tile, size, options, with_masks=False):
    """Render a batch of stereo scenes: a dict as of `StereoScenes.render`.

    Args:
        parameters: What `draw_stereo_parameters` drew, as tensors.
        atlas: (N, h, w) int32, textures packed by `pack_colors`.
        tile: What `noise_tile` made.
        size: (H, W) of the images, pixels.
        options: `Effects`; stages of effects that never happen are left out.
        with_masks: Whether to add what training does not need.
    """
    still = ops.zeros((1, 1, 2, 1, 1))
    at_left = compiled(surfaces.left_view, size=size)(parameters)
    at_right, places = compiled(surfaces.right_view, size=size)(parameters)
    left, owner = _view(parameters, atlas, at_left, still, size, options)
    right, _ = _view(parameters, atlas, at_right, places, size, options)
    disparity = compiled(choose)(owner, at_left)
    result = {"disparity": disparity[..., None]}
    for frame, (name, image) in enumerate((("left", left), ("right", right))):
        if options.blur:
            image = compiled(defocus)(image, parameters["focus"][:, frame])
        result[name] = sensed(image, frame, parameters, tile, options)
    if with_masks:
        there, flows = compiled(surfaces.landing, size=size)(parameters, disparity)
        sets = _level_sets(parameters, flows, size, False)
        seen = compiled(visibility_by_depth)(sets[0], there)
        result.update(compiled(masks, size=size)(parameters, owner, disparity, seen))
    return result


def _level_sets(parameters, flows, size, with_shadows):
    return compiled(compositing.level_sets, size=size, with_shadows=with_shadows)(parameters, flows)


def _view(parameters, atlas, disparities, flows, size, options):
    """Colours (three channels) and owner of one view, whose layers are `flows` away in the left."""
    is_left = flows.shape[1] == 1  # all layers are where they are
    with_shadows = options.shadow > 0
    distances, shades = _level_sets(parameters, flows, size, with_shadows and is_left)
    seen = compiled(visibility_by_depth)(distances, disparities)
    if with_shadows:
        owner = compiled(compositing.owner_of)(seen)
        if not is_left:
            # A shadow lies on what receives it, at the same place of it in both views.
            place = compiled(place_of)(owner, flows)
            _, shades = _level_sets(parameters, place, size, True)
        light = compiled(light_left)(parameters, owner, disparities, shades)
        seen = {**seen, "light": light, "light_second": light}
    color, owner, _ = shown(parameters, atlas, flows, seen, size)
    return color, owner


def place_of(owner, flows):
    """The flow (B, 1, 2, H, W) of each pixel's layer `owner` (B, H, W), as one for all layers."""
    return ops.stack(compositing.choose_flow(owner, flows), 1)[:, None]


def choose(index, arrays):
    """Pick each pixel's entry of arrays (B, L, H, W) by `index` (B, H, W)."""
    chosen = arrays[:, 0]
    for layer in range(1, arrays.shape[1]):
        chosen = ops.where(index == layer, arrays[:, layer], chosen)
    return chosen


def visibility_by_depth(distances, disparities):
    """Decide which two layers each pixel shows, as `compositing.visibility`, by their depth.

    `distances` (B, L - 1, H, W) are level sets of the layers before layer 0, `disparities`
    (B, L, H, W) of all.
    """
    count = distances.shape[1]
    near = disparities[:, 0]
    coverage = ops.ones_like(near)
    top = second = ops.zeros_like(near, dtype="int32")
    own = [ops.clip(0.5 - distances[:, layer], 0, 1) for layer in range(count)]
    for layer in range(count):
        nearer = (own[layer] > 0) & (disparities[:, layer + 1] > near - COPLANAR)
        top = ops.where(nearer, layer + 1, top)
        near = ops.where(nearer, disparities[:, layer + 1], near)
        coverage = ops.where(nearer, own[layer], coverage)
    # Only a layer that owns the pixel (covers half of it) may fill behind the nearest one.
    behind = disparities[:, 0]
    for layer in range(count):
        fills = (own[layer] >= 0.5) & (top != layer + 1)
        fills = fills & (disparities[:, layer + 1] > behind - COPLANAR)
        second = ops.where(fills, layer + 1, second)
        behind = ops.where(fills, disparities[:, layer + 1], behind)
    light = ops.ones_like(near)
    return {"top": top, "coverage": coverage, "second": second, "light": light,
            "light_second": light}  # fmt: skip


def light_left(parameters, owner, disparities, shades):
    """What the shadows of nearer layers leave of the light on the layer `owner`, (B, H, W).

    `shades` (B, L - 1, H, W) is what each layer's leaves at the place of the owner.
    """
    receiver = choose(owner, disparities)
    light = ops.ones_like(receiver)
    for layer in range(shades.shape[1]):
        caster = parameters["surface"][:, layer + 1, 0, None, None]
        casts = (caster > receiver + 0.5) & (owner != layer + 1)
        light = light * ops.where(casts, shades[:, layer], 1.0)
    return light


def defocus(image, weight):
    """Blend three channels (B, H, W) with their binomial 3x3 mean, by `weight` (B,) in [0, 1]."""
    weight = weight[:, None, None]

    def smooth(channel):
        for axis in (1, 2):
            pads = [(0, 0)] * 3
            pads[axis] = (1, 1)
            wide = ops.pad(channel, pads, "symmetric")
            low, high = (
                (wide[:, :-2], wide[:, 2:]) if axis == 1 else (wide[:, :, :-2], wide[:, :, 2:])
            )
            channel = 0.5 * channel + 0.25 * (low + high)
        return channel

    return [channel + weight * (smooth(channel) - channel) for channel in image]


def masks(parameters, owner, disparity, seen, size):
    """Masks (B, H, W, 1) of the left image, exact: see `StereoScenes.render`.

    `owner` (B, H, W) int32 is the visible layer, `seen` what `visibility_by_depth` decides at the
    places in the right image that the disparity (B, H, W) leads to.
    """
    height, width = size
    x, y = compositing.frame_grid(size)
    x = x - disparity
    y = y + surfaces.vertical_offset(parameters, x[:, None])[:, 0]
    # A thousandth of a pixel is rounding: whole-pixel disparity onto the border is inside.
    inside = (x >= -1e-3) & (x <= width - 1 + 1e-3) & (y >= -1e-3) & (y <= height - 1 + 1e-3)
    hidden = compositing.owner_of(seen) != owner
    outside = ops.logical_not(inside)
    return {
        "occlusion": ops.cast(hidden | outside, "float32")[..., None],
        "outside": ops.cast(outside, "float32")[..., None],
        "layer": owner[..., None],
    }
