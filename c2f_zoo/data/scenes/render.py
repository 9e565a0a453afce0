"""Render batches of layered scenes: two frames and the exact flow between them.

Every layer has its silhouette and texture in the coordinates of frame 2, and a smooth flow F on
the grid of frame 1. Frame 1 shows at x what frame 2 has at x + F(x), so the flow of the topmost
layer is exact, for any F. Silhouettes are formulas: which layers a pixel sees is decided without
touching a texture, then the two topmost are fetched and blended at their antialiased edge.

The work is cut into stages that are compiled one by one, once per shape: given all at once, XLA
repeats work that several results share and takes minutes to compile.
"""

import functools

from keras import ops

from c2f_zoo import backend
from c2f_zoo.data.scenes import compositing, effects, sampling
from c2f_zoo.data.scenes.motion import flow_fields


@functools.cache
def compiled(stage, **settings):
    """Compile a stage, a function of tensors, for hashable `settings` that it also takes."""
    return backend.jit(functools.partial(stage, **settings), xla=True)


def render(parameters, atlas, tile, size, options, with_masks=False):
    """Render a batch of scenes: a dict as of `Scenes.render`.

    Args:
        parameters: What `draw_parameters` drew, as tensors.
        atlas: (N, h, w) int32, textures packed by `pack_colors`.
        tile: What `noise_tile` made.
        size: (H, W) of the frames, pixels.
        options: `Effects`; stages of effects that never happen are left out.
        with_masks: Whether to add what training does not need.
    """
    flows = compiled(flow_fields, size=size)(parameters["control"])
    still = ops.zeros((1, 1, 2, 1, 1))
    first, owner, flow = _frame(parameters, atlas, flows, size, options)
    second, owner2, _ = _frame(parameters, atlas, still, size, options)
    if options.blur:
        onward = compiled(compositing.choose_flow)(owner2, flows)
        first = _blur(first, flow, parameters["blur"], options)
        second = _blur(second, onward, parameters["blur"], options)
    result = {"flow": ops.stack(flow, -1)}
    for frame, image in enumerate((first, second)):
        result[f"image{frame + 1}"] = sensed(image, frame, parameters, tile, options)
    if with_masks:
        landing = ops.stack(flow, 1)[:, None]
        seen = _seen(parameters, landing, size, with_shadows=False)
        result.update(compiled(compositing.masks, size=size)(parameters, owner, flow, seen))
    return result


def _seen(parameters, flows, size, with_shadows):
    level_sets = compiled(compositing.level_sets, size=size, with_shadows=with_shadows)
    return compiled(compositing.visibility)(level_sets(parameters, flows))


def _frame(parameters, atlas, flows, size, options):
    """Colours, owner and flow of one frame, whose pixels lie `flows` away from frame 2's."""
    seen = _seen(parameters, flows, size, with_shadows=options.shadow > 0)
    return shown(parameters, atlas, flows, seen, size)


def shown(parameters, atlas, flows, seen, size):
    """Fetch, light and blend what `seen` of a frame: colours, owner and flow, as `blend` does."""
    place_in_texture = compiled(sampling.place_in_texture, size=size)
    texels_of = compiled(sampling.texels_of, atlas_shape=tuple(atlas.shape))
    colors, steps = [], []
    for index, light in ((seen["top"], seen["light"]), (seen["second"], seen["light_second"])):
        step = compiled(compositing.choose_flow)(index, flows)
        place = place_in_texture(parameters, index, light, step)
        texels = texels_of(place)
        neighbours = compiled(sampling.fetch)(atlas, texels["corner"])
        color = compiled(sampling.unpack)(neighbours, texels)
        colors.append(compiled(sampling.light_colors)(parameters, index, place["light"], color))
        steps.append(step)
    return compiled(compositing.blend)(seen, colors, steps)


def sensed(image, frame, parameters, tile, options):
    """Make an image (B, H, W, 3) of the three channels of frame 0 or 1: tone and noise."""
    tone, start = parameters["tone"][:, frame], parameters["noise_start"][:, frame]
    image = compiled(effects.develop, with_tone=options.photometric > 0)(image, tone)
    if options.noise:
        image = compiled(effects.add_noise)(image, tile, parameters["noise"], start)
    return image


def _blur(image, flow, exposure, options):
    packed = compiled(effects.pack_frame)(image)
    taps = compiled(effects.streaks, limit=options.blur_limit)(packed, flow, exposure)
    return compiled(effects.mean_of_taps)(image, taps, exposure)
