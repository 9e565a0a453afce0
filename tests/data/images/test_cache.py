import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import types
import warnings

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import ImageCache, ImageFolder, box_pyramid, fit_image, save_image
from c2f_zoo.data.images.folder import is_grey

pytestmark = pytest.mark.backend_free


@pytest.fixture
def pictures(tmp_path, rng):
    """A folder of six photographs of different sizes, two of them a folder deeper."""
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    for index in range(6):
        name = f"deeper/{index}.png" if index > 3 else f"{index}.png"
        save_image(folder / name, rng.random((16 + index, 26 - index, 3)))
    return folder


@pytest.fixture
def cached(tmp_path):
    """`cached(folder, **options)`: its cache at 8x8, without a bar."""

    def build(folder, resolution=8, **options):
        options = {"cache": tmp_path / "caches", "progress": False, **options}
        return ImageCache.from_folder(folder, resolution, **options)

    return build


def caches_in(tmp_path):
    return sorted(path.name for path in (tmp_path / "caches").iterdir())


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


def test_an_image_is_cropped_at_its_centre_and_antialiased(rng):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = rng.integers(0, 256, (8, 8, 3))
    expected = wide[:, 8:16].reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(fit_image(wide, (4, 4), resample="area"), expected, atol=1)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(fit_image(stripes, (16, 16)).astype(int)[:, 2:-2]) <= 2
    np.testing.assert_array_equal(fit_image(wide, (8, 24)), wide)


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


def spoil(folder, kind):
    """Put one unfit image among the good ones; returns its name and what is said about it."""
    name, message = "3b.png", kind
    if kind == "empty file":
        (folder / name).write_bytes(b"")
        message = "not an image"
    elif kind == "truncated":
        whole = (folder / "0.png").read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        message = "broken"
    elif kind == "animated":
        name = "3b.gif"
        frames = [Image.new("RGB", (20, 20), color) for color in ("red", "lime", "blue")]
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
        message = "animated or holds 3 pictures"
    elif kind == "CMYK":
        name = "3b.jpg"
        Image.new("CMYK", (20, 20)).save(folder / name)
    elif kind == "transparent":
        Image.new("RGBA", (20, 20), (9, 9, 9, 100)).save(folder / name)
    elif kind == "tiny":
        save_image(folder / name, np.zeros((7, 40, 3)))
        message = r"it is 40x7 \(width x height\), smaller than 8x8"
    return name, message


KINDS = ["empty file", "truncated", "animated", "CMYK", "transparent", "tiny"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfit_image_is_named(kind, pictures, cached, tmp_path):
    name, message = spoil(pictures, kind)
    with pytest.raises(ValueError, match=rf"{message}.*skip_broken=True.*Received: {name}$"):
        cached(pictures)
    assert caches_in(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfit_image_is_skipped_on_request_and_listed(kind, pictures, cached):
    names = ImageFolder(pictures).names
    name, message = spoil(pictures, kind)
    with pytest.warns(UserWarning, match=rf"^1 images were skipped \({name}: "):
        cache = cached(pictures, skip_broken=True)
    assert [entry[0] for entry in cache.skipped] == [name] and len(cache) == 6
    for index, good in enumerate(names):
        with Image.open(pictures / good) as image:
            np.testing.assert_array_equal(cache.images()[index], fit_image(image, (8, 8)))
    with pytest.raises(ValueError, match=f"skip_broken=True.*Received: {name}$"):
        cached(pictures)
    with pytest.warns(UserWarning, match="skipped"):
        assert cached(pictures, skip_broken=True).skipped == cache.skipped


def test_a_folder_without_a_good_image_is_an_error(tmp_path, cached):
    folder = tmp_path / "pictures"
    folder.mkdir()
    with pytest.raises(ValueError, match=f"hold no image file .*Received: {folder}$"):
        cached(folder)
    spoil(folder, "CMYK")
    with pytest.raises(ValueError, match=r"None of the 1 images.*Received: 3b\.jpg: .*CMYK"):
        cached(folder, skip_broken=True)
    with pytest.raises(FileNotFoundError, match="Received: .*nowhere$"):
        cached(tmp_path / "nowhere")
    assert caches_in(tmp_path) == []


@pytest.mark.filterwarnings("ignore:1 of 4 images are grey")
def test_transparent_pixels_take_the_background(tmp_path, cached):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGBA", (8, 8), (200, 0, 0, 0)).save(folder / "a.png")
    Image.new("RGBA", (8, 8), (200, 0, 0, 255)).save(folder / "b.png")
    Image.new("LA", (8, 8), (100, 0)).save(folder / "c.png")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(folder / "d.png", transparency=bytes([255, 0]))
    cache = cached(folder, background="white")
    assert cache.images(4)[:, 0, 0].tolist() == [[255] * 3, [200, 0, 0], [255] * 3, [255] * 3]
    other = cached(folder, background=(0, 128, 0))
    assert other.images(4)[0, 0, 0].tolist() == [0, 128, 0] and other.folder != cache.folder


def test_grey_becomes_three_channels_at_any_depth(tmp_path, cached):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (8, 8), 77).save(folder / "a.png")
    Image.fromarray(np.full((8, 8), 77 * 257, np.uint16)).save(folder / "b.png")
    Image.new("1", (8, 8), 1).save(folder / "c.png")
    cache = cached(folder)  # no warning: that they are all grey surprises nobody
    assert cache.images(4)[:, 0, 0].tolist() == [[77] * 3, [77] * 3, [255] * 3]
    assert cache.grey == ["a.png", "b.png", "c.png"]


def test_grey_among_coloured_images_is_named(pictures, cached):
    assert cached(pictures).grey == []
    Image.new("LA", (8, 8), (77, 255)).save(pictures / "3b.png")
    for _ in ("built", "opened"):
        with pytest.warns(UserWarning, match=r"^1 of 7 images are grey \(3b\.png\)"):
            assert cached(pictures).grey == ["3b.png"]
    with pytest.raises(ValueError, match=r"it is grey.*Received: 3b\.png$"):
        cached(pictures, allow_grey=False)
    with pytest.warns(UserWarning, match="1 images were skipped"):
        cache = cached(pictures, allow_grey=False, skip_broken=True)
    assert cache.skipped == [("3b.png", "it is grey")] and cache.grey == [] and len(cache) == 6


def test_a_palette_of_greys_is_grey():
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P")
    assert is_grey(image)
    image.putpalette([9, 9, 9] * 63 + [9, 9, 8])
    assert not is_grey(image)


def test_small_images_are_enlarged_on_request(pictures, cached):
    spoil(pictures, "tiny")
    assert len(cached(pictures, upscale=True)) == 7


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


@pytest.mark.parametrize("random_access", [True, False])
def test_a_tensorflow_data_set_is_cached_by_name(random_access, tmp_path, rng, monkeypatch):
    images = [rng.integers(0, 256, (9 + i, 8, 3), dtype=np.uint8) for i in range(5)]
    builder = FakeBuilder(images, random_access)
    module = types.SimpleNamespace(
        builder=lambda name, data_dir: builder, as_numpy=lambda dataset: iter(dataset)
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    options = {"cache": tmp_path, "progress": False}
    cache = ImageCache.from_tfds("pets", 8, labels=True, **options)
    assert cache.classes == ["cat", "dog"] and cache.labels.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(cache.images()[3], fit_image(images[3], (8, 8)))
    assert ImageCache.from_tfds("pets", 8, **options).labels is None
    del builder.info.features["label"]
    with pytest.raises(ValueError, match="image and label. Received: image$"):
        ImageCache.from_tfds("pets", 8, labels=True, **options)


def test_a_data_set_by_name_without_tensorflow_datasets_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"c2f_zoo\[data\].*Received"):
        ImageCache.from_tfds("pets", 8)


BUILD = """
import signal, sys, time
# A test run in the background of a shell inherits SIGINT ignored; a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)
import c2f_zoo.data.images.cache as module
def slow(*arguments):
    print("started", flush=True)
    time.sleep(0.2)
    return fit(*arguments)
fit, module.fit_image = module.fit_image, slow
module.ImageCache.from_folder(sys.argv[1], 8, cache=sys.argv[2], progress=False, threads=1)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_no_half_cache(number, pictures, cached, tmp_path):
    caches = tmp_path / "caches"
    arguments = [sys.executable, "-c", BUILD, str(pictures), str(caches)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(number)
    process.wait(timeout=30)
    left = caches_in(tmp_path)
    assert all(name.startswith(".c2f-") for name in left)
    assert len(left) == (number == signal.SIGKILL)
    cache = cached(pictures)
    assert len(cache) == 6 and caches_in(tmp_path) == [cache.folder.name]


def test_a_full_disk_leaves_nothing(pictures, cached, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cached(pictures)
    assert caches_in(tmp_path) == []


def test_a_cache_that_another_process_finished_first_is_taken(pictures, cached, monkeypatch):
    theirs = cached(pictures)
    kept = theirs.folder.with_name("kept")
    theirs.folder.rename(kept)
    rename = os.rename

    def late(source, target):
        rename(kept, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert cached(pictures).folder == theirs.folder
    assert len(list(theirs.folder.parent.iterdir())) == 1


def test_a_damaged_cache_says_what_to_do(pictures, cached, tmp_path):
    cache = cached(pictures)
    with open(cache.folder / "4x4.npy", "r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match=r"damaged: delete the folder.*Received: "):
        cached(pictures)
    (cache.folder / "about.json").write_text("{}")
    with pytest.raises(ValueError, match=r"damaged: delete the folder.*Received: "):
        ImageCache(cache.folder)
    with pytest.raises(FileNotFoundError, match=f"no image cache. Received: {tmp_path}$"):
        ImageCache(tmp_path)


def change_about(name, value):
    def change(folder):
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps({**about, name: value}))

    return change


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def save(name, array):
    return lambda folder: np.save(folder / name, array, allow_pickle=True)


def replace_by_pipe(name):
    def change(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


HEADER = b"\x93NUMPY\x01\x00\x10\x00"


@pytest.mark.parametrize(
    "damage",
    [
        write("about.json", b""),
        write("about.json", b"null"),
        write("about.json", b"\xff\xfe"),
        write("about.json", b"[" * 100_000),
        change_about("resolutions", None),
        change_about("resolutions", []),
        change_about("resolutions", [[4], [8, 8]]),
        change_about("count", None),
        change_about("count", 5),
        change_about("channels", None),
        change_about("skipped", None),
        change_about("grey", 1),
        change_about("classes", 2),
        write("4x4.npy", b""),
        write("4x4.npy", HEADER + b"{'descr': (((((\n"),
        write("4x4.npy", HEADER + b"'\n" * 8),
        write("4x4.npy", b"PK\x05\x06" + bytes(18)),
        save("8x8.npy", np.zeros((6, 8, 8, 1), np.uint8)),
        save("8x8.npy", np.zeros((6, 8, 8, 3), np.float32)),
        save("labels.npy", np.zeros(5, np.int64)),
        save("labels.npy", np.zeros((6, 1), np.int64)),
        save("labels.npy", np.zeros(6, np.float32)),
        save("labels.npy", np.array([None] * 6)),
        write("labels.npy", b""),
        write("labels.npy", HEADER + b"{'descr': (((((\n"),
        replace_by_pipe("about.json"),
        replace_by_pipe("8x8.npy"),
        replace_by_pipe("labels.npy"),
    ],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_any_damage_of_a_cache_is_told_as_such(damage, tmp_path, rng):
    images = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    options = {"labels": range(6), "cache": tmp_path, "progress": False}
    folder = ImageCache.from_arrays(images, **options).folder
    damage(folder)
    with pytest.raises(ValueError, match=f"{folder} is damaged: delete the folder.*Received: "):
        ImageCache(folder)


def test_a_cache_that_does_not_say_its_channels_has_three(pictures, cached):
    cache = cached(pictures)
    about = json.loads((cache.folder / "about.json").read_text())
    del about["channels"]
    (cache.folder / "about.json").write_text(json.dumps(about))
    assert ImageCache(cache.folder).channels == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_any_kind_become_one_three_or_four_channels(channels, tmp_path, cached, rng):
    folder = tmp_path / "pictures"
    folder.mkdir()
    color = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    deep = color[..., 0].astype(np.uint16) * 257
    for name, pixels in {"a": color, "b": color[..., 0], "c": deep}.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    mixed = pytest.warns(UserWarning, match="2 of 3 images are grey")
    with mixed if channels > 1 else contextlib.nullcontext():
        cache = cached(folder, channels=channels)
    assert cache.channels == channels and cache.images(4).shape == (3, 4, 4, channels)
    grey = np.repeat(color[..., :1], 3, axis=2)
    found = cache.images()
    if channels == 1:
        luma = color @ np.array([0.299, 0.587, 0.114])
        assert np.abs(found[0, ..., 0] - luma).max() <= 1 and cache.grey == []
        np.testing.assert_array_equal(found[1:], [grey[..., :1]] * 2)
    else:
        np.testing.assert_array_equal(found[..., :3], [color, grey, grey])
        assert channels == 3 or (found[..., 3] == 255).all()


def test_transparency_is_kept_in_a_fourth_channel(tmp_path, rng):
    images = rng.integers(0, 256, (3, 8, 8, 4), dtype=np.uint8)
    options = {"cache": tmp_path, "progress": False}
    cache = ImageCache.from_arrays(images, channels=4, **options)
    np.testing.assert_array_equal(cache.images(), images)
    half = images.reshape(3, 4, 2, 4, 2, 4).astype(np.float64).mean(axis=(2, 4))
    np.testing.assert_array_equal(cache.images(4), np.rint(half).astype(np.uint8))
    with pytest.raises(ValueError, match="transparent pixels: choose a background"):
        ImageCache.from_arrays(images, channels=1, **options)


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
