"""What every registered model keeps: sizes, kinds of images, training, saving, presets, precision.

A new model is tested here once it is registered and has a line in `small_models.SMALL`.
"""

import keras
import numpy as np
import pytest
from PIL import Image

from c2f_zoo import hub
from c2f_zoo.backend import to_numpy
from c2f_zoo.hub import registered_models
from c2f_zoo.hub.registry import task_of
from tests.contract.small_models import CASES, IDLE, PRECISE, REPRESENTATIVES, ROUNDING, SMALL

REGISTERED = registered_models()
MODELS = {name: REGISTERED[name.split("-")[0]] for name in SMALL}
LATENTS = ("discriminator_latents", "generator_latents")
TAKES_IMAGES = [name for name in MODELS if task_of(MODELS[name]) != "image_generation"]


def built(name, **options):
    """A small model, its weights drawn so that no layer starts at zero, and its case."""
    keras.utils.set_random_seed(1)
    model = SMALL[name](**options)
    case, rng = CASES[task_of(type(model))], np.random.default_rng(1)
    answer(model, case.inputs(rng, (64, 64)))  # builds it
    for weight in model.trainable_variables:
        if not np.any(to_numpy(weight)):
            weight.assign(0.05 * rng.normal(size=weight.shape))
    return model, case


def answer(model, inputs):
    """The finest output for the inputs, as numpy."""
    outputs = model(inputs, training=False)
    return to_numpy(outputs[-1] if isinstance(outputs, (list, tuple)) else outputs)


def train(model, case):
    """One step by the defaults of `compile`, on data of its own."""
    return model.fit(*case.data(np.random.default_rng(2)), batch_size=8, epochs=1, verbose=0)


@pytest.mark.backend_free
def test_every_registered_model_has_a_small_instance_here():
    assert set(MODELS.values()) == set(REGISTERED.values())


@pytest.mark.parametrize("name", TAKES_IMAGES)
def test_a_model_takes_images_of_any_size_and_kind(name, tmp_path):
    model, case = built(name)
    rng = np.random.default_rng(0)
    for size in case.sizes:
        found = answer(model, case.inputs(rng, size))
        assert found.shape == case.output_shape(model, size) and found.dtype == np.float32
        assert np.isfinite(found).all()

    pixels = rng.integers(0, 256, (40, 56, 3)).astype("uint8")
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    expected = case.verb(model, pixels)
    assert expected.shape == case.verb_shape(model, (40, 56)) and expected.dtype == np.float32
    for same in (pixels / np.float32(255), picture, tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_allclose(case.verb(model, same), expected, atol=1e-5)
    grey, alpha = picture.convert("L"), picture.convert("RGBA")
    for other in (grey, alpha, np.asarray(grey), pixels[:5, :7], pixels[:1, :1]):
        assert np.isfinite(case.verb(model, other)).all()
    with pytest.raises(ValueError, match="Received"):
        case.verb(model, np.zeros((0, 4, 3), "uint8"))
    with pytest.raises(ValueError, match="Received"):
        case.verb(model, np.zeros((4, 4, 3, 2, 1), "uint8"))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_pictures_are_given_where_they_are_asked_for(name):
    model, case = built(name)
    if name not in TAKES_IMAGES:
        pictures = model.generate(2, seed=0, output="pil")
        expected = model.generate(2, seed=0)
        assert [picture.size for picture in pictures] == [(8, 8)] * 2
        for picture, array in zip(pictures, expected, strict=True):
            np.testing.assert_allclose(np.asarray(picture) / 255, array, atol=0.51 / 255)
        return
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 64, 3), "uint8"))
    picture = case.verb(model, photo, output="pil")
    assert isinstance(picture, Image.Image) and picture.mode == "RGB"
    height, width, channels = case.verb_shape(model, (70, 64))
    assert picture.height == height and picture.width >= width  # a flow's legend is beside it
    if channels == 3:
        expected = case.verb(model, photo)
        np.testing.assert_allclose(np.asarray(picture) / 255, expected, atol=0.51 / 255)
        assert case.verb(model, photo.convert("LA"), output="pil").mode == "LA"
    with pytest.raises(ValueError, match="numpy.*pil.*Received: 'PIL'"):
        case.verb(model, photo, output="PIL")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_trains_by_its_defaults_and_goes_on_from_a_keras_file(name, tmp_path):
    model, case = built(name)
    inputs = case.inputs(np.random.default_rng(0), (64, 64))
    answer(model, inputs)
    if hasattr(getattr(model, "generator", None), "alpha"):
        model.set_alpha(0.5)  # so that no part of a growing network is idle
    before = [to_numpy(weight).copy() for weight in model.trainable_variables]
    model.compile()
    logs = train(model, case).history
    assert logs and all(np.isfinite(values).all() for values in logs.values())
    idle = [
        weight.path
        for weight, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(old, to_numpy(weight))
    ]
    assert set(idle) - set(ROUNDING.get(name, [])) == set(IDLE.get(name, []))

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    np.testing.assert_allclose(answer(again, inputs), answer(model, inputs), atol=1e-5)
    train(again, case)  # with the loss and the optimizer of the file


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_is_restored_from_config_weights_and_preset(name, tmp_path):
    model, case = built(name)
    inputs = case.inputs(np.random.default_rng(0), (64, 64))
    expected = answer(model, inputs)
    config = model.get_config()
    twin = type(model).from_config(config)
    assert twin.get_config() == config
    answer(twin, inputs)
    model.save_weights(tmp_path / "a.weights.h5")
    twin.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(answer(twin, inputs), expected)
    model.save_pretrained(tmp_path / "preset")
    stored = hub.load(str(tmp_path / "preset"))
    np.testing.assert_allclose(answer(stored, inputs), expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16"])
@pytest.mark.parametrize("name", PRECISE)
def test_mixed_precision_trains_and_answers_in_float32(name, policy):
    model, case = built(name, dtype=policy)
    found = answer(model, case.inputs(np.random.default_rng(0), (64, 64)))
    assert found.dtype == np.float32 and np.isfinite(found).all()
    model.compile()
    logs = train(model, case).history
    assert all(np.isfinite(values).all() for values in logs.values())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="an option on TensorFlow")
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_a_step_compiled_by_xla_is_the_ordinary_one(name):
    results = []
    options = {"dropout": 0.0} if name == "MultiscaleUNet" else {}
    for jit_compile in (False, True):
        model, case = built(name, **options)
        data = case.data(np.random.default_rng(2))
        if hasattr(model, "generator"):
            # XLA has random numbers of its own, so that these are given.
            rng = np.random.default_rng(3)
            draws = {side: rng.normal(size=(8, 4)).astype("float32") for side in LATENTS}
            data = [{"images": data[0], "interpolation": rng.random(8, "float32"), **draws}]
            model.compile(jit_compile=jit_compile)
        else:
            # Plain descent: a first step of Adam is as large for a tiny gradient.
            model.compile(keras.optimizers.SGD(1e-3), jit_compile=jit_compile)
        logs = model.fit(*data, batch_size=8, epochs=1, verbose=0).history
        results.append((logs, [to_numpy(weight) for weight in model.trainable_variables]))
    (logs, weights), (xla_logs, xla_weights) = results
    assert all(np.isfinite(values).all() for values in xla_logs.values())
    if name == "StyleGAN2":
        return  # its layers' noise cannot be given
    for key in logs:
        np.testing.assert_allclose(xla_logs[key], logs[key], rtol=1e-3, atol=1e-5)
    if name != "ProGAN":
        for weight, xla_weight in zip(weights, xla_weights, strict=True):
            np.testing.assert_allclose(xla_weight, weight, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the format of TensorFlow")
@pytest.mark.parametrize(
    "name", [name for name in TAKES_IMAGES if name != "PWCNet"]
)  # as the lite one
def test_an_exported_model_that_was_never_called_answers_for_any_size(name, tmp_path):
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model, case = SMALL[name](), CASES[task_of(MODELS[name])]
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    for size in case.sizes:
        inputs = case.inputs(np.random.default_rng(0), size)
        found, expected = to_numpy(exported.serve(inputs)), answer(model, inputs)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)  # pixels of flow


@pytest.mark.backend_free
@pytest.mark.parametrize("name", TAKES_IMAGES)
def test_every_weight_has_a_path_of_its_own(name):
    # On PyTorch, `fit` of Keras resets gradients by path. The generators have steps of their own.
    model, _ = built(name)
    paths = [weight.path for weight in model.trainable_variables]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_quantising_is_refused_rather_than_passed_over(name):
    model = SMALL[name]()
    with pytest.raises(NotImplementedError, match="Received: .*int8"):
        model.quantize("int8")
