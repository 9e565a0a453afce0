import dataclasses

import keras
import numpy as np
import pytest

from c2f_zoo.data.scenes import Effects, StereoScenes, Surfaces
from c2f_zoo.losses import MultilevelSmoothL1
from c2f_zoo.metrics import DisparityError

SIZE = (24, 33)
SHAPES = {"left": 3, "right": 3, "disparity": 1, "occlusion": 1, "outside": 1, "layer": 1}


MEANS = {
    "disparity": [0.6619, 2.5368, 0.6782],
    "left": [0.6325, 0.4197, 0.4651],
    "right": [0.6414, 0.5187, 0.5257],
    "occlusion": [0.0631, 0.0909, 0.0417],
}


@pytest.fixture(scope="module")
def textures():
    return np.random.default_rng(0).integers(0, 256, (4, 40, 30, 3)).astype("uint8")


@pytest.fixture(scope="module")
def scenes(textures):
    effects = Effects(shading=1, shadow=1, fog=0.5, blur=1, photometric=1, noise=1)
    return StereoScenes(SIZE, 3, textures, layers=(1, 4), surfaces=12, effects=effects)


def numpy_of(batch):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, batch)


def test_a_batch_is_a_pair_and_the_disparity_of_its_left_image(scenes):
    (left, right), disparity = numpy_of(scenes.batch(0))
    assert left.shape == right.shape == (3, *SIZE, 3) and disparity.shape == (3, *SIZE, 1)
    for array in (left, right, disparity):
        assert array.dtype == np.float32 and np.isfinite(array).all()
    for image in (left, right):
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.02
    assert np.abs(left - right).max() > 0.02
    assert disparity.min() > 0 and disparity.max() < 12


def test_rendering_gives_masks_too(scenes):
    result = numpy_of(scenes.render(scenes.parameters(0)))
    assert {name: value.shape for name, value in result.items()} == {
        name: (3, *SIZE, channels) for name, channels in SHAPES.items()
    }
    for name in ("occlusion", "outside"):
        assert set(np.unique(result[name])) == {0.0, 1.0}
    assert (result["occlusion"] >= result["outside"]).all()
    plain = numpy_of(scenes.render(scenes.parameters(0), masks=False))
    assert set(plain) == {"left", "right", "disparity"}
    for name, value in plain.items():
        np.testing.assert_array_equal(value, result[name])


def test_every_backend_renders_the_same(scenes):
    """Means that were computed on PyTorch."""
    result = numpy_of(scenes.render(scenes.parameters(2)))
    for name, expected in MEANS.items():
        np.testing.assert_allclose(result[name].mean((1, 2, 3)), expected, atol=2e-3, err_msg=name)


def test_a_batch_follows_from_seed_and_number(scenes, textures):
    options = {"layers": (1, 4), "surfaces": 12, "effects": scenes.effects}
    first, twin = (
        numpy_of(s.batch(5)) for s in (scenes, StereoScenes(SIZE, 3, textures, **options))
    )
    keras.tree.map_structure(np.testing.assert_array_equal, first, twin)
    assert not np.array_equal(first[1], numpy_of(scenes.batch(6))[1])
    other = StereoScenes(SIZE, 3, textures, **options, seed=1)
    assert not np.array_equal(first[1], numpy_of(other.batch(5))[1])
    assert not np.allclose(first[1][0], first[1][1])  # nor are the scenes of a batch the same


@pytest.mark.parametrize(
    ("size", "batch_size", "layers", "effects"),
    [((9, 8), 1, (0, 1), True), ((17, 31), 2, (0, 0), False)],
)
def test_odd_sizes_single_scenes_and_bare_backgrounds_work(
    size, batch_size, layers, effects, textures
):
    scenes = StereoScenes(size, batch_size, textures, layers, effects=effects)
    result = numpy_of(scenes.render(scenes.parameters(0)))
    for name, channels in SHAPES.items():
        assert result[name].shape == (batch_size, *size, channels)
        assert np.isfinite(result[name]).all()


def test_a_model_trains_on_a_stream(scenes):
    pair = [keras.Input((*SIZE, 3)) for _ in range(2)]
    disparity = keras.layers.Conv2D(1, 3, padding="same")(keras.layers.Concatenate()(pair))
    model = keras.Model(pair, disparity)
    model.compile("sgd", MultilevelSmoothL1(), weighted_metrics=[DisparityError()])
    history = model.fit(scenes.stream(2), epochs=2, verbose=0, shuffle=False).history
    assert np.isfinite(history["loss"]).all() and len(history["loss"]) == 2
    assert history["epe"][0] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (4, 64)}, r"size .*Received: \(4, 64\)"),
        ({"batch_size": 0}, "batch_size .*Received: 0"),
        ({"layers": (3, 2)}, r"layers .*Received: \(3, 2\)"),
        ({"seed": -1}, "seed .*Received: -1"),
        ({"surfaces": "near"}, "surfaces .*Received: 'near'"),
        ({"surfaces": 0}, "surfaces .*Received: 0"),
        ({"effects": 3}, "effects .*Received: 3"),
    ],
)
def test_bad_arguments_are_refused_with_what_was_received(arguments, message, textures):
    with pytest.raises(ValueError, match=message):
        StereoScenes(**{"textures": textures, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nearest": (64, 8)}, r"nearest .*Received: \(64, 8\)"),
        ({"nearest": (0, 64)}, r"nearest .*Received: \(0, 64\)"),
        ({"depth": (0.1, 2)}, r"depth .*Received: \(0.1, 2\)"),
        ({"floor": 1.5}, "floor .*Received: 1.5"),
        ({"misalignment": -1}, "misalignment .*Received: -1"),
    ],
)
def test_surfaces_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Surfaces(**arguments)


def test_a_negative_batch_number_is_refused(scenes):
    with pytest.raises(ValueError, match="index .*Received: -1"):
        scenes.batch(-1)


BARE = {
    field.name: 0.0
    for field in dataclasses.fields(Surfaces)
    if field.name not in ("nearest", "depth")
}


def test_most_scenes_have_small_disparities_and_some_reach_far(textures):
    scenes = StereoScenes((64, 96), 200, textures, surfaces=Surfaces((4, 64), **BARE))
    nearest = scenes.parameters(0)["surface"][..., 0].max(1)
    assert 2 < nearest.min() and 48 < nearest.max() < 64
    # Log-uniform; the nearest layer is a little farther than the scene's largest disparity.
    assert np.median(nearest) == pytest.approx(16, rel=0.25)


def test_layers_may_be_plain_or_repeat_their_texture(textures):
    def looks(**changes):
        surfaces = Surfaces(**{**BARE, **changes})
        drawn = StereoScenes((32, 48), 16, textures, surfaces=surfaces).parameters(0)
        return drawn["color"], drawn["repeat"]

    (color, repeat), (plain, _), (_, repeated) = looks(), looks(plain=1.0), looks(repeated=1.0)
    assert np.abs(plain[..., :3]).max() < 0.3 * np.abs(color[..., :3]).max()
    grey = [table[..., :3].sum(-1) * 0.45 + table[..., 3] for table in (plain, color)]
    np.testing.assert_allclose(*grey, atol=1e-5)  # as bright as before
    assert (repeat[..., 2] > 1e5).all() and repeated[..., 2].max() <= 32


def test_a_repeated_texture_is_periodic(textures):
    effects = Effects.off()
    scenes = StereoScenes((16, 64), 1, textures, (0, 0), Surfaces((2, 4), **BARE), effects)
    parameters = scenes.parameters(0)
    parameters["mapping"][:] = [3.0, 1.0, 0.0, 5.0, 0.0, 1.0]
    parameters["repeat"][:] = [2.0, 1.0, 4.0]
    left = numpy_of(scenes.render(parameters))["left"]
    np.testing.assert_allclose(left[:, :, 8:], left[:, :, :-8], atol=1e-5)
    np.testing.assert_allclose(left[:, 8:], left[:, :-8], atol=1e-5)
    assert left.std() > 0.02
