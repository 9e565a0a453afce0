"""Scenes rendered with Blender as training data of depth, in turn with newly rendered ones."""

import keras
import numpy as np

from c2f_zoo.data import DepthStream, RGBDFolder
from c2f_zoo.data.files.images import resize_smoothly

# Ranges of a colour's gain and of the exponent of brightness: exposure and white balance differ.
_GAIN, _GAMMA = (0.85, 1.15), (0.75, 1.35)


def rendered_rooms(folder, size, batch_size, seed=0, augment=True):
    """Batches `(image, depth, valid)` of the scenes that `collect/blender_scenes.py` rendered.

    Args:
        folder: `rooms/train` or `rooms/held_out`.
        size: (height, width) of the images; they are shrunk to the height and cropped.
        batch_size: Samples in a batch.
        seed: Of order, crops, mirrors and colours.
        augment: Whether to mirror and to change colours, and to shuffle.

    Returns:
        `DepthStream`.
    """
    samples = Shrunk(RGBDFolder(f"{folder}/rgbd"), size[0], seed if augment else None)
    return DepthStream(
        samples,
        batch_size,
        size,
        shuffle=augment,
        horizontal_flip=0.5 if augment else 0.0,
        seed=seed,
    )


class Shrunk:
    """A data set of depth at another height, its images in other colours.

    A pixel's depth is that of the nearest pixel: the mean of two depths is the depth of nothing.

    Args:
        dataset: Sequence of `DepthSample`.
        height: Pixels.
        seed: Of the colours, which are a sample's own; None leaves them.
    """

    def __init__(self, dataset, height, seed=None):
        self.dataset, self.height, self.seed = dataset, height, seed

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        sample = self.dataset[index]
        height, width = sample.depth.shape[:2]
        size = self.height, round(width * self.height / height)
        rows, columns = (
            (np.arange(new) + 0.5) * old // new
            for new, old in zip(size, (height, width), strict=True)
        )
        nearest = np.ix_(rows.astype(int), columns.astype(int))
        image = resize_smoothly(sample.image, size)
        if self.seed is not None:
            random = np.random.default_rng((self.seed, index))
            gains = random.uniform(*_GAIN, 3).astype("float32")
            image = np.clip(image * gains, 0, 1) ** np.float32(random.uniform(*_GAMMA))
        return sample._replace(
            image=image, depth=sample.depth[nearest], valid=sample.valid[nearest]
        )


class InTurn(keras.utils.PyDataset):
    """Batches of a stream of rendered rooms and of a stream of new scenes, in turn.

    A batch follows from the epoch and its number alone.

    Args:
        scenes: Stream of (image, depth) whose epoch has `steps` batches.
        rooms: `DepthStream`, of any length.
        steps: Batches in an epoch.
        epoch: Epoch to begin with.
    """

    def __init__(self, scenes, rooms, steps, epoch=0):
        super().__init__()
        self.scenes, self.rooms, self.steps, self.epoch = scenes, rooms, steps, epoch

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        if index % 2:
            number = (self.epoch * self.steps + index) // 2
            self.rooms.epoch, place = divmod(number, len(self.rooms))
            return self.rooms[place]
        self.scenes.epoch = self.epoch
        image, depth = self.scenes[index]
        return image, depth, np.ones(depth.shape, "float32")
