"""What every restoration network promises: counts, sizes, gradients, files, precision."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo import backend
from c2f_zoo.hub.registry import task_of
from c2f_zoo.layers import crop_to, image_norm, pad_to_stride
from c2f_zoo.losses import SSIMLoss
from c2f_zoo.models import MultiscaleUNet, RestorationResNet, SRParaConvNet


def small_unet(**options):
    options = {"width": 8, "groups": 4, "multipliers": (1, 2), **options}
    return MultiscaleUNet(**options)


SMALL = {
    "unet": small_unet,
    "unet_without_time": lambda **options: small_unet(time_embedding=False, **options),
    "residual_unet": lambda **options: small_unet(
        residual=True, attention=0, blocks=2, multipliers=(1, 2, 2), dropout=0.0, **options
    ),
    "resnet": lambda **options: RestorationResNet(8, 2, **options),
    "sr_resnet": lambda **options: RestorationResNet(
        6, 3, time_embedding=False, scale=2, **options
    ),
    "local_unet": lambda **options: small_unet(
        norm="pixel", patch=2, attention=0, residual=True, time_embedding=False, **options
    ),
    "local_sr_resnet": lambda **options: RestorationResNet(
        6, 2, time_embedding=False, scale=2, normalize=False, enlarge="last", **options
    ),
    "local_resnet": lambda **options: RestorationResNet(8, 2, normalize=False, **options),
    "srnet": lambda **options: SRParaConvNet(8, **options),
    "srnet_x3": lambda **options: SRParaConvNet(4, scale=3, **options),
}
# Takes a pair of another kind: it has tests of its own.
FILLING = {
    "filling_unet": lambda **options: small_unet(
        norm="none", mask=True, attention=0, time_embedding=False, **options
    ),
}
every_network = pytest.mark.parametrize("name", SMALL)


def make(name, **options):
    """A small network with weights that are all at work: none are zero, none nearly so."""
    keras.utils.set_random_seed(0)
    model, random = {**SMALL, **FILLING}[name](**options), np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            value = 0.5 * random.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1]) + 1)
            weight.assign(value + (1 if "gamma" in weight.path else 0))
    return model


def inputs_of(model, size=(12, 16), batch=2):
    random = np.random.default_rng(3)
    images = random.random((batch, *size, 3), dtype="float32")
    if model.mask:
        return images, (random.random((batch, *size, 1)) > 0.3).astype("float32")
    return (images, random.random(batch, dtype="float32")) if model.time_embedding else images


def answer(model, inputs):
    call = model.predict_on_batch if backend.backend() == "jax" else model
    return backend.to_numpy(call(inputs))


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
def test_it_is_restored_from_a_file_and_from_a_preset(name, tmp_path):
    model = make(name)
    inputs = inputs_of(model)
    expected = answer(model, inputs)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_allclose(answer(again, inputs), expected, atol=1e-5)
    folder = model.save_pretrained(tmp_path / "preset")
    again = type(model).from_pretrained(folder)
    np.testing.assert_allclose(answer(again, inputs), expected, atol=1e-5)
    task = "super_resolution" if isinstance(model, SRParaConvNet) else "image_restoration"
    assert task_of(type(model)) == task


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a SavedModel of open size needs TensorFlow"
)
@every_network
def test_a_saved_model_serves_any_size(name, tmp_path):
    import tensorflow as tf

    model = make(name)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    for size, batch in (((12, 16), 2), ((9, 7), 1)):
        inputs = inputs_of(model, size, batch)
        np.testing.assert_allclose(served.serve(inputs).numpy(), answer(model, inputs), atol=1e-4)


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


@every_network
def test_training_goes_on_from_a_keras_file(name, tmp_path):
    model = make(name)
    model.compile(keras.optimizers.Adam(0.01), "mae")
    inputs = inputs_of(model, (16, 16))
    truth = np.ones((2, 16 * model.scale, 16 * model.scale, 3), "float32")
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    model.fit(inputs, truth, verbose=0, callbacks=[checkpoint])
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert int(again.optimizer.iterations) == 1
    for one in (model, again):
        one.fit(inputs, truth, verbose=0, shuffle=False)
    assert again.loss == "mae" and float(again.optimizer.learning_rate) == pytest.approx(0.01)
    if not getattr(model, "dropout", 0):
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_default_loss_and_metrics_are_saved_too(tmp_path):
    model = make("srnet")
    model.compile()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.loss, SSIMLoss) and again.loss.offset == 0
    images = inputs_of(model, (12, 12))
    truth = np.repeat(np.repeat(images, 2, 1), 2, 2)
    assert set(again.fit(images, truth, verbose=0).history) == {"loss", "psnr"}


@every_network
def test_quantization_is_refused(name):
    with pytest.raises(NotImplementedError, match="cannot be quantized.*Received: mode='int8'"):
        make(name).quantize("int8")


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
