import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.losses import MultilevelSmoothL1
from c2f_zoo.models import PSMNetLite
from c2f_zoo.models.psmnet import lite_matching, lite_refinement


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return PSMNetLite(max_disparity=64)


@pytest.fixture
def pair(rng):
    return list(rng.random((2, 2, 32, 64, 3), dtype="float32"))


def test_parameters_are_as_documented_and_do_not_depend_on_the_range(model, trainable_size):
    assert trainable_size(model) == trainable_size(PSMNetLite()) == 835_276


def test_weights_of_one_range_serve_another(model, pair, tmp_path):
    path = tmp_path / "a.weights.h5"
    model.save_weights(path)
    other = PSMNetLite(max_disparity=96)
    other.load_weights(path)
    assert np.isfinite(to_numpy(other(pair))).all()


def test_the_range_is_rounded_up_with_a_warning():
    with pytest.warns(UserWarning, match="multiple of 32: 96 is used. Received: 70$") as warned:
        assert PSMNetLite(max_disparity=70).max_disparity == 96
    assert warned[0].filename == __file__
    with pytest.raises(ValueError, match="max_disparity.*Received: 0$"):
        PSMNetLite(max_disparity=0)


@pytest.mark.parametrize("size", [(16, 16), (17, 70)])
def test_any_size_from_16_gives_a_disparity_of_that_size(model, size):
    images = [np.zeros((1, *size, 3), "float32")] * 2
    disparity = to_numpy(model.predict_on_batch(images))
    assert disparity.shape == (1, *size, 1) and disparity.dtype == np.float32
    assert np.isfinite(disparity).all() and (disparity >= 0).all()


def test_a_sample_does_not_depend_on_the_batch(model, pair):
    whole = to_numpy(model(pair))
    single = to_numpy(model([image[1:] for image in pair]))
    np.testing.assert_allclose(single, whole[1:], atol=2e-3)


def test_levels_are_supervised_coarse_to_fine(model, pair, rng):
    truth = rng.uniform(-5, 80, (2, 32, 64, 1)).astype("float32")
    model.compile()
    logs = model.evaluate(pair, truth, batch_size=2, verbose=0, return_dict=True)
    levels = [to_numpy(x) for x in model.levels(ops.convert_to_tensor(np.concatenate(pair)))]
    assert [x.shape[1:3] for x in levels] == [(8, 16), (16, 32), (32, 64)]
    np.testing.assert_allclose(to_numpy(model(pair)), np.maximum(levels[-1], 0), atol=1e-4)
    from c2f_zoo.layers import upsample_bilinear

    full = [f * upsample_bilinear(x, f) for f, x in zip((4, 2, 1), levels, strict=True)]
    expected = float(MultilevelSmoothL1(max_disparity=64)(truth, full))
    assert logs["loss"] == pytest.approx(expected, rel=1e-3)
    known = (truth > 0) & (truth < 64)
    assert logs["epe"] == pytest.approx(np.abs(levels[-1] - truth)[known].mean(), rel=1e-3)


def test_an_untrained_network_does_not_answer_with_the_middle_of_the_range(pair):
    keras.utils.set_random_seed(0)
    assert to_numpy(PSMNetLite(max_disparity=192)(pair)).mean() < 60


def test_folding_makes_cells_voxels_and_back(rng):
    volume = rng.normal(size=(2, 4, 6, 8, 1)).astype("float32")
    folded = to_numpy(lite_matching.fold(ops.convert_to_tensor(volume)))
    for b, y, x, d in [(0, 0, 0, 0), (1, 1, 2, 3)]:
        cell = volume[b, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2, 2 * d : 2 * d + 2, 0]
        np.testing.assert_array_equal(folded[b, y, x, d], cell.ravel())
    unfolded = to_numpy(lite_matching.unfold(ops.convert_to_tensor(folded)))
    np.testing.assert_array_equal(unfolded, volume[..., 0])
    repeated = to_numpy(lite_matching.repeat(ops.convert_to_tensor(volume)))
    expected = volume.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    np.testing.assert_array_equal(repeated, expected)


def test_similarity_is_the_cosine_of_groups():
    keras.utils.set_random_seed(0)
    matching = lite_matching.Matching(64, "float32", "matching")
    features = np.random.default_rng(0).normal(size=(2, 3, 9, 64)).astype("float32")
    volume = to_numpy(matching(ops.convert_to_tensor(features), disparities=4))
    assert volume.shape == (1, 3, 9, 4, 8) and np.abs(volume).max() <= 1
    features[1] = features[0]
    same = to_numpy(matching(ops.convert_to_tensor(features), disparities=4))
    np.testing.assert_allclose(same[..., 0, :], 1, atol=0.1)  # of a small constant


def test_a_window_is_interpolated_and_zero_outside(rng):
    volume = rng.normal(size=(1, 2, 3, 10)).astype("float32")
    disparity = rng.uniform(-3, 13, (1, 2, 3, 1)).astype("float32")
    disparity[0, 0, 0] = 5.0
    found = to_numpy(lite_refinement.window(*map(ops.convert_to_tensor, (volume, disparity))))
    radius = lite_refinement.RADIUS
    for y, x in np.ndindex(2, 3):
        places = disparity[0, y, x, 0] + np.arange(-radius, radius + 1)
        known = np.r_[0, volume[0, y, x], 0]
        expected = np.interp(places, np.arange(-1, 11), known)
        np.testing.assert_allclose(found[0, y, x], expected, atol=1e-5)


def test_fit_moves_every_weight_and_masks_count(pair):
    keras.utils.set_random_seed(0)
    model = PSMNetLite(max_disparity=32)
    model.compile()
    before = [to_numpy(weight).copy() for weight in model.weights]
    truth = np.full((2, 32, 64, 1), np.nan, "float32")
    valid = np.zeros((2, 32, 64, 1), "float32")
    truth[:, :, 20:], valid[:, :, 20:] = 5, 1
    history = model.fit(pair, truth, sample_weight=valid, batch_size=2, verbose=0).history
    assert set(history) == {"loss", "epe"} and np.isfinite(history["loss"]).all()
    idle = [
        new.path
        for old, new in zip(before, model.weights, strict=True)
        if np.array_equal(old, to_numpy(new))
    ]
    assert not idle


@pytest.mark.slow
def test_it_learns_a_constant_shift(rng):
    keras.utils.set_random_seed(0)
    model = PSMNetLite(max_disparity=32)
    model.compile(keras.optimizers.Adam(2e-3))
    texture = rng.random((4, 32, 80, 3), dtype="float32")
    left, right = texture[:, :, :64], texture[:, :, 9 : 9 + 64]
    truth = np.full((4, 32, 64, 1), 9, "float32")
    model.fit([left, right], truth, batch_size=4, epochs=60, verbose=0)
    logs = model.evaluate([left, right], truth, verbose=0, return_dict=True)
    assert logs["epe"] < 1
