"""Sources of a cache beside an image folder: arrays, and data sets of TensorFlow Datasets."""

import hashlib

import numpy as np

from c2f_zoo.data.files.images import as_numpy

_HASHED_AT_ONCE = 1 << 26  # bytes


class ImageArray:
    """Images of one size in one array.

    Args:
        images: Array (N, H, W, C) of 1, 3 or 4 channels: uint8, or float in [0, 1]; a memory-mapped
            one is read bit by bit.
        labels: Array (N,) of whole numbers, or None.

    Attributes:
        names: What each image is called in messages.
        labels: int64 array (N,), or None.
        classes: None, because the classes have no names here.

    Raises:
        ValueError: Another shape or dtype, no image, or another number of labels.

    Example:
        >>> len(ImageArray(np.zeros((5, 8, 8, 3), "uint8")))
        5
    """

    def __init__(self, images, labels=None):
        images = images if isinstance(images, np.ndarray) else as_numpy(images)
        fits = images.ndim == 4 and images.shape[3] in (1, 3, 4) and 0 not in images.shape
        if not fits or (images.dtype != np.uint8 and images.dtype.kind != "f"):
            raise ValueError(
                "Images are an array (N, H, W, C) of 1, 3 or 4 channels, uint8 or float in [0, 1]. "
                f"Received: shape {images.shape}, dtype {images.dtype}"
            )
        self.images, self.classes = images, None
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None and (
            self.labels.shape != images.shape[:1] or self.labels.dtype.kind not in "iu"
        ):
            raise ValueError(
                f"labels are {len(images)} whole numbers, one for each image. "
                f"Received: shape {self.labels.shape}, dtype {self.labels.dtype}"
            )

    def __len__(self):
        return len(self.images)

    @property
    def names(self):
        """What each image is called in messages."""
        return [f"image {index}" for index in range(len(self))]

    def items(self):
        """Give each image's name and how to load it.

        Yields:
            (name, function that returns an array (H, W, C)).
        """
        for index in range(len(self)):
            yield f"image {index}", lambda index=index: self.images[index]

    def fingerprint(self):
        """Give a text that changes with any pixel or label.

        Returns:
            Hexadecimal digest.
        """
        digest = hashlib.blake2b(f"{self.images.shape} {self.images.dtype.str}".encode())
        per_image = max(1, self.images[0].nbytes)
        step = max(1, _HASHED_AT_ONCE // per_image)
        for first in range(0, len(self), step):
            digest.update(np.ascontiguousarray(self.images[first : first + step]).data)
        if self.labels is not None:
            digest.update(self.labels.astype(np.int64).tobytes())
        return digest.hexdigest()


class TensorFlowDataset:
    """The images of a data set of `tensorflow_datasets` (extra `data`), downloaded if need be.

    Read without TensorFlow where `array_record` is installed, otherwise through it.

    Args:
        name: Name as in the catalogue, `"cifar10"` for instance.
        split: Split or slice of one, `"train"` or `"train[:1000]"`.
        labels: Whether to keep the feature `label`.
        data_dir: Where the data sets lie; by default where tensorflow_datasets keeps them.
        feature: Name of the images among the features.

    Attributes:
        labels: int64 array (N,) once all items were given, or None.
        classes: Names of the classes, or None.

    Raises:
        ImportError: tensorflow_datasets is not installed; the message names the extra.
        ValueError: The data set has no such feature, or no `label` where it is wanted.

    Example:
        ```python
        source = TensorFlowDataset("cifar10", split="train")
        ```
    """

    def __init__(self, name, split="train", labels=False, data_dir=None, feature="image"):
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise ImportError(
                "A data set by name needs tensorflow_datasets: pip install "
                f'"c2f_zoo[data]". Received: {error}'
            ) from error
        self._tfds, self.split, self.feature = tfds, split, feature
        self.builder = tfds.builder(name, data_dir=data_dir)
        features = self.builder.info.features
        missing = [key for key in (feature, *(["label"] if labels else [])) if key not in features]
        if missing:
            raise ValueError(
                f"{name} must have the features {feature}{' and label' if labels else ''}. "
                f"Received: {', '.join(features)}"
            )
        self.classes = list(getattr(features["label"], "names", [])) if labels else None
        self._labels = [] if labels else None
        self.builder.download_and_prepare()

    def __len__(self):
        return self.builder.info.splits[self.split].num_examples

    @property
    def labels(self):
        """Label of each image given so far: int64 array (N,), or None."""
        return None if self._labels is None else np.array(self._labels, np.int64)

    def items(self):
        """Give each image's name and how to load it.

        Yields:
            (name, function that returns an array (H, W, C)).
        """
        if self._labels is not None:
            self._labels = []
        for index, example in enumerate(self.examples()):
            if self._labels is not None:
                self._labels.append(int(example["label"]))
            yield f"image {index}", lambda image=example[self.feature]: np.asarray(image)

    def examples(self):
        """Give the examples: a sequence where they can be had in any order, else an iterable.

        Returns:
            Of dictionaries of numpy arrays, an image's of shape (H, W, C).
        """
        try:
            return self.builder.as_data_source(split=self.split)
        # Prepared in a format without random access, or array_record is not installed.
        except (ImportError, NotImplementedError):
            dataset = self.builder.as_dataset(split=self.split, shuffle_files=False)
            return self._tfds.as_numpy(dataset)

    def fingerprint(self):
        """Give a text that changes with the data set's version, configuration or split.

        Returns:
            Hexadecimal digest.
        """
        what = f"tfds {self.builder.info.full_name} {self.split} {self._labels is not None}"
        return hashlib.sha256(what.encode()).hexdigest()
