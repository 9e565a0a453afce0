import numpy as np
import pytest
from keras import ops

from c2f_zoo.losses import (
    ADVERSARIAL_LOSSES,
    adversarial_loss,
    gradient_penalty,
    label_loss,
    path_length_penalty,
    path_lengths,
    r1_penalty,
    relativistic_hinge_discriminator,
    relativistic_hinge_generator,
)

REAL = np.array([[0.5], [-1.0], [2.0]], "float32")
FAKE = np.array([[-0.5], [0.25], [-3.0]], "float32")


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("wgan-gp", FAKE.mean() - REAL.mean() + 0.001 * (REAL**2).mean(), -FAKE.mean()),
        ("logistic", (softplus(FAKE) + softplus(-REAL)).mean(), softplus(-FAKE).mean()),
        ("logistic-r1", (softplus(FAKE) + softplus(-REAL)).mean(), softplus(-FAKE).mean()),
    ],
)
def test_losses_equal_the_formulas_of_their_papers(name, discriminator, generator):
    loss = adversarial_loss(name)
    drift = 0.001
    assert value(loss.discriminator(REAL, FAKE, drift=drift)) == pytest.approx(discriminator)
    assert value(loss.generator(None, FAKE)) == pytest.approx(generator)


def test_the_relativistic_hinge_compares_with_the_average_of_the_other_side():
    def hinge(better, worse):
        above = [max(1 - (score - worse.mean()), 0) for score in better.ravel()]
        below = [max(1 + (score - better.mean()), 0) for score in worse.ravel()]
        return np.mean(above) + np.mean(below)

    assert value(relativistic_hinge_discriminator(REAL, FAKE)) == pytest.approx(hinge(REAL, FAKE))
    assert value(relativistic_hinge_generator(REAL, FAKE)) == pytest.approx(hinge(FAKE, REAL))


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_gradients_of_generator_and_discriminator_oppose_each_other(name, gradient_of):
    loss = adversarial_loss(name)
    real, fake = gradient_of(lambda r, f: loss.discriminator(r, f, drift=0.0), REAL, FAKE)
    assert real.sum() < 0 < fake.sum()
    (fake,) = gradient_of(lambda f: loss.generator(REAL, f), FAKE)
    assert fake.sum() < 0


def test_the_gradient_penalty_measures_whole_images_against_its_target(rng):
    gradients = rng.normal(size=(5, 4, 4, 3)).astype("float32")
    norm = np.linalg.norm(gradients.reshape(5, -1), axis=-1)
    for target in (1.0, 750.0):
        expected = 10 * np.mean((norm - target) ** 2) / target**2
        assert value(gradient_penalty(gradients, target=target)) == pytest.approx(expected, 1e-5)


def test_the_gradient_penalty_of_a_flat_critic_has_a_finite_slope(gradient_of):
    (slope,) = gradient_of(gradient_penalty, np.zeros((2, 2, 2, 1), "float32"))
    np.testing.assert_array_equal(slope, 0)


def test_r1_is_half_gamma_times_the_squared_norm(rng):
    gradients = rng.normal(size=(5, 4, 4, 3)).astype("float32")
    expected = 10 / 2 * np.mean(np.sum(gradients**2, axis=(1, 2, 3)))
    assert value(r1_penalty(gradients)) == pytest.approx(expected, 1e-5)


def test_path_lengths_average_over_layers_and_sum_over_styles(rng):
    gradients = rng.normal(size=(5, 6, 8)).astype("float32")
    expected = np.sqrt(np.mean(np.sum(gradients**2, axis=2), axis=1))
    lengths = path_lengths(gradients)
    np.testing.assert_allclose(ops.convert_to_numpy(lengths), expected, rtol=1e-5)
    penalty = value(path_length_penalty(lengths, 2.5))
    assert penalty == pytest.approx(2 * np.mean((expected - 2.5) ** 2), 1e-5)


def test_an_unknown_loss_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'wgan-gp'.*Received: 'lsgan'"):
        adversarial_loss("lsgan")


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_empty_batches_are_refused_instead_of_giving_nan(name):
    loss, empty = adversarial_loss(name), REAL[:0]
    with pytest.raises(ValueError, match=r"must not be empty. Received: shape \(0, 1\)$"):
        loss.discriminator(REAL, empty, drift=0.0)
    with pytest.raises(ValueError, match=r"must not be empty. Received: shape \(0, 1\)$"):
        loss.generator(REAL, empty)
    for penalty in (gradient_penalty, r1_penalty, path_lengths):
        with pytest.raises(ValueError, match=r"gradients must not be empty. Received: shape"):
            penalty(np.zeros((0, 2, 3), "float32"))


def test_wrong_shapes_and_targets_are_named():
    with pytest.raises(ValueError, match=r"\(B, L, D\). Received: shape \(2, 3\)$"):
        path_lengths(np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match=r"labels and logits .*shapes \(2, 3\) and \(2, 4\)$"):
        label_loss(np.zeros((2, 3), "float32"), np.zeros((2, 4), "float32"))
    with pytest.raises(ValueError, match="target must be a number > 0. Received: 0$"):
        gradient_penalty(np.zeros((2, 3), "float32"), target=0)
