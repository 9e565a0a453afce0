"""What two trainings that must agree share: small models, given random numbers, comparisons."""

import dataclasses

import keras
import numpy as np

from c2f_zoo.backend import to_numpy
from c2f_zoo.hub import registered_models
from c2f_zoo.hub.registry import task_of
from c2f_zoo.training import AdversarialTraining
from tests.contract.small_models import CASES, SMALL

BATCH, STEPS = 8, 3
GENERATIVE = [
    name
    for name in sorted(SMALL)
    if task_of(registered_models()[name.split("-")[0]]) == "image_generation"
]
OTHERS = sorted(set(SMALL) - set(GENERATIVE))


def state(model):
    return [np.array(to_numpy(weight)) for weight in model.weights]


def agree(alone, together, tolerance=1e-5):
    """Weights and logged values are the same, and training has moved the weights."""
    for key in {"after", "average"} & alone.keys():
        for name, value, found in zip(alone["names"], alone[key], together[key], strict=True):
            np.testing.assert_allclose(found, value, atol=tolerance, rtol=1e-4, err_msg=name)
    pairs = zip(alone["before"], alone["after"], strict=True)
    assert max(np.abs(after - before).max() for before, after in pairs) > 50 * tolerance
    assert alone["logs"].keys() == together["logs"].keys()
    for name, values in alone["logs"].items():
        found = together["logs"][name]
        np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-4, err_msg=name)


def fitted(model, *data, **options):
    """Train, and tell the weights before and after, and what was logged."""
    names, before = [weight.path for weight in model.weights], state(model)
    trained = options.pop("training", model)
    logs = trained.fit(*data, shuffle=False, verbose=0, **options).history
    return {"names": names, "before": before, "after": state(model), "logs": logs}


def small(name):
    """A small model, none of its weights zero, and what its task asks of it."""
    keras.utils.set_random_seed(1)
    # Replicas drop features of their own.
    model = SMALL[name](**({"dropout": 0.0} if name == "MultiscaleUNet" else {}))
    case, rng = CASES[task_of(type(model))], np.random.default_rng(1)
    model(case.inputs(rng, (64, 64)), training=False)
    for weight in model.trainable_variables:
        if not np.any(to_numpy(weight)):
            weight.assign(0.05 * rng.normal(size=weight.shape))
    return model, case


def wide_batch(case):
    """`BATCH` samples of the case's data."""
    parts = [case.data(np.random.default_rng(seed)) for seed in range(BATCH // 2)]
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def pair_batch(name, rng):
    """Images, and all random numbers of a step."""
    size = BATCH * STEPS
    images = rng.integers(0, 256, (size, 8, 8, 3)).astype("uint8")
    names = ("discriminator_latents", "generator_latents", "path_latents")
    batch = {name: rng.normal(size=(size, 4)).astype("float32") for name in names}
    batch["path_noise"] = rng.normal(size=(size, 8, 8, 3)).astype("float32")
    batch["interpolation"] = rng.random(size).astype("float32")
    if name != "StyleGAN2":
        del batch["path_latents"], batch["path_noise"]
    return {"images": images, **batch}


def pair(name, micro_batches=1, **more):
    """A small pair that draws nothing by itself, compiled with its paper's settings and `more`."""
    keras.utils.set_random_seed(1)
    model = SMALL[name](seed=0, name="pair")
    for weight in model.generator.weights:
        if "strength" in weight.path:  # of the noise in its layers, zero in the beginning
            weight.trainable = False
    settings = AdversarialTraining.named(model.generator.paper)
    changes = {"style_mixing": 0.0}
    if settings.has_lazy_path_length:
        # The half of a batch that the paper takes would be another half on two devices.
        changes |= {"path_length_interval": 2, "penalty_interval": 2, "path_length_shrink": 1}
    model.compile(
        dataclasses.replace(settings, **{**changes, **more}),
        keras.optimizers.SGD(0.02),
        keras.optimizers.SGD(0.02),
        micro_batches=micro_batches,
    )
    return model


class Batches(keras.utils.PyDataset):
    """Given batches of images, each its own target."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index], self.batches[index]
