"""Settings of adversarial training, and input that it refuses."""

import keras
import numpy as np
import pytest

from c2f_zoo.losses import adversarial_loss
from c2f_zoo.training import AdversarialModel, AdversarialTraining
from tests.training.adversarial.adversarial_toys import (
    LATENT,
    dense_pair,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 2, 2, 1)).astype("uint8")


def compiled(training="progan", **options):
    model = AdversarialModel(*dense_pair(), seed=5)
    model.compile(training, **options)
    return model


def test_settings_of_the_papers_are_known_by_name():
    progan = AdversarialTraining.named("progan")
    assert progan == AdversarialTraining()
    assert (progan.loss, progan.penalty_weight, progan.ema_decay) == ("wgan-gp", 10.0, 0.999)
    assert AdversarialTraining.named("progan-cifar10").penalty_target == 750.0
    style2 = AdversarialTraining.named("stylegan2")
    assert (style2.penalty_interval, style2.path_length_interval) == (16, 4)
    assert adversarial_loss(AdversarialTraining.named("msg-progan").loss).is_relativistic


def test_a_generator_names_the_settings_of_its_paper():
    generator, discriminator = dense_pair()
    generator.paper = "stylegan"
    model = AdversarialModel(generator, discriminator)
    model.compile()
    assert model.settings == AdversarialTraining.named("stylegan")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "lsgan"}, "Received: 'lsgan'"),
        ({"critic_steps": 0}, "critic_steps.*0"),
        ({"penalty_weight": -1.0}, "penalty_weight.*-1.0"),
        ({"label_weight": -1.0}, "label_weight.*-1.0"),
        ({"style_mixing": 2.0}, "style_mixing must be.*2.0"),
        ({"ema_half_life": 10.0}, "one of ema_decay and ema_half_life"),
        ({"penalty_weight": float("nan")}, "penalty_weight must.*Received: nan$"),
        ({"penalty_target": 0.0}, r"penalty_target must be a number > 0\. Received: 0\.0$"),
        ({"generator_learning_rate": 0.0}, "generator_learning_rate must be a number > 0"),
        (
            {"discriminator_learning_rate": -1e-3},
            "discriminator_learning_rate must be",
        ),
        ({"generator_learning_rate": float("nan")}, "Received: nan$"),
        ({"ema_decay": 1.0}, r"ema_decay must be a number >= 0 and < 1\. Received: 1\.0$"),
        ({"ema_decay": -0.1}, "ema_decay must"),
        ({"ema_decay": float("nan")}, "ema_decay must"),
        ({"ema_decay": None, "ema_half_life": 0.0}, "ema_half_life must be a number > 0"),
        ({"beta_2": 1.0}, "beta_2 must be"),
        ({"path_length_decay": 2.0}, "path_length_decay must be"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AdversarialTraining(**options)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((4, 2, 2, 3), "uint8"), r"\(2, 2, 1\).*Received: \(2, 2, 3\)"),
        (np.zeros((4, 3, 2, 1), "uint8"), r"whole multiple.*\(3, 2, 1\)"),
        (np.zeros((4, 1, 1, 1), "uint8"), r"whole multiple.*\(1, 1, 1\)"),
        (np.zeros((4, 2, 2, 1), "int32"), "Received: int32"),
        (np.zeros((4, 2, 2), "uint8"), r"\(B, H, W, C\)"),
        ({"images": IMAGES, "latents": IMAGES}, "generator_latents.*'latents'"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(batch, message):
    with pytest.raises(ValueError, match=message):
        compiled().train_on_batch(batch)


def test_labels_and_weights_are_refused():
    with pytest.raises(ValueError, match="take no labels"):
        compiled().train_on_batch(IMAGES, np.zeros(16))
    with pytest.raises(ValueError, match="weights are not supported"):
        compiled().train_on_batch(IMAGES, None, np.ones(16))


def test_what_networks_and_trainer_cannot_do_is_refused():
    generator, discriminator = dense_pair()
    with pytest.raises(ValueError, match="steps_per_execution=2"):
        compiled(steps_per_execution=2)
    plain = keras.Sequential([keras.Input((LATENT,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match="latent_size"):
        AdversarialModel(plain, discriminator)
    model = AdversarialModel(plain, discriminator, latent_size=LATENT)
    with pytest.raises(ValueError, match="mapping"):
        model.compile("stylegan2")
    with pytest.raises(ValueError, match="stage"):
        model.set_stage(1)
    optimizer = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="its own optimizer"):
        AdversarialModel(generator, discriminator).compile("progan", optimizer, optimizer)
