"""`StereoScenes`: batches of rendered stereo pairs, each a function of a seed and a number."""

import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.scenes.effects import draw_effects
from c2f_zoo.data.scenes.motion import sometimes
from c2f_zoo.data.scenes.parameters import draw_looks, rows_of
from c2f_zoo.data.scenes.scenes import SceneSource
from c2f_zoo.data.scenes.shapes import NEVER, draw_shapes
from c2f_zoo.data.scenes.stereo_rendering import render_stereo
from c2f_zoo.data.scenes.surfaces import as_surfaces, draw_surfaces

LIT = 0.45  # mean of the channels of a texture, about


class StereoScenes(SceneSource):
    """Renderer of endless stereo pairs with exact disparity and occlusion.

    Textured surfaces, upright, slanted or curved, before a background of one to three planes,
    are seen by two cameras. Batch number i is a function of `seed` and i alone, as of `Scenes`.

    Args:
        size: (height, width) of the images, pixels, each at least 8.
        batch_size: Scenes per batch.
        textures: None for painted textures, a folder of photographs (searched recursively), or a
            uint8 array (N, h, w, 3).
        layers: (fewest, most) layers before the background.
        surfaces: A `Surfaces`, or a number: the largest disparity in pixels, the least of a
            scene's largest ones being a sixteenth of it. Default: `Surfaces()`, 128 pixels.
        effects: An `Effects`; False for none. `photometric` and `noise` differ between the
            images, and `blur` is here the probability that they are out of focus, each by
            another part of `blur_extent`.
        seed: Non-negative integer.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> scenes = StereoScenes(size=(64, 96), batch_size=2, layers=(1, 3), surfaces=32)
        >>> (left, right), disparity = scenes.batch(0)
        >>> tuple(left.shape), tuple(disparity.shape)
        ((2, 64, 96, 3), (2, 64, 96, 1))
    """

    def __init__(
        self,
        size=(256, 384),
        batch_size=8,
        textures=None,
        layers=(3, 9),
        surfaces=None,
        effects=None,
        seed=0,
    ):
        # First: it is cheap to check, textures may be many.
        self.surfaces = as_surfaces(surfaces)
        super().__init__(size, batch_size, textures, layers, effects, seed)

    def parameters(self, index):
        """Draw the parameters of one batch.

        Args:
            index: Number of the batch, >= 0.

        Returns:
            Dict of small numpy arrays; see `draw_stereo_parameters`.
        """
        index = checks.whole("index", index, least=0)
        scene = (self.size, self.batch_size, self.layers, self.surfaces, self.effects)
        return draw_stereo_parameters(
            self.seed, index, *scene, self.texture_count, self.texture_size
        )

    def render(self, parameters, masks=True):
        """Render a batch from its parameters.

        Args:
            parameters: What `parameters` returned, or a changed copy.
            masks: Whether to compute what training does not need. Defaults to True.

        Returns:
            Dict of float32 tensors: `left`, `right` (B, H, W, 3) in [0, 1] and `disparity`
            (B, H, W, 1) in pixels, above 0, of every pixel of the left image, hidden ones too.
            With masks also (B, H, W, 1) each: `occlusion`, 1 where the right image does not show
            what the left one does, because something nearer hides it or it lies outside of the
            image; `outside`, 1 in the latter case; `layer`, the int32 number of the visible
            layer, 0 being the background.
        """
        tensors = {name: ops.convert_to_tensor(value) for name, value in parameters.items()}
        return render_stereo(tensors, self._atlas, self._tile, self.size, self.effects, masks)

    def batch(self, index, rows=slice(None)):
        """Render one training batch.

        Args:
            index: Number of the batch, >= 0.
            rows: Slice of its scenes to render.

        Returns:
            ((left, right), disparity): tensors (B, H, W, 3), (B, H, W, 3) and (B, H, W, 1).
        """
        scene = self.render(rows_of(self.parameters(index), rows), masks=False)
        return (scene["left"], scene["right"]), scene["disparity"]


def draw_stereo_parameters(
    seed, index, size, batch_size, layers, surfaces, effects, textures, side
):
    """Draw a batch of stereo scenes; the same on every backend.

    Args:
        seed, index: Seed of the endless sequence of batches, and which batch of it.
        size: (H, W), pixels.
        batch_size: Number of scenes B.
        layers: (fewest, most) foreground layers; L is most + 1, the background included.
        surfaces: `Surfaces`.
        effects: `Effects`.
        textures: Number of textures in the atlas.
        side: (h, w) of a texture, pixels.

    Returns:
        Dict of numpy arrays whose first axes are (B, L) or (B,): what `draw_shapes`,
        `draw_surfaces`, `draw_looks` and `draw_effects` draw, the coordinates being those of the
        left image; `centre` (B, L, 2); `repeat` (B, L, 3), corner and side of the patch of its
        texture that a layer repeats; and `focus` (B, 2), the weight of the blurred image.
    """
    random = np.random.default_rng([seed, index, 2])
    fewest, most = layers
    shape = (batch_size, most + 1)
    count = random.integers(fewest, most + 1, (batch_size, 1))
    present = np.arange(most + 1)[None] <= count
    corner = np.array(size[::-1]) - 1
    parameters = draw_shapes(random, size, *shape, present)
    parameters["centre"] = (random.uniform(-0.05, 1.05, (*shape, 2)) * corner).astype("float32")
    parameters |= draw_surfaces(random, surfaces, size, parameters, present)
    _fill_frames(parameters)
    parameters |= draw_looks(random, shape, textures, side)
    _blank_some(random, surfaces.plain, parameters)
    parameters["repeat"] = _repetitions(random, surfaces.repeated, shape, side)
    nearness = parameters["surface"][..., 0] / np.maximum(parameters["surface"][:, :1, 0], 0.1)
    nearness = np.clip(nearness, 1, None).astype("float64")
    parameters |= draw_effects(random, effects, size, nearness, parameters["thickness"])
    focus = random.random((batch_size, 2)) * np.minimum(effects.blur_extent * 2, 1)
    focus = focus * sometimes(random, effects.blur, (batch_size, 1))
    return parameters | {"focus": focus.astype("float32")}


def _fill_frames(parameters):
    """Give layers that fill the frame a silhouette that does."""
    endless = parameters.pop("endless")
    parameters["radius"][endless] = NEVER
    parameters["harmonics"][endless] = 0
    parameters["sides"][endless, :, 2] = NEVER
    parameters["hollow"][endless] = NEVER
    parameters["grating"][endless, 1] = NEVER
    parameters["fold"][endless] = (1, 1, 0, 0)
    parameters["thickness"][endless] = 0  # they cast no shadow


def _blank_some(random, chance, parameters):
    """Take most of the contrast from the textures of some layers."""
    color = parameters["color"]
    shape = color.shape[:2]
    left = np.exp(random.uniform(np.log(0.02), np.log(0.25), shape))
    left = np.where(random.random(shape) < chance, left, 1.0)[..., None]
    matrix, bias = color[..., :3], color[..., 3]
    bias = bias + (1 - left) * LIT * matrix.sum(-1)
    parameters["color"] = np.concatenate(
        [matrix * left[..., None], bias[..., None]], -1, dtype="float32"
    )


def _repetitions(random, chance, shape, side):
    """Corner and side of a patch of its texture that each layer repeats (B, L, 3)."""
    start = random.random((*shape, 2)) * side[::-1]
    length = np.exp(random.uniform(np.log(4), np.log(32), shape))
    repeats = random.random(shape) < chance
    start = np.where(repeats[..., None], start, 0)
    length = np.where(repeats, length, NEVER)
    return np.concatenate([start, length[..., None]], -1).astype("float32")
