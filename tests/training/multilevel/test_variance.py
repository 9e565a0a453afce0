"""The measured variance of the multilevel estimator's terms against its definition."""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers.restriction import restrict
from c2f_zoo.training import (
    GradientVariance,
    Multilevel,
    TermVariance,
    TrainingState,
    gradient_variance,
)

FOUND = GradientVariance(
    4.0, (TermVariance((0, 1), 0.2), TermVariance((1, 2), 0.8), TermVariance((2,), 3.0))
)


def scale_by_one_weight():
    """y = w x, whose gradient by hand is 2 mean((w x - y) x)."""
    model = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.DepthwiseConv2D(1, use_bias=False)]
    )
    model.set_weights([np.full((1, 1, 1, 1), 0.5, "float32")])
    return model


def test_it_is_the_variance_of_gradients_computed_by_hand():
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(6, 4, 4, 1)).astype("float32") for _ in "xy")
    training = Multilevel(scale_by_one_weight(), restriction="average")
    training.compile("sgd", "mse")
    found = gradient_variance(training, x, y, levels=1, samples=1, batches=300)

    def gradients(factor):
        a, b = (to_numpy(restrict(array, factor, "average")) for array in (x, y))
        return 2 * np.mean((0.5 * a - b) * a, axis=(1, 2, 3))

    fine, coarse = gradients(1), gradients(2)
    assert found.single == pytest.approx(np.var(fine), rel=0.25)
    assert found.terms[0].variance == pytest.approx(np.var(fine - coarse), rel=0.25)
    assert found.terms[1].variance == pytest.approx(np.var(coarse), rel=0.25)
    assert [term.meshes for term in found.terms] == [(0, 1), (1,)]


def test_it_leaves_the_training_as_it_was(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(3, 3, padding="same"),
        ]
    )
    training = Multilevel(model, levels=1, batch_size=2)
    training.compile("adam", "mse")
    x = np.random.default_rng(0).random((6, 8, 8, 3), dtype="float32")
    training.fit(x, steps_per_epoch=1, verbose=0, callbacks=[TrainingState(tmp_path / "a.npz")])
    before = [to_numpy(variable) for variable in training.variables + training.optimizer.variables]
    gradient_variance(training, x, levels=2, batches=2)
    after = [to_numpy(variable) for variable in training.variables + training.optimizer.variables]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_noise_added_on_the_fly_counts():
    def noisy(x, y, weights, seed):
        return x + keras.random.normal(x.shape, seed=seed), x

    x = np.ones((4, 8, 8, 1), "float32")  # all alike: without noise nothing varies
    still, moving = (Multilevel(scale_by_one_weight(), prepare=p) for p in (None, noisy))
    for training in (still, moving):
        training.compile("sgd", "mse")
    assert gradient_variance(still, x, levels=1, batches=4).single == pytest.approx(0, abs=1e-9)
    assert gradient_variance(moving, x, levels=1, batches=4).single > 1e-4


def test_the_best_batch_sizes_have_less_variance_than_doubling_for_the_same_work():
    sizes = FOUND.batch_sizes(work=64)
    assert FOUND.work(sizes) == pytest.approx(64, rel=0.05)
    doubling = tuple(64 * n / FOUND.work((4, 8, 16)) for n in (4, 8, 16))
    assert FOUND.of(sizes) < FOUND.of(doubling)
    assert FOUND.of(sizes) == pytest.approx(FOUND.single / 64 / FOUND.saving, rel=0.02)
    assert "1/2 - 1/4" in str(FOUND)


@pytest.mark.parametrize("call", [FOUND.of, FOUND.work])
def test_another_number_of_batch_sizes_is_refused(call):
    with pytest.raises(ValueError, match=r"for each of 3 terms.*Received: \(1, 2\)"):
        call((1, 2))


def test_a_single_batch_is_refused():
    with pytest.raises(ValueError, match="batches must be an integer >= 2. Received: 1"):
        gradient_variance(None, None, batches=1)


def figures_of(policy="float32", **options):
    model = keras.Sequential([keras.layers.DepthwiseConv2D(1, use_bias=False, dtype=policy)])
    training = Multilevel(model, restriction="average")
    x, y = np.random.default_rng(0).random((2, 6, 4, 4, 1)).astype("float32")
    model(x)
    model.set_weights([np.full((1, 1, 1, 1), 0.5, "float32")])
    training.compile("sgd", "mse", **options)
    return gradient_variance(training, x, y, levels=1, samples=2, batches=20)


def test_a_scaled_loss_gives_the_same_figures():
    scaled, plain = figures_of("mixed_float16"), figures_of()
    assert scaled.single == pytest.approx(plain.single, rel=0.02)


def test_the_weights_of_losses_count():
    weighted, plain = figures_of(loss_weights=[10.0]), figures_of()
    assert weighted.single == pytest.approx(100 * plain.single, rel=1e-4)


def test_what_is_trained_afterwards_draws_the_same_numbers():
    x = np.random.default_rng(0).random((6, 8, 8, 3), dtype="float32")
    weights = []
    for measured in (False, True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Conv2D(3, 1)])
        training = Multilevel(model, levels=1, batch_size=2)
        training.compile("sgd", "mse")
        training.train_on_batch(x, x)
        if measured:
            gradient_variance(training, x, levels=1, batches=2)
        training.train_on_batch(x, x)
        weights.append(to_numpy(model.trainable_variables[0]))
    np.testing.assert_array_equal(*weights)
