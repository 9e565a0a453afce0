"""The flow and the masks of rendered scenes are true: frame 2, followed, is frame 1."""

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

from c2f_zoo.data.scenes import Effects, Motion, Scenes

SIZE = (64, 80)


def render(scenes, parameters):
    return {
        name: keras.ops.convert_to_numpy(value) for name, value in scenes.render(parameters).items()
    }


@pytest.fixture(scope="module")
def smooth_textures():
    """Waves so long that interpolating between pixels costs nothing."""
    y, x = np.mgrid[:96, :96] / 96
    waves = [
        [np.sin(2 * np.pi * (fx * x + fy * y) + phase) for phase in (0.0, 1.3, 2.6)]
        for fx, fy in ((1, 1.5), (-1.5, 0.5), (0.7, -1.2))
    ]
    return np.moveaxis(127 + 100 * np.array(waves), 1, -1).astype("uint8")


@pytest.fixture(scope="module")
def scenes(smooth_textures):
    return Scenes(SIZE, batch_size=8, textures=smooth_textures, layers=(2, 5), effects=False)


@pytest.fixture(scope="module")
def rendered(scenes):
    return render(scenes, scenes.parameters(0))


def followed(image2, flow):
    """Frame 2 warped back by the flow."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    places = [y + flow[..., 1], x + flow[..., 0]]
    return np.stack([map_coordinates(image2[..., c], places, order=1) for c in range(3)], -1)


def clear(scene, margin=2):
    """Valid pixels which are not near an edge of any layer, in frame 1 or where they go to."""
    layer, valid = scene["layer"][..., 0], scene["valid"][..., 0] > 0
    window = 2 * margin + 1
    inner = maximum_filter(layer, window) == minimum_filter(layer, window)
    return inner & minimum_filter(valid, window)


def test_frame_two_followed_by_the_flow_is_frame_one(rendered):
    errors, kept = [], 0
    for index in range(8):
        scene = {name: value[index] for name, value in rendered.items()}
        error = np.abs(followed(scene["image2"], scene["flow"]) - scene["image1"]).max(-1)
        where = clear(scene)
        kept += where.mean() / 8
        errors.append(error[where])
    errors = np.concatenate(errors)
    assert kept > 0.3
    assert np.median(errors) < 0.5 / 255
    assert np.percentile(errors, 99) < 4 / 255


def test_a_wrong_flow_would_not_pass_this_proof(rendered):
    index = int(np.argmax(rendered["valid"].mean((1, 2, 3))))
    scene = {name: value[index] for name, value in rendered.items()}
    error = np.abs(followed(scene["image2"], scene["flow"] + 1.0) - scene["image1"]).max(-1)
    assert np.median(error[clear(scene)]) > 2 / 255


def test_whole_pixel_motion_of_all_layers_moves_every_pixel_exactly(scenes):
    parameters = scenes.parameters(1)
    parameters["control"][:, :, 0], parameters["control"][:, :, 1] = 5, -3
    scene = render(scenes, parameters)
    np.testing.assert_allclose(scene["flow"] - [5.0, -3.0], 0, atol=1e-5)
    np.testing.assert_allclose(scene["image1"][:, 3:, :-5], scene["image2"][:, :-3, 5:], atol=1e-4)
    assert not scene["occlusion"].any()
    assert scene["outside"][:, :3].all() and scene["outside"][:, :, -5:].all()
    assert scene["valid"][:, 3:, :-5].all()


def test_layers_that_move_whole_pixels_land_exactly_where_nothing_hides_them(scenes):
    parameters = scenes.parameters(2)
    steps = np.array([[0, 0], [7, 0], [-4, 6], [0, -9], [12, 3], [-6, -6]], "float32")
    parameters["control"][:] = steps[None, :, :, None, None]
    scene = render(scenes, parameters)
    flow = steps.astype(int)[scene["layer"][..., 0]]
    np.testing.assert_allclose(scene["flow"], flow, atol=1e-5)
    errors = []
    for index in range(8):
        one = {name: value[index] for name, value in scene.items()}
        y, x = np.nonzero(clear(one, margin=1))
        there = one["image2"][y + flow[index, y, x, 1], x + flow[index, y, x, 0]]
        errors.append(np.abs(one["image1"][y, x] - there).max(-1))
    errors = np.concatenate(errors)
    assert len(errors) > 8 * SIZE[0] * SIZE[1] / 4
    # What is left is the faint end of a wire, which owns no pixel and so has no edge to avoid.
    assert (errors > 1e-4).mean() < 1e-3


def test_without_motion_the_frames_are_one(scenes):
    parameters = scenes.parameters(3)
    parameters["control"][:] = 0
    scene = render(scenes, parameters)
    np.testing.assert_allclose(scene["image1"], scene["image2"], atol=1e-4)
    assert scene["valid"].all()


def test_occluded_is_what_a_nearer_layer_covers_in_frame_two(scenes, rendered):
    """By brute force over pixels: whose layer does frame 2 show where the flow leads?"""
    parameters = scenes.parameters(0)
    parameters["control"][:] = 0
    shown2 = render(scenes, parameters)["layer"][..., 0]
    agreed = total = 0
    for index in range(8):
        layer, flow = rendered["layer"][index, ..., 0], rendered["flow"][index]
        edge = maximum_filter(shown2[index], 3) != minimum_filter(shown2[index], 3)
        for y, x in np.ndindex(SIZE):
            to_x, to_y = x + flow[y, x, 0], y + flow[y, x, 1]
            if not (0 <= to_x <= SIZE[1] - 1 and 0 <= to_y <= SIZE[0] - 1):
                assert rendered["outside"][index, y, x] == 1
                continue
            assert rendered["outside"][index, y, x] == 0
            nearest = round(to_y), round(to_x)
            if not edge[nearest]:
                seen = shown2[index][nearest] == layer[y, x]
                agreed += seen == (rendered["occlusion"][index, y, x, 0] == 0)
                total += 1
    assert total > 8 * SIZE[0] * SIZE[1] / 3
    assert agreed == total


def test_hidden_pixels_have_a_flow_too(rendered):
    hidden = rendered["occlusion"][..., 0] == 1
    assert hidden.any()
    flow = rendered["flow"]
    assert np.isfinite(flow).all()
    # It is the flow of the layer that frame 1 shows there, not of the one that hides it.
    for index in range(8):
        layer = rendered["layer"][index, ..., 0]
        same = (layer[:, 1:] == layer[:, :-1]) & (hidden[index, :, 1:] != hidden[index, :, :-1])
        jump = np.abs(np.diff(flow[index], axis=1)).max(-1)[same]
        assert jump.size == 0 or jump.max() < 1.5


def test_effects_change_the_frames_and_not_the_truth(smooth_textures, scenes, rendered):
    effects = Effects(shading=1, shadow=1, fog=1, blur=1, photometric=1, noise=1)
    changed = Scenes(SIZE, 8, smooth_textures, layers=(2, 5), effects=effects)
    parameters = changed.parameters(0)
    for name in ("control", "centre", "texture", "mapping"):
        np.testing.assert_array_equal(parameters[name], scenes.parameters(0)[name])
    scene = render(changed, parameters)
    for name in ("flow", "occlusion", "outside", "valid", "nearness", "layer"):
        np.testing.assert_array_equal(scene[name], rendered[name])
    for name in ("image1", "image2"):
        assert np.abs(scene[name] - rendered[name]).mean() > 0.02


def test_nearness_orders_what_stands_before_what(rendered, scenes):
    drawn = scenes.parameters(0)["nearness"]
    assert (np.diff(drawn, axis=1) >= 0).all() and (drawn[:, 0] == 1).all()
    assert rendered["nearness"].min() > 0


def test_flow_fields_never_fold():
    """The determinant of the map from frame to frame stays positive: no place is met twice."""
    scenes = Scenes(SIZE, 16, np.zeros((1, 4, 4, 3), "uint8"), layers=(0, 0), effects=False)
    for motion in (Motion(median=1.5, deformation=0.49), Motion(median=8, still_camera=0)):
        scenes.motion = motion
        flow = render(scenes, scenes.parameters(0))["flow"]
        along_y, along_x = np.gradient(flow, axis=(1, 2))
        determinant = (1 + along_x[..., 0]) * (1 + along_y[..., 1])
        determinant -= along_x[..., 1] * along_y[..., 0]
        assert determinant.min() > 0.1
