import pickle
import sys
import types
import warnings

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import (
    ImageCache,
    ImageFolder,
    TensorFlowDataset,
    box_pyramid,
    fit_image,
    save_image,
)
from tests.data.images.image_files import caches_in

pytestmark = pytest.mark.backend_free


def test_every_resolution_is_the_exact_box_average_of_the_final_one(pictures, cached):
    cache = cached(pictures, 16)
    assert cache.resolutions == ((4, 4), (8, 8), (16, 16)) and len(cache) == 6
    final = cache.images()
    assert isinstance(final, np.memmap) and final.dtype == np.uint8 and not final.flags.writeable
    for factor, resolution in ((2, 8), (4, 4)):
        blocks = final.reshape(6, resolution, factor, resolution, factor, 3).astype(np.float64)
        np.testing.assert_array_equal(
            cache.images(resolution), np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
        )


def test_box_averages_round_once_and_do_not_pile_up(rng):
    image = rng.integers(0, 256, (32, 64, 3), dtype=np.uint8)
    levels = box_pyramid(image, 6)
    assert [level.shape for level in levels] == [(32 >> k, 64 >> k, 3) for k in range(6)]
    exact = image.reshape(1, 32, 2, 32, 3).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_array_equal(levels[5], np.rint(exact))
    assert box_pyramid(np.full((4, 4, 3), 255, np.uint8), 3)[2].tolist() == [[[255] * 3]]


def test_images_come_in_the_order_of_their_names(pictures, cached):
    cache = cached(pictures, threads=3)
    names = ImageFolder(pictures).names
    assert names == ["0.png", "1.png", "2.png", "3.png", "deeper/4.png", "deeper/5.png"]
    for index, name in enumerate(names):
        with Image.open(pictures / name) as image:
            np.testing.assert_array_equal(cache.images()[index], fit_image(image, (8, 8)))


def test_a_base_that_is_not_square_is_kept(pictures, cached):
    cache = cached(pictures, 8, base_shape=(4, 6))
    assert cache.resolutions == ((4, 6), (8, 12))
    assert cache.images((8, 12)).shape == (6, 8, 12, 3)


def test_an_unchanged_folder_is_not_read_again(pictures, cached, monkeypatch):
    first = cached(pictures)
    monkeypatch.setattr(Image, "open", None)
    assert cached(pictures).folder == first.folder


def test_a_changed_folder_or_setting_is_cached_anew(pictures, cached, tmp_path, rng):
    folders = {cached(pictures).folder, cached(pictures, 16).folder}
    folders.add(cached(pictures, resample="area").folder)
    save_image(pictures / "3.png", rng.random((16, 16, 3)))
    folders.add(cached(pictures).folder)
    (pictures / "2.png").unlink()
    fewer = cached(pictures)
    assert len({*folders, fewer.folder}) == 5 and len(fewer) == 5
    assert caches_in(tmp_path) == sorted(path.name for path in {*folders, fewer.folder})


def test_hidden_files_and_files_that_are_no_images_are_not_looked_at(pictures, cached):
    (pictures / ".hidden.png").write_bytes(b"no")
    (pictures / ".thumbnails").mkdir()
    (pictures / ".thumbnails" / "0.png").write_bytes(b"no")
    (pictures / "README.txt").write_text("no")
    (pictures / "deeper" / "loop").symlink_to(pictures)
    assert len(cached(pictures)) == 6


def test_arrays_are_cached_like_files(tmp_path, rng):
    options = {"cache": tmp_path / "caches", "progress": False}
    images = rng.integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    cache = ImageCache.from_arrays(images, **options)
    np.testing.assert_array_equal(cache.images(), images)
    same = ImageCache.from_arrays(images / np.float32(255), **options)
    np.testing.assert_array_equal(same.images(), images)
    assert ImageCache.from_arrays(images.copy(), **options).folder == cache.folder
    images[-1, -1, -1, -1] ^= 1
    assert ImageCache.from_arrays(images, **options).folder != cache.folder
    smaller = ImageCache.from_arrays(images[..., :1], 8, labels=np.arange(7), **options)
    assert smaller.images().shape == (7, 8, 8, 3) and smaller.labels.tolist() == list(range(7))


def test_an_array_with_a_bad_image_names_it(tmp_path):
    options = {"cache": tmp_path / "caches", "progress": False}
    images = np.zeros((5, 8, 8, 3), np.float32)
    images[2, 0, 0, 0] = np.nan
    images[4] = 3.0
    with pytest.raises(ValueError, match=r"NaN.*Received: image 2$"):
        ImageCache.from_arrays(images, **options)
    with pytest.warns(UserWarning, match="2 images were skipped"):
        cache = ImageCache.from_arrays(images, skip_broken=True, labels=range(5), **options)
    assert cache.labels.tolist() == [0, 1, 3]


def test_folders_can_be_classes(pictures, cached):
    with pytest.raises(ValueError, match=r"folder of its class.*: 4 that do not, .*0\.png$"):
        cached(pictures, labels=True)
    (pictures / "a").mkdir()
    for index in range(4):
        (pictures / f"{index}.png").rename(pictures / "a" / f"{index}.png")
    cache = cached(pictures, labels=True)
    assert cache.classes == ["a", "deeper"] and cache.labels.tolist() == [0, 0, 0, 0, 1, 1]


class FakeBuilder:
    """What `TensorFlowDataset` uses of a builder of tensorflow_datasets."""

    def __init__(self, images, random_access):
        self.images, self.random_access, self.prepared = images, random_access, False
        labels = types.SimpleNamespace(names=["cat", "dog"])
        self.info = types.SimpleNamespace(
            features={"image": None, "label": labels},
            splits={"train": types.SimpleNamespace(num_examples=len(images))},
            full_name="pets/1.0.0",
        )

    def download_and_prepare(self):
        self.prepared = True

    def as_data_source(self, split):
        if not self.random_access:
            raise NotImplementedError
        return self.as_dataset(split)

    def as_dataset(self, split, shuffle_files=False):
        assert self.prepared and split == "train"
        return [{"image": image, "label": i % 2} for i, image in enumerate(self.images)]


@pytest.fixture(params=[True, False], ids=["random access", "in order"])
def builder(request, rng, monkeypatch):
    images = [rng.integers(0, 256, (9 + i, 8, 3), dtype=np.uint8) for i in range(5)]
    builder = FakeBuilder(images, request.param)
    module = types.SimpleNamespace(
        builder=lambda name, data_dir: builder, as_numpy=lambda dataset: iter(dataset)
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return builder


def test_a_tensorflow_data_set_gives_its_examples(builder):
    source = TensorFlowDataset("pets", labels=True)
    assert hasattr(source.examples(), "__getitem__") == source.can_repeat == builder.random_access
    for example, image in zip(source.examples(), builder.images, strict=True):
        np.testing.assert_array_equal(example["image"], image)


def test_a_tensorflow_data_set_is_cached_by_name(builder, tmp_path):
    options = {"cache": tmp_path, "progress": False}
    cache = ImageCache.from_tfds("pets", 8, labels=True, **options)
    assert cache.classes == ["cat", "dog"] and cache.labels.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(cache.images()[3], fit_image(builder.images[3], (8, 8)))
    assert ImageCache.from_tfds("pets", 8, **options).labels is None
    del builder.info.features["label"]
    with pytest.raises(ValueError, match="image and label. Received: image$"):
        ImageCache.from_tfds("pets", 8, labels=True, **options)


def test_a_data_set_by_name_without_tensorflow_datasets_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"c2f_zoo\[data\].*Received"):
        ImageCache.from_tfds("pets", 8)


def test_a_cache_travels_to_other_processes_without_its_pixels(pictures, cached):
    cache = cached(pictures)
    data = pickle.dumps(cache)
    assert len(data) < 2000
    np.testing.assert_array_equal(pickle.loads(data).images(4), cache.images(4))


def test_building_shows_a_bar_unless_told_not_to(pictures, cached, tmp_path, capsys):
    cached(pictures, progress=True)
    assert "Caching 8x8: 100%" in capsys.readouterr().err
    cached(pictures, 16)
    assert capsys.readouterr().err == ""


def test_the_cache_lies_in_keras_own_folder_by_default(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    cache = ImageCache.from_folder(pictures, 8, progress=False)
    assert cache.folder.parent == tmp_path / "home" / "c2f_zoo" / "images"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 12}, r"power of two\. Received: 12$"),
        ({"resolution": 2}, r"power of two\. Received: 2$"),
        ({"base_shape": 4}, r"base_shape must be \(height, width\)\. Received: 4$"),
        ({"background": "whitish"}, r"background must be a colour.*Received: 'whitish'$"),
        ({"background": (0, 0, 256)}, r"background must be a colour.*Received: \(0, 0, 256\)$"),
        ({"channels": 2}, r"channels must be one of 1, 3, 4\. Received: 2$"),
        ({"channels": 1, "allow_grey": False}, r"channels=3 or 4\. Received: channels=1$"),
        ({"channels": 4, "background": "red"}, r"channels=1 or 3.*Received: \(255, 0, 0\)$"),
        ({"resample": "nearest"}, r"resample must be .*Received: 'nearest'$"),
    ],
)
def test_senseless_options_are_refused(options, message, pictures, cached):
    with pytest.raises(ValueError, match=message):
        cached(pictures, **options)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((8, 8, 3)), None, r"shape \(8, 8, 3\), dtype float64$"),
        (np.zeros((2, 8, 8, 2)), None, r"shape \(2, 8, 8, 2\)"),
        (np.zeros((0, 8, 8, 3)), None, r"shape \(0, 8, 8, 3\)"),
        (np.zeros((2, 8, 8, 3), np.int32), None, "dtype int32$"),
        (np.zeros((2, 8, 8, 3)), [1], r"2 whole numbers.*shape \(1,\)"),
        (np.zeros((2, 8, 8, 3)), [0.5, 1], "2 whole numbers.*float64$"),
    ],
)
def test_senseless_arrays_are_refused(images, labels, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        ImageCache.from_arrays(images, labels=labels, cache=tmp_path)


def test_an_unknown_resolution_lists_the_known(pictures, cached):
    with pytest.raises(ValueError, match="one of the cache's, 4x4, 8x8. Received: 16$"):
        cached(pictures).images(16)


def test_nothing_is_warned_of_where_nothing_is_wrong(pictures, cached):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cached(pictures, skip_broken=True).skipped == []
