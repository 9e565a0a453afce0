"""Small restoration networks with random weights, and what they are called with."""

import keras
import numpy as np
import pytest

from c2f_zoo import backend
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
