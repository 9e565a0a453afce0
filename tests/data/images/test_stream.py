import concurrent.futures
import pickle
import tracemalloc
import types

import keras
import numpy as np
import pytest

from c2f_zoo.data import ImageCache, ImageStream, fade_images
from c2f_zoo.training import GrowthSchedule

COUNT = 50


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def cache(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("caches")
    return ImageCache.from_arrays(images, labels=range(COUNT), cache=folder, progress=False)


SCHEDULE = GrowthSchedule.by_images(
    16, stabilise=60, fade=40, batch_sizes={4: 16, 8: 12, 16: 7}, total=400
)


def indices(batch, images):
    """Which image each one of an unfaded batch is."""
    flat = {image.tobytes(): index for index, image in enumerate(images)}
    return [flat[image.tobytes()] for image in np.asarray(batch)]


def test_batches_have_the_resolution_and_size_of_the_schedule(cache):
    stream = ImageStream(cache, SCHEDULE)
    shown = 0
    for index in range(stream.steps + 3):
        state = SCHEDULE.at(shown)
        assert stream.images_before(index) == shown
        batch = stream[index]
        assert batch.shape == (state.batch_size, *state.resolution, 3)
        assert batch.dtype == np.uint8
        shown += len(batch)
    assert shown > SCHEDULE.total


def test_a_resumed_stream_goes_on_with_the_same_batches(cache):
    options = {"mirror": True, "seed": 5, "fade": True}
    whole = ImageStream(cache, SCHEDULE, **options)
    for index in (0, 4, 9, 17):
        resumed = ImageStream(cache, SCHEDULE, initial_images=whole.images_before(index), **options)
        assert resumed.steps == whole.steps - index
        for later in (0, 1, 6):
            np.testing.assert_array_equal(resumed[later], whole[index + later])
    whole.initial_images = 123
    np.testing.assert_array_equal(whole[0], resumed.batch(123))


def test_a_second_fit_goes_on_where_the_stream_is_told_to(cache):
    stream = ImageStream(cache, SCHEDULE, mirror=True)
    expected = [stream[index] for index in range(6)]
    stream.start_at(stream.images_before(4))
    np.testing.assert_array_equal(stream[0], expected[4])
    np.testing.assert_array_equal(stream[1], expected[5])
    assert stream.initial_images == sum(map(len, expected[:4]))
    with pytest.raises(ValueError, match="images must be .*Received: -1$"):
        stream.start_at(-1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grey_and_transparent_images_are_served_too(channels, tmp_path, rng):
    images = rng.integers(0, 256, (6, 8, 8, channels), dtype=np.uint8)
    options = {"channels": channels, "cache": tmp_path, "progress": False}
    cache = ImageCache.from_arrays(images, **options)
    stream = ImageStream(cache, batch_size=6, mirror=True)
    plain = ImageStream(cache, batch_size=6)[0]
    assert sorted(indices(plain, images)) == list(range(6))
    batch = stream[0]
    is_mirrored = (batch == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((batch == plain).all(axis=(1, 2, 3)) | is_mirrored).all() and is_mirrored.any()
    faded = ImageStream(cache, GrowthSchedule.by_images(8, batch_sizes={4: 2, 8: 2}), fade=True)
    assert faded[0].shape == (2, 4, 4, channels)
    if keras.backend.backend() == "tensorflow":
        spec = ImageStream(cache).as_tf_dataset().element_spec
        assert spec.shape.as_list() == [None, 8, 8, channels]


def test_a_batch_does_not_copy_the_order_of_all_images():
    class Large(types.SimpleNamespace):
        def __len__(self):
            return len(self.pixels)

        def images(self, resolution):
            return self.pixels

    pixels = np.zeros((1_000_000, 1, 1, 1), np.uint8)
    stream = ImageStream(Large(pixels=pixels, labels=None, channels=1), batch_size=8)
    stream[0]
    tracemalloc.start()
    stream[1]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000


def test_a_batch_depends_on_the_seed_and_not_on_the_asker(cache):
    stream = ImageStream(cache, SCHEDULE, mirror=True)
    expected = [stream[index] for index in range(20)]
    again = ImageStream(cache, SCHEDULE, mirror=True)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        order = np.random.default_rng(0).permutation(20)
        found = dict(zip(order, pool.map(again.__getitem__, order), strict=True))
    for index in range(20):
        np.testing.assert_array_equal(found[index], expected[index])
    other = ImageStream(cache, SCHEDULE, mirror=True, seed=1)
    assert not np.array_equal(other[0], expected[0])


def test_every_image_is_shown_once_before_any_is_shown_again(cache, images):
    stream = ImageStream(cache, batch_size=7)
    shown = np.concatenate([stream[index] for index in range(50)])
    found = np.array(indices(shown, images)).reshape(7, COUNT)
    assert (np.sort(found, axis=1) == np.arange(COUNT)).all()
    assert not (found[0] == found[1]).all()


def test_a_batch_may_be_larger_than_the_cache(cache, images):
    found = indices(ImageStream(cache, batch_size=120)[1], images)
    assert len(found) == 120 and set(found) == set(range(COUNT))


def test_about_half_of_the_images_are_mirrored_anew_each_time(cache, images):
    stream = ImageStream(cache, batch_size=COUNT, mirror=True)
    plain = ImageStream(cache, batch_size=COUNT)
    shares, kept = [], []
    for index in range(8):
        same = (stream[index] == plain[index]).all(axis=(1, 2, 3))
        flipped = (stream[index] == plain[index][:, :, ::-1]).all(axis=(1, 2, 3))
        assert (same ^ flipped).all()
        shares.append(flipped.mean())
        kept.append(dict(zip(indices(plain[index], images), flipped, strict=True))[0])
    assert 0.35 < np.mean(shares) < 0.65 and len(set(kept)) == 2


def test_labels_belong_to_their_images(cache, images):
    batch, labels = ImageStream(cache, batch_size=8, labels=True)[3]
    assert labels.dtype == np.int64 and indices(batch, images) == labels.tolist()


def test_images_are_faded_in_on_request(cache):
    stream = ImageStream(cache, SCHEDULE)
    faded = ImageStream(cache, SCHEDULE, fade=True)
    assert {faded[index].dtype.name for index in range(15)} == {"float32"}
    for index in (0, 5, 7, 12):
        alpha = SCHEDULE.at(faded.images_before(index)).alpha
        np.testing.assert_array_equal(faded[index], fade_images(stream[index], alpha))


def slowly_faded(images, alpha):
    """The definition, pixel by pixel."""
    out = np.empty(images.shape, np.float64)
    for place in np.ndindex(*images.shape):
        b, y, x, c = place
        cell = images[b, y // 2 * 2 : y // 2 * 2 + 2, x // 2 * 2 : x // 2 * 2 + 2, c] / 255
        out[place] = (1 - alpha) * cell.mean() + alpha * images[place] / 255
    return out


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
def test_fading_is_a_blend_with_half_the_resolution(alpha, rng):
    images = rng.integers(0, 256, (2, 6, 4, 3), dtype=np.uint8)
    expected = slowly_faded(images, alpha)
    for given in (images, images / np.float32(255), images / 255):
        faded = fade_images(given, alpha)
        assert faded.dtype == np.float32
        np.testing.assert_allclose(faded, expected, atol=2e-7)


def test_fading_leaves_its_argument_alone_and_white_white(rng):
    images = rng.random((1, 4, 4, 3), np.float32)
    before = images.copy()
    for alpha in (0.5, 1):
        fade_images(images, alpha)[:] = 0
        np.testing.assert_array_equal(images, before)
    assert (fade_images(np.full((1, 2, 2, 3), 255, np.uint8), 0.25) == 1).all()
    with pytest.raises(ValueError, match=r"Received: shape \(1, 3, 4, 3\)$"):
        fade_images(np.zeros((1, 3, 4, 3)), 0.5)
    with pytest.raises(ValueError, match="from 0 to 1. Received: 1.5$"):
        fade_images(images, 1.5)


def test_a_stream_travels_to_other_processes(cache):
    stream = ImageStream(cache, SCHEDULE, seed=2)
    data = pickle.dumps(stream)
    assert len(data) < 20_000
    np.testing.assert_array_equal(pickle.loads(data)[9], stream[9])


class Seen(keras.Model):
    """Takes images of any size."""

    def __init__(self):
        super().__init__()
        self.scale = keras.layers.Dense(1)

    def build(self, shape):
        self.scale.build((None, 3))

    def call(self, images):
        return self.scale(keras.ops.mean(images, axis=(1, 2)))


@pytest.mark.parametrize("workers", [1, 2])
def test_fit_walks_through_the_resolutions(cache, workers):
    stream = ImageStream(cache, SCHEDULE, labels=True, fade=True, workers=workers)
    served, shapes = stream.batch, []

    def batch(images):
        shapes.append((images, served(images)[0].shape))
        return served(images)

    stream.batch = batch
    model = Seen()
    model.compile("sgd", "mse")
    data = stream.as_tf_dataset() if keras.backend.backend() == "tensorflow" else stream
    model.fit(data, steps_per_epoch=4, epochs=4, verbose=0)
    expected = {stream.images_before(index) for index in range(16)}
    assert expected <= {images for images, _ in shapes}
    assert {shape[1] for _, shape in shapes} >= {4, 8, 16}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for fit on TensorFlow")
def test_tensorflow_is_served_the_same_batches(cache):
    tensorflow = pytest.importorskip("tensorflow")
    stream = ImageStream(cache, SCHEDULE, workers=2, labels=True, fade=True, initial_images=40)
    dataset = stream.as_tf_dataset()
    assert dataset.element_spec[0].shape.as_list() == [None, None, None, 3]
    assert dataset.element_spec[0].dtype == tensorflow.float32
    for index, (batch, labels) in enumerate(dataset.take(12).as_numpy_iterator()):
        np.testing.assert_array_equal(batch, stream[index][0])
        np.testing.assert_array_equal(labels, stream[index][1])
    plain = ImageStream(cache, SCHEDULE).as_tf_dataset()
    assert plain.element_spec.dtype == tensorflow.uint8
    of_one_size = ImageStream(cache, batch_size=4, resolution=8).as_tf_dataset()
    assert of_one_size.element_spec.shape.as_list() == [None, 8, 8, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": GrowthSchedule.by_images(32)}, "4x4, 8x8, 16x16. Received: .*32, 32"),
        ({"schedule": SCHEDULE, "resolution": 8}, "None with a schedule. Received: .*8$"),
        ({"resolution": 32}, "4x4, 8x8, 16x16. Received: 32$"),
        ({"batch_size": 0}, "batch_size must be .*Received: 0$"),
        ({"seed": -1}, "seed must be .*Received: -1$"),
        ({"initial_images": 0.5}, "initial_images must be .*Received: 0.5$"),
    ],
)
def test_senseless_streams_are_refused(options, message, cache):
    with pytest.raises(ValueError, match=message):
        ImageStream(cache, **options)


def test_a_stream_of_labels_needs_a_cache_with_labels(images, tmp_path):
    cache = ImageCache.from_arrays(images[:4], cache=tmp_path, progress=False)
    with pytest.raises(ValueError, match="a cache with labels. Received: labels=True$"):
        ImageStream(cache, labels=True)
    with pytest.raises(ValueError, match="index must be .*Received: -1$"):
        ImageStream(cache)[-1]
