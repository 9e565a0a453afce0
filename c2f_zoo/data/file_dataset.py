"""A sequence of samples that are decoded from files when they are asked for."""

import copy
import operator
from pathlib import Path

from c2f_zoo import checks


class FileDataset:
    """Sequence of samples, each of a few files.

    `len(dataset)` counts them; `dataset[i]` decodes one; `dataset[a:b]` is a data set of fewer,
    and decodes nothing. It can be pickled and read from many threads. A subclass defines
    `_decode(files)`.

    Args:
        root: Folder the data set was found in, for messages.
        files: The files of each sample, a sequence of tuples with a `name`.

    Example:
        >>> import collections
        >>> Files = collections.namedtuple("Files", "name path")
        >>> FileDataset("here", [Files("a", "a.png"), Files("b", "b.png")])[1:].names
        ('b',)
    """

    def __init__(self, root, files):
        self.root = Path(root)
        self.files = tuple(files)

    @property
    def names(self):
        """Names of the samples, a tuple of str of length `len(self)`."""
        return tuple(files.name for files in self.files)

    def __len__(self):
        return len(self.files)

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index):
        if isinstance(index, slice):
            part = copy.copy(self)
            part.files = self.files[index]
            return part
        try:
            files = self.files[operator.index(index)]
        except IndexError:
            raise IndexError(f"{self!r} has no sample of this index. Received: {index}") from None
        return self._decode(files)

    def __repr__(self):
        return f"<{type(self).__name__} of {len(self)} samples in {self.root}>"

    def _decode(self, files):
        raise TypeError(f"a FileDataset defines _decode(). Received: {type(self)}")


def class_named(name, classes):
    """Find a data set's class by its name; case, `-`, `_` and spaces do not matter."""
    plain = {checks.plain_name(key): value for key, value in classes.items()}
    if checks.plain_name(name) not in plain:
        checks.one_of("name", name, classes)
    return plain[checks.plain_name(name)]
