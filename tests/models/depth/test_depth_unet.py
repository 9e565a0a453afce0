import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo import DepthUNet
from c2f_zoo.layers import decode_depth, encode_depth, upsample_bilinear
from c2f_zoo.losses import MultiscaleDepthLoss, edge_aware_smoothness
from c2f_zoo.training.deep_supervision import _supervising


def small(**options):
    return DepthUNet(**{"width": 4, "multipliers": (1, 2, 4), "groups": 2, **options})


def levels_of(model, images):
    with _supervising(model):
        return [ops.convert_to_numpy(level) for level in model(images, training=False)]


def parameters(widths, blocks=1, attention=False):
    """Count of the parameters, layer by layer as the docstring tells."""

    def conv(channels, filters, side=3):
        return side * side * channels * filters + filters

    def block(channels, filters):
        skip = conv(channels, filters, 1) if channels != filters else 0
        norms = 2 * channels + 2 * filters
        return norms + conv(channels, filters) + conv(filters, filters) + skip

    total = conv(3, widths[0])
    for level, width in enumerate(widths):
        total += blocks * block(width, width)
        is_coarsest = level == len(widths) - 1
        if not is_coarsest:
            total += conv(width, widths[level + 1]) + conv(widths[level + 1], width)
        total += block(width if is_coarsest else 2 * width, width)
        total += (blocks - 1) * block(width, width)
        total += 2 * width + conv(width, 1)
    if attention:
        total += 2 * widths[-1] + conv(widths[-1], 3 * widths[-1], 1)
        total += conv(widths[-1], widths[-1], 1)
    return total


@pytest.mark.backend_free
def test_the_count_of_parameters_is_that_of_its_layers(empty_kernels):
    assert DepthUNet().count_params() == parameters((16, 32, 64, 128, 256)) == 4_178_677
    assert DepthUNet("lite").count_params() == parameters((8, 16, 32, 96, 160)) == 1_769_533
    found = DepthUNet("lite", attention=4).count_params()
    assert found == parameters((8, 16, 32, 96, 160), attention=True) == 1_872_893
    found = small(blocks=2, attention=2).count_params()
    assert found == parameters((4, 8, 16), blocks=2, attention=True)


@pytest.mark.parametrize("kind", ["log", "inverse"])
def test_every_scale_has_a_depth_within_the_limits(kind, rng):
    model = DepthUNet("lite", representation=kind, limits=(0.5, 12))
    images = rng.random((2, 37, 50, 3)).astype("float32")
    levels = levels_of(model, images)
    sizes = [level.shape for level in levels]
    assert sizes == [(2, -(-37 // s), -(-50 // s), 1) for s in (16, 8, 4, 2, 1)]
    assert all(level.min() >= 0.5 and level.max() <= 12 for level in levels)
    np.testing.assert_allclose(ops.convert_to_numpy(model(images)), levels[-1], rtol=1e-5)


@pytest.mark.backend_free
def test_a_variant_is_saved_and_what_is_given_overrides_it(empty_kernels):
    model = DepthUNet("lite", multipliers=(1, 3))
    assert (model.variant, model.width, model.multipliers, model.groups) == ("lite", 8, (1, 3), 4)
    again = DepthUNet.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    before_variants = {k: v for k, v in model.get_config().items() if k != "variant"}
    assert DepthUNet.from_config(before_variants).count_params() == model.count_params()


def test_residual_heads_add_to_the_coarser_answer(rng):
    images = rng.random((1, 16, 24, 3)).astype("float32")
    plain, residual = small(), small(residual=True)
    residual.set_weights(plain.get_weights())
    # Heads that add nothing enlarge the coarsest answer.
    for _, head in residual.heads[1:]:
        head.kernel.assign(0 * head.kernel)
    levels, expected = levels_of(residual, images), levels_of(plain, images)[0]
    np.testing.assert_allclose(levels[0], expected, rtol=1e-5)
    code = encode_depth(expected, "log", plain.limits)
    logits = upsample_bilinear(upsample_bilinear(ops.log(code / (1 - code)), 2), 2)
    enlarged = decode_depth(ops.sigmoid(logits), "log", plain.limits)
    np.testing.assert_allclose(levels[-1], ops.convert_to_numpy(enlarged), rtol=1e-3)


def test_uint8_and_float_images_give_one_depth(rng):
    pixels = rng.integers(0, 256, (1, 20, 24, 3)).astype("uint8")
    model = small()
    found = [ops.convert_to_numpy(model(x)) for x in (pixels, (pixels / 255).astype("float32"))]
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_smoothness_is_added_in_training(rng):
    model = small(smoothness=0.5)
    images = rng.random((2, 15, 20, 3)).astype("float32")
    truth = rng.uniform(1, 9, (2, 15, 20, 1)).astype("float32")
    model.compile()
    found = model.evaluate(images, truth, verbose=0, return_dict=True)["loss"]
    levels = levels_of(model, images)
    padded = np.pad(images, ((0, 0), (0, 1), (0, 0), (0, 0)), "edge")
    expected = float(model.loss(truth, levels))
    for index, depth in enumerate(reversed(levels)):
        side = 2**index
        cells = padded.reshape(2, 16 // side, side, 20 // side, side, 3).mean((2, 4))
        cells = cells[:, : depth.shape[1], : depth.shape[2]]
        expected += 0.5 * float(edge_aware_smoothness(1 / depth, cells)) / side
    assert found == pytest.approx(expected, rel=1e-4)


def test_training_learns_and_masks_what_is_unknown(rng):
    keras.utils.set_random_seed(0)
    model = small()
    images = rng.random((4, 16, 16, 3)).astype("float32")
    truth = (1 + 4 * images.mean(-1, keepdims=True)).astype("float32")
    truth[:, :3] = np.nan
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(images, truth, epochs=12, batch_size=4, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert set(history) == {"loss", "abs_rel", "delta_1"}
    assert np.isfinite(np.concatenate(list(history.values()))).all()


def test_a_loss_of_keras_sees_the_finest_scale(rng):
    model = small()
    images = rng.random((2, 16, 16, 3)).astype("float32")
    truth = rng.uniform(1, 9, (2, 16, 16, 1)).astype("float32")
    model.compile(loss="mae", metrics=[])
    found = model.evaluate(images, truth, verbose=0)
    expected = np.abs(ops.convert_to_numpy(model(images)) - truth).mean()
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_default_loss_is_of_the_networks_own_depths():
    model = small(representation="inverse", limits=(1, 5))
    model.compile()
    assert isinstance(model.loss, MultiscaleDepthLoss)
    assert model.loss.level_weights == (1, 1, 1)
    assert (model.loss.representation, model.loss.limits) == ("inverse", (1, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "small"}, "variant .*Received: 'small'"),
        ({"width": 0}, "width .*Received: 0"),
        ({"multipliers": ()}, r"multipliers .*Received: \(\)"),
        ({"multipliers": 3}, "multipliers .*Received: 3"),
        ({"groups": 3}, "groups must divide .*Received: 3"),
        ({"attention": 3}, "attention.*Received: 3"),
        ({"representation": "depth"}, "representation .*Received: 'depth'"),
        ({"limits": (5, 1)}, r"limits .*Received: \(5, 1\)"),
        ({"smoothness": -1}, "smoothness .*Received: -1"),
        ({"image_side": 0}, "image_side .*Received: 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((1, 16, 16, 1), "float32"),
        np.zeros((16, 16, 3), "float32"),
        np.zeros((1, 0, 16, 3), "float32"),
        [np.zeros((1, 16, 16, 3), "float32")] * 2,
        np.zeros((1, 16, 16, 3), "int32"),
    ],
)
def test_bad_images_are_refused(inputs):
    with pytest.raises(ValueError, match="Received"):
        small()(inputs)
