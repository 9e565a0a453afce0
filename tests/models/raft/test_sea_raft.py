"""The options of SEA-RAFT, in the lite network and in the published ones."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.losses import MixtureOfLaplaceLoss
from c2f_zoo.losses.laplace import expected_error
from c2f_zoo.models import RAFT
from c2f_zoo.models.raft.warm_start import forward_interpolate
from c2f_zoo.tasks import FlowWithUncertainty
from c2f_zoo.training.deep_supervision import _supervising


@pytest.fixture(scope="module")
def lite():
    keras.utils.set_random_seed(0)
    return RAFT("lite", iterations=2)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(3).random((4, 64, 72, 3), dtype="float32")


def answer(model, inputs, **options):
    return keras.tree.map_structure(to_numpy, model(inputs, **options))


def levels_of(model, images):
    with _supervising(model):
        return answer(model, images)


def test_the_lite_network_has_four_iterations_and_few_parameters():
    model = RAFT("lite")
    assert (model.iterations, model.mixture, model.first_flow) == (4, True, "regressed")
    assert model.count_params() == 1_203_339
    for variant in ("small", "large"):
        published = RAFT(variant)
        assert (published.iterations, published.mixture, published.first_flow) == (
            12,
            False,
            "zero",
        )


def test_the_first_flow_is_supervised_and_read_from_the_context(lite, frames):
    images = (frames[:1], frames[1:2])
    levels = levels_of(lite, images)
    assert [level.shape for level in levels] == [(1, 64, 72, 5)] * 3  # the first, two refinements
    both = ops.concatenate([ops.array(image) for image in images], axis=-1)
    context = lite.context_encoder(2.0 * both - 1.0)
    hidden = ops.tanh(context[..., : lite.sizes.hidden])
    estimate = lite.update.estimate(hidden)
    expected = lite.enlarge(estimate[..., :2], hidden, estimate[..., 2:])
    np.testing.assert_allclose(levels[0], to_numpy(expected), atol=1e-4)
    np.testing.assert_allclose(levels[-1][..., :2], answer(lite, images), atol=1e-4)
    # It depends on the second image, and is what refinement starts from.
    other = levels_of(lite, (frames[:1], frames[2:3]))
    assert np.abs(other[0] - levels[0]).max() > 1e-3
    start = to_numpy(estimate[..., :2])
    np.testing.assert_allclose(
        answer(lite, images, initial_flow=start), answer(lite, images), atol=1e-4
    )


def test_the_uncertainty_is_the_expected_error_of_the_last_mixture(lite, frames):
    images = (frames[:1, :61, :67], frames[1:2, :61, :67])
    parameters = levels_of(lite, images)[-1][..., 2:]
    expected = to_numpy(expected_error(parameters))[0]
    found = lite.flow(images[0][0], images[1][0], uncertainty=True)
    assert isinstance(found, FlowWithUncertainty) and found.uncertainty.shape == (61, 67, 1)
    np.testing.assert_allclose(found.uncertainty, expected, rtol=1e-3)
    assert found.uncertainty.min() >= 1 and np.ptp(found.uncertainty) > 0
    np.testing.assert_allclose(found.flow, lite.flow(images[0][0], images[1][0]), atol=1e-4)
    (again,) = lite.flow([images[0][0]], [images[1][0]], uncertainty=True)
    np.testing.assert_array_equal(again.uncertainty, found.uncertainty)


def test_streams_see_both_images_of_every_pair(lite, frames):
    apart = [lite.flow(*frames[i : i + 2], uncertainty=True) for i in range(3)]
    np.testing.assert_allclose(
        answer(lite, frames), np.stack([each.flow for each in apart]), atol=1e-3
    )
    for batch_size in (1, 2):
        together = lite.flow(frames, batch_size=batch_size, uncertainty=True)
        for one, other in zip(together, apart, strict=True):
            np.testing.assert_allclose(one.flow, other.flow, atol=1e-3)
            np.testing.assert_allclose(one.uncertainty, other.uncertainty, rtol=1e-3)
    checked = lite.flow(frames[:2], confidence=True)[0]
    np.testing.assert_allclose(checked.flow, apart[0].flow, atol=1e-3)


def test_a_warm_start_takes_the_place_of_the_first_flow(lite, frames):
    found = lite.flow(frames[:3], warm_start=True)
    start = answer(lite, {"frames": frames[:1]})
    first = answer(lite, {"frames": frames[1:2], "features": start["features"]})
    carried = forward_interpolate(first["coarse_flow"][0])[None]
    second = answer(lite, (frames[1:2], frames[2:3]), initial_flow=carried)
    np.testing.assert_allclose(found[1], second[0], atol=1e-3)


@pytest.mark.parametrize("options", [{"mixture": True}, {"first_flow": "regressed"}])
def test_the_published_networks_take_either_option_alone(frames, options):
    model = RAFT("small", iterations=1, **options)
    again = RAFT.from_config(model.get_config())
    assert (again.mixture, again.first_flow) == (model.mixture, model.first_flow)
    images = (frames[:1], frames[1:2])
    levels = levels_of(model, images)
    channels, count = (5, 1) if model.mixture else (2, 2)
    assert [level.shape for level in levels] == [(1, 64, 72, channels)] * count
    np.testing.assert_allclose(levels[-1][..., :2], answer(model, images), atol=1e-4)
    model.compile()
    assert isinstance(model.loss, MixtureOfLaplaceLoss) == model.mixture


def test_training_lowers_the_loss_and_moves_every_weight(frames):
    keras.utils.set_random_seed(0)
    model = RAFT("lite", iterations=2)
    before = [to_numpy(weight).copy() for weight in model.trainable_variables]
    model.compile(keras.optimizers.Adam(1e-4), loss=MixtureOfLaplaceLoss())
    images, flow = (frames[:1], frames[1:2]), np.full((1, 64, 72, 2), 2.0, "float32")
    losses = [float(model.train_on_batch(images, flow)[0]) for _ in range(5)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    still = {
        weight.path
        for weight, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(old, to_numpy(weight))
    }
    assert all("feature_encoder" in path and path.endswith("bias") for path in still)


def test_bad_options_are_named(lite, frames):
    with pytest.raises(ValueError, match="first_flow must be one of .*Received: 'warm'$"):
        RAFT("small", first_flow="warm")
    with pytest.raises(ValueError, match="Received: both$"):
        lite.flow(frames, uncertainty=True, confidence=True)
    with pytest.raises(ValueError, match="Received: a network with mixture=False$"):
        RAFT("small").flow(frames, uncertainty=True)
    with pytest.raises(ValueError, match=r"\(1, 64, 72, 3\). Received: shape \(1, 8, 9, 128\)$"):
        features = [np.zeros((1, 8, 9, 64), "float32"), np.zeros((1, 8, 9, 128), "float32")]
        lite({"frames": frames[:1], "features": features})
