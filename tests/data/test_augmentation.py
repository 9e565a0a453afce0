"""Tests of the augmentation of flow pairs: exact flow, honest masks, repeatable numbers."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import FlyingChairs
from c2f_zoo.data.augmentation import FlowAugmentation
from c2f_zoo.data.augmentation_colour import EigenColour, Eraser, JitterColour, add_noise
from c2f_zoo.data.augmentation_geometry import (
    AffineGeometry,
    ScaleGeometry,
    affine_maps,
    device_parameters,
    stays_inside,
    transform_flow,
)
from c2f_zoo.data.augmented_stream import AugmentedStream
from c2f_zoo.layers import warp

SIZE, SOURCE = (24, 32), (40, 56)
STILL = AffineGeometry(
    translate=0.0,
    rotate=0.0,
    zoom=(0.0, 0.0),
    squeeze=0.0,
    relative_translate=0.0,
    relative_rotate=0.0,
    relative_zoom=0.0,
)


def grid(height, width):
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype("float64")


def texture(points):
    """A smooth colour image as a function of (x, y) (..., 2)."""
    x, y = points[..., 0], points[..., 1]
    waves = [np.sin(x / 7 + y / 11), np.cos(x / 9 - y / 6 + 1), np.sin(x / 13 - 2) * np.cos(y / 8)]
    return 0.5 + 0.3 * np.stack(waves, axis=-1)


def affine_pair(batch=2, matrix=((0.02, -0.03), (0.05, 0.01)), offset=(1.3, -0.8)):
    """Frames and flow of one affine motion; frame 1 shows at p what frame 2 shows at p + flow."""
    points = grid(*SOURCE)
    flow = points @ np.array(matrix).T + np.array(offset)
    image1, image2 = texture(points + flow), texture(points)
    return [np.stack([array] * batch).astype("float32") for array in (image1, image2, flow)]


def exact_flow(maps1, maps2, motion, size):
    """T2^-1(T1(x) + flow(T1(x))) - x in float64, for a flow given as a function of points."""
    out = grid(*size)
    seen = out @ maps1[:, :2].T + maps1[:, 2]
    moved = seen + motion(seen)
    return (moved - maps2[:, 2]) @ np.linalg.inv(maps2[:, :2]).T - out


def plain(size=SIZE, geometry=None, **options):
    return FlowAugmentation(size, geometry or AffineGeometry(), **options)


def draw_maps(geometry, index=0, source=SOURCE, size=SIZE, strength=1.0):
    return geometry.draw(np.random.default_rng(index), source, size, strength)


GEOMETRIES = {
    "affine": AffineGeometry(horizontal_flip=0.5, vertical_flip=0.5),
    "strong": AffineGeometry(relative_rotate=0.1, relative_zoom=0.1, relative_translate=0.1),
    "scale": ScaleGeometry(),
}


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("motion_boundary", [1.0, 0.0])
def test_flow_is_transformed_exactly(name, motion_boundary):
    matrix, offset = np.array([[0.02, -0.03], [0.05, 0.01]]), np.array([1.3, -0.8])
    if motion_boundary == 0:  # the nearest pixel's flow is exact where all pixels' are equal
        matrix = np.zeros((2, 2))
    drawn = [draw_maps(GEOMETRIES[name], index) for index in range(6)]
    maps1, maps2 = (np.stack(maps) for maps in zip(*drawn, strict=True))
    flow = np.stack([grid(*SOURCE) @ matrix.T + offset] * 6).astype("float32")
    numbers = keras.tree.map_structure(ops.convert_to_tensor, device_parameters(maps1, maps2))
    extent = ops.convert_to_tensor(np.array([SOURCE] * 6, "float32"))
    result, valid = transform_flow(
        ops.convert_to_tensor(flow),
        ops.ones((6, *SOURCE, 1)),
        numbers,
        extent,
        SIZE,
        motion_boundary,
    )
    for i in range(6):
        expected = exact_flow(maps1[i], maps2[i], lambda p: p @ matrix.T + offset, SIZE)
        assert np.abs(to_numpy(result[i]) - expected).max() < 1e-4
    assert to_numpy(valid).min() == 1.0


@pytest.mark.parametrize("name", GEOMETRIES)
def test_second_frame_warped_by_the_new_flow_rebuilds_the_first(name):
    image1, image2, flow = affine_pair(2)
    (first, second), new_flow, valid = plain(geometry=GEOMETRIES[name])((image1, image2), flow)
    rebuilt, inside = warp(second, new_flow, return_mask=True)
    seen = to_numpy(inside * valid)[..., 0] > 0
    assert seen.mean() > 0.7
    error = np.abs(to_numpy(rebuilt) - to_numpy(first))[seen]
    assert error.mean() < 2e-3 and error.max() < 2e-2
    unmoved = np.abs(to_numpy(second) - to_numpy(first))[seen]
    assert error.mean() < 0.1 * unmoved.mean()


def test_a_real_pair_keeps_agreeing_with_its_flow(shared_data):
    sample = FlyingChairs(shared_data / "flow" / "FlyingChairs_release")[0]
    images, flow = (sample.image1[None], sample.image2[None]), sample.flow[None]

    def disagreement(image1, image2, flow):
        rebuilt, inside = warp(image2, flow, return_mask=True)
        error = np.abs(to_numpy(rebuilt) - to_numpy(image1)).max(axis=-1)
        return np.median(error[to_numpy(inside)[..., 0] > 0])  # occlusions are a minority

    before = disagreement(*images, flow)
    pair, new_flow, valid = plain((320, 448))(images, flow)
    assert to_numpy(valid).min() == 1.0
    assert disagreement(*pair, new_flow) < 1.2 * before < 0.05


def test_no_change_crops_the_centre():
    image1, image2, flow = affine_pair(2)
    (first, second), new_flow, valid = plain(geometry=STILL)((image1, image2), flow)
    centre = np.s_[:, 8:32, 12:44]
    for got, source in ((first, image1), (second, image2), (new_flow, flow)):
        assert np.abs(to_numpy(got) - source[centre]).max() < 1e-5
    assert to_numpy(valid).min() == 1.0


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flip_mirrors_frames_and_flow(axis):
    flips = {("vertical_flip", "horizontal_flip")[axis]: 1.0}
    geometry = AffineGeometry(**{**STILL.__dict__, **flips})
    image1, image2, flow = affine_pair(2)
    (first, _), new_flow, _ = plain(SOURCE, geometry)((image1, image2), flow)
    mirrored = np.flip(flow, axis + 1) * (np.array([-1, 1]) if axis == 1 else np.array([1, -1]))
    assert np.abs(to_numpy(first) - np.flip(image1, axis + 1)).max() < 1e-3
    assert np.abs(to_numpy(new_flow) - mirrored).max() < 1e-4


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e10, 1e9])
def test_garbage_in_unknown_flow_reaches_nothing(garbage):
    image1, image2, _ = affine_pair(2)
    valid = np.random.default_rng(0).integers(0, 2, (2, *SOURCE, 1)).astype("float32")
    flow = np.where(valid > 0, [3.0, -2.0], garbage).astype("float32")
    clean = np.where(valid > 0, [3.0, -2.0], 0.0).astype("float32")
    for options in ({}, {"motion_boundary": 0.0}):
        augmentation = plain(**options)
        _, expected, mask = augmentation((image1, image2), clean, valid, index=2)
        for given in (valid, None):  # garbage is recognised without a mask too
            _, got, got_mask = augmentation((image1, image2), flow, given, index=2)
            assert np.array_equal(to_numpy(got), to_numpy(expected))
            assert np.array_equal(to_numpy(got_mask), to_numpy(mask))
        # One flow everywhere: the new one is known exactly, whatever lies between.
        drawn = augmentation.draw([SOURCE] * 2, index=2)["geometry"]
        known = to_numpy(mask)[..., 0] > 0
        assert 0.3 < known.mean() < 0.7
        for i in range(2):
            matrix, drift = drawn["flow_matrix"][i], drawn["flow_drift"][i]
            exact = matrix @ [3.0, -2.0] + grid(*SIZE) @ drift[:, :2].T + drift[:, 2]
            assert np.abs(to_numpy(expected)[i] - exact)[known[i]].max() < 1e-4
            assert np.all(to_numpy(expected)[i][~known[i]] == 0)


def test_validity_is_that_of_the_nearest_source_pixel_and_keeps_weights():
    image1, image2, flow = affine_pair(2)
    weight = np.random.default_rng(1).choice([0.0, 0.5, 1.0], (2, *SOURCE)).astype("float32")
    augmentation = plain()
    _, _, valid = augmentation((image1, image2), flow, weight, index=5)
    for i, maps in enumerate(augmentation.draw([SOURCE] * 2, index=5)["geometry"]["to_frame1"]):
        x, y = (
            np.floor(grid(*SIZE) @ maps[:, :2].T + maps[:, 2] + 0.5).astype(int).transpose(2, 0, 1)
        )
        same = to_numpy(valid)[i, ..., 0] == weight[i][y, x]
        assert same.mean() > 0.995  # positions halfway between pixels round either way


def test_flows_of_two_objects_are_never_blended():
    image1, image2, _ = affine_pair(2)
    flow = np.zeros((2, *SOURCE, 2), "float32")
    flow[:, :, 28:] = (9.0, -6.0)
    geometry = AffineGeometry(
        relative_translate=0.0, relative_rotate=0.0, relative_zoom=0.0, translate=0.1
    )
    augmentation = plain(geometry=geometry)
    _, new_flow, _ = augmentation((image1, image2), flow, index=1)
    matrices = augmentation.draw([SOURCE] * 2, index=1)["geometry"]["flow_matrix"]
    for got, matrix in zip(to_numpy(new_flow), matrices, strict=True):
        to_still = np.linalg.norm(got, axis=-1)
        to_moving = np.linalg.norm(got - matrix @ [9.0, -6.0], axis=-1)
        assert np.minimum(to_still, to_moving).max() < 1e-4
        assert to_still.max() > 1 and to_moving.max() > 1


def test_flow_over_the_maximum_is_invalid():
    image1, image2, flow = affine_pair(2)
    flow[:, :, 28:] = (300.0, 300.0)
    augmentation = plain(geometry=STILL, max_magnitude=400.0)
    _, new_flow, valid = augmentation((image1, image2), flow)
    assert np.array_equal(to_numpy(valid)[0, 0, :, 0], np.repeat([1.0, 0.0], 16))
    assert np.all(to_numpy(new_flow)[:, :, 16:] == 0)


@pytest.mark.parametrize("source", [(40, 56), (24, 32), (25, 200), (10, 12)])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_maps_stay_inside_the_source(name, source):
    for index in range(20):
        maps = np.stack(draw_maps(GEOMETRIES[name], index, source))
        assert stays_inside(maps, source, SIZE).all()


def test_outside_the_source_is_invalid_and_repeats_the_border_where_allowed():
    geometry = AffineGeometry(keep_inside=False, zoom=(-0.5, 0.0), translate=1.0)
    image1, image2, flow = affine_pair(2)
    augmentation = plain(geometry=geometry)
    (first, _), new_flow, valid = augmentation((image1, image2), flow)
    maps = augmentation.draw([SOURCE] * 2)["geometry"]["to_frame1"]
    points = grid(*SIZE) @ maps[:, None, :, :2].transpose(0, 1, 3, 2) + maps[:, None, None, :, 2]
    limit = np.array(SOURCE[::-1]) - 1
    outside = np.any((points < -0.02) | (points > limit + 0.02), axis=-1)
    inside = np.all((points > 0) & (points < limit), axis=-1)
    valid = to_numpy(valid)[..., 0]
    assert outside.any() and inside.any()
    assert np.all(valid[outside] == 0) and np.all(valid[inside] == 1)
    assert np.all(to_numpy(new_flow)[outside] == 0)
    nearest = np.clip(points, 0, limit)
    matrix, offset = np.array([[0.02, -0.03], [0.05, 0.01]]), np.array([1.3, -0.8])
    expected = texture(nearest + nearest @ matrix.T + offset)
    assert np.abs(to_numpy(first) - expected).max() < 1e-2


def test_ranges_are_those_of_the_paper():
    geometry = AffineGeometry(keep_inside=False)
    drawn = [np.stack(draw_maps(geometry, index, strength=0.5)) for index in range(600)]
    linear = np.linalg.inv(np.stack(drawn)[..., :2])  # from source to output: zoom is > 1
    zooms = np.linalg.norm(linear, axis=-2)
    logarithms, squeezes = np.log(zooms).mean(-1), np.log(zooms[..., 0] / zooms[..., 1]) / 2
    first = logarithms[:, 0]
    assert -0.21 < first.min() < -0.15 and 0.55 < first.max() < 0.61
    assert 0.25 < np.abs(squeezes[:, 0]).max() <= 0.3
    unzoomed = linear / zooms[..., None, :]
    angle = np.arctan2(unzoomed[..., 0, 1], unzoomed[..., 0, 0])
    assert 0.35 < np.abs(angle[:, 0]).max() <= 0.4
    # The relative ranges, at half strength.
    assert np.std(angle[:, 1] - angle[:, 0]) == pytest.approx(0.015, rel=0.15)
    assert np.std(logarithms[:, 1] - first) == pytest.approx(0.015, rel=0.15)


def test_affine_maps_turn_zoom_and_shift_about_the_centres():
    maps = affine_maps(
        [[math.pi / 2, 0, 0, 0, 0], [0, 0, 0, math.log(2), 0]], (1, 1), (9, 9), (5, 5)
    )
    assert np.allclose(maps[0] @ [4, 2, 1], [4, 6])  # right of the centre looks below it
    assert np.allclose(maps[1] @ [4, 4, 1], [5, 6])  # twice as large: half as far away
    shifted = affine_maps([[0, 0.4, -0.2, 0, 0]], (1, 1), (9, 9), (5, 5))[0]
    assert np.allclose(shifted @ [2, 2, 1], [6, 3])


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

    bits = (np.arange(count, dtype="uint64") * 0x9E3779B9 + np.uint64(int(seed) % 2**32)) % 2**32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        bits = ((bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)) % 2**32
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
