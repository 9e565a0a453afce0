"""Data sets by name: resizing, patches, broken files, fresh batches."""

import sys
import types
import zipfile

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import (
    ImageDataset,
    ImageFolder,
    open_image_dataset,
    save_image,
)
from c2f_zoo.training import MultilevelSchedule, MultilevelStream
from tests.data.images.image_files import bytes_of, write_folder

pytestmark = pytest.mark.backend_free


def test_celeba_is_parted_by_its_file_or_its_official_numbers(tmp_path, open_quietly):
    names = ["000001.jpg", "000002.jpg", "162771.jpg", "182638.jpg"]
    folder = write_folder(tmp_path / "set", [f"img_align_celeba/{name}" for name in names])
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        for name in names:
            archive.write(folder / "img_align_celeba" / name, f"img_align_celeba/{name}")
    for root in (folder, folder / "img_align_celeba", tmp_path, tmp_path / "img_align_celeba.zip"):
        lengths = [len(open_quietly("celeba", root, split=s)) for s in ("train", "validation")]
        assert lengths == [2, 1]
    assert open_quietly("celeba", folder, split="test").names == ["img_align_celeba/182638.jpg"]
    lines = [f"{name} {part}" for name, part in zip(names, (2, 0, 0, 1), strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines))
    test = open_quietly("celeba", folder / "img_align_celeba", split="test")
    assert test.names == ["000001.jpg"]
    assert len(open_quietly("celeba", folder, split="all")) == 4
    write_folder(tmp_path / "own", ["me.jpg"])
    with pytest.raises(ValueError, match="split='all'.*Received: me.jpg"):
        open_quietly("celeba", tmp_path / "own")


def test_div2k_and_urban100_are_found_in_their_folders(tmp_path, open_quietly):
    write_folder(tmp_path / "div", ["DIV2K_train_HR/0001.png", "DIV2K_valid_HR/0801.png"])
    for root in (tmp_path / "div", tmp_path / "div" / "DIV2K_valid_HR"):
        assert len(open_quietly("div2k", root, split="validation")) == 1
    with pytest.raises(FileNotFoundError, match="DIV2K_train_HR.zip. Received"):
        open_quietly("div2k", tmp_path)
    names = [f"image_SRF_{n}/img_001_SRF_{n}_{kind}.png" for n in (2, 4) for kind in ("HR", "LR")]
    pairs = open_quietly("urban100", write_folder(tmp_path / "pairs", names))
    assert pairs.names == ["image_SRF_2/img_001_SRF_2_HR.png"]
    plain = write_folder(tmp_path / "plain", ["img_001.png", "img_002.png"])
    assert len(open_quietly("urban100", plain)) == 2


def test_images_are_cropped_to_the_shape_and_resized_as_asked(tmp_path, open_quietly):
    pixels = bytes_of((10, 20, 3))
    save_image(tmp_path / "a.png", pixels)
    cut = Image.fromarray(pixels[:, 5:15])
    for interpolation in ("bilinear", "nearest"):
        options = {"interpolation": interpolation, "dtype": "uint8"}
        found = open_quietly("folder", tmp_path, size=5, **options).samples([0])[0]
        how = getattr(Image.Resampling, interpolation.upper())
        np.testing.assert_array_equal(found, np.asarray(cut.resize((5, 5), how)))


def test_patches_are_cut_at_random_and_follow_from_the_generator(tmp_path, open_quietly):
    write_folder(tmp_path, ["a.png"], size=(30, 40)), write_folder(tmp_path, ["b.png"], (9, 50))
    dataset = open_quietly("folder", tmp_path, patch=(8, 9), patches=3, dtype="uint8")
    assert len(dataset) == 6
    first, again, other = (
        dataset.samples([0, 1, 5], np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape == (3, 8, 9, 3) and not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])
    windows = np.lib.stride_tricks.sliding_window_view(bytes_of((30, 40, 3)), (8, 9, 3))
    assert (windows.reshape(-1, 8, 9, 3) == first[0]).all((1, 2, 3)).any()
    with pytest.raises(ValueError, match="smaller than the patch, 10x10.*Received: b.png"):
        open_quietly("folder", tmp_path, patch=10)
    with pytest.raises(ValueError, match=r"one size.*Received \(width x height\): 50x9, 40x30"):
        open_quietly("folder", tmp_path).samples([0, 1])


def test_memory_is_bounded_and_what_is_not_kept_is_decoded_again(tmp_path, open_quietly):
    write_folder(tmp_path, [f"{number}.png" for number in range(4)])
    everything = open_quietly("folder", tmp_path).samples(range(4))
    for options in ({"memory": 2 * 12 * 10 * 3}, {"memory": 0}, {"check": False}):
        dataset = open_quietly("folder", tmp_path, **options)
        for _ in range(2):
            np.testing.assert_array_equal(dataset.samples(range(4)), everything)
        assert dataset._bytes <= dataset.memory
    np.testing.assert_array_equal(dataset.subset([3, 1]).samples([1]), everything[1:2])


def test_broken_files_are_named_and_refused_or_skipped_on_request(tmp_path, open_quietly):
    write_folder(tmp_path, ["a.png", "c.png", "d.png"])
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "d.png").write_bytes((tmp_path / "d.png").read_bytes()[:-60])
    with pytest.raises(ValueError, match="skip_broken=True.*Received: b.png"):
        open_quietly("folder", tmp_path)
    with pytest.warns(UserWarning, match="2 images were skipped .b.png: "):
        dataset = open_quietly("folder", tmp_path, skip_broken=True)
    assert dataset.names == ["a.png", "c.png"]
    assert [name for name, _ in dataset.skipped] == ["b.png", "d.png"]
    np.testing.assert_array_equal(
        dataset.samples([1]), bytes_of((1, 12, 10, 3), 1) / np.float32(255)
    )
    unchecked = open_quietly("folder", tmp_path, check=False)
    with pytest.raises(ValueError, match="Received: d.png"):
        unchecked.samples([3])
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match="None of the 4 images"):
        open_quietly("folder", tmp_path, skip_broken=True)


def test_consecutive_batches_differ_and_an_epoch_has_every_image_once(tmp_path, open_quietly):
    levels = np.arange(12, dtype="uint8")
    for level in levels:
        save_image(tmp_path / f"{level}.png", np.full((8, 8, 3), level))
    dataset = open_quietly("folder", tmp_path, dtype="uint8")
    stream = MultilevelStream(dataset, MultilevelSchedule.multiscale(levels=1, batch_size=1))
    batches = [np.asarray(stream[step])[:, 0, 0, 0] for step in range(8)]  # of 1 + 2 samples
    for first in (0, 4):
        epoch = np.concatenate(batches[first : first + 4])
        assert sorted(epoch) == levels.tolist()
    assert not np.array_equal(batches[0], batches[4])
    assert all(set(a).isdisjoint(b) for a, b in zip(batches[:3], batches[1:4], strict=True))


class FakeBuilder:
    """What is used of a builder of tensorflow_datasets."""

    def __init__(self, images, random_access):
        self.images, self.random_access = images, random_access
        self.info = types.SimpleNamespace(
            features={"hr": None, "lr": None},
            splits={"train": types.SimpleNamespace(num_examples=len(images))},
        )

    def download_and_prepare(self):
        pass

    def as_data_source(self, split):
        if not self.random_access:
            raise NotImplementedError
        return [{"hr": image} for image in self.images]

    def as_dataset(self, split, shuffle_files=False):
        assert split == "train"
        return iter([{"hr": image} for image in self.images])


@pytest.mark.parametrize("random_access", [True, False])
def test_without_files_the_data_set_is_taken_from_tensorflow_datasets(
    random_access, monkeypatch, open_quietly
):
    images, asked = [bytes_of((9 + i, 8, 3), i) for i in range(5)], []

    def builder(name, data_dir):
        asked.append((name, data_dir))
        return FakeBuilder(images, random_access)

    module = types.SimpleNamespace(builder=builder, as_numpy=lambda dataset: dataset)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    dataset = open_quietly("div2k", patch=8, data_dir="here", dtype="uint8")
    assert asked == [("div2k", "here")] and len(dataset) == 5
    np.testing.assert_array_equal(dataset.samples([0])[0], images[0][:8])
    if random_access:
        assert len(open_quietly("div2k", memory=0).samples([3])) == 1
    else:
        with pytest.raises(ValueError, match="Received: memory=0"):
            open_quietly("div2k", memory=0)


@pytest.mark.parametrize(
    "name, options, sides",
    [
        ("cifar10", {}, (32, 32)),
        ("stl10", {}, (96, 96)),
        ("celeba", {"size": (36, 28)}, (36, 28)),
        ("celeba", {"split": "all", "size": 32}, (32, 32)),
        ("div2k", {"split": "validation", "size": 32}, (32, 32)),
    ],
)
def test_the_mock_data_of_tensorflow_datasets_is_read(name, options, sides, open_quietly):
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=3):
        dataset = open_quietly(name, **options)
        assert dataset.samples([2, 0]).shape == (2, *sides, 3)


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (("imagenet", "."), {}, "name must be one of 'cifar10', .*Received: 'imagenet'"),
        (("cifar10", "."), {"split": "all"}, "split of cifar10 must be one of .*Received: 'all'"),
        (("urban100",), {}, "give root. Received: root=None"),
        (("folder", "."), {"size": 8, "patch": 8}, "size or patch, not both. Received"),
        (("folder", "."), {"size": (8, 8, 3)}, "size must be two integers >= 1. Received"),
        (("folder", "."), {"patch": 0}, "patch must be two integers >= 1. Received"),
        (("folder", "."), {"interpolation": "cubic"}, "'nearest'. Received: 'cubic'"),
        (("folder", "."), {"dtype": "int8"}, "Received: 'int8'"),
        (("folder", "."), {"skip_broken": True, "check": False}, "Received: check=False"),
    ],
)
def test_options_out_of_range_are_refused(arguments, options, message, tmp_path, monkeypatch):
    write_folder(tmp_path, ["a.png"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        open_image_dataset(*arguments, progress=False, **options)


def test_samples_beyond_the_end_and_missing_folders_are_refused(tmp_path, open_quietly):
    dataset = ImageDataset(ImageFolder(write_folder(tmp_path, ["a.png"])), progress=False)
    with pytest.raises(IndexError, match=r"indices must be 0 to 0. Received: \[1\]"):
        dataset.samples([1])
    for name in ("cifar10", "celeba", "urban100", "folder"):
        with pytest.raises(FileNotFoundError, match="Received"):
            open_quietly(name, tmp_path / "missing")
