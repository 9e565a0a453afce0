"""A stream of training pairs that are augmented on their way to `fit`."""

import keras
import numpy as np

from c2f_zoo.backend import to_numpy
from c2f_zoo.data.shares import HostShare


class AugmentedStream(keras.utils.PyDataset):
    """A stream of batches, augmented anew in each epoch.

    Each of several hosts (`join_hosts`) augments the rows that its stream serves.

    Args:
        stream: `keras.utils.PyDataset` of batches `((image1, image2), flow[, valid])`.
        augmentation: `FlowAugmentation`.
        epoch: Number of the first epoch, in a resumed training. Defaults to the stream's own
            attribute `epoch`, or 0.

    Returns:
        Item `i`: `((image1, image2), flow, valid)` as numpy arrays, which every Keras backend
        takes: as `fit` wants them, the mask as sample weight.

    Example:
        ```python
        stream = AugmentedStream(FlowStream(dataset), FlowAugmentation.chairs())
        model.fit(stream, epochs=10)
        ```
    """

    def __init__(self, stream, augmentation, epoch=None):
        # Threads only: a forked process cannot use the backend's device.
        super().__init__(workers=stream.workers, max_queue_size=stream.max_queue_size)
        self.stream = stream
        self.augmentation = augmentation
        self.epoch = int(getattr(stream, "epoch", 0) if epoch is None else epoch)
        self.share = getattr(stream, "share", HostShare())

    @property
    def num_batches(self):
        """Number of batches in an epoch, None if endless."""
        return self.stream.num_batches

    def __len__(self):
        """Return the number of batches in an epoch."""
        return self.num_batches

    def __getitem__(self, index):
        count = self.num_batches
        number = index if count is None else self.epoch * count + index
        batch = self.stream[index]
        size = len(batch[1]) * self.share.hosts
        samples = (number * size + np.arange(size))[self.share.rows(size)]
        augmented = self.augmentation(*batch, index=samples, step=number)
        return keras.tree.map_structure(to_numpy, augmented)

    def on_epoch_begin(self):
        """Pass Keras' call on to the stream."""
        self.stream.on_epoch_begin()

    def on_epoch_end(self):
        """Pass Keras' call on to the stream, and count the epoch."""
        self.stream.on_epoch_end()
        self.epoch += 1
