"""Tests of the geometric augmentation: exact flow, honest masks."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import FlyingChairs
from c2f_zoo.data.flow.augmentation_geometry import (
    AffineGeometry,
    ScaleGeometry,
    affine_maps,
    device_parameters,
    stays_inside,
    transform_flow,
)
from c2f_zoo.layers import warp
from tests.data.flow.augmentation_samples import (
    SIZE,
    SOURCE,
    STILL,
    affine_pair,
    draw_maps,
    exact_flow,
    grid,
    plain,
    texture,
)

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
