import dataclasses

import keras
import numpy as np
import pytest

from c2f_zoo.data.scenes import Effects, Motion, MotionMixture, Scenes
from c2f_zoo.data.scenes.motion import CONTROL_POINTS
from c2f_zoo.data.scenes.parameters import draw_parameters

SIZE = (24, 33)
SHAPES = {
    "image1": 3,
    "image2": 3,
    "flow": 2,
    "occlusion": 1,
    "outside": 1,
    "valid": 1,
    "nearness": 1,
    "layer": 1,
}


@pytest.fixture(scope="module")
def textures():
    return np.random.default_rng(0).integers(0, 256, (4, 40, 30, 3)).astype("uint8")


@pytest.fixture(scope="module")
def scenes(textures):
    effects = Effects(shading=1, shadow=1, fog=0.5, blur=0.5, photometric=1, noise=1)
    return Scenes(SIZE, batch_size=3, textures=textures, layers=(1, 3), effects=effects)


def numpy_of(batch):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, batch)


def test_a_batch_is_two_frames_and_their_flow(scenes):
    (image1, image2), flow = numpy_of(scenes.batch(0))
    assert image1.shape == image2.shape == (3, *SIZE, 3)
    assert flow.shape == (3, *SIZE, 2)
    for array in (image1, image2, flow):
        assert array.dtype == np.float32 and np.isfinite(array).all()
    for image in (image1, image2):
        assert image.min() >= 0 and image.max() <= 1
        assert image.std() > 0.02
    assert np.abs(image1 - image2).max() > 0.02


def test_rendering_gives_masks_and_depth_too(scenes):
    result = numpy_of(scenes.render(scenes.parameters(0)))
    assert {name: value.shape for name, value in result.items()} == {
        name: (3, *SIZE, channels) for name, channels in SHAPES.items()
    }
    for name in ("occlusion", "outside", "valid"):
        assert set(np.unique(result[name])) <= {0.0, 1.0}
    assert result["layer"].dtype == np.int32
    plain = numpy_of(scenes.render(scenes.parameters(0), masks=False))
    assert set(plain) == {"image1", "image2", "flow"}
    for name, value in plain.items():
        np.testing.assert_array_equal(value, result[name])


def test_a_batch_follows_from_seed_and_number(scenes, textures):
    first, again = numpy_of(scenes.batch(5)), numpy_of(scenes.batch(5))
    keras.tree.map_structure(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first[1], numpy_of(scenes.batch(6))[1])
    twin = Scenes(SIZE, 3, textures, layers=(1, 3), effects=scenes.effects)
    keras.tree.map_structure(np.testing.assert_array_equal, first, numpy_of(twin.batch(5)))
    other = Scenes(SIZE, 3, textures, layers=(1, 3), effects=scenes.effects, seed=1)
    assert not np.array_equal(first[1], numpy_of(other.batch(5))[1])


def test_the_scenes_of_a_batch_differ(scenes):
    _, flow = numpy_of(scenes.batch(0))
    assert not np.allclose(flow[0], flow[1]) and not np.allclose(flow[1], flow[2])


@pytest.mark.parametrize(
    ("size", "batch_size", "layers", "effects"),
    [((9, 8), 1, (0, 1), True), ((17, 31), 2, (0, 0), False)],
)
def test_odd_sizes_single_scenes_and_bare_backgrounds_work(
    size, batch_size, layers, effects, textures
):
    scenes = Scenes(size, batch_size, textures, layers, effects=effects)
    result = numpy_of(scenes.render(scenes.parameters(0)))
    for name, channels in SHAPES.items():
        assert result[name].shape == (batch_size, *size, channels)
        assert np.isfinite(result[name]).all()


def test_textures_of_a_folder_are_seen(tmp_path):
    from PIL import Image

    Image.new("RGB", (60, 40), (200, 0, 0)).save(tmp_path / "red.png")
    scenes = Scenes(SIZE, 3, tmp_path, layers=(1, 3), effects=False)
    parameters = scenes.parameters(0)
    parameters["color"][:] = np.eye(3, 4)
    scene = numpy_of(scenes.render(parameters))
    np.testing.assert_allclose(scene["image1"] - [200 / 255, 0, 0], 0, atol=1e-5)


def test_a_stream_serves_new_batches_every_epoch(scenes):
    stream = scenes.stream(steps_per_epoch=2)
    assert isinstance(stream, keras.utils.PyDataset) and len(stream) == 2
    first = [numpy_of(stream[step]) for step in range(2)]
    stream.on_epoch_end()
    later = numpy_of(stream[1])
    keras.tree.map_structure(np.testing.assert_array_equal, first[1], numpy_of(scenes.batch(1)))
    keras.tree.map_structure(np.testing.assert_array_equal, later, numpy_of(scenes.batch(3)))
    resumed = scenes.stream(steps_per_epoch=2, first_epoch=1)
    keras.tree.map_structure(np.testing.assert_array_equal, later, numpy_of(resumed[1]))


def test_a_model_trains_on_a_stream(scenes):
    frames = [keras.Input((*SIZE, 3)) for _ in range(2)]
    flow = keras.layers.Conv2D(2, 3, padding="same")(keras.layers.Concatenate()(frames))
    model = keras.Model(frames, flow)
    model.compile("sgd", "mae")
    history = model.fit(scenes.stream(2), epochs=2, verbose=0, shuffle=False)
    assert np.isfinite(history.history["loss"]).all() and len(history.history["loss"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (4, 64)}, r"size .*Received: \(4, 64\)"),
        ({"size": 64}, "size .*Received: 64"),
        ({"size": (64, 64.5)}, r"size .*Received: \(64, 64.5\)"),
        ({"batch_size": 0}, "batch_size .*Received: 0"),
        ({"layers": (3, 2)}, r"layers .*Received: \(3, 2\)"),
        ({"layers": (-1, 2)}, r"layers .*Received: \(-1, 2\)"),
        ({"seed": -1}, "seed .*Received: -1"),
        ({"seed": 0.5}, "seed .*Received: 0.5"),
        ({"motion": "fast"}, "motion .*Received: 'fast'"),
        ({"motion": 0}, "median .*Received: 0"),
        ({"effects": 3}, "effects .*Received: 3"),
    ],
)
def test_bad_arguments_are_refused_with_what_was_received(arguments, message, textures):
    with pytest.raises(ValueError, match=message):
        Scenes(**{"textures": textures, **arguments})


def test_a_negative_batch_number_is_refused(scenes):
    with pytest.raises(ValueError, match="index .*Received: -1"):
        scenes.batch(-1)


@pytest.mark.parametrize("steps", [0, 1.5])
def test_a_stream_without_steps_is_refused(scenes, steps):
    with pytest.raises(ValueError, match=f"steps_per_epoch .*Received: {steps}"):
        scenes.stream(steps)


def test_effects_and_motions_out_of_range_are_refused():
    with pytest.raises(ValueError, match="fog must lie between 0 and 1.0. Received: 1.5"):
        Effects(fog=1.5)
    with pytest.raises(ValueError, match="noise_strength .*Received: -0.1"):
        Effects(noise_strength=-0.1)
    with pytest.raises(ValueError, match="deformation .*Received: 0.5"):
        Motion(deformation=0.5)
    with pytest.raises(ValueError, match="spread .*Received: -1"):
        Motion(spread=-1)


def draw(index=0, batch_size=16, **changes):
    settings = {
        "size": (256, 320),
        "layers": (2, 8),
        "motion": Motion(),
        "effects": Effects(),
        "textures": 5,
        "side": (64, 64),
        **changes,
    }
    return draw_parameters(0, index, batch_size=batch_size, **settings)


def lengths(motion, count=40):
    """Lengths of the flow of many layers at some places of the frame, pixels."""
    control = [draw(index, motion=motion)["control"] for index in range(count)]
    inside = np.concatenate(control)[..., 2 : CONTROL_POINTS - 2, 2 : CONTROL_POINTS - 2]
    return np.hypot(inside[:, :, 0], inside[:, :, 1])


def test_most_motions_are_small_and_the_tail_is_heavy():
    length = lengths(Motion())
    background = length[:, 0]
    assert 2 < np.median(background) < 9
    assert np.percentile(length, 25) < 8
    assert 1e-3 < (length > 150).mean() < 0.03
    assert length.max() > 200
    assert 0.05 < (background.max((1, 2)) == 0).mean() < 0.3  # a camera at rest


@pytest.mark.parametrize("median", [1.0, 20.0])
def test_motion_scales_with_its_median(median):
    ratio = np.median(lengths(Motion(median=median))) / np.median(lengths(Motion()))
    assert ratio == pytest.approx(median / 6, rel=0.4)


def test_each_scene_of_a_mixture_follows_one_of_its_motions():
    slow, fast = (Motion(median=median, spread=0, still_camera=0) for median in (0.01, 40.0))
    mixture = MotionMixture((slow, fast), shares=(1, 3))
    control = draw(batch_size=400, motion=mixture)["control"]
    length = np.hypot(control[:, 0, 0], control[:, 0, 1]).mean((1, 2))  # of the background
    is_fast = length > 1
    assert is_fast.mean() == pytest.approx(0.75, abs=0.08)
    assert length[~is_fast].max() < 0.2 and length[is_fast].min() > 4
    whole = control[:, 1:].max((1, 2, 3, 4))
    assert whole[~is_fast].max() < whole[is_fast].min()  # the layers follow the same motion


def test_a_batch_of_a_mixture_follows_from_seed_and_number(textures):
    mixture = MotionMixture((1.0, 20.0))
    first, again = (
        numpy_of(Scenes(SIZE, 3, textures, layers=(1, 3), motion=mixture).batch(4)) for _ in "ab"
    )
    keras.tree.map_structure(np.testing.assert_array_equal, first, again)


def test_mixtures_without_a_share_for_each_motion_are_refused():
    for motions, shares in (((), None), ((1, 2), (1,)), ((1, 2), (1, 0))):
        with pytest.raises(ValueError, match=f"{len(motions)} motions, shares="):
            MotionMixture(motions, shares)
    with pytest.raises(ValueError, match="must not be mixtures"):
        MotionMixture((1.0, MotionMixture((2.0,))))


def test_some_layers_move_exactly_with_the_background():
    control = draw(batch_size=64)["control"]
    same = (control[:, 1:] == control[:, :1]).all((2, 3, 4)).mean()
    assert 0.05 < same < 0.25


def test_as_many_layers_are_present_as_asked_for():
    radius = draw(batch_size=200)["radius"]
    present = (radius[:, 1:] > 0).sum(1)
    assert present.min() == 2 and present.max() == 8
    assert (radius[:, 0] > 1e5).all()  # the background covers everything


def test_the_kinds_of_silhouettes_are_all_drawn():
    parameters = draw(batch_size=64)
    assert (parameters["hollow"] < 1e5).mean() > 0.03  # rings and frames
    assert (parameters["grating"][..., 1] < 1e5).mean() > 0.01  # fences
    assert (parameters["fold"][..., 2:].max(-1) > 0).mean() > 0.02  # swarms
    assert (parameters["thickness"] < 2.1).mean() > 0.03  # wires
    assert (np.abs(parameters["harmonics"]).max((-1, -2)) > 1).mean() > 0.1  # blobs


@pytest.mark.parametrize("name", ["shading", "shadow", "fog", "blur", "photometric", "noise"])
def test_an_effect_of_probability_zero_never_happens_and_of_one_always(name):
    drawn = {
        "shading": lambda p: np.abs(p["light"][..., 1:]).max((1, 2)) > 0,
        "shadow": lambda p: p["shadow"][..., 0].max(1) > 0,
        "fog": lambda p: p["fog"][..., 0].max(1) > 0,
        "blur": lambda p: p["blur"] > 0,
        "photometric": lambda p: (p["tone"] != [1, 1, 1, 0, 0, 0, 0]).any((1, 2)),
        "noise": lambda p: p["noise"] > 0,
    }[name]
    assert not drawn(draw(effects=dataclasses.replace(Effects(), **{name: 0.0}))).any()
    assert drawn(draw(effects=dataclasses.replace(Effects(), **{name: 1.0}))).all()
    half = drawn(draw(effects=dataclasses.replace(Effects(), **{name: 0.5}), batch_size=200))
    assert 0.3 < half.mean() < 0.7 or name == "shading"  # drawn per layer


def test_motion_blur_smears_along_the_flow(textures):
    effects = dataclasses.replace(Effects.off(), blur=1.0)
    scenes = Scenes(SIZE, 3, textures, layers=(1, 3), effects=effects)
    parameters = scenes.parameters(0)
    parameters["control"][:, :, 0], parameters["control"][:, :, 1] = 8, 0
    parameters["blur"][:] = 1.0
    blurred = numpy_of(scenes.render(parameters))["image2"]
    parameters["blur"][:] = 0.0
    sharp = numpy_of(scenes.render(parameters))["image2"]
    along = np.abs(np.diff(blurred, axis=2)).mean() / np.abs(np.diff(sharp, axis=2)).mean()
    across = np.abs(np.diff(blurred, axis=1)).mean() / np.abs(np.diff(sharp, axis=1)).mean()
    assert along < 0.6 * across
    taps = [-4, -3, -1, 0, 1, 3, 4]
    middle = np.mean([sharp[:, :, 6 + tap : SIZE[1] - 6 + tap] for tap in taps], axis=0)
    np.testing.assert_allclose(blurred[:, :, 6:-6], middle, atol=0.15)


def test_shadows_only_darken(textures):
    scenes = Scenes(SIZE, 3, textures, (1, 3), effects=dataclasses.replace(Effects.off(), shadow=1))
    parameters = scenes.parameters(0)
    shaded = numpy_of(scenes.render(parameters))["image1"]
    parameters["shadow"][..., 0] = 0
    bright = numpy_of(scenes.render(parameters))["image1"]
    assert (shaded <= bright + 1e-6).all() and (shaded < bright - 0.02).any()


def test_noise_has_the_deviation_it_says_and_differs_between_frames(textures):
    scenes = Scenes(SIZE, 3, textures, (1, 3), effects=dataclasses.replace(Effects.off(), noise=1))
    parameters = scenes.parameters(0)
    parameters["color"][:] = 0
    parameters["color"][..., 3] = 0.5
    parameters["noise"][:] = 0.03
    scene = numpy_of(scenes.render(parameters))
    assert scene["image1"].std() == pytest.approx(0.03, rel=0.1)
    assert np.abs(scene["image1"] - scene["image2"]).std() > 0.015


def test_photometric_change_differs_between_frames(textures):
    effects = dataclasses.replace(Effects.off(), photometric=1)
    scenes = Scenes(SIZE, 3, textures, (1, 3), effects=effects)
    parameters = scenes.parameters(0)
    parameters["control"][:] = 0
    scene = numpy_of(scenes.render(parameters))
    assert np.abs(scene["image1"] - scene["image2"]).mean((1, 2, 3)).max() > 0.01
