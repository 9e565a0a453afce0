"""Tests of the augmentation of flow pairs: colours, noise, repeatable numbers, streams."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.data.flow.augmentation import FlowAugmentation
from c2f_zoo.data.flow.augmentation_colour import EigenColour, Eraser, JitterColour, add_noise
from c2f_zoo.data.flow.augmentation_geometry import AffineGeometry
from c2f_zoo.data.flow.augmented_stream import AugmentedStream
from tests.data.flow.augmentation_samples import SIZE, SOURCE, STILL, affine_pair, plain


def test_the_ramp_goes_from_half_to_full_strength():
    chairs = FlowAugmentation.chairs()
    assert chairs.strength(0) == 0.5
    assert chairs.strength(50_000) == pytest.approx(0.75)
    assert chairs.strength(1_000_000) == pytest.approx(1.0, abs=1e-6)
    assert FlowAugmentation.raft().strength(0) == 1.0


def everything(augmentation, index=0, batch=2, **options):
    image1, image2, flow = affine_pair(batch)
    (first, second), new_flow, valid = augmentation((image1, image2), flow, index=index, **options)
    return [to_numpy(array) for array in (first, second, new_flow, valid)]


@pytest.mark.parametrize("name", ["chairs", "kitti", "raft"])
def test_results_are_in_range_and_repeat_by_seed_and_index_alone(name):
    augmentation = getattr(FlowAugmentation, name)(size=SIZE)
    results = everything(augmentation, index=3)
    for result, channels in zip(results, (3, 3, 2, 1), strict=True):
        assert result.shape == (2, *SIZE, channels) and result.dtype == np.float32
        assert np.isfinite(result).all()
    assert all(image.min() >= 0 and image.max() <= 1 for image in results[:2])
    assert results[3].min() == 1.0

    assert not np.array_equal(results[0], everything(augmentation, index=4)[0])
    again = everything(augmentation, index=3)
    assert all(np.array_equal(a, b) for a, b in zip(results, again, strict=True))
    # Batch 3 of two holds samples 6 and 7, in whichever batch and order they come.
    swapped = everything(augmentation, index=[7, 6], step=3)
    assert all(np.allclose(a[::-1], b, atol=1e-6) for a, b in zip(results, swapped, strict=True))
    augmentation.seed = 1
    assert not np.array_equal(results[0], everything(augmentation, index=3)[0])


def test_presets_have_the_published_settings():
    chairs, things, sintel, kitti = (
        getattr(FlowAugmentation, name)() for name in ("chairs", "things", "sintel", "kitti")
    )
    sizes = [preset.size for preset in (chairs, things, sintel, kitti)]
    assert sizes == [(384, 448), (384, 768), (384, 768), (320, 896)]
    assert chairs.geometry == AffineGeometry() and chairs.geometry.horizontal_flip == 0
    assert things.max_magnitude == 1000
    assert sintel.geometry.horizontal_flip == 0.5 and sintel.noise == (0, 0)
    assert kitti.geometry.probability == kitti.colour.probability == kitti.noise_probability == 0.5
    assert kitti.motion_boundary == 0 and chairs.motion_boundary > 0
    stages = {
        stage: FlowAugmentation.raft(stage) for stage in ("chairs", "things", "sintel", "kitti")
    }
    assert [stage.geometry.scale for stage in stages.values()] == [
        (-0.1, 1.0),
        (-0.4, 0.8),
        (-0.2, 0.6),
        (-0.2, 0.4),
    ]
    assert [stage.size[0] for stage in stages.values()] == [368, 400, 368, 288]
    assert stages["kitti"].geometry.vertical_flip == 0 and stages["kitti"].motion_boundary == 0
    assert FlowAugmentation.chairs(size=(64, 64), noise=(0, 0), seed=7).noise == (0, 0)


def test_each_purpose_has_its_own_numbers():
    whole = FlowAugmentation.chairs(size=SIZE).draw([SOURCE] * 2, index=5)
    bare = FlowAugmentation.chairs(size=SIZE, noise=(0.0, 0.0), colour=None).draw([SOURCE] * 2, 5)
    assert set(bare) == {"geometry", "extent"} and set(whole) == {*bare, "colour", "noise"}
    for name, values in bare["geometry"].items():
        assert np.array_equal(values, whole["geometry"][name])


def test_noise_is_normal_independent_and_the_same_on_every_backend():
    grey = ops.full((2, 64, 64, 3), 0.5)
    sigma, seed = np.array([0.02, 0.05], "float32"), np.array([7, -(2**31)], "int32")
    noisy = add_noise(grey, grey, ops.convert_to_tensor(sigma), ops.convert_to_tensor(seed))
    noise = [to_numpy(image) - 0.5 for image in noisy]
    for part in noise:
        assert np.std(part, axis=(1, 2, 3)) == pytest.approx(sigma, rel=0.03)
        assert np.abs(part.mean(axis=(1, 2, 3))).max() < 1e-3
        beyond = np.mean(np.abs(part[1]) > 0.05)
        assert beyond == pytest.approx(0.317, abs=0.015)
    streams = [part[i].ravel() for part in noise for i in range(2)]
    streams += [np.roll(streams[0], shift) for shift in (1, 3, 192)]
    correlation = np.corrcoef(streams)[np.triu_indices(len(streams), 1)]
    assert np.abs(correlation).max() < 0.04
    assert noise[0][1].ravel()[:4] == pytest.approx(noise_reference(seed[1], 4) * 0.05, abs=1e-6)


def noise_reference(seed, count):
    """The same hash in unsigned arithmetic, and the normal quantile of its low half."""
    from statistics import NormalDist

    def hashed(bits):
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            bits = ((bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)) % 2**32
        return bits

    positions = np.arange(count, dtype="uint64") * 0x9E3779B9 % 2**32
    bits = hashed(hashed(positions) ^ np.uint64(int(seed) % 2**32))
    return np.array([NormalDist().inv_cdf((int(b) % 65536 + 0.5) / 65536) for b in bits])


def neutral(colour):
    return {
        name: np.ones(1)
        if name.rsplit("_")[-1] not in ("add", "angle", "brightness")
        else np.zeros(1)
        for name in colour.draw(np.random.default_rng(0))
    }


def test_neutral_colour_numbers_change_nothing():
    image = affine_pair(1)[0] * 0.9
    numbers = {name: value.astype("float32") for name, value in neutral(EigenColour()).items()}
    numbers = keras.tree.map_structure(ops.convert_to_tensor, numbers)
    image_tensor = ops.convert_to_tensor(image)
    first, second = EigenColour().apply(image_tensor, image_tensor, numbers)
    # The published principal directions are rounded to two digits.
    assert np.abs(to_numpy(first) - image).max() < 0.02
    assert np.abs(to_numpy(second) - image).max() < 0.03

    still = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 2 * math.pi}
    numbers = {name: ops.full((1, 2), value) for name, value in still.items()}
    for result in JitterColour().apply(image_tensor, image_tensor, numbers):
        assert np.abs(to_numpy(result) - image).max() < 1e-5


def test_colours_change_for_the_pair_alike_and_little_between_the_frames():
    image = np.random.default_rng(0).random((8, 16, 16, 3)).astype("float32")
    differences, changes = [], []
    for strength, index in itertools.product((0.0, 1.0), range(4)):
        colour, rng = EigenColour(), np.random.default_rng(index)
        drawn = [colour.draw(rng, strength) for _ in range(8)]
        numbers = {name: np.stack([sample[name] for sample in drawn]) for name in drawn[0]}
        numbers = keras.tree.map_structure(ops.convert_to_tensor, numbers)
        images = ops.convert_to_tensor(image), ops.convert_to_tensor(image)
        first, second = (to_numpy(changed) for changed in colour.apply(*images, numbers))
        if strength == 0:
            assert np.abs(first - second).max() < 0.02  # the gains' division adds 0.01 to a sum
        differences.append(np.abs(first - second).mean())
        changes.append(np.abs(first - image).mean())
    assert 0.002 < np.mean(differences[4:]) < 0.05 < np.mean(changes)


def test_jitter_is_equal_for_both_frames_or_independent():
    image = np.random.default_rng(0).random((4, 8, 8, 3)).astype("float32")
    for asymmetric in (0.0, 1.0):
        colour = JitterColour(asymmetric=asymmetric)
        augmentation = plain(geometry=STILL, colour=colour, size=(8, 8))
        (first, second), _, _ = augmentation((image, image), np.zeros((4, 8, 8, 2)))
        assert np.allclose(to_numpy(first), to_numpy(second)) == (asymmetric == 0.0)
        assert np.abs(to_numpy(first) - image).mean() > 0.02


def test_the_eraser_paints_boxes_of_the_second_frame_in_its_mean_colour():
    image = np.random.default_rng(0).random((3, 16, 16, 3)).astype("float32")
    eraser = Eraser(probability=1.0, side=(4, 6))
    augmentation = plain((16, 16), STILL, eraser=eraser)
    (first, second), _, _ = augmentation((image, image), np.zeros((3, 16, 16, 2)))
    assert np.abs(to_numpy(first) - image).max() < 1e-2
    mean = to_numpy(first).mean(axis=(1, 2), keepdims=True)
    erased = np.abs(to_numpy(second) - mean).max(axis=-1) < 1e-3
    kept = np.abs(to_numpy(second) - to_numpy(first)).max(axis=-1) < 1e-6
    assert np.all(erased | kept) and np.all(erased.sum(axis=(1, 2)) >= 1)
    never = Eraser(probability=0.0)
    assert np.all(never.draw(np.random.default_rng(0), (16, 16)) == 0)


def test_bytes_are_taken_as_images_of_255_levels():
    image = np.random.default_rng(0).integers(0, 256, (2, *SOURCE, 3), "uint8")
    flow = np.zeros((2, *SOURCE, 2))
    (from_bytes, _), _, _ = plain()((image, image), flow)
    scaled = (image / 255).astype("float32")
    (from_floats, _), _, _ = plain()((scaled, scaled), flow)
    assert np.abs(to_numpy(from_bytes) - to_numpy(from_floats)).max() < 1e-5


def test_frames_of_different_sizes_are_taken_as_lists():
    rng = np.random.default_rng(0)
    sizes = [(40, 56), (37, 61)]
    frames = [[rng.random((*size, 3), dtype="float32") for size in sizes] for _ in range(2)]
    flows = [rng.normal(size=(*size, 2)).astype("float32") for size in sizes]
    augmentation = plain()
    (first, second), flow, valid = augmentation(frames, flows, index=0)
    assert to_numpy(valid).min() == 1.0
    for i in range(2):
        (one, two), alone, _ = augmentation(
            (frames[0][i][None], frames[1][i][None]), flows[i][None], index=[i]
        )
        for got, want in ((first, one), (second, two), (flow, alone)):
            assert np.abs(to_numpy(got)[i] - to_numpy(want)[0]).max() < 1e-5


class Batches(keras.utils.PyDataset):
    """Three equal batches of the affine pair."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        image1, image2, flow = affine_pair(2)
        return (image1, image2), flow


class SeenFlows(keras.layers.Layer):
    """Passes a batch on, and keeps what identifies it."""

    def __init__(self):
        super().__init__()
        self.sums = self.add_weight(shape=(64,), initializer="zeros", trainable=False)
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False)

    def call(self, image):
        place = ops.cast(ops.arange(64) == self.count, "float32")
        self.sums.assign(self.sums + place * ops.sum(image))
        self.count.assign(self.count + 1)
        return image


def sums_seen_in_fit(stream, initial_epoch, epochs):
    seen = SeenFlows()
    inputs = keras.Input((*SIZE, 3)), keras.Input((*SIZE, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(seen(inputs[0]) - inputs[1]))
    model.compile("sgd", "mae")
    model.fit(stream, initial_epoch=initial_epoch, epochs=epochs, shuffle=False, verbose=0)
    return to_numpy(seen.sums)[: int(seen.count)]


def test_a_stream_is_augmented_anew_each_epoch_and_resumes_where_it_was():
    augmentation = plain()
    whole = sums_seen_in_fit(augmentation.map(Batches()), 0, 3)
    resumed = sums_seen_in_fit(augmentation.map(Batches(), epoch=2), 2, 3)
    assert len(set(whole.tolist())) == 9
    assert np.array_equal(resumed, whole[6:])


def test_a_stream_gives_numpy_batches_by_their_number():
    augmentation = plain()
    stream = augmentation.map(Batches(workers=2))
    assert isinstance(stream, AugmentedStream) and len(stream) == 3 and stream.workers == 2
    for epoch in range(2):
        (image1, _), flow, valid = stream[1]
        assert all(isinstance(array, np.ndarray) for array in (image1, flow, valid))
        assert np.array_equal(image1, everything(augmentation, index=3 * epoch + 1)[0])
        stream.on_epoch_end()


def test_any_iterable_of_batches_can_be_augmented():
    augmentation = plain()
    batches = Batches()
    results = list(augmentation.map(batches[i] for i in range(3)))
    assert len(results) == 3
    for index, (_, flow, _) in enumerate(results):
        assert np.array_equal(flow, everything(augmentation, index=index)[2])


def test_wrong_arguments_say_what_they_were():
    image1, image2, flow = affine_pair(2)
    with pytest.raises(ValueError, match=r"Received: shapes \(2, 40, 56, 3\), \(2, 30, 56, 3\)"):
        plain()((image1, image2[:, :30]), flow)
    with pytest.raises(ValueError, match="Received: <class 'numpy.ndarray'>"):
        plain()(image1, flow)
    with pytest.raises(ValueError, match="Received: sizes"):
        plain()((image1[:, :1], image2[:, :1]), flow[:, :1])
    with pytest.raises(ValueError, match="Received: 'cars'"):
        FlowAugmentation.raft("cars")
    with pytest.raises(ValueError, match=r"Received: \(1, 5\)"):
        FlowAugmentation((1, 5))
