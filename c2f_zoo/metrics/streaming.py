"""Shared parts of metrics of image sets: batches, stored features, means and covariances."""

import tempfile
from pathlib import Path

import numpy as np

from c2f_zoo import checks

MEMORY_LIMIT = 1 << 30  # bytes of rows beyond which they go to a temporary file


class ImageSetMetric:
    """Base of metrics that compare a set of real images with a set of generated ones.

    Give batches in any order to `update_real` and `update_fake`, then call `result`. During a
    training `reset(keep_real=True)` keeps the real images' statistics.

    Subclasses define `_update(which, images)`, `_reset(which)` and `result(progress=False)`.
    """

    uses_real = True

    def __init__(self):
        self._counts = {"real": 0, "fake": 0}

    def update_real(self, images):
        """Add a batch of real images.

        Args:
            images: Array (B, H, W, 3), uint8 or float in [0, 1].
        """
        self._add("real", images)

    def update_fake(self, images):
        """Add a batch of generated images.

        Args:
            images: Array (B, H, W, 3), uint8 or float in [0, 1].
        """
        self._add("fake", images)

    def reset(self, keep_real=False):
        """Forget the images.

        Args:
            keep_real: Forget the generated images only. Default False.
        """
        for which in ("fake",) if keep_real else ("real", "fake"):
            self._counts[which] = 0
            self._reset(which)

    def _add(self, which, images):
        images = as_uint8(images)
        self._update(which, images)
        self._counts[which] += len(images)


def measure_images(metrics, real=None, fake=None, num_images=None, progress=True):
    """Compute metrics of sets of images.

    Args:
        metrics: One or a list of `SlicedWasserstein`, `PairwiseMSSSIM`, `FeatureDistances`.
        real: Array (N, H, W, 3), uint8 or float in [0, 1], or an iterable of such batches. None
            if the metrics hold the real images already or need none.
        fake: The same of generated images.
        num_images: Images to take from each set, at least 1; None takes all. Endless iterables
            need it.
        progress: Show progress bars. Default True.

    Returns:
        Dictionary of figures by name.

    Raises:
        ValueError: If there are fewer images than `num_images`, or a batch has a wrong shape or
            range.

    Example:
        >>> from c2f_zoo.metrics import SlicedWasserstein
        >>> real = np.random.default_rng(0).random((8, 32, 32, 3))
        >>> figures = measure_images(SlicedWasserstein(), real, real[::-1], progress=False)
        >>> list(figures)
        ['swd_32', 'swd_16', 'swd']
    """
    metrics = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    if num_images is not None:
        num_images = checks.whole("num_images", num_images, least=1)
    for which, images in (("real", real), ("fake", fake)):
        users = [metric for metric in metrics if which == "fake" or metric.uses_real]
        if images is None or not users:
            continue
        for batch in _batches(images, num_images, which, progress):
            batch = as_uint8(batch)
            for metric in users:
                metric._add(which, batch)
    figures = {}
    for metric in metrics:
        figures |= metric.result(progress)
    return figures


def _batches(images, num_images, which, progress):
    from tqdm import tqdm

    is_array = hasattr(images, "shape")
    total = num_images if num_images or not is_array else len(images)
    parts = (images[i : i + 64] for i in range(0, len(images), 64)) if is_array else images
    seen = 0
    with tqdm(total=total, desc=f"{which} images", unit="image", disable=not progress) as bar:
        for batch in parts:
            if num_images is not None:
                batch = batch[: num_images - seen]
            yield batch
            seen += len(batch)
            bar.update(len(batch))
            if seen == num_images:
                return
    if num_images is not None:
        raise ValueError(
            f"There must be at least num_images={num_images} {which} images. Received: {seen}"
        )


def as_array(tensor):
    """Convert a tensor of any backend, on any device, to numpy."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)


def as_uint8(images):
    """Convert a batch of images (B, H, W, C), uint8 or float in [0, 1], to uint8."""
    images = as_array(images)
    checks.shape("images", images, "(B, H, W, C), not empty", (checks.SOME,) * 4)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f" and images.dtype.name != "bfloat16":
        raise ValueError(f"images must be uint8 or float in [0, 1]. Received: dtype {images.dtype}")
    images = images.astype(np.float32)
    low, high = float(images.min()), float(images.max())
    # A generator overshoots a little; -1 to 1 or 0 to 255 is a mistake. NaN fails too.
    if not (low >= -0.01 and high <= 1.01):
        raise ValueError(
            f"images of floats must be in [0, 1]. Received: values from {low:g} to {high:g}"
        )
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


class RowStore:
    """Rows of numbers appended in batches, in memory or beyond a limit in a temporary file.

    Args:
        columns: Numbers in a row.
        memory_limit: Bytes beyond which the rows go to the file. Default 1 GiB.

    Example:
        >>> store = RowStore(3, memory_limit=0)
        >>> store.append(np.ones((2, 3))); store.append(np.zeros((1, 3)))
        >>> store.rows().shape
        (3, 3)
    """

    def __init__(self, columns, memory_limit=MEMORY_LIMIT):
        self.columns, self.memory_limit, self.count = columns, memory_limit, 0
        self._parts, self._folder = [], None

    def append(self, rows):
        """Add rows.

        Args:
            rows: Array (N, columns), stored as float32.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        self.count += len(rows)
        self._parts.append(rows)
        if self._folder is None and self.count * self.columns * 4 > self.memory_limit:
            options = {"prefix": "c2f_zoo_", "ignore_cleanup_errors": True}
            self._folder = tempfile.TemporaryDirectory(**options)
        if self._folder is not None:
            with open(self._path, "ab") as file:
                for part in self._parts:
                    file.write(part.data)
            self._parts = []

    def rows(self):
        """Return all rows.

        Returns:
            float32 array (N, columns), memory-mapped if the rows are in a file.
        """
        if self._folder is not None:
            shape = (self.count, self.columns)
            return np.memmap(self._path, np.float32, mode="r", shape=shape)
        if len(self._parts) != 1:
            empty = np.zeros((0, self.columns), np.float32)
            self._parts = [np.concatenate([empty, *self._parts])]
        return self._parts[0]

    @property
    def _path(self):
        return Path(self._folder.name) / "rows"


class Moments:
    """Mean and covariance of rows that arrive in batches, in float64.

    Batches are merged by Chan's formula: plain sums of squares would lose small variances of
    features with a large mean.

    Args:
        columns: Numbers in a row.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979.

    Example:
        >>> moments = Moments(2)
        >>> moments.update(np.array([[0.0, 1.0], [2.0, 1.0]])); moments.update(np.ones((1, 2)))
        >>> moments.mean.tolist(), moments.covariance.tolist()
        ([1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, columns):
        self._columns, self._merged = columns, 0
        self._mean = np.zeros(columns)
        self._scatter = np.zeros((columns, columns))
        self._waiting = []

    def update(self, rows):
        """Add rows.

        Args:
            rows: Array (N, columns).
        """
        self._waiting.append(np.asarray(rows, np.float64))
        # A merge passes over the whole matrix, too much for a few rows.
        if sum(map(len, self._waiting)) >= self._columns:
            self._merge()

    def _merge(self):
        rows = np.concatenate([np.zeros((0, self._columns)), *self._waiting])
        self._waiting = []
        if not len(rows):
            return
        mean = rows.mean(axis=0)
        rows = rows - mean
        total = self._merged + len(rows)
        shift = mean - self._mean
        # The shift between the means acts as one more row.
        rows = np.concatenate([rows, shift[None] * np.sqrt(self._merged * len(rows) / total)])
        self._scatter += rows.T @ rows
        self._mean = self._mean + shift * ((len(rows) - 1) / total)
        self._merged = total

    @property
    def count(self):
        """Number of rows."""
        return self._merged + sum(map(len, self._waiting))

    @property
    def mean(self):
        """Mean: float64 array (columns,)."""
        self._merge()
        return self._mean

    @property
    def covariance(self):
        """Unbiased covariance: float64 array (columns, columns)."""
        self._merge()
        if self._merged < 2:
            raise ValueError(f"A covariance needs at least 2 rows. Received: {self._merged}")
        return self._scatter / (self._merged - 1)
