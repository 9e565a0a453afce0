"""What every restoration network promises: counts, sizes, gradients, precision, errors."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers import image_norm
from c2f_zoo.losses import SSIMLoss
from c2f_zoo.models import MultiscaleUNet, RestorationResNet, SRParaConvNet
from tests.models.restoration.small_networks import (
    SMALL,
    answer,
    every_network,
    inputs_of,
    make,
)


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (MultiscaleUNet, 2_537_187),
        (RestorationResNet, 597_699),
        (lambda: RestorationResNet(100, 9, time_embedding=False, scale=2), 1_622_503),
        (SRParaConvNet, 69_603),
    ],
)
def test_parameter_counts_are_those_of_the_released_code(build, parameters):
    model = build()
    assert model.count_params() == parameters
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_variables) == parameters


@every_network
@pytest.mark.parametrize("size", [(1, 1), (7, 10), (12, 16)])
def test_any_size_gives_an_answer_of_its_size(name, size):
    model = make(name)
    result = answer(model, inputs_of(model, size, batch=1))
    assert result.shape == (1, size[0] * model.scale, size[1] * model.scale, 3)
    assert result.dtype == np.float32 and np.isfinite(result).all()


@every_network
def test_samples_of_a_batch_do_not_touch_each_other(name):
    model = make(name)
    inputs = inputs_of(model, batch=3)
    together = answer(model, inputs)
    part = tuple(array[1:2] for array in inputs) if model.time_embedding else inputs[1:2]
    np.testing.assert_allclose(answer(model, part), together[1:2], atol=1e-5)


@every_network
def test_a_step_of_training_moves_every_weight(name):
    model = make(name)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    inputs = inputs_of(model, (16, 16))
    images = inputs[0] if model.time_embedding else inputs
    truth = np.repeat(np.repeat(images, model.scale, 1), model.scale, 2)
    before = [backend.to_numpy(weight) for weight in model.trainable_variables]
    logs = model.train_on_batch(inputs, truth, return_dict=True)
    assert np.isfinite(logs["loss"])
    for weight, old in zip(model.trainable_variables, before, strict=True):
        # A bias before a normalisation of the same channels alone would not move; here none is.
        assert np.abs(backend.to_numpy(weight) - old).max() > 0, weight.path


@every_network
def test_every_weight_has_a_path_of_its_own(name):
    # PyTorch finds parameters by path: of two with one path it would not reset the gradient.
    paths = [weight.path for weight in make(name).weights if "seed" not in weight.path]
    assert len(set(paths)) == len(paths)


@every_network
def test_the_time_matters_where_it_is_told(name):
    model = make(name)
    inputs = inputs_of(model)
    if not model.time_embedding:
        with pytest.raises(ValueError, match="takes images alone. Received: 2 inputs$"):
            model((inputs, np.zeros(2)))
        return
    images, time = inputs
    later = answer(model, (images, time + 0.5))
    assert np.abs(later - answer(model, inputs)).max() > 1e-4
    column = answer(model, [images, time[:, None]])
    np.testing.assert_allclose(column, answer(model, (images, time)), atol=1e-6)
    with pytest.raises(ValueError, match=r"a pair \(images, time\). Received: images alone$"):
        model(images)
    with pytest.raises(ValueError, match=r"shape \(2,\). Received: shape \(3,\)$"):
        model((images, np.zeros(3)))


@every_network
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_float32_and_trains(name, policy):
    model, exact = make(name, dtype=policy), make(name)
    inputs = inputs_of(model, (16, 16))
    if policy == "mixed_float16" and backend.backend() == "jax" and getattr(model, "attention", 0):
        pytest.skip("JAX has no attention in float16 on a CPU")
    expected, found = answer(exact, inputs), answer(model, inputs)
    assert found.dtype == np.float32 and model.compute_dtype != "float32"
    assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean()
    model.compile()
    logs = model.train_on_batch(inputs, expected, return_dict=True)
    assert np.isfinite(logs["loss"])


@every_network
def test_uint8_equals_float_in_unit_range(name):
    model = make(name)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype="uint8")
    time = (np.array([0.1, 0.2], "float32"),) if model.time_embedding else ()
    exact = images / np.float32(255)
    from_bytes, from_floats = (
        answer(model, (array, *time) if time else array) for array in (images, exact)
    )
    np.testing.assert_allclose(from_bytes, from_floats, atol=1e-5)


def test_compiling_without_arguments_trains_as_the_paper_does():
    restorer, enlarger = SMALL["resnet"](), SMALL["srnet"]()
    restorer.compile(), enlarger.compile()
    assert float(restorer.optimizer.learning_rate) == pytest.approx(5e-4)
    assert float(enlarger.optimizer.learning_rate) == pytest.approx(1e-3)
    assert isinstance(enlarger.loss, SSIMLoss) and enlarger.loss.offset == 0
    images, time = inputs_of(restorer, (16, 16))
    logs = restorer.fit((images, time), images, epochs=1, verbose=0).history
    assert set(logs) == {"loss", "psnr"}
    large = np.repeat(np.repeat(images, 2, 1), 2, 2)
    assert set(enlarger.fit(images, large, verbose=0).history) == {"loss", "psnr"}


def test_training_learns_to_copy():
    keras.utils.set_random_seed(1)
    model = RestorationResNet(8, 1, time_embedding=False)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    images = np.random.default_rng(0).random((8, 16, 16, 3), dtype="float32")
    history = model.fit(images, images, epochs=30, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.2 * history["loss"][0]


def test_super_resolution_starts_as_bilinear_enlargement():
    images = np.random.default_rng(0).random((1, 12, 10, 3), dtype="float32")
    expected = backend.to_numpy(ops.image.resize(images, (24, 20), interpolation="bilinear"))
    for build in (SRParaConvNet, lambda: RestorationResNet(8, 1, time_embedding=False, scale=2)):
        np.testing.assert_allclose(answer(build(), images), expected, atol=0.05)


def test_what_does_not_fit_is_named():
    model = SMALL["srnet"]()
    with pytest.raises(ValueError, match=r"\(B, H, W, 3\).*Received: shape \(1, 8, 8, 1\)$"):
        model(np.zeros((1, 8, 8, 1), "float32"))
    with pytest.raises(ValueError, match=r"Received: shape \(8, 8, 3\)$"):
        model(np.zeros((8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="Received: dtype int32$"):
        model(np.zeros((1, 8, 8, 3), "int32"))
    with pytest.raises(ValueError, match="Received: 3 of them$"):
        SMALL["resnet"]()((np.zeros((1, 8, 8, 3)),) * 3)
    for build, message in (
        (lambda: RestorationResNet(width=30), "30$"),
        (lambda: RestorationResNet(scale=0), "0$"),
        (lambda: SRParaConvNet(scale=1.5), "1.5$"),
        (lambda: SRParaConvNet(width=5), "5$"),
        (lambda: MultiscaleUNet(width=20), "16$"),
        (lambda: MultiscaleUNet(attention=3), "3$"),
        (lambda: MultiscaleUNet(multipliers=()), r"\(\)$"),
        (lambda: MultiscaleUNet(blocks=0), "0$"),
        (lambda: MultiscaleUNet(8, 3), "3$"),
        (lambda: MultiscaleUNet(8, (1, 1.5)), "1.5$"),
        (lambda: MultiscaleUNet(32.7), "32.7$"),
        (lambda: MultiscaleUNet("wide"), "'wide'$"),
        (lambda: RestorationResNet(32.7), "32.7$"),
        (lambda: SRParaConvNet(32.7), "32.7$"),
    ):
        with pytest.raises(ValueError, match=f"Received: .*{message}"):
            build()


def test_the_norm_over_an_image_is_its_definition(rng):
    x = 3 + 2 * rng.normal(size=(2, 5, 7, 4)).astype("float32")
    mean, deviation = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    expected = (x - mean) / np.sqrt(deviation**2 + 1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(image_norm(x)), expected, atol=1e-5)
