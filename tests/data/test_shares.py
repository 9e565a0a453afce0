"""What hosts are served of the batches of every stream, together, is the batch of one."""

import keras
import numpy as np
import pytest

from c2f_zoo import data
from c2f_zoo.backend import to_numpy
from c2f_zoo.data import HostBatches, HostShare, shares
from c2f_zoo.training import GrowthSchedule, MultilevelSchedule, MultilevelStream

RNG = np.random.default_rng(0)
IMAGES = RNG.random((10, 16, 24, 3)).astype("float32")


class Samples(list):
    """A data set that counts what was decoded."""

    decoded = 0

    def __getitem__(self, index):
        self.decoded += 1
        return super().__getitem__(index)


def flow_samples():
    fields = RNG.normal(size=(10, 16, 24, 2)).astype("float32")
    return Samples(
        data.FlowSample(image, image, flow, flow[..., :1] * 0 + 1)
        for image, flow in zip(IMAGES, fields, strict=True)
    )


def stereo_samples():
    maps = RNG.uniform(1, 5, (10, 16, 24, 1)).astype("float32")
    return Samples(data.StereoSample(i, i, d, d) for i, d in zip(IMAGES, maps, strict=True))


def depth_samples():
    maps = RNG.uniform(1, 5, (10, 16, 24, 1)).astype("float32")
    return Samples(data.DepthSample(i, d, d) for i, d in zip(IMAGES, maps, strict=True))


class Crops:
    """A source that draws for the whole batch."""

    def __len__(self):
        return 10

    def samples(self, indices, random):
        return random.random((len(indices), 4)).astype("float32")


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return IMAGES[index : index + 4], {"index": np.arange(4) + index}


def image_stream(folder):
    cache = data.ImageCache.from_arrays(RNG.random((10, 8, 8, 3)), cache=folder, progress=False)
    schedule = GrowthSchedule.by_images(8, stabilise=8, fade=8, batch_sizes=4)
    return lambda: data.ImageStream(cache, schedule, mirror=True, fade=True)


def augmented(samples):
    augmentation = data.FlowAugmentation.chairs((8, 8))
    return lambda: augmentation.map(data.FlowStream(samples, 4))


SIZE, FEW = (16, 24), (1, 2)
TEXTURES = RNG.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
ARRAYS = (IMAGES, IMAGES[..., :1])
STREAMS = {
    "flow scenes": lambda _: lambda: data.Scenes(SIZE, 4, TEXTURES, FEW).stream(3),
    "stereo scenes": lambda _: lambda: data.StereoScenes(SIZE, 4, TEXTURES, FEW).stream(3),
    "depth scenes": lambda _: lambda: data.DepthScenes(SIZE, 4, TEXTURES, FEW).stream(3),
    "images": image_stream,
    "augmented": lambda _: augmented(flow_samples()),
    "arrays": lambda _: lambda: MultilevelStream(ARRAYS, MultilevelSchedule.multiscale(1, 2)),
    "source": lambda _: lambda: MultilevelStream(Crops(), MultilevelSchedule.multiscale(1, 2)),
    "any": lambda _: lambda: HostBatches(Batches()),
}
FILES = {
    "flow": (flow_samples, lambda samples: data.FlowStream(samples, 4, (8, 8), seed=1)),
    "stereo": (stereo_samples, lambda samples: data.StereoStream(samples, 4, (8, 8), erase=0.5)),
    "depth": (depth_samples, lambda samples: data.DepthStream(samples, 4, (8, 8))),
}


def together(make, hosts, monkeypatch, index=1):
    """Batch `index`, of the parts that hosts are served."""
    parts = []
    for host in range(hosts):
        monkeypatch.setattr(shares, "host", lambda host=host: (host, hosts))
        parts.append(keras.tree.map_structure(to_numpy, make()[index]))
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def same(found, expected):
    keras.tree.assert_same_structure(found, expected)
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True)
    for ours, whole in pairs:
        np.testing.assert_allclose(ours, whole, atol=1e-5)


@pytest.mark.parametrize("name", STREAMS)
def test_the_hosts_rows_are_the_batch(name, tmp_path, monkeypatch):
    make = STREAMS[name](tmp_path)
    whole = keras.tree.map_structure(to_numpy, make()[1])
    same(together(make, 2, monkeypatch), whole)


@pytest.mark.backend_free
@pytest.mark.parametrize("name", FILES)
def test_a_host_decodes_its_own_rows_alone(name, monkeypatch):
    samples_of, make = FILES[name]
    samples = samples_of()
    whole = make(samples)[1]
    samples.decoded = 0
    same(together(lambda: make(samples), 4, monkeypatch), whole)
    assert samples.decoded == 4


@pytest.mark.backend_free
def test_a_batch_that_the_hosts_cannot_share_is_refused():
    with pytest.raises(ValueError, match="divisible by the 4 hosts.*Received: a batch of 6"):
        HostShare(0, 4).rows(6)
    assert HostShare(2, 3).rows(6) == slice(4, 6)
    assert HostShare().of("anything") == "anything"
