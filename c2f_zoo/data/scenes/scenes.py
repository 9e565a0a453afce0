"""`Scenes`: batches of rendered training pairs, each a function of a seed and a number."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.scenes.effects import Effects, noise_tile
from c2f_zoo.data.scenes.motion import as_motion
from c2f_zoo.data.scenes.parameters import draw_parameters, rows_of
from c2f_zoo.data.scenes.render import render
from c2f_zoo.data.scenes.textures import load_textures, pack_colors
from c2f_zoo.data.shares import HostShare


class SceneSource:
    """What all renderers of scenes share: arguments, textures and streams.

    Batch number i is a function of `seed` and i alone: the same scenes on every backend, and a
    training run that resumes at step i continues exactly. A few kilobytes of parameters are
    drawn on the host; compiled functions render the frames on the device that trains.

    Args:
        size: (height, width) of the frames, pixels, each at least 8.
        batch_size: Scenes per batch.
        textures: None for painted textures, a folder of photographs (searched recursively), or a
            uint8 array (N, h, w, 3).
        layers: (fewest, most) layers before the background.
        effects: An `Effects`; None or True for the default, False for none.
        seed: Non-negative integer.
    """

    def __init__(self, size, batch_size, textures, layers, effects, seed):
        self.size = checks.whole_pair("size", size, least=8)
        self.layers = checks.whole_interval("layers", layers, least=0)
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self.seed = checks.whole("seed", seed, least=0)
        self.effects = _effects(effects)
        pixels = load_textures(textures)
        self.texture_count, self.texture_size = pixels.shape[0], pixels.shape[1:3]
        self._atlas = ops.convert_to_tensor(pack_colors(pixels))
        self._tile = ops.convert_to_tensor(noise_tile(self.size))

    def stream(self, steps_per_epoch, first_epoch=0):
        """Serve batches to `model.fit`, new ones every epoch.

        Args:
            steps_per_epoch: Batches in an epoch.
            first_epoch: Epoch to begin with, for a run that resumes (`initial_epoch` of `fit`).

        Returns:
            `SceneStream`, a `keras.utils.PyDataset`.
        """
        return SceneStream(self, steps_per_epoch, first_epoch)


class Scenes(SceneSource):
    """Renderer of endless optical-flow training pairs with exact ground truth.

    Batch number i is a function of `seed` and i alone: the same scenes on every backend, and a
    training run that resumes at step i continues exactly. A few kilobytes of parameters are
    drawn on the host; compiled functions render the frames on the device that trains.

    Args:
        size: (height, width) of the frames, pixels, each at least 8.
        batch_size: Scenes per batch.
        textures: None for painted textures, a folder of photographs (searched recursively), or a
            uint8 array (N, h, w, 3).
        layers: (fewest, most) layers before the background.
        motion: A `Motion`, a `MotionMixture`, or a number: the median in pixels.
        effects: An `Effects`; False for none.
        seed: Non-negative integer.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> scenes = Scenes(size=(64, 96), batch_size=2, layers=(1, 3))
        >>> (image1, image2), flow = scenes.batch(0)
        >>> tuple(image1.shape), tuple(flow.shape)
        ((2, 64, 96, 3), (2, 64, 96, 2))
    """

    def __init__(
        self,
        size=(256, 320),
        batch_size=8,
        textures=None,
        layers=(2, 8),
        motion=None,
        effects=None,
        seed=0,
    ):
        # First: it is cheap to check, textures may be many.
        self.motion = as_motion(motion)
        super().__init__(size, batch_size, textures, layers, effects, seed)

    def parameters(self, index):
        """Draw the parameters of one batch.

        Args:
            index: Number of the batch, >= 0.

        Returns:
            Dict of small numpy arrays; see `draw_parameters`.
        """
        index = checks.whole("index", index, least=0)
        scene = (self.size, self.batch_size, self.layers, self.motion, self.effects)
        return draw_parameters(self.seed, index, *scene, self.texture_count, self.texture_size)

    def render(self, parameters, masks=True):
        """Render a batch from its parameters.

        Args:
            parameters: What `parameters` returned, or a changed copy.
            masks: Whether to compute what training does not need. Defaults to True.

        Returns:
            Dict of float32 tensors: `image1`, `image2` (B, H, W, 3) in [0, 1] and `flow`
            (B, H, W, 2) in pixels, of every pixel, hidden ones too. With masks also (B, H, W, 1)
            each: `occlusion`, 1 where a nearer layer hides in frame 2 what frame 1 shows;
            `outside`, 1 where it leaves the frame; `valid`, 1 where neither; `nearness`, the
            inverse depth at frame 1, 1 being the background; `layer`, the int32 number of the
            visible layer, 0 being the background.
        """
        tensors = {name: ops.convert_to_tensor(value) for name, value in parameters.items()}
        return render(tensors, self._atlas, self._tile, self.size, self.effects, masks)

    def batch(self, index, rows=slice(None)):
        """Render one training batch.

        Args:
            index: Number of the batch, >= 0.
            rows: Slice of its scenes to render.

        Returns:
            ((image1, image2), flow): tensors (B, H, W, 3), (B, H, W, 3) and (B, H, W, 2).
        """
        scene = self.render(rows_of(self.parameters(index), rows), masks=False)
        return (scene["image1"], scene["image2"]), scene["flow"]


class SceneStream(keras.utils.PyDataset):
    """Batches of `Scenes` or `StereoScenes` as a `keras.utils.PyDataset`; see their `stream`.

    Item i of epoch e is batch number `e * steps_per_epoch + i`: two tensors (B, H, W, 3), the
    images, and their flow (B, H, W, 2) or disparity (B, H, W, 1). For a run that repeats exactly
    give `fit` `shuffle=False` and the callback `FollowEpoch(stream)`. Each of several hosts draws
    the parameters of the batch and renders its own scenes.

    Args:
        scenes: `Scenes` or `StereoScenes`.
        steps_per_epoch: Batches in an epoch.
        first_epoch: Epoch to begin with.

    Example:
        >>> stream = SceneStream(Scenes(size=(32, 32), batch_size=1, layers=(1, 1)), 10)
        >>> len(stream)
        10
    """

    def __init__(self, scenes, steps_per_epoch, first_epoch=0):
        super().__init__()
        self.scenes = scenes
        self.steps_per_epoch = checks.whole("steps_per_epoch", steps_per_epoch, least=1)
        self.epoch, self.share = first_epoch, HostShare.current()

    def __len__(self):
        return self.steps_per_epoch

    def __getitem__(self, step):
        number = self.epoch * self.steps_per_epoch + step
        return self.scenes.batch(number, self.share.rows(self.scenes.batch_size))

    def on_epoch_end(self):
        self.epoch += 1


def _effects(effects):
    if effects is None or effects is True:
        return Effects()
    if effects is False:
        return Effects.off()
    if isinstance(effects, Effects):
        return effects
    raise ValueError(f"effects must be an Effects, True or False. Received: {effects!r}")
