"""Networks of limited reach: what has an influence, padding, and holes that are filled."""

import keras
import numpy as np
import pytest

from c2f_zoo import backend
from c2f_zoo.layers import crop_to, pad_to_stride
from c2f_zoo.models import MultiscaleUNet, RestorationResNet
from tests.models.restoration.small_networks import (
    answer,
    inputs_of,
    make,
    small_unet,
)


@pytest.mark.parametrize("name", ["unet", "unet_without_time", "residual_unet"])
def test_an_odd_size_is_the_padded_size_cropped(name):
    model = make(name)
    inputs = inputs_of(model, (9, 14), batch=1)
    images, *time = inputs if model.time_embedding else (inputs,)
    padded = backend.to_numpy(pad_to_stride(images, model.stride))
    assert padded.shape != images.shape
    whole = answer(model, (padded, *time) if time else padded)
    expected = backend.to_numpy(crop_to(whole, 9, 14))
    np.testing.assert_allclose(answer(model, inputs), expected, atol=1e-5)


LOCAL = ("local_unet", "filling_unet", "local_sr_resnet", "local_resnet")


@pytest.mark.parametrize("name", LOCAL)
def test_nothing_beyond_the_reach_of_a_local_network_has_an_influence(name):
    model = make(name)
    reach = model.reach
    side = -(-(2 * reach + 5) // model.stride) * model.stride
    inputs = inputs_of(model, (side, side), batch=1)
    images = inputs[0] if isinstance(inputs, tuple) else inputs
    row = column = reach + 2  # the pixel that is changed
    changed = images.copy()
    changed[0, row, column] = 1 - changed[0, row, column]
    others = (changed, *inputs[1:]) if isinstance(inputs, tuple) else changed
    away = np.abs(answer(model, others) - answer(model, inputs)).max(axis=(0, 3))
    far = np.ones_like(away, dtype=bool)
    scale = model.scale
    bounds = [slice(scale * max(0, p - reach), scale * (p + reach + 1)) for p in (row, column)]
    far[tuple(bounds)] = False
    assert far.any() and away[~far].max() > 0
    np.testing.assert_allclose(away[far], 0, atol=1e-5)


@pytest.mark.parametrize("name", LOCAL)
def test_padding_does_not_change_the_result_of_a_local_network(name):
    model = make(name)
    inputs = inputs_of(model, (21, 27))
    images, *more = inputs if isinstance(inputs, tuple) else (inputs,)
    expected = answer(model, inputs)

    def padded(array):
        side = 40 if array.ndim == 4 else 0
        return np.pad(array, [(0, 0), (0, side - 21), (0, side - 27), (0, 0)], mode="edge")

    named = {"images": padded(images), "size": np.int32([[21, 27]] * 2)}
    if more:
        second = more[0]
        named |= {"mask": padded(second)} if model.mask else {"time": second}
    found = answer(model, named)[:, : 21 * model.scale, : 27 * model.scale]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    plain = answer(model, {**named, "size": np.int32([[40, 40]] * 2)})
    assert np.abs(plain[:, : 21 * model.scale, : 27 * model.scale] - expected).max() > 1e-4


def test_padded_images_are_refused_where_all_pixels_count():
    inputs = {"images": np.zeros((1, 8, 8, 3), "float32"), "size": np.int32([[5, 5]])}
    with pytest.raises(ValueError, match=r"takes no padded images.*Received: \['images', 'size'\]"):
        make("srnet")(inputs)
    with pytest.raises(ValueError, match=r"a dictionary of \['images', 'size'\]. .*\['images'\]"):
        make("local_unet")({"images": inputs["images"]})


def test_networks_that_see_the_whole_image_say_so():
    assert make("unet").reach is None and make("resnet").reach is None
    assert make("srnet").reach is None and small_unet(norm="pixel").reach is None


def test_a_filling_network_keeps_what_is_known_and_looks_at_nothing_else():
    model = make("filling_unet")
    images, mask = inputs_of(model)
    found = answer(model, (images, mask))
    known = np.broadcast_to(mask > 0, found.shape)
    np.testing.assert_array_equal(found[known], images[known])
    assert np.abs(found - images)[~known].min() > 0
    hidden = np.where(mask > 0, images, 0.123).astype("float32")
    np.testing.assert_array_equal(answer(model, (hidden, mask)), found)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 12, 15, 1), "float32"), r"masks .* shape \(2, 12, 16, 1\)\. Received.*15, 1"),
        (np.ones((2, 12, 16, 3), "float32"), r"Received: shape \(2, 12, 16, 3\)$"),
        (np.ones((2, 12, 16), "float32"), r"Received: shape \(2, 12, 16\)$"),
    ],
)
def test_a_mask_of_another_shape_is_refused(mask, message):
    model = make("filling_unet")
    with pytest.raises(ValueError, match=message):
        model((inputs_of(model)[0], mask))


def test_a_filling_network_asks_for_the_mask():
    model = make("filling_unet")
    with pytest.raises(ValueError, match=r"pair \(images, mask\)\. Received: images alone"):
        model(inputs_of(model)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "batch"}, "norm must be one of .*Received: 'batch'"),
        ({"mask": True}, "time_embedding=False.*Received: mask=True"),
        ({"patch": 0}, "patch must be.*Received: 0"),
    ],
)
def test_local_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_unet(**options)


def test_enlarging_at_another_place_is_refused():
    with pytest.raises(ValueError, match="enlarge must be one of .*Received: 'middle'"):
        RestorationResNet(8, 1, enlarge="middle")


@pytest.mark.parametrize("norm", ["pixel", "none"])
def test_features_keep_their_size_without_group_normalisation(norm):
    keras.utils.set_random_seed(0)
    model = MultiscaleUNet(32, (1, 2, 2), norm=norm, attention=0, time_embedding=False, dropout=0.0)
    sizes = []

    class Watching:
        def __init__(self, head):
            self.head = head

        def __call__(self, x):
            sizes.append(float(np.std(backend.to_numpy(x))))
            return self.head(x)

    model.__dict__["head"] = Watching(model.head)
    model(np.random.default_rng(0).random((1, 32, 32, 3), dtype="float32"))
    assert 0.1 < sizes[0] < 2
