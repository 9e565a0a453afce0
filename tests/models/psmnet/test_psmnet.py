import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers import soft_argmin
from c2f_zoo.losses import MultilevelSmoothL1
from c2f_zoo.metrics import DisparityError
from c2f_zoo.models import PSMNet
from c2f_zoo.models.psmnet import psmnet


@pytest.fixture(scope="module")
def basic():
    keras.utils.set_random_seed(0)
    return PSMNet("basic", max_disparity=16)


@pytest.fixture(scope="module")
def stacked():
    keras.utils.set_random_seed(0)
    return PSMNet(max_disparity=16)


@pytest.fixture
def pair(rng):
    return list(rng.random((2, 2, 32, 48, 3), dtype="float32"))


@pytest.mark.parametrize(
    ("variant", "parameters"), [("basic", 3_672_896), ("stacked_hourglass", 5_224_768)]
)
def test_trainable_parameters_are_the_published_ones(variant, parameters, trainable_size):
    assert trainable_size(PSMNet(variant)) == parameters


def test_the_range_is_rounded_up_with_a_warning():
    with pytest.warns(UserWarning, match="multiple of 16: 80 is used. Received: 70$"):
        model = PSMNet(max_disparity=70)
    assert model.max_disparity == model.get_config()["max_disparity"] == 80
    with pytest.warns(UserWarning, match="multiple of 4: 72 is used. Received: 70$"):
        PSMNet("basic", max_disparity=70)
    with pytest.raises(ValueError, match="max_disparity.*Received: 0$"):
        PSMNet(max_disparity=0)
    with pytest.raises(ValueError, match="variant must be one of.*Received: 'small'$"):
        PSMNet("small")


@pytest.mark.parametrize("size", [(16, 16), (17, 33)])
def test_any_size_from_16_gives_a_disparity_of_that_size(stacked, size):
    images = [np.zeros((1, *size, 3), "float32")] * 2
    disparity = to_numpy(stacked.predict_on_batch(images))
    assert disparity.shape == (1, *size, 1) and disparity.dtype == np.float32
    assert (disparity >= 0).all() and (disparity <= 15).all()


def test_padding_is_cropped_off(basic, pair):
    odd = [image[:, :30, :45] for image in pair]
    padded = [np.pad(image, ((0, 0), (0, 2), (0, 3), (0, 0)), "edge") for image in odd]
    whole = to_numpy(basic.predict_on_batch(padded))
    found = to_numpy(basic.predict_on_batch(odd))
    np.testing.assert_allclose(found, whole[:, :30, :45], atol=1e-4)


def test_uint8_equals_float_in_unit_range(basic):
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32, 3)).astype("uint8")
    exact = to_numpy(basic.predict_on_batch([image / np.float32(255) for image in images]))
    np.testing.assert_allclose(to_numpy(basic.predict_on_batch(list(images))), exact, atol=1e-4)


def test_the_answer_is_the_soft_argmin_of_the_last_costs(stacked, pair):
    costs = stacked.costs(ops.convert_to_tensor(np.concatenate(pair)))
    assert [tuple(cost.shape) for cost in costs] == [(2, 4, 8, 12)] * 3
    expected = to_numpy(soft_argmin(costs[-1], (16, 32, 48)))
    np.testing.assert_allclose(to_numpy(stacked(pair)), expected, atol=1e-4)


def test_the_costs_are_enlarged_in_bands_but_in_training(basic, pair, monkeypatch):
    bands = []

    def spied(costs, size, align_corners, band):
        bands.append(band)
        return soft_argmin(costs, size, align_corners, band)

    monkeypatch.setattr(psmnet, "soft_argmin", spied)
    for training in (False, None, True):
        basic(pair, training=training)
    assert bands == [psmnet.BAND, psmnet.BAND, None]


def test_costs_of_a_shifted_image_differ_from_those_of_the_same(basic, pair):
    same = to_numpy(basic([pair[0], pair[0]]))
    shifted = to_numpy(basic([pair[0], np.roll(pair[0], -4, axis=2)]))
    assert np.abs(same - shifted).max() > 1e-3


def test_training_supervises_three_outputs_with_the_papers_weights(stacked, pair, rng):
    truth = rng.uniform(-5, 20, (2, 32, 48, 1)).astype("float32")
    stacked.compile()
    assert isinstance(stacked.optimizer, keras.optimizers.Adam)
    assert float(stacked.optimizer.learning_rate) == pytest.approx(1e-3)
    logs = stacked.evaluate(pair, truth, batch_size=2, verbose=0, return_dict=True)
    costs = stacked.costs(ops.convert_to_tensor(np.concatenate(pair)))
    levels = [to_numpy(soft_argmin(cost, (16, 32, 48))) for cost in costs]
    expected = float(MultilevelSmoothL1(max_disparity=16)(truth, levels))
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)
    known = (truth > 0) & (truth < 16)
    assert logs["epe"] == pytest.approx(np.abs(levels[-1] - truth)[known].mean(), rel=1e-4)


def test_fit_moves_every_weight_and_masks_count(pair):
    keras.utils.set_random_seed(0)
    model = PSMNet(max_disparity=16)
    model.compile(metrics=[DisparityError()])
    before = [to_numpy(weight).copy() for weight in model.weights]
    truth = np.full((2, 32, 48, 1), np.nan, "float32")
    valid = np.zeros((2, 32, 48, 1), "float32")
    truth[:, :, 20:], valid[:, :, 20:] = 5, 1
    history = model.fit(pair, truth, sample_weight=valid, batch_size=2, verbose=0).history
    assert set(history) == {"loss", "epe"} and np.isfinite(history["loss"]).all()
    moved = [
        not np.array_equal(old, to_numpy(new))
        for old, new in zip(before, model.weights, strict=True)
    ]
    assert all(moved)  # statistics of batch normalization included


def test_training_normalizes_each_side_by_its_own_statistics(pair):
    left, right = pair
    means = []
    for inputs in ((left, right / 4), (right / 4, left)):
        keras.utils.set_random_seed(0)
        model = PSMNet("basic", max_disparity=16)
        model(inputs, training=True)
        means.append(to_numpy(model.features.stem[0].normalization.moving_mean))
    # Together the sides would give one mean in either order; the later one counts for more.
    assert np.abs(means[0] - means[1]).max() > 0.05 * np.abs(means[0]).max()


def test_any_keras_loss_trains_the_last_output(basic, pair):
    basic.compile(optimizer="sgd", loss="mse")
    truth = np.full((2, 32, 48, 1), 3.0, "float32")
    logged = basic.evaluate(pair, truth, batch_size=2, verbose=0, return_dict=True)["loss"]
    expected = np.square(to_numpy(basic(pair)) - truth).mean()
    assert logged == pytest.approx(float(expected), rel=1e-3)


def test_the_convention_of_pixel_places_is_saved(tmp_path):
    model = PSMNet("basic", max_disparity=16, align_corners=True)
    assert PSMNet.from_config(model.get_config()).align_corners is True
    again = PSMNet.from_pretrained(model.save_pretrained(tmp_path / "preset"))
    assert again.align_corners is True and again.variant == "basic"
