"""The readers of files that others made: for each, good files to change, and how it is called."""

import dataclasses
import io
import json
import pathlib
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable

import numpy as np

from tests.fuzz.mutation import mutated, mutated_json


@dataclasses.dataclass
class Reader:
    """How a kind of file is read.

    `seeds` are good files: name, which may be that of one file of a folder, and content. `read`
    gets the path of a changed one. It returns, or raises one of the `errors` it documents.
    """

    name: str
    share: float  # of the inputs
    seeds: list[tuple[str, bytes]]
    read: Callable[[pathlib.Path], object]
    errors: tuple[type[Exception], ...] = (ValueError,)
    mutate: Callable = mutated


def make_readers(home: pathlib.Path) -> list[Reader]:
    """Return every reader; `home` is a folder for the good files of those that need several."""
    makers = (_flow, _disparity, _depth, _images, _weights, _keras, _pickles, _presets, _caches)
    readers = [reader for make in makers for reader in make(home)]
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        return readers
    return [*readers, *_video(home)]


def _written(write, *names):
    """The bytes that a writer puts into files of these names."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            write(pathlib.Path(folder) / name)
            yield name, (pathlib.Path(folder) / name).read_bytes()


def _flow(home):
    from c2f_zoo.data import read_flow, write_flow

    flow = np.random.default_rng(0).normal(size=(7, 9, 2)).astype("float32")
    seeds = list(_written(lambda path: write_flow(path, flow), "a.flo", "a.png"))
    seeds += [("a.pfm", seeds[0][1])]
    pfm = np.dstack([flow, 0 * flow[..., :1]]).astype("<f4")[::-1]
    seeds[-1] = ("a.pfm", b"PF\n9 7\n-1.0\n" + pfm.tobytes())
    yield Reader("flow", 0.14, seeds, read_flow)


def _disparity(home):
    from c2f_zoo.data import read_disparity, write_disparity

    disparity = np.random.default_rng(0).uniform(1, 20, (7, 9, 1)).astype("float32")
    seeds = list(_written(lambda path: write_disparity(path, disparity), "a.pfm", "a.png"))
    yield Reader("disparity", 0.1, seeds, lambda path: read_disparity(path, scale=256))


def _depth(home):
    from c2f_zoo.data import read_depth, write_depth

    depth = np.random.default_rng(0).uniform(1, 9, (7, 9, 1)).astype("float32")
    seeds = list(_written(lambda path: write_depth(path, depth), "a.png"))
    array = io.BytesIO()
    np.save(array, depth[..., 0])
    yield Reader("depth", 0.06, [*seeds, ("a.npy", array.getvalue())], read_depth)


def _images(home):
    from PIL import Image

    from c2f_zoo.data import load_image, read_picture

    pixels = np.random.default_rng(0).integers(0, 256, (11, 13, 4), "uint8")
    seeds = []
    for name, mode in (
        *(("a.png", "RGB"), ("b.png", "RGBA"), ("c.png", "P"), ("d.png", "I;16")),
        *(("a.jpg", "RGB"), ("a.webp", "RGB"), ("a.gif", "P"), ("a.tif", "RGB"), ("a.bmp", "RGB")),
    ):
        image = Image.fromarray(pixels, "RGBA")
        image = (
            Image.fromarray(pixels[..., 0].astype("uint16") * 257)
            if mode == "I;16"
            else image.convert("RGB").convert(mode)
        )
        stream = io.BytesIO()
        image.save(stream, {"jpg": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:].upper()))
        seeds.append((name, stream.getvalue()))
    yield Reader("images", 0.14, seeds, load_image)
    yield Reader("pictures", 0.04, seeds, read_picture)


def _weights(home):
    import keras

    from c2f_zoo.hub import load_weights

    def network():
        layers = [keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()]
        model = keras.Sequential([keras.Input((None, None, 1)), *layers])
        return model

    model = network()
    seeds = list(_written(model.save_weights, "model.weights.h5"))
    yield Reader("weights", 0.05, seeds, lambda path: load_weights(model, path))


def _network():
    from c2f_zoo.models import SRParaConvNet

    return SRParaConvNet(width=4)


def _keras(home):
    from c2f_zoo.hub import load

    seeds = list(_written(_network().save, "a.keras"))
    yield Reader("keras files", 0.01, seeds, load)


def _presets(home):
    """One file of a preset is changed, and its fingerprint with it, as a forger would."""
    from c2f_zoo.hub import load, read_metadata, render_card
    from c2f_zoo.hub.metadata import fingerprint

    folder = _network().save_pretrained(home / "preset", {"licence": "MIT"})
    good = {path.name: path.read_bytes() for path in folder.iterdir()}

    def read(path):
        for name, data in good.items():
            (folder / name).write_bytes(data)
        data = path.read_bytes()
        (folder / path.name).write_bytes(data)
        if path.name == "config.json":
            metadata = json.loads(good["metadata.json"])
            metadata["files"]["config.json"] = fingerprint(folder / "config.json")
            (folder / "metadata.json").write_text(json.dumps(metadata))
        else:
            render_card(read_metadata(folder))
        return load(folder)

    seeds = [(name, good[name]) for name in ("config.json", "metadata.json")]
    yield Reader("configs", 0.01, seeds, read, mutate=mutated_json)


def _pickles(home):
    from c2f_zoo.hub import read_torch_checkpoint, read_torchscript

    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "hub"))
    import pickle_bytes as p

    arrays = {"0": np.arange(12, dtype="float32").reshape(3, 4), "1": np.arange(3, dtype="int64")}
    tensors = {f"layer.{key}": p.contiguous(key, array) for key, array in arrays.items()}
    program = p.program(p.ordered_dict(tensors))
    legacy = p.legacy_file(program, arrays)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for key, array in arrays.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    seeds = [("a.pth", legacy), ("b.pth", stream.getvalue())]
    yield Reader("pickles", 0.16, seeds, read_torch_checkpoint, (ValueError, KeyError))
    if scripts := list(_torchscript()):
        yield Reader("torchscript", 0.04, scripts, read_torchscript, (ValueError, KeyError))


def _torchscript():
    try:
        import torch
    except ImportError:
        return
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(3, 2), torch.zeros(1, 3)), stream)
    yield "a.pt", stream.getvalue()


def _caches(home):
    from c2f_zoo.data import ImageCache, read_cifar10

    photographs = np.random.default_rng(0).random((3, 8, 8, 3))
    cache = ImageCache.from_arrays(photographs, resolution=8, cache=home, progress=False)
    good = {path.name: path.read_bytes() for path in cache.folder.iterdir() if path.is_file()}

    def read(path):
        for name, data in good.items():
            (cache.folder / name).write_bytes(data)
        (cache.folder / path.name).write_bytes(path.read_bytes())
        opened = ImageCache(cache.folder)
        return [np.array(opened.images(size[0])) for size in opened.resolutions], opened.labels

    def mutate(data, rng):
        return (mutated_json if data[:1] == b"{" else mutated)(data, rng)

    yield Reader("caches", 0.1, list(good.items()), read, mutate=mutate)

    import pickle

    rows = {b"data": np.zeros((2, 3072), "uint8"), b"labels": [1, 2]}
    batches = {"test_batch.bin": bytes(2 * 3073), "test_batch": pickle.dumps(rows, 2)}
    yield Reader(
        "cifar batches",
        0.03,
        list(batches.items()),
        lambda path: read_cifar10(path.parent, "test"),
        (ValueError, FileNotFoundError),
    )


def _video(home):
    from c2f_zoo.data import VideoWriter, read_frames

    with VideoWriter(home / "a.mp4", fps=8, size=(16, 16)) as video:
        for frame in np.random.default_rng(0).random((3, 16, 16, 3)).astype("float32"):
            video.write(frame)
    seeds = [("a.mp4", (home / "a.mp4").read_bytes())]
    yield Reader("video", 0.002, seeds, lambda path: list(read_frames(path)))


def quiet():
    """Silence what readers say beside their errors."""
    import logging

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
