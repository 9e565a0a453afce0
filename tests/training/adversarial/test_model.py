import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import backend
from c2f_zoo.training import AdversarialModel, AdversarialTraining, StopOnNaN, TrainingState
from c2f_zoo.training.adversarial.step import Phase
from tests.training.adversarial.adversarial_toys import (
    LATENT,
    DenseGenerator,
    dense_batch,
    dense_pair,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 2, 2, 1)).astype("uint8")
LAZY = AdversarialTraining.named(
    "stylegan2", penalty_interval=3, path_length_interval=2, ema_half_life=64.0
)


# Two phases rather than three to compile.
TWO_PHASES = AdversarialTraining(loss="logistic-r1", penalty_interval=3, ema_decay=0.9)


def compiled(training="progan", **options):
    model = AdversarialModel(*dense_pair(), seed=5)
    model.compile(training, **options)
    return model


def fit(model, epochs=1, first=0, **options):
    arguments = {"batch_size": 4, "shuffle": False, "verbose": 0, **options}
    return model.fit(IMAGES, initial_epoch=first, epochs=epochs, **arguments).history


def arrays(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


def test_fit_trains_both_networks_and_logs_what_happens():
    model = compiled()
    before = arrays(model.trainable_variables)
    history = fit(model, epochs=2)
    assert set(history) == {"loss", "d_loss", "g_loss", "penalty", "real_score", "fake_score"}
    assert all(np.isfinite(values).all() for values in history.values())
    for old, new in zip(before, arrays(model.trainable_variables), strict=True):
        assert np.abs(new - old).max() > 0
    assert int(model.images_shown) == 32 and int(model.steps) == 8
    assert int(model.images_before) == 28


def test_bytes_and_floats_are_the_same_images():
    results = []
    for images in (IMAGES, IMAGES.astype("float32") / 255):
        model = compiled()
        batch = {**dense_batch(4), "images": images[:4]}
        results.append(model.train_on_batch(batch, return_dict=True))
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_larger_images_are_averaged_down_to_the_generators_size():
    results = []
    for images in (IMAGES, IMAGES.repeat(2, axis=1).repeat(2, axis=2)):
        batch = {**dense_batch(4), "images": images[:4]}
        results.append(compiled().train_on_batch(batch, return_dict=True))
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_pictures_come_from_the_average_in_zero_to_one():
    model = compiled()
    fit(model)
    latents = np.random.default_rng(1).normal(size=(3, LATENT)).astype("float32")
    signed = ops.convert_to_numpy(model.ema_generator(latents))
    pictures = model.predict_on_batch(latents)
    expected = np.clip((signed + 1) / 2, 0, 1)
    np.testing.assert_allclose(ops.convert_to_numpy(pictures), expected, atol=1e-5)


# Lazy penalties


def test_lazy_penalties_are_phases_of_some_steps_before_the_main_update():
    model = compiled(
        AdversarialTraining.named(
            "stylegan2", penalty_interval=4, path_length_interval=2, critic_steps=2
        )
    )
    assert [model.plan_of(step) for step in range(8)] == 2 * [
        (Phase.PENALTY, Phase.CRITIC),
        (Phase.PATH_LENGTH, Phase.BOTH),
        (Phase.CRITIC,),
        (Phase.BOTH,),
    ]
    model.compile(AdversarialTraining.named("stylegan"))  # a penalty at every step is merged
    assert model.plan_of(0) == model.plan_of(1) == (Phase.BOTH,)


def test_each_phase_is_compiled_once_and_reads_the_batch_of_its_step():
    model, traced = compiled(LAZY), []
    compute = model.compute_step

    def compute_step(data, calls):
        traced.append(model.planner.phase)
        return compute(data, calls)

    model.compute_step = compute_step
    model.fit(IMAGES[:14], batch_size=4, epochs=2, verbose=0)
    assert set(traced) == {Phase.PENALTY, Phase.PATH_LENGTH, Phase.BOTH}
    # TensorFlow traces for the sizes of the data set, JAX again for the last batch's two images;
    # torch compiles nothing.
    assert len(traced) == {"tensorflow": 3, "jax": 3 + 2, "torch": 8 + 3 + 4}[backend()]
    assert int(model.steps) == 8 and int(model.images_shown) == 28


def test_lazy_penalties_take_steps_of_their_own_and_adam_is_corrected():
    model = compiled(LAZY)
    fit(model, epochs=2)  # 8 steps: penalties at 0, 3, 6 and path lengths at 0, 2, 4, 6
    optimizers = model.optimizer
    assert int(optimizers.discriminator.iterations) == 8 + 3
    assert int(optimizers.generator.iterations) == 8 + 4
    c = 3 / 4
    assert float(optimizers.discriminator.learning_rate) == pytest.approx(2e-3 * c)
    assert optimizers.discriminator.beta_2 == pytest.approx(0.99**c)
    assert optimizers.generator.beta_2 == pytest.approx(0.99 ** (2 / 3))
    model.set_learning_rates(1e-3, 1e-3)
    assert float(optimizers.generator.learning_rate) == pytest.approx(1e-3 * 2 / 3)


def test_an_optimizer_of_ones_own_is_not_corrected():
    model = compiled(LAZY, generator_optimizer=keras.optimizers.SGD(0.1))
    model.set_learning_rates(1e-3, 1e-3)
    rates = model.optimizer.generator.learning_rate, model.optimizer.discriminator.learning_rate
    assert [float(rate) for rate in rates] == pytest.approx([1e-3, 1e-3 * 3 / 4])


def test_a_penalty_every_step_needs_no_correction():
    training = AdversarialTraining.named("stylegan")
    assert training.discriminator_correction == training.generator_correction == 1.0
    model = compiled(training)
    fit(model)
    assert int(model.optimizer.discriminator.iterations) == int(model.steps)


def test_the_critic_may_take_more_steps_than_the_generator():
    model = compiled(AdversarialTraining(critic_steps=2))
    fit(model)
    assert int(model.optimizer.discriminator.iterations) == 4
    assert int(model.optimizer.generator.iterations) == 2


# The average


@pytest.mark.parametrize(
    ("choice", "share"),
    [({"ema_decay": None, "ema_half_life": 8.0}, 0.5**0.5), ({"ema_decay": 0.9}, 0.9)],
)
def test_the_average_keeps_its_share_of_the_past(choice, share):
    model = compiled(AdversarialTraining(**choice))
    start = arrays(model.ema_generator.trainable_weights or model.ema_generator.weights)
    model.generator.tracked.assign(7.0)
    batch = {**dense_batch(4), "images": IMAGES[:4]}
    model.train_on_batch(batch)
    ours, theirs = arrays(model.ema_generator.weights), arrays(model.generator.weights)
    for old, average, weight in zip(start[:4], ours[:4], theirs[:4], strict=True):
        expected = weight + share * (old - weight)
        np.testing.assert_allclose(average, expected, rtol=1e-4, atol=1e-6)
    assert float(model.ema_generator.tracked) == 7.0  # not trained: copied


def test_the_average_does_not_train():
    model = compiled()
    assert not model.ema_generator.trainable_variables
    names = [id(v) for v in model.trainable_variables]
    assert len(names) == len(model.generator.weights) - 1 + len(model.discriminator.weights)


# Optimizers


def test_a_reset_forgets_the_moments_but_not_the_rates():
    model = compiled(LAZY)
    fit(model)
    model.set_learning_rates(5e-3, 6e-3)
    model.reset_optimizers()
    for optimizer, rate in (
        (model.optimizer.generator, 5e-3 * 2 / 3),
        (model.optimizer.discriminator, 6e-3 * 3 / 4),
    ):
        assert float(optimizer.learning_rate) == pytest.approx(rate)
        assert int(optimizer.iterations) == 0
        slots = [v for v in optimizer.variables if v is not optimizer.learning_rate]
        assert all(np.abs(value).max() == 0 for value in arrays(slots))
    fit(model)
    assert int(model.optimizer.generator.iterations) > 0


# Stopping and going on


def test_a_stopped_run_continues_to_the_same_weights(tmp_path):
    unbroken = compiled(TWO_PHASES)
    fit(unbroken, epochs=2)
    fit(compiled(TWO_PHASES), 1, callbacks=[TrainingState(tmp_path / "state.npz")])
    resumed, state = compiled(TWO_PHASES), TrainingState(tmp_path / "state.npz")
    assert state.restore(resumed) == 1
    fit(resumed, 2, first=1, callbacks=[state])
    for ours, theirs in zip(arrays(resumed.variables), arrays(unbroken.variables), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_saved_model_continues_with_its_optimizers(tmp_path):
    model = compiled(TWO_PHASES)
    fit(model)
    model.save(tmp_path / "pair.keras")
    loaded = keras.saving.load_model(tmp_path / "pair.keras")
    assert loaded.settings == TWO_PHASES
    for one in (model, loaded):
        fit(one)
    for ours, theirs in zip(arrays(loaded.variables), arrays(model.variables), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_saved_model_is_compiled_as_before(tmp_path):
    model = compiled(LAZY, generator_optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    model.save(tmp_path / "pair.keras")
    loaded = keras.saving.load_model(tmp_path / "pair.keras")
    assert loaded.settings == LAZY and loaded.run_eagerly
    assert isinstance(loaded.optimizer.generator, keras.optimizers.SGD)
    for each in (model, loaded):
        each.set_learning_rates(1e-3, 1e-3)
    for side in ("generator", "discriminator"):
        rates = [getattr(each.optimizer, side).learning_rate for each in (model, loaded)]
        assert float(rates[0]) == float(rates[1])
    uncompiled = AdversarialModel(*dense_pair())
    uncompiled.save(tmp_path / "pair.keras")
    assert keras.saving.load_model(tmp_path / "pair.keras").settings is None


def test_nan_stops_training():
    model = compiled()
    model.discriminator.bias.assign(np.full(6, np.nan))
    with pytest.raises(FloatingPointError, match="no longer finite"):
        fit(model, callbacks=[StopOnNaN()])


# Precision, styles


def test_mixed_bfloat16_trains_float32_variables():
    layers = keras.layers
    options = {"dtype": "mixed_bfloat16"}
    generator = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(16, activation="tanh", **options),
            layers.Reshape((4, 4, 1), **options),
            layers.Conv2D(1, 3, padding="same", **options),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(4, 3, activation="tanh", **options),
            layers.Flatten(),
            layers.Dense(1, **options),
        ]
    )
    model = AdversarialModel(generator, discriminator, latent_size=LATENT, seed=0)
    model.compile("progan")
    images = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")
    history = model.fit(images, batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}


def test_float16_is_refused():
    generator, discriminator = DenseGenerator(dtype="mixed_float16"), dense_pair()[1]
    with pytest.raises(ValueError, match="mixed_bfloat16"):
        AdversarialModel(generator, discriminator).compile()


def test_styles_are_mixed_from_a_random_layer_on():
    class Step:
        """What the step's `mix` needs."""

        def __init__(self, probability):
            from c2f_zoo.training.adversarial.step import MicroBatch

            self.model = compiled(AdversarialTraining(style_mixing=probability))
            self.settings, self.mix = self.model.settings, MicroBatch.mix

    latents = np.random.default_rng(0).normal(size=(4, LATENT)).astype("float32")
    for probability, is_mixed in ((1.0, True), (0.0, False)):
        step = Step(probability)
        own = step.model.generator.mapping(latents)
        styles = ops.convert_to_numpy(step.mix(step, own, latents))
        own = ops.convert_to_numpy(own)
        np.testing.assert_allclose(styles[:, 0], own[:, 0], rtol=1e-5)
        assert np.allclose(styles[:, 1], own[:, 1]) is not is_mixed


def test_a_generators_average_of_styles_moves_once_a_step():
    @keras.saving.register_keras_serializable(package="tests")
    class Tracking(DenseGenerator):
        def update_w_average(self, w):
            self.tracked.assign(ops.mean(w))

    generator = Tracking()
    for ours, theirs in zip(generator.weights, dense_pair()[0].weights, strict=True):
        ours.assign(theirs)
    batch = dense_batch(4)
    expected = ops.convert_to_numpy(generator.mapping(batch["generator_latents"])).mean()
    model = AdversarialModel(generator, dense_pair()[1], seed=0)
    model.compile("progan")
    model.train_on_batch(batch)
    assert float(generator.tracked) == pytest.approx(expected, rel=1e-5)
    assert float(model.ema_generator.tracked) == pytest.approx(expected, rel=1e-5)


def test_random_numbers_differ_from_step_to_step_and_by_seed():
    def score(seed):
        model = AdversarialModel(*dense_pair(), seed=seed)
        model.compile(AdversarialTraining(loss="logistic"))
        model.set_learning_rates(0.0, 0.0)
        return [model.train_on_batch(IMAGES, return_dict=True)["fake_score"] for _ in range(2)]

    first, again, other = score(1), score(1), score(2)
    assert first == again
    assert first[0] != first[1] and first[0] != other[0]
