import re

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo import backend
from c2f_zoo.backend import to_numpy
from c2f_zoo.losses import SequenceLoss
from c2f_zoo.metrics import EndPointError
from c2f_zoo.models import RAFT
from c2f_zoo.models.raft.warm_start import forward_interpolate
from c2f_zoo.tasks.confidence import checked_flow
from c2f_zoo.training import ClippedAdamW


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return RAFT("small", iterations=2)


@pytest.fixture(scope="module")
def pair():
    return np.random.default_rng(3).random((2, 2, 64, 72, 3), dtype="float32")


def flow_of(model, inputs, **options):
    """The network's answer as numpy."""
    return keras.tree.map_structure(to_numpy, model(inputs, **options))


@pytest.mark.parametrize(("variant", "parameters"), [("large", 5_257_536), ("small", 990_162)])
def test_parameter_counts_are_the_published_ones(variant, parameters):
    weights = RAFT(variant).trainable_variables
    assert sum(int(np.prod(weight.shape)) for weight in weights) == parameters


@pytest.mark.parametrize("padding", ["sintel", "kitti"])
def test_images_are_padded_by_replication_where_the_data_set_has_it(padding, pair):
    keras.utils.set_random_seed(0)
    model = RAFT("small", iterations=2, padding=padding)
    image1, image2 = pair[:, :, :61, :67]
    rows = (1, 2) if padding == "sintel" else (0, 3)
    pads = ((0, 0), rows, (2, 3), (0, 0))
    padded = [np.pad(image, pads, "edge") for image in (image1, image2)]
    expected = flow_of(model, tuple(padded))[:, rows[0] : rows[0] + 61, 2:69]
    np.testing.assert_allclose(flow_of(model, (image1, image2)), expected, atol=1e-4)
    np.testing.assert_allclose(model.flow(image1[0], image2[0]), expected[0], atol=1e-3)


def test_iterations_are_an_argument_of_call_and_of_flow(small, pair):
    images = (pair[0][:1], pair[1][:1])
    flows = [flow_of(small, images, iterations=count) for count in (1, 2, 3)]
    np.testing.assert_allclose(flow_of(small, images), flows[1], atol=1e-5)
    assert np.abs(flows[2] - flows[1]).max() > 1e-3 < np.abs(flows[1] - flows[0]).max()
    for count, flow in enumerate(flows, start=1):
        found = small.flow(pair[0][0], pair[1][0], iterations=count)
        np.testing.assert_allclose(found, flow[0], atol=1e-3)
    with pytest.raises(ValueError, match="iterations must be .*Received: 0$"):
        small.flow(pair[0][0], pair[1][0], iterations=0)


def test_more_iterations_go_on_from_the_flow_of_fewer(small, pair):
    # The state is not handed on, so that only the first of the further steps can be compared.
    images = (pair[0][:1], pair[1][:1])
    start = np.full((1, 8, 9, 2), 1.5, "float32")
    moved = flow_of(small, images, iterations=1, initial_flow=start)
    still = flow_of(small, images, iterations=1)
    assert np.abs(moved - still - 12).mean() < np.abs(moved - still).mean()


def test_refinement_stops_early_where_updates_are_small(small, pair):
    images = (pair[0][:1], pair[1][:1])
    patient = RAFT("small", iterations=4, tolerance=1e9)
    patient.set_weights(small.get_weights())
    np.testing.assert_allclose(
        flow_of(patient, images), flow_of(small, images, iterations=1), atol=1e-4
    )
    patient.tolerance = 1e-9
    np.testing.assert_allclose(
        flow_of(patient, images), flow_of(small, images, iterations=4), atol=1e-4
    )


def test_a_stack_and_a_stream_of_frames_give_the_flows_between_neighbours(small, pair):
    frames = np.concatenate([pair[0], pair[1]])
    apart = flow_of(small, (frames[:-1], frames[1:]))
    np.testing.assert_allclose(flow_of(small, frames), apart, atol=1e-3)
    start = flow_of(small, {"frames": frames[:1]})
    first = flow_of(small, {"frames": frames[1:2], "features": start["features"]})
    second = flow_of(small, {"frames": frames[2:], "features": first["features"]})
    streamed = np.concatenate([first["flow"], second["flow"]])
    np.testing.assert_allclose(streamed, apart, atol=1e-3)
    flows = small.flow(frames, batch_size=2)
    np.testing.assert_allclose(np.stack(flows), apart, atol=1e-3)


def test_a_warm_start_begins_at_the_last_flow_carried_forward(small, pair):
    frames = np.concatenate([pair[0], pair[1]])[:3]
    flows = small.flow(frames, iterations=2, warm_start=True)
    start = flow_of(small, {"frames": frames[:1]})
    first = flow_of(small, {"frames": frames[1:2], "features": start["features"]})
    carried = forward_interpolate(first["coarse_flow"][0])[None]
    second = flow_of(small, (frames[1:2], frames[2:]), initial_flow=carried)
    np.testing.assert_allclose(flows[0], first["flow"][0], atol=1e-3)
    np.testing.assert_allclose(flows[1], second[0], atol=1e-3)
    with pytest.raises(ValueError, match="Received: pairs of images$"):
        small.flow(frames[0], frames[1], warm_start=True)


@pytest.mark.parametrize("warm_start", [False, True])
def test_confidence_checks_each_flow_by_that_of_the_opposite_direction(small, pair, warm_start):
    frames = np.concatenate([pair[0], pair[1]])[:3, :61, :67]
    forward = small.flow(frames, warm_start=warm_start)
    back = [small.flow(frames[i + 1], frames[i]) for i in range(2)]  # from zero
    found = small.flow(frames, warm_start=warm_start, confidence=True)
    for checked, one, other in zip(found, forward, back, strict=True):
        np.testing.assert_allclose(checked.flow, one, atol=1e-3)
        expected = checked_flow(one, other).confidence
        np.testing.assert_allclose(checked.confidence, expected, atol=2e-2)


def test_scales_and_radius_are_arguments(pair):
    model = RAFT("small", iterations=1, radius=2, pooling=(1, 3))
    assert model.update.correlation_layers[0].kernel.shape[2] == 2 * 25
    assert np.isfinite(flow_of(model, (pair[0], pair[1]))).all()
    again = RAFT.from_config(model.get_config())
    assert (again.radius, again.pooling) == (2, (1, 3))


def test_correlations_that_are_not_stored_give_the_same_flow(small, pair):
    frugal = RAFT("small", iterations=2, correlation_memory=0)
    frugal.set_weights(small.get_weights())
    images = (pair[0], pair[1])
    np.testing.assert_allclose(flow_of(frugal, images), flow_of(small, images), atol=1e-3)


# Training


def test_defaults_train_as_the_paper_does():
    model = RAFT("small")
    model.compile()
    assert isinstance(model.optimizer, ClippedAdamW) and model.optimizer.clip_norm == 1.0
    assert model.optimizer.weight_decay == pytest.approx(1e-4)
    schedule = model.optimizer.get_config()["learning_rate"]["config"]
    assert (schedule["peak"], schedule["total"]) == (4e-4, 100_100)
    assert isinstance(model.loss, SequenceLoss) and model.loss.gamma == 0.8


def test_loss_and_metric_see_what_they_should(small, pair):
    images, flow = (pair[0][:, :50], pair[1][:, :50]), np.ones((2, 50, 72, 2), "float32")
    valid = np.ones((2, 50, 72, 1), "float32")
    valid[:, 20:], flow[:, 20:] = 0, np.nan
    steps = [flow_of(small, images, iterations=count) for count in (1, 2)]
    small.compile(loss=SequenceLoss(), metrics=[EndPointError(name="epe")])
    options = {"sample_weight": valid, "verbose": 0, "return_dict": True}
    logged = small.evaluate(images, flow, **options)
    expected = float(SequenceLoss()(flow, steps, valid))
    assert logged["loss"] == pytest.approx(expected, rel=1e-3)
    error = np.linalg.norm(steps[-1][:, :20] - 1, axis=-1).mean()
    assert logged["epe"] == pytest.approx(error, rel=1e-3)
    small.compile(loss="mse", metrics=[])
    truth = np.zeros_like(flow)
    logged = small.evaluate(images, truth, verbose=0, return_dict=True)["loss"]
    assert logged == pytest.approx(float(np.square(steps[-1]).mean()), rel=1e-3)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_step_moves_every_weight_and_batch_statistics_unless_frozen(frozen, pair):
    keras.utils.set_random_seed(0)
    model = RAFT("large", iterations=2, freeze_batch_norm=frozen)
    model.compile(optimizer=ClippedAdamW(1e-3))
    before = [to_numpy(value).copy() for value in model.weights]
    images = (pair[0], pair[1])
    loss = model.train_on_batch(images, np.ones((2, 64, 72, 2), "float32"), return_dict=True)
    assert np.isfinite(loss["loss"])
    moved = {
        value.path: np.abs(to_numpy(value) - old).max() > 0
        for value, old in zip(model.weights, before, strict=True)
    }
    statistics = [name for name in moved if name.endswith(("moving_mean", "moving_variance"))]
    assert len(statistics) == 30
    assert all(moved[name] != frozen for name in statistics)
    # The bias of a convolution that is normalized has no gradient but noise.
    idle = [name for name in moved if not moved[name] and name not in statistics]
    assert all("encoder" in name and name.endswith("bias") for name in idle), idle


def loss_function(model, images, truth):
    """The training loss as a function of the weights' values."""
    fixed = [value.value for value in model.non_trainable_variables]

    def loss(*weights):
        mapping = [
            *zip(model.trainable_variables, weights, strict=True),
            *zip(model.non_trainable_variables, fixed, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping):
            features = model._features(ops.concatenate(images, axis=0))
            context = model._context(images[0], None, training=False)
            query, key = ops.split(features, 2, axis=0)
            return SequenceLoss()(truth, model.refine(query, key, context, keep_all=True))

    return loss


@pytest.mark.skipif(backend.backend() != "torch", reason="compares with another PyTorch program")
@pytest.mark.parametrize("variant", ["large", "small"])
def test_gradients_equal_those_of_an_independent_program(variant, gradient_of):
    import torch

    from c2f_zoo.models.raft.torch_weights import _official_parts, load_official
    from tests.models.raft.reference import Reference, random_weights

    weights = random_weights(variant)
    model = load_official(RAFT(variant, iterations=2), weights, "random")
    images = np.random.default_rng(0).random((2, 1, 128, 128, 3), dtype="float32")
    truth = np.random.default_rng(1).normal(scale=5, size=(1, 128, 128, 2)).astype("float32")

    reference = Reference(weights, variant)
    for name, tensor in reference.weights.items():
        tensor.requires_grad_(tensor.is_floating_point() and "running" not in name)
    tensors = [torch.from_numpy(np.moveaxis(image, -1, 1).copy()) for image in images]
    flows = reference(*tensors, iterations=2)
    target = torch.from_numpy(np.moveaxis(truth, -1, 1).copy())
    (0.8 * (flows[0] - target).abs().mean() + (flows[1] - target).abs().mean()).backward()

    values = [to_numpy(value) for value in model.trainable_variables]
    images = [ops.convert_to_tensor(image) for image in images]
    found = gradient_of(loss_function(model, images, truth), *values)
    found = {id(v): g for v, g in zip(model.trainable_variables, found, strict=True)}
    for name, (variable, others) in _official_parts(model).items():
        if "running" in name:
            continue
        expected = [reference.weights[each].grad for each in (name, *others)]
        expected = [
            (g.permute(2, 3, 1, 0) if g.ndim == 4 else g).numpy() for g in expected if g is not None
        ]
        expected = np.concatenate(expected, axis=-1)
        if name.startswith("fnet.") and name.endswith(".bias") and name != "fnet.conv2.bias":
            # Instance normalization takes these away: both programs have rounding errors alone.
            kernel = reference.weights[name.replace(".bias", ".weight")].grad
            limit = 1e-4 * float(kernel.abs().max())
            assert np.abs(expected).max() < limit and np.abs(found[id(variable)]).max() < limit
            continue
        # Rounding differs between processors, and turns a rectified unit of a value near zero on or
        # off: up to half a percent of a kernel's gradient. A wrong derivative is off by far more.
        off = np.linalg.norm(found[id(variable)] - expected)
        assert off < 0.02 * np.linalg.norm(expected) + 1e-5, (name, off)


def test_bad_arguments_and_tensors_are_named(small, pair):
    with pytest.raises(ValueError, match="variant must be one of .*Received: 'huge'$"):
        RAFT("huge")
    with pytest.raises(ValueError, match="padding must be one of .*Received: 'both'$"):
        RAFT("small", padding="both")
    with pytest.raises(ValueError, match="iterations must be .*Received: 0$"):
        RAFT("small", iterations=0)
    with pytest.raises(ValueError, match=r"16x16.*\(2, 15, 72, 3\)$"):
        small((pair[0][:, :15], pair[1][:, :15]))
    images = (pair[0], pair[1])
    for iterations in (0, -1):
        with pytest.raises(ValueError, match=f"iterations must be .*Received: {iterations}$"):
            small(images, iterations=iterations)
    # Before Keras, whose own errors go on after what was received.
    for shape in ((1, 64, 72, 2), (3, 8, 9, 2), (8, 9, 2)):
        message = rf"initial_flow must .*, 8, 9, 2\).*{re.escape(str(shape))}$"
        with pytest.raises(ValueError, match=message):
            small(images, initial_flow=np.zeros(shape, "float32"))
        with pytest.raises(ValueError, match=message):
            small({"images": images, "initial_flow": np.zeros(shape, "float32")})
    with pytest.raises(ValueError, match="uint8 in.*Received: int32$"):
        small(tuple(image.astype("int32") for image in images))
    frames = pair[0][:1]
    with pytest.raises(ValueError, match="two tensors. Received: 1 of them$"):
        small({"frames": frames, "features": [frames]})
    with pytest.raises(ValueError, match=r"\(1, 8, 9, 128\). Received: shape \(1, 64, 72, 3\)$"):
        small({"frames": frames, "features": [frames, frames]})
    with pytest.raises(ValueError, match=r"Received: keys \['pictures'\]$"):
        small({"pictures": frames})
