"""Losses and gradients of a whole step against numpy float64, second derivatives included.

Every backend is held to the same numbers, so that they agree with each other.
"""

import keras
import numpy as np
import pytest

from c2f_zoo.training import AdversarialModel, AdversarialTraining
from c2f_zoo.training.steps import value_and_gradients
from tests.training.adversarial.adversarial_toys import (
    RATE,
    Numpy,
    assert_same_gradients,
    dense_batch,
    dense_pair,
    descended,
    trainable,
)

SETTINGS = {
    "wgan-gp": AdversarialTraining(penalty_target=2.0),
    "logistic-r1": AdversarialTraining(loss="logistic-r1"),
    "relativistic-hinge": AdversarialTraining(loss="relativistic-hinge"),
    "lazy": AdversarialTraining(
        loss="logistic-r1",
        penalty_weight=0.5,
        penalty_interval=16,
        path_length_weight=2.0,
        path_length_interval=4,
    ),
    "path-every-step": AdversarialTraining(
        loss="logistic", path_length_weight=2.0, path_length_interval=1
    ),
}


def softplus(x):
    return np.logaddexp(x, 0.0)


def relativistic(better, worse):
    return np.mean(np.maximum(1 - (better - worse.mean()), 0)) + np.mean(
        np.maximum(1 + (worse - better.mean()), 0)
    )


def discriminator_loss(loss, real, fake):
    if loss == "wgan-gp":
        return fake.mean() - real.mean() + 0.001 * np.mean(real**2)
    if loss == "relativistic-hinge":
        return relativistic(real, fake)
    return softplus(fake).mean() + softplus(-real).mean()


def generator_loss(loss, real, fake):
    if loss == "wgan-gp":
        return -fake.mean()
    return relativistic(fake, real) if loss == "relativistic-hinge" else softplus(-fake).mean()


def reference(training, generator, discriminator, batch):
    """The reports and the weights after one step of gradient descent, in float64."""
    batch = {name: value.astype("float64") for name, value in batch.items()}
    size = len(batch["images"])
    real = batch["images"].reshape(size, 4) * 2 - 1
    fake = Numpy.fake(generator, batch["discriminator_latents"])
    between = real + batch["interpolation"].reshape(size, 1) * (fake - real)
    report = {}

    def adversarial(d):
        return discriminator_loss(training.loss, Numpy.scores(d, real), Numpy.scores(d, fake))

    def penalty(d):
        if training.loss == "wgan-gp":
            norm = np.linalg.norm(Numpy.slope(d, between), axis=-1)
            return 10 * np.mean((norm - training.penalty_target) ** 2) / training.penalty_target**2
        if training.loss == "logistic-r1":
            return training.penalty_weight / 2 * np.mean(np.sum(Numpy.slope(d, real) ** 2, -1))
        return 0.0

    def path(g):
        lengths = Numpy.path_lengths(
            g, batch["path_latents"][::2], batch["path_noise"][::2].reshape(-1, 4)
        )
        moved = 0.01 * lengths.mean()  # the running mean begins at 0
        return 2 * np.mean((lengths - moved) ** 2), lengths.mean()

    def adversarial_generator(g):
        fake = Numpy.scores(discriminator, Numpy.fake(g, batch["generator_latents"]))
        return generator_loss(training.loss, Numpy.scores(discriminator, real), fake)

    interval = training.penalty_interval
    report["penalty"] = penalty(discriminator)
    if interval > 1:
        discriminator = descended(lambda d: interval * penalty(d), discriminator)
    path_weight = 0.0
    if training.has_path_length:
        report["path_length"] = path(generator)[1]
        path_weight = float(training.path_length_interval == 1)
        if not path_weight:
            weight = training.path_length_interval
            generator = descended(lambda g: weight * path(g)[0], generator)
        fake = Numpy.fake(generator, batch["discriminator_latents"])
    report["d_loss"] = adversarial(discriminator)
    merged = penalty if interval == 1 else (lambda d: 0.0)
    discriminator = descended(lambda d: adversarial(d) + merged(d), discriminator)
    report["g_loss"] = adversarial_generator(generator)

    def total(g):
        return adversarial_generator(g) + (path_weight * path(g)[0] if path_weight else 0.0)

    return report, descended(total, generator), discriminator


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_agrees_with_numpy_on_losses_and_gradients(name):
    training = SETTINGS[name]
    generator, discriminator = dense_pair()
    before = trainable(generator), trainable(discriminator)
    model = AdversarialModel(generator, discriminator, seed=0)
    model.compile(training, keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE))
    batch = dense_batch()
    logs = model.train_on_batch(batch, return_dict=True)
    report, *expected = reference(training, *before, batch)
    for key, value in report.items():
        if key in logs:
            assert float(logs[key]) == pytest.approx(value, rel=1e-4, abs=1e-4), key
    assert_same_gradients(before[1], trainable(discriminator), expected[1])
    assert_same_gradients(before[0], trainable(generator), expected[0])


def test_the_variables_of_a_compiled_gradient_are_no_constants():
    weight = keras.Variable(np.array([1.0, 2.0], "float32"))

    def total(x):
        value = keras.ops.sum(weight * x * x)
        return value, value

    differentiate, x = value_and_gradients(total, [weight]), np.array([3.0, 4.0], "float32")
    for scale in (1.0, 10.0):
        weight.assign(np.array([scale, 2.0], "float32"))
        value, (gradient,) = differentiate(x)
        assert float(value) == pytest.approx(9 * scale + 32)
        np.testing.assert_allclose(gradient, [6 * scale, 16], rtol=1e-6)
