"""The multilevel estimator against the gradient that it estimates, and how it trains."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.layers.restriction import RESTRICTIONS, restrict
from c2f_zoo.training import Multilevel, MultilevelSchedule, MultilevelStage, TrainingState

RATE = 1.0


def network(normalise=False, dropout=0.0):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(5, 3, padding="same")]
    layers += [keras.layers.BatchNormalization()] if normalise else []
    layers += [keras.layers.Activation("tanh"), keras.layers.Dropout(dropout, seed=3)]
    return keras.Sequential([*layers, keras.layers.Conv2D(3, 3, padding="same")])


def pictures(count, size=8, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(count, size, size, 3)).astype("float32") for _ in "xy"]


def schedule_with(*batch_sizes, mesh=0):
    return MultilevelSchedule([MultilevelStage(mesh, batch_sizes, 0, None)])


def gradients(model, schedule, batch, restriction="subsample", **options):
    """What a step subtracts from the weights, which it leaves as they were."""
    training = Multilevel(model, schedule=schedule, restriction=restriction)
    training.compile(keras.optimizers.SGD(RATE), "mse", **options)
    before = [to_numpy(weight) for weight in model.trainable_variables]
    training.train_on_batch(*batch)
    after = [to_numpy(weight) for weight in model.trainable_variables]
    for weight, value in zip(model.trainable_variables, before, strict=True):
        weight.assign(value)
    return [(a - b) / RATE for a, b in zip(before, after, strict=True)]


def assert_close(found, expected, tolerance=1e-6):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("restriction", RESTRICTIONS)
def test_with_the_same_batch_for_all_terms_it_is_the_fine_gradient(restriction):
    model, (x, y) = network(), pictures(4)
    fine = gradients(model, schedule_with(4), (x, y))
    repeated = [np.concatenate([array] * 3) for array in (x, y)]
    found = gradients(model, schedule_with(4, 4, 4), repeated, restriction)
    assert_close(found, fine, 1e-6)


@pytest.mark.parametrize("restriction", RESTRICTIONS)
def test_accumulated_gradients_are_those_of_the_summed_loss(restriction, gradient_of):
    model, (x, y) = network(), pictures(7)
    found = gradients(model, schedule_with(1, 2, 4), (x, y), restriction)

    def loss_on(mesh, samples, weights):
        inputs, targets = (restrict(a[samples], 2**mesh, restriction) for a in (x, y))
        hidden = ops.tanh(ops.conv(inputs, weights[0], padding="same") + weights[1])
        outputs = ops.conv(hidden, weights[2], padding="same") + weights[3]
        return ops.mean(ops.square(outputs - targets))

    def summed(*weights):
        terms = [slice(0, 1), slice(1, 3), slice(3, 7)]
        total = loss_on(2, terms[2], weights)
        for mesh, samples in enumerate(terms[:2]):
            total += loss_on(mesh, samples, weights) - loss_on(mesh + 1, samples, weights)
        return total

    expected = gradient_of(summed, *[to_numpy(w) for w in model.trainable_variables])
    assert_close(found, expected, 1e-6)


def test_its_expectation_is_the_fine_gradient():
    model, (x, y) = network(), pictures(24)
    fine = np.concatenate([g.ravel() for g in gradients(model, schedule_with(24), (x, y))])
    schedule = MultilevelSchedule.multiscale(levels=2, batch_size=2)
    training = Multilevel(model, schedule=schedule)
    training.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=False)
    start = [to_numpy(weight) for weight in model.trainable_variables]
    random, found = np.random.default_rng(0), []
    for _ in range(150):
        chosen = random.integers(0, 24, schedule.at(0).samples)
        training.train_on_batch(x[chosen], y[chosen])
        pairs = list(zip(model.trainable_variables, start, strict=True))
        found.append(np.concatenate([(v - to_numpy(w)).ravel() / RATE for w, v in pairs]))
        for weight, value in pairs:
            weight.assign(value)
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(len(found))
    deviations = (mean - fine) / error
    assert np.abs(deviations).max() < 5 and np.sqrt(np.mean(deviations**2)) < 1.5


def test_noise_and_time_are_shared_by_both_meshes_of_a_difference():
    seen = []

    class Watching(keras.layers.Layer):
        def call(self, inputs):
            image, time = inputs
            seen.append((to_numpy(image), to_numpy(time)))
            return image * 1.0

    model = keras.Sequential([Watching(), keras.layers.Conv2D(3, 1)])
    training = Multilevel(model, schedule=schedule_with(2, 3), seed=0, prepare=_noisy)
    training.compile("sgd", "mse", run_eagerly=True)
    if keras.backend.backend() == "jax":
        pytest.skip("JAX traces even where it runs eagerly: nothing to watch")
    (x, _) = pictures(5)
    training.train_on_batch(x)
    shapes = [image.shape[:2] for image, _ in seen[-3:]]
    assert shapes == [(2, 8), (2, 4), (3, 4)]
    (fine, fine_time), (coarse, coarse_time), (_, other_time) = seen[-3:]
    np.testing.assert_array_equal(coarse, fine[:, ::2, ::2])
    np.testing.assert_array_equal(coarse_time, fine_time)
    assert not set(other_time) & set(fine_time)


def _noisy(x, y, sample_weight, seed):
    time = keras.random.uniform(ops.shape(x)[:1], seed=seed)
    return (x + keras.random.normal(ops.shape(x), seed=seed), time), x


def test_running_statistics_follow_the_finest_mesh():
    model, (x, y) = network(normalise=True), pictures(6)
    reference = network(normalise=True)
    reference.set_weights(model.get_weights())
    gradients(model, schedule_with(2, 4), (x, y))
    reference.compile("sgd", "mse")
    before = [to_numpy(weight) for weight in reference.trainable_variables]
    reference.train_on_batch(x[:2], y[:2])
    assert len(before) == len(model.trainable_variables)
    for ours, theirs in zip(
        model.non_trainable_variables, reference.non_trainable_variables, strict=True
    ):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-5, atol=1e-6)


def test_dropout_draws_anew_on_each_mesh():
    kept = []

    class Watching(keras.layers.Layer):
        def call(self, x):
            kept.append(to_numpy(x)[..., 0])  # of ones: 0 where dropped, else 2
            return x

    layers = [keras.layers.Dropout(0.5, seed=1), Watching(), keras.layers.Conv2D(3, 1)]
    training = Multilevel(keras.Sequential(layers), schedule=schedule_with(1, 1), seed=0)
    training.compile("sgd", "mse", run_eagerly=True)
    if keras.backend.backend() == "jax":
        pytest.skip("JAX traces even where it runs eagerly: nothing to watch")
    training.train_on_batch(np.ones((2, 8, 8, 3), "float32"))
    fine, coarse, other = kept[-3:]
    assert [values.shape[1] for values in (fine, coarse, other)] == [8, 4, 4]
    assert (fine[:, ::2, ::2] != coarse).any() and (coarse != other).any()


def test_dropout_draws_anew_each_step():
    model, (x, y) = network(dropout=0.5), pictures(3)
    first = gradients(model, schedule_with(1, 2), (x, y))
    second = gradients(model, schedule_with(1, 2), (x, y))
    assert not np.allclose(first[0], second[0])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_float32(policy):
    x, y = pictures(7)
    exact = gradients(network(), schedule_with(1, 2, 4), (x, y))
    keras.config.set_dtype_policy(policy)
    try:
        rough = gradients(network(), schedule_with(1, 2, 4), (x, y))
    finally:
        keras.config.set_dtype_policy("float32")
    for a, b in zip(rough, exact, strict=True):
        assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b)


def test_a_loss_scale_that_grows_leaves_the_gradient_as_it_is():
    model, (x, y) = network(), pictures(3)
    training = Multilevel(model, schedule=schedule_with(1, 2))
    expected = gradients(model, schedule_with(1, 2), (x, y))
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), dynamic_growth_steps=1)
    training.compile(scaled, "mse")
    for _ in range(3):
        before = [to_numpy(weight) for weight in model.trainable_variables]
        training.train_on_batch(x, y)
        after = [to_numpy(weight) for weight in model.trainable_variables]
        found = [(a - b) / RATE for a, b in zip(before, after, strict=True)]
        assert_close(found, expected, 1e-5)
        for weight, value in zip(model.trainable_variables, before, strict=True):
            weight.assign(value)


def test_mixed_float16_trains():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, (x, y) = network(), pictures(12)
        training = Multilevel(model, levels=1, batch_size=2)
        training.compile(keras.optimizers.Adam(1e-2), "mse")
        losses = training.fit(x, 0 * y, epochs=8, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[-1] < losses[0]


def test_masks_are_restricted_and_weigh_the_loss():
    model, (x, y) = network(), pictures(3)
    mask = np.zeros((3, 8, 8, 1), "float32")
    mask[:, ::2, ::2] = 1.0
    y_changed = y.copy()
    y_changed[:, 1::2] += 9.0
    found = [gradients(model, schedule_with(1, 2), (x, t, mask)) for t in (y, y_changed)]
    assert_close(found[0], found[1])


def full_schedule():
    return MultilevelSchedule.full_multiscale(2, iterations=(3, 3, 2), batch_sizes=(4, 2, 1))


def fitted(folder, epochs, kill_after=None):
    model, (x, y) = network(), pictures(10)
    training = Multilevel(model, schedule=full_schedule(), seed=5)
    training.compile(keras.optimizers.Adam(1e-2), "mse")
    state = TrainingState(folder / "state.npz")
    done = state.restore(training)
    stop = epochs if kill_after is None else kill_after
    history = training.fit(
        x, y, steps_per_epoch=2, initial_epoch=done, epochs=stop, callbacks=[state], verbose=0
    )
    return [to_numpy(weight) for weight in model.weights], history.history


def test_full_multiscale_goes_through_its_stages_and_resumes_inside_one(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    unbroken, history = fitted(tmp_path / "a", epochs=4)
    schedule = full_schedule()
    work = [float(schedule.work(steps)) for steps in (2, 4, 6, 8)]
    np.testing.assert_allclose(history["work_units"], work)
    fitted(tmp_path / "b", epochs=4, kill_after=2)  # a step into the second stage
    resumed, rest = fitted(tmp_path / "b", epochs=4)
    np.testing.assert_allclose(rest["work_units"], work[2:])
    for a, b in zip(unbroken, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_lowers_the_fine_loss_and_leaves_the_users_model():
    model, (x, _) = network(), pictures(64)
    training = Multilevel(model, levels=2, batch_size=4, seed=0)
    training.compile(keras.optimizers.Adam(1e-2), "mse", metrics=["mae"])
    before = training.evaluate(x, x, verbose=0)
    history = training.fit(x, x, epochs=3, steps_per_epoch=20, verbose=0).history
    assert set(history) == {"loss", "mae", "work_units"}
    assert training.evaluate(x, x, verbose=0)[0] < 0.5 * before[0]
    np.testing.assert_array_equal(model.predict(x, verbose=0), training.predict(x, verbose=0))


def test_validation_data_is_taken_as_it_is_given():
    x, _ = pictures(8)
    image, time = keras.Input((None, None, 3)), keras.Input(())
    brighter = image + keras.layers.Reshape((1, 1, 1))(time)
    model = keras.Model([image, time], keras.layers.Conv2D(3, 3, padding="same")(brighter))
    training = Multilevel(model, levels=1, batch_size=1, prepare=_noisy, seed=0)
    training.compile("sgd", "mse", metrics=["mae"])
    given = (x, np.zeros(8, "float32")), x
    before = training.evaluate(*given, verbose=0)
    np.testing.assert_allclose(training.test_on_batch(*given)[0], before[0], rtol=1e-5)
    options = {"steps_per_epoch": 1, "validation_data": given, "verbose": 0}
    history = training.fit(x, **options).history
    assert history["val_loss"][0] == pytest.approx(training.evaluate(*given, verbose=0)[0], 1e-5)


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 8, 8)])
def test_an_image_without_weight_has_no_influence(shape):
    model, (x, y) = network(), pictures(3)
    weight = np.ones(shape, "float32")
    weight[0] = 0.0  # the sample of the correction
    changed = y.copy()
    changed[0] += 9.0
    found = [gradients(model, schedule_with(1, 2), (x, t, weight)) for t in (y, changed)]
    assert_close(found[0], found[1])
    whole = gradients(model, schedule_with(1, 2), (x, y))
    assert not np.allclose(found[0][0], whole[0])


# Bad input


def fit_with(model, x, y=None, **options):
    training = Multilevel(model, **{"levels": 2, "batch_size": 1, **options})
    training.compile("sgd", "mse")
    training.fit(x, x if y is None else y, steps_per_epoch=1, verbose=0)


def test_a_model_of_one_size_is_refused():
    x, y = pictures(7)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    with pytest.raises(ValueError, match=r"(?s)images of every size.*Received: seq.*4, 4, 3\)\]"):
        fit_with(keras.Sequential(layers), x, y[:, 0, 0, :2])


def test_class_weights_are_refused():
    x, y = pictures(6)
    training = Multilevel(network(), levels=1, batch_size=1)
    training.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"give sample_weight\. Received: class_weight=\{0: 1"):
        training.fit(x, y, class_weight={0: 1.0}, verbose=0)


def test_sizes_that_cannot_be_halved_are_refused():
    x, _ = pictures(7, size=6)
    with pytest.raises(
        ValueError,
        match=r"divisible by 4, for the coarsest mesh\. Received: shape \((7|None), 6, 6, 3\)",
    ):
        fit_with(network(), x)


def test_batches_of_another_size_are_refused():
    x, y = pictures(6)
    training = Multilevel(network(), levels=2, batch_size=1)
    training.compile("sgd", "mse")
    with pytest.raises(ValueError, match="samples of all terms of its step, 7.*Received: 6"):
        training.train_on_batch(x, y)
    with pytest.raises(ValueError, match="Received: batch_size=3"):
        training.fit(x, y, batch_size=3)
    with pytest.raises(ValueError, match="one length. Received: shapes"):
        training.fit(x, y[:5])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"mode": "double"}, "mode must be one of.*Received: 'double'"),
        ({"levels": -1}, "levels must be an integer >= 0.*Received: -1"),
        ({"levels": 1.5}, "levels must be an integer >= 0.*Received: 1.5"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1.*Received: 0"),
        ({"batch_factor": 0}, "batch_factor must be a number > 0.*Received: 0"),
        ({"batch_factor": float("nan")}, "batch_factor must be a number > 0.*Received: nan"),
        ({"restriction": "nearest"}, "restriction must be one of.*Received: 'nearest'"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Multilevel(network(), **options)
