"""Sources of images: the base class, arrays, and data sets of TensorFlow Datasets."""

import hashlib

import numpy as np

from c2f_zoo.data.files.images import as_numpy

_HASHED_AT_ONCE = 1 << 26  # bytes


class ImageSource:
    """Images with names, loaded one at a time: a subclass sets `names` and has `_load(name)`."""

    names = ()
    labels = classes = None

    def __len__(self):
        return len(self.names)

    def items(self):
        """Give each image's name and how to load it.

        Yields:
            (name, function that returns a `PIL.Image.Image` or an array (H, W, C)).
        """
        for name in self.names:
            yield name, lambda name=name: self._load(name)


class ImageArray(ImageSource):
    """Images of one size in one array.

    Args:
        images: Array (N, H, W, C) of 1, 3 or 4 channels: uint8, or float in [0, 1]; a memory-mapped
            one is read image by image.
        labels: Array (N,) of whole numbers, or None.

    Attributes:
        names: What each image is called in messages.
        labels: int64 array (N,), or None.
        classes: None, because the classes have no names here.

    Raises:
        ValueError: If the shape, the dtype or the number of labels is wrong.

    Example:
        >>> len(ImageArray(np.zeros((5, 8, 8, 3), "uint8")))
        5
    """

    def __init__(self, images, labels=None):
        images = images if isinstance(images, np.ndarray) else as_numpy(images)
        fits = images.ndim == 4 and images.shape[3] in (1, 3, 4) and 0 not in images.shape
        if not fits or (images.dtype != np.uint8 and images.dtype.kind != "f"):
            raise ValueError(
                "images must be an array (N, H, W, C) of 1, 3 or 4 channels, uint8 or float in "
                f"[0, 1]. Received: shape {images.shape}, dtype {images.dtype}"
            )
        self.images = images
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None and (
            self.labels.shape != images.shape[:1] or self.labels.dtype.kind not in "iu"
        ):
            raise ValueError(
                f"labels must be {len(images)} whole numbers, one for each image. "
                f"Received: shape {self.labels.shape}, dtype {self.labels.dtype}"
            )

    def __len__(self):
        return len(self.images)

    @property
    def names(self):
        """What each image is called in messages."""
        return [f"image {index}" for index in range(len(self))]

    def items(self):
        for index, name in enumerate(self.names):
            yield name, lambda index=index: self.images[index]

    def fingerprint(self):
        """Digest all pixels and labels.

        Returns:
            Hexadecimal text.
        """
        digest = hashlib.blake2b(f"{self.images.shape} {self.images.dtype.str}".encode())
        step = max(1, _HASHED_AT_ONCE // self.images[0].nbytes)
        for first in range(0, len(self), step):
            digest.update(np.ascontiguousarray(self.images[first : first + step]).data)
        if self.labels is not None:
            digest.update(self.labels.astype(np.int64).tobytes())
        return digest.hexdigest()


class TensorFlowDataset(ImageSource):
    """The images of a data set of `tensorflow_datasets` (extra `data`), downloaded if need be.

    Read without TensorFlow where `array_record` is installed, otherwise through it.

    Args:
        name: Name as in the catalogue, `"cifar10"` for instance.
        split: Split or slice of one, `"train"` or `"train[:1000]"`.
        labels: Whether to keep the feature `label`.
        data_dir: Where the data sets lie; by default where tensorflow_datasets keeps them.
        feature: Name of the images among the features.

    Attributes:
        labels: int64 array (N,) once all images were loaded, or None.
        classes: Names of the classes, or None.
        can_repeat: Whether images can be loaded again, in any order.

    Raises:
        ImportError: tensorflow_datasets is not installed; the message names the extra.
        ValueError: If the data set lacks the feature, or with `labels` the feature `label`.
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
        self.builder.download_and_prepare()
        try:
            self._examples = self.builder.as_data_source(split=self.split)
        # Prepared in a format without random access, or array_record is not installed.
        except (ImportError, NotImplementedError):
            self._examples = None
        self.can_repeat = self._examples is not None
        self.labels = np.zeros(len(self), np.int64) if labels else None

    def __len__(self):
        return self.builder.info.splits[self.split].num_examples

    def examples(self):
        """Return the examples of the data set.

        Returns:
            Dictionaries of NumPy arrays, an image's of shape (H, W, C): a sequence if `can_repeat`,
            otherwise an iterable.
        """
        if self.can_repeat:
            return self._examples
        dataset = self.builder.as_dataset(split=self.split, shuffle_files=False)
        return self._tfds.as_numpy(dataset)

    def items(self):
        if self.can_repeat:
            for index in range(len(self._examples)):
                yield f"image {index}", lambda i=index: self._image(i, self._examples[i])
            return
        for index, example in enumerate(self.examples()):
            image = self._image(index, example)
            yield f"image {index}", lambda image=image: image

    def _image(self, index, example):
        if self.labels is not None:
            self.labels[index] = example["label"]
        return np.asarray(example[self.feature])

    def fingerprint(self):
        """Digest the data set's version and configuration, and the split.

        Returns:
            Hexadecimal text.
        """
        what = f"tfds {self.builder.info.full_name} {self.split} {self.labels is not None}"
        return hashlib.sha256(what.encode()).hexdigest()
