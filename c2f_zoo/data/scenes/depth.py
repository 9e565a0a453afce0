"""`DepthScenes`: batches of rendered rooms with exact depth, each a function of a seed."""

from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.scenes import depth_rays
from c2f_zoo.data.scenes.depth_parameters import draw_rooms
from c2f_zoo.data.scenes.effects import add_noise, develop, noise_tile
from c2f_zoo.data.scenes.parameters import rows_of
from c2f_zoo.data.scenes.render import compiled
from c2f_zoo.data.scenes.scenes import SceneStream
from c2f_zoo.data.scenes.textures import load_textures

FINER = 2  # rays along either side of a pixel, for its colour


class DepthScenes:
    """Renderer of endless images of rooms with the exact depth of every pixel.

    A room of six textured faces, boxes and ellipsoids on its floor or above it, a lamp and its
    shadows, seen by a camera of random place, tilt and field of view. Batch number i is a function
    of `seed` and i alone: the same scenes on every backend, and a training run that resumes at step
    i continues exactly. Compiled functions cast the rays on the device that trains.

    Args:
        size: (height, width) of the images, pixels, each at least 8.
        batch_size: Scenes per batch.
        textures: None for painted textures, a folder of photographs (searched recursively), or a
            uint8 array (N, h, w, 3).
        objects: (fewest, most) objects.
        room: (shortest, longest) side of a room's floor, metres.
        field_of_view: (narrowest, widest) horizontal angle, degrees.
        effects: Whether there are light and shadow, changes of tone, and noise. False keeps the
            colours of the textures.
        seed: Non-negative integer.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> scenes = DepthScenes(size=(24, 32), batch_size=2, objects=(1, 2))
        >>> image, depth = scenes.batch(0)
        >>> tuple(image.shape), tuple(depth.shape)
        ((2, 24, 32, 3), (2, 24, 32, 1))
    """

    def __init__(
        self,
        size=(192, 256),
        batch_size=8,
        textures=None,
        objects=(2, 10),
        room=(3.0, 12.0),
        field_of_view=(45.0, 75.0),
        effects=True,
        seed=0,
    ):
        self.size = checks.whole_pair("size", size, least=8)
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self.objects = checks.whole_interval("objects", objects, least=0)
        self.room = checks.interval("room", room, least=1, most=1000)
        self.field_of_view = checks.interval("field_of_view", field_of_view, least=5, most=150)
        self.effects = bool(effects)
        self.seed = checks.whole("seed", seed, least=0)
        pixels = load_textures(textures)
        self.texture_shape = pixels.shape[:3]
        packed, self._places = depth_rays.mip_pyramid(pixels)
        self._packed = ops.convert_to_tensor(packed)
        self._tile = ops.convert_to_tensor(noise_tile(self.size))

    def parameters(self, index):
        """Draw the parameters of one batch.

        Args:
            index: Number of the batch, >= 0.

        Returns:
            Dict of small numpy arrays; see `draw_rooms`.
        """
        index = checks.whole("index", index, least=0)
        scene = (self.size, self.batch_size, self.objects, self.room, self.field_of_view)
        return draw_rooms(self.seed, index, *scene, self.effects, self.texture_shape)

    def render(self, parameters):
        """Render a batch from its parameters.

        Args:
            parameters: What `parameters` returned, or a changed copy.

        Returns:
            Dict of float32 tensors: `image` (B, H, W, 3) in [0, 1] and `depth` (B, H, W, 1), metres
            along the camera's axis, of the point that the centre of each pixel shows.
        """
        tensors = {name: ops.convert_to_tensor(value) for name, value in parameters.items()}
        seen = compiled(depth_rays.cast, size=self.size, finer=FINER)(tensors)
        looked = compiled(depth_rays.look_up, places=self._places)(tensors, seen)
        channels = compiled(depth_rays.paint, finer=FINER)(tensors, self._packed, looked)
        image = compiled(develop, with_tone=self.effects)(channels, tensors["tone"])
        if self.effects:
            start = tensors["noise_start"]
            image = compiled(add_noise)(image, self._tile, tensors["noise"], start)
        return {
            "image": image,
            "depth": compiled(depth_rays.only_depth, size=self.size)(tensors),
        }

    def batch(self, index, rows=slice(None)):
        """Render one training batch.

        Args:
            index: Number of the batch, >= 0.
            rows: Slice of its scenes to render.

        Returns:
            (image, depth): tensors (B, H, W, 3) and (B, H, W, 1).
        """
        scene = self.render(rows_of(self.parameters(index), rows))
        return scene["image"], scene["depth"]

    def stream(self, steps_per_epoch, first_epoch=0):
        """Serve batches to `model.fit`, new ones every epoch.

        Args:
            steps_per_epoch: Batches in an epoch.
            first_epoch: Epoch to begin with, for a run that resumes (`initial_epoch` of `fit`).

        Returns:
            `SceneStream`, a `keras.utils.PyDataset` of (image, depth).
        """
        return SceneStream(self, steps_per_epoch, first_epoch)
