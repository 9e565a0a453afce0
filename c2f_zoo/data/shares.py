"""What each of several hosts takes of a batch."""

import dataclasses

import keras

from c2f_zoo.hosts import host


@dataclasses.dataclass(frozen=True)
class HostShare:
    """The rows that a host serves of every batch, so that all hosts' together are the batch.

    Args:
        index: Number of the host, from 0.
        hosts: Number of hosts.

    Example:
        >>> HostShare(1, 4).rows(8)
        slice(2, 4, None)
    """

    index: int = 0
    hosts: int = 1

    @classmethod
    def current(cls):
        """Tell the share of this host: all of a batch, unless it joined others (`join_hosts`).

        Returns:
            `HostShare`.
        """
        return cls(*host())

    def rows(self, count):
        """Tell which rows of a batch are this host's.

        Args:
            count: Samples in the batch.

        Returns:
            slice: As many of them as every other host's, in the order of the hosts.

        Raises:
            ValueError: The hosts do not divide the batch.
        """
        if count % self.hosts:
            raise ValueError(
                f"Batches must be divisible by the {self.hosts} hosts, and by their devices: "
                "choose another batch size, and leave out a last smaller batch. "
                f"Received: a batch of {count}"
            )
        size = count // self.hosts
        return slice(self.index * size, (self.index + 1) * size)

    def of(self, batch):
        """Take this host's rows of a batch.

        Args:
            batch: Arrays (B, ...) in any structure.

        Returns:
            The structure of arrays (B / hosts, ...).
        """
        if self.hosts == 1:
            return batch
        return keras.tree.map_structure(lambda array: array[self.rows(len(array))], batch)


class HostBatches(keras.utils.PyDataset):
    """This host's rows of every batch of a data set, for data sets that know of no hosts.

    Every host makes the whole batch and keeps its rows. The streams of the zoo need no such help.

    Args:
        dataset: `keras.utils.PyDataset` whose batches are the same on every host.

    Example:
        ```python
        with join_hosts():
            model.fit(HostBatches(my_dataset), shuffle=False)
        ```
    """

    def __init__(self, dataset):
        super().__init__(workers=dataset.workers, max_queue_size=dataset.max_queue_size)
        self.dataset, self.share = dataset, HostShare.current()

    @property
    def num_batches(self):
        """Number of batches in an epoch, None if endless."""
        return self.dataset.num_batches

    def __len__(self):
        """Return the number of batches in an epoch."""
        return self.num_batches

    def __getitem__(self, index):
        """Return this host's rows of a batch, in the structure of the data set."""
        return self.share.of(self.dataset[index])

    def on_epoch_begin(self):
        """Pass Keras' call on."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        """Pass Keras' call on."""
        self.dataset.on_epoch_end()
