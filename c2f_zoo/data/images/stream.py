"""Batches of images at the resolution and batch size that a growth schedule asks for."""

import itertools

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.data.shares import HostShare

# What a random number is for: keeps the draws of one purpose apart from those of another.
_ORDER, _MIRROR = 0, 1
_CACHED = 1 << 16  # floats that stay in a processor's cache while they are faded
_EPOCHS_KEPT = 4  # in memory; workers that run ahead need the next one too


class ImageStream(keras.utils.PyDataset):
    """Endless batches of a cache, each at the resolution and size that a schedule gives it.

    Batch `i` follows from `seed` and the number of images shown before it alone: it is the same
    from however many workers, in whichever order, and after a run was killed and resumed. Every
    image is shown once before any is shown again, in a new order each time.

    An endless stream needs `fit(stream, steps_per_epoch=...)`; `steps` counts what is left. Where
    the resolution grows and the model is no `AdversarialModel`, give `fit` on TensorFlow the result
    of `as_tf_dataset()`: Keras' own adapter fixes height and width by the first two batches.

    Each of several hosts (`join_hosts`) is served, and reads, its own rows of every batch.

    Args:
        cache: `ImageCache`.
        schedule: `GrowthSchedule`. None for one resolution throughout.
        batch_size: Images in a batch where there is no schedule.
        resolution: Height, or (height, width), where there is no schedule; by default the
            cache's final one.
        mirror: Whether half of the images, drawn anew each time, are mirrored left to right.
        fade: Whether to fade real images in as the network's are (see `fade_images`), which makes
            batches float32. `AdversarialModel` does this itself, on the device, from uint8 images.
        labels: Whether to serve the cache's labels too.
        seed: Integer >= 0.
        initial_images: Images shown before batch 0: a resumed run's count.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Returns:
        `stream[i]` is an array (B, H, W, C), uint8, or with `fade` float32 in [0, 1]; with
        `labels` the tuple of it and an int64 array (B,).

    Raises:
        ValueError: The cache lacks a resolution of the schedule, or labels, or an option is out of
            range.

    Source: Karras et al., arXiv 1710.10196, appendix A: real images are faded like the fakes.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data import ImageCache
        >>> options = {"cache": tempfile.mkdtemp(), "progress": False}
        >>> cache = ImageCache.from_arrays(np.zeros((10, 16, 16, 3)), **options)
        >>> stream = ImageStream(cache, batch_size=4, resolution=8)
        >>> stream[0].shape, stream[1_000_000].shape
        ((4, 8, 8, 3), (4, 8, 8, 3))
        >>> stream.start_at(100)  # a second `fit` goes on there
        >>> stream.images_before(2)
        108
    """

    def __init__(
        self,
        cache,
        schedule=None,
        *,
        batch_size=32,
        resolution=None,
        mirror=False,
        fade=False,
        labels=False,
        seed=0,
        initial_images=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.cache, self.schedule = cache, schedule
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self.mirror, self.fade, self.labels = mirror, fade, labels
        self.seed = checks.whole("seed", seed, least=0)
        self.initial_images = initial_images
        if schedule is not None and resolution is not None:
            raise ValueError(
                f"resolution must be None with a schedule. Received: resolution={resolution}"
            )
        self._resolution = cache.images(resolution).shape[1:3]
        for phase in schedule or ():
            cache.images(phase.resolution)
        if labels and cache.labels is None:
            raise ValueError(f"labels=True needs a cache with labels. Received: labels={labels}")
        self._epochs, self._lead, self.share = {}, 0, HostShare.current()

    @property
    def num_batches(self):
        """None: the stream is endless, so that `fit` neither stops nor shuffles it."""
        return None

    def start_at(self, images, lead=0):
        """Let batch 0 be the one that comes after a number of images shown.

        Args:
            images: Images shown so far by the model, such as `int(model.images_shown)`.
            lead: How often to serve that batch before it counts: a `fit` that resumes in the middle
                of an epoch takes as many batches without a step.

        Raises:
            ValueError: If `images` or `lead` is not an integer >= 0.
        """
        self._initial_images = checks.whole("images", images, least=0)
        self._lead = checks.whole("lead", lead, least=0)

    @property
    def initial_images(self):
        """Images shown before batch 0; set it to resume."""
        return self._initial_images

    @initial_images.setter
    def initial_images(self, images):
        self._initial_images = checks.whole("initial_images", images, least=0)

    @property
    def steps(self):
        """Number of batches until the schedule is done, None without a schedule."""
        return None if self.schedule is None else self.schedule.steps(self.initial_images)

    def __getitem__(self, index):
        """Return batch `index`, counted from `initial_images`."""
        index = checks.whole("index", index, least=0)
        return self.batch(self.images_before(max(0, index - self._lead)))

    def images_before(self, index):
        """Count the images shown before a batch.

        Args:
            index: Number of the batch.

        Returns:
            Number of images, those before batch 0 included.
        """
        if self.schedule is None:
            return self.initial_images + index * self.batch_size
        return self.schedule.advance(self.initial_images, index)

    def batch(self, images):
        """Make the batch that comes after a number of images shown.

        Args:
            images: Images shown so far.

        Returns:
            Array (B, H, W, C), or a tuple, as `stream[i]`.
        """
        size, resolution, alpha = self.batch_size, self._resolution, 1.0
        if self.schedule is not None:
            state = self.schedule.at(images)
            size, resolution, alpha = state.batch_size, state.resolution, state.alpha
        indices, mirrored = self.share.of(self._samples(images, size))
        # One pass of copies in C, which also lets other threads run meanwhile.
        pixels = np.take(self.cache.images(resolution), indices, axis=0)
        if self.mirror:
            # A pixel's bytes as one item: reversing them is then one pass.
            whole = pixels.view(f"V{self.cache.channels}")[..., 0]
            whole[mirrored] = whole[mirrored][:, :, ::-1]
        if self.fade:
            pixels = fade_images(pixels, alpha)
        return (pixels, self.cache.labels[indices]) if self.labels else pixels

    def as_tf_dataset(self):
        """Serve the batches as an endless `tf.data.Dataset`, whose resolution may grow.

        Batches are made by `workers` threads and prefetched; every pass over the result begins
        at `initial_images`. `AdversarialModel.fit` calls this by itself on TensorFlow.

        Returns:
            `tf.data.Dataset` of what `batch` returns, batch size unknown; height and width too,
            where they change.

        Raises:
            ImportError: TensorFlow is not installed; the message names the extra.
        """
        tf = backend.tensorflow()
        dtypes = [tf.float32 if self.fade else tf.uint8, *([tf.int64] if self.labels else [])]
        sizes = {phase.resolution for phase in self.schedule or ()} or {self._resolution}
        size = sizes.pop() if len(sizes) == 1 else (None, None)

        def make(index):
            return self[int(index)] if self.labels else (self[int(index)],)

        def shaped(index):
            arrays = tf.numpy_function(make, [index], dtypes)
            arrays[0].set_shape((None, *size, self.cache.channels))
            if self.labels:
                arrays[1].set_shape((None,))
            return tuple(arrays) if self.labels else arrays[0]

        dataset = tf.data.Dataset.counter()
        dataset = dataset.map(shaped, num_parallel_calls=max(1, self.workers), deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _samples(self, images, size):
        """Indices into the cache, and which to mirror, of the samples after `images`."""
        indices, mirrored, end = [], [], images + size
        while images < end:
            epoch, first = divmod(images, len(self.cache))
            # Slices, as a copy of a whole epoch's order costs more than a small batch.
            parts = [whole[first : first + end - images] for whole in self._epoch(epoch)]
            indices.append(parts[0])
            mirrored.append(parts[1])
            images += len(parts[0])
        return np.concatenate(indices), np.concatenate(mirrored)

    def _epoch(self, epoch):
        """Order of one pass over the cache, and which images are mirrored in it."""
        found = self._epochs.get(epoch)
        if found is None:
            order = np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self.cache))
            mirrored = np.random.default_rng((self.seed, _MIRROR, epoch)).random(len(order)) < 0.5
            found = order, mirrored
            # A new dictionary, so that threads which hold the old one are not disturbed.
            kept = list(itertools.islice(reversed(self._epochs.items()), _EPOCHS_KEPT - 1))
            self._epochs = {**dict(reversed(kept)), epoch: found}
        return found


def fade_images(images, alpha):
    """Fade images in from half their resolution: (1 - alpha) * up2(down2(x)) + alpha * x.

    down2 averages 2x2 pixels, up2 repeats each pixel 2x2.

    Args:
        images: Array (B, H, W, C), uint8 or float in [0, 1]; H and W even unless `alpha` is 1.
        alpha: Weight of the full resolution, 0 to 1.

    Returns:
        float32 array (B, H, W, C) in [0, 1].

    Raises:
        ValueError: If `alpha` is out of range, or H or W is odd.

    Source: Karras et al., arXiv 1710.10196, section 2 and the released code's image processing.

    Example:
        >>> image = np.array([[0, 0], [0, 1]], np.float32).reshape(1, 2, 2, 1)
        >>> fade_images(image, 0.5).ravel().tolist()
        [0.125, 0.125, 0.125, 0.625]
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be from 0 to 1. Received: {alpha}")
    count, height, width, channels = images.shape
    if alpha < 1 and (height % 2 or width % 2):
        raise ValueError(f"H and W must be even. Received: shape {images.shape}")
    faded = np.empty(images.shape, np.float32)
    at_once = max(1, _CACHED // (height * width * channels))
    for first in range(0, count, at_once):
        part = faded[first : first + at_once]
        # Divided, because 255 * float32(1 / 255) is not 1.
        divisor = 255 if images.dtype == np.uint8 else 1
        np.divide(images[first : first + at_once], divisor, out=part, dtype=np.float32)
        if alpha < 1:
            _fade_in_place(part, alpha)
    return faded


def _fade_in_place(images, alpha):
    count, height, width, channels = images.shape
    pairs = images.reshape(count, height // 2, 2, width * channels)  # of rows, a view
    rows = pairs[:, :, 0] + pairs[:, :, 1]
    cells = rows.reshape(count, height // 2, width // 2, 2, channels)
    coarse = cells[:, :, :, 0] + cells[:, :, :, 1]
    coarse *= np.float32((1 - alpha) / 4)
    images *= np.float32(alpha)
    pairs += np.repeat(coarse, 2, axis=2).reshape(count, height // 2, 1, width * channels)
