"""Draw everything that is random about a batch of scenes, as a few small arrays."""

import numpy as np

from c2f_zoo.data.scenes.effects import draw_effects
from c2f_zoo.data.scenes.motion import draw_motion
from c2f_zoo.data.scenes.shapes import draw_shapes


def draw_parameters(seed, index, size, batch_size, layers, motion, effects, textures, side):
    """Draw a batch of scenes; the same seed and index give the same scenes on every backend.

    Args:
        seed, index: Seed of the endless sequence of batches, and which batch of it.
        size: (H, W), pixels.
        batch_size: Number of scenes B.
        layers: (fewest, most) foreground layers; L is most + 1, the background included.
        motion: `Motion` or `MotionMixture`.
        effects: `Effects`.
        textures: Number of textures in the atlas.
        side: (h, w) of a texture, pixels.

    Returns:
        Dict of numpy arrays whose first axes are (B, L) or (B,): what `draw_motion`, `draw_shapes`
        and `draw_effects` draw, `nearness` (B, L), and per layer `texture` (B, L) int32, `mapping`
        (B, L, 6) from frame-2 pixels to texture pixels, `color` (B, L, 3, 4), a mixture of the
        channels and a bias.
    """
    random = np.random.default_rng([seed, index])
    fewest, most = layers
    shape = (batch_size, most + 1)
    count = random.integers(fewest, most + 1, (batch_size, 1))
    present = np.arange(most + 1)[None] <= count
    # Nearer layers come later; the ratio of depths is up to about five.
    steps = np.exp(random.uniform(0, 1.6, shape))
    nearness = np.sort(steps, axis=1)
    nearness[:, 0] = 1.0
    middle = random.uniform(-0.05, 1.05, (*shape, 2)) * (np.array(size[::-1]) - 1)
    middle[:, 0] = (np.array(size[::-1]) - 1) / 2
    control, centre, plane = draw_motion(random, motion, size, nearness, middle)
    parameters = {"control": control, "centre": centre, "plane": plane}
    parameters["nearness"] = nearness.astype("float32")
    parameters |= draw_shapes(random, size, *shape, present)
    parameters |= draw_looks(random, shape, textures, side)
    return parameters | draw_effects(random, effects, size, nearness, parameters["thickness"])


def rows_of(parameters, rows):
    """Some scenes of a batch's parameters: `rows` is a slice."""
    return {name: array[rows] for name, array in parameters.items()}


def draw_looks(random, shape, textures, side):
    """Draw texture, its placement and its colours for every layer; see `draw_parameters`."""
    scale = np.exp(random.uniform(np.log(0.5), np.log(1.4), shape))
    turn = random.uniform(0, 2 * np.pi, shape) * (random.random(shape) < 0.6)
    flip = random.choice([-1.0, 1.0], shape)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    start = random.uniform(0, 1, (*shape, 2)) * side[::-1]
    mapping = np.stack([start[..., 0], flip * cos, -sin, start[..., 1], flip * sin, cos], -1)

    # Towards grey or away from it, then gain per channel, contrast and brightness.
    saturation = random.uniform(0.4, 1.2, shape)[..., None, None]
    grey = np.array([0.299, 0.587, 0.114])[None, None, None, :]
    matrix = saturation * np.eye(3) + (1 - saturation) * grey
    swap = random.random(shape) < 0.3
    order = np.argsort(random.random((*shape, 3)), -1)
    permuted = np.take_along_axis(matrix, order[..., None], -2)
    matrix = np.where(swap[..., None, None], permuted, matrix)
    contrast = np.exp(random.normal(-0.05, 0.15, shape))[..., None]
    gain = contrast * np.exp(random.normal(0, 0.1, (*shape, 3)))
    bias = 0.5 - 0.5 * contrast + random.normal(0, 0.06, shape)[..., None]
    color = np.concatenate(
        [matrix * gain[..., None], np.broadcast_to(bias[..., None], (*shape, 3, 1))], -1
    )
    return {
        "texture": random.integers(0, textures, shape).astype("int32"),
        "mapping": mapping.astype("float32"),
        "color": color.astype("float32"),
    }
