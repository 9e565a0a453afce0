"""Restoration networks in files: weights, training that goes on, presets, export."""

import keras
import numpy as np
import pytest

from c2f_zoo.hub.registry import task_of
from c2f_zoo.losses import SSIMLoss
from c2f_zoo.models import SRParaConvNet
from tests.models.restoration.small_networks import (
    answer,
    every_network,
    inputs_of,
    make,
)


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
@pytest.mark.parametrize("name", ["unet", "filling_unet"])  # told a time, or a mask
def test_a_saved_model_serves_any_size(name, tmp_path):
    import tensorflow as tf

    model = make(name)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    for size, batch in (((12, 16), 2), ((9, 7), 1)):
        inputs = inputs_of(model, size, batch)
        np.testing.assert_allclose(served.serve(inputs).numpy(), answer(model, inputs), atol=1e-4)


@pytest.mark.parametrize("name", ["residual_unet", "resnet", "srnet"])
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


@pytest.mark.parametrize("name", ["unet", "resnet", "srnet"])
def test_quantization_is_refused(name):
    with pytest.raises(NotImplementedError, match="cannot be quantized.*Received: mode='int8'"):
        make(name).quantize("int8")
