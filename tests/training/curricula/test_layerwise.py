"""Layer-wise rates against the paper's updates in float64, for any optimizer."""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import LayerwiseCurriculum, TrainingState, averaged_weights

SHAPES = {"stem/kernel": (3, 4), "stem/bias": (4,), "block/kernel": (4, 2), "head/kernel": (2,)}


def variables():
    random = np.random.default_rng(1)
    found = []
    for path, shape in SHAPES.items():
        owner, name = path.split("/")
        with keras.name_scope(owner):
            found.append(keras.Variable(random.normal(size=shape).astype("float32"), name=name))
    return found


def gradients(steps):
    random = np.random.default_rng(2)
    return [[random.normal(size=shape) for shape in SHAPES.values()] for _ in range(steps)]


def stepped(optimizer, steps, start=0):
    """Values of the variables after each step."""
    trained, found = variables(), []
    optimizer.build(trained)
    for grads in gradients(steps)[start:]:
        optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32")) for g in grads], trained)
        found.append([np.array(to_numpy(v)) for v in trained])
    return found


def paper_rate(base, first, step, total, c=10.0):
    """LeRaC's rate of a layer: eta(0) * c^((l / k) * (log_c eta(k) - log_c eta(0)))."""
    if step >= total:
        return base
    start = base * first
    exponent = (np.log(base) - np.log(start)) / np.log(c) * step / total
    return start * c**exponent


def reference(update, first, steps, rate_of):
    """Float64 values after each step of `update(gradient, state, step)`, times the rate."""
    values = [to_numpy(v).astype("float64") for v in variables()]
    states, found = [{} for _ in values], []
    for step, grads in enumerate(gradients(steps)):
        for n, (grad, state) in enumerate(zip(grads, states, strict=True)):
            values[n] = values[n] - rate_of(first[n], step) * update(grad, state, step)
        found.append([value.copy() for value in values])
    return found


def momentum(grad, state, step):
    """SGD of PyTorch, which the paper's code uses: v <- 0.9 v + g, w <- w - eta v."""
    state["v"] = 0.9 * state.get("v", 0.0) + grad
    return state["v"]


def adam(grad, state, step):
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * grad
    state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * grad**2
    scale = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
    return scale * state["m"] / (np.sqrt(state["v"]) + 1e-7)


OPTIMIZERS = {
    "sgd": (lambda: keras.optimizers.SGD(0.1, momentum=0.9), momentum, 0.1),
    "adam": (lambda: keras.optimizers.Adam(0.01), adam, 0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_smooth_rates_give_the_paper_s_updates(name):
    make, update, base = OPTIMIZERS[name]
    found = stepped(LayerwiseCurriculum(make(), steps=6, lowest=1e-4), 9)
    first = [1, 1, 1e-2, 1e-4]
    expected = reference(update, first, 9, lambda r, step: paper_rate(base, r, step, 6))
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stairs_give_the_updates_of_the_released_code(name):
    make, update, base = OPTIMIZERS[name]
    initial = [1.0, 1e-1, 1e-3]
    curriculum = LayerwiseCurriculum(make(), steps=9, initial=initial, factor=10, every=2)
    rates = {n: base * r for n, r in enumerate([1, 1, 1e-1, 1e-3])}

    def rate_of(first, step):
        # "Every update_epoch each group's rate is ten times higher unless that exceeds stop_lr."
        rate = base * first
        for _ in range(step // 2):
            rate = rate * 10 if rate * 10 <= base * 1.1 else rate
        return rate

    expected = reference(update, [r / base for r in rates.values()], 9, rate_of)
    for ours, theirs in zip(stepped(curriculum, 9), expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)


def test_rates_against_a_table():
    smooth = LayerwiseCurriculum("sgd", steps=4, lowest=1e-4)
    stairs = LayerwiseCurriculum("sgd", steps=8, lowest=1e-4, factor=10)
    uneven = LayerwiseCurriculum("sgd", steps=9, initial=[1, 0.5, 0.03], factor=10, every=1)
    for curriculum in (smooth, stairs, uneven):
        curriculum.build(variables())
    assert smooth.group_names == ["stem", "block", "head"]
    table = [smooth.factors(step) for step in (0, 1, 2, 4, 99)]
    np.testing.assert_allclose(
        table, [[1, 1e-2, 1e-4], [1, 10**-1.5, 1e-3], [1, 0.1, 0.01], [1, 1, 1], [1, 1, 1]]
    )
    table = [stairs.factors(step) for step in (0, 1, 2, 4, 6, 8)]  # a stair every 8 / 4 steps
    head, block = [1e-4, 1e-4, 1e-3, 1e-2, 1e-1, 1], [1e-2, 1e-2, 1e-1, 1, 1, 1]
    np.testing.assert_allclose(np.transpose(table), [[1] * 6, block, head])
    table = [uneven.factors(step) for step in (0, 1, 2)]
    np.testing.assert_allclose(table, [[1, 0.5, 0.03], [1, 1, 0.3], [1, 1, 1]])
    for curriculum in (smooth, stairs, uneven):
        for step in range(10):
            in_graph = to_numpy(curriculum.factors(keras.ops.convert_to_tensor(step)))
            np.testing.assert_allclose(in_graph, curriculum.factors(step), rtol=2e-6)
        assert (to_numpy(curriculum.factors(keras.ops.convert_to_tensor(10**6))) == 1).all()


@pytest.mark.parametrize("name", ["adamw", "rmsprop", "adafactor"])
def test_a_curriculum_that_is_over_is_the_optimizer_itself(name):
    plain = stepped(keras.optimizers.get(name), 3)
    wrapped = stepped(LayerwiseCurriculum(name, steps=1, lowest=1.0), 3)
    for a, b in zip(plain, wrapped, strict=True):
        for ours, theirs in zip(a, b, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_weight_decay_is_of_the_rate_of_its_group():
    sgd = keras.optimizers.SGD(0.1, weight_decay=0.5)
    found = stepped(LayerwiseCurriculum(sgd, steps=100, lowest=1e-2), 1)[0]
    for n, rate in enumerate([0.1, 0.1, 0.01, 0.001]):
        start = to_numpy(variables()[n]).astype("float64")
        expected = start - rate * (0.5 * start + gradients(1)[0][n])
        np.testing.assert_allclose(found[n], expected, atol=1e-6)


def network(**options):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    optimizer = LayerwiseCurriculum(keras.optimizers.Adam(0.05), steps=6, **options)
    model.compile(optimizer, "mse")
    return model


def samples():
    random = np.random.default_rng(0)
    return random.normal(size=(12, 4)).astype("float32"), random.normal(size=(12, 1))


def test_fit_trains_with_it_and_resumes_within_it(tmp_path):
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    whole = network()
    whole.fit(*samples(), epochs=3, **options)
    for epochs in (1, 3):
        parts, state = network(), TrainingState(tmp_path / "state.npz")
        begin = state.restore(parts)
        parts.fit(*samples(), initial_epoch=begin, epochs=epochs, callbacks=[state], **options)
    for a, b in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), atol=1e-6)
    whole.optimizer.learning_rate = 0.02
    assert float(to_numpy(whole.optimizer.optimizer.learning_rate)) == pytest.approx(0.02)


def test_it_keeps_an_average_of_the_weights():
    model = network(use_ema=True, ema_momentum=0.5)
    x, y = samples()
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append([np.array(to_numpy(v)) for v in self.model.trainable_variables])

    model.fit(x, y, batch_size=6, epochs=1, shuffle=False, verbose=0, callbacks=[Watch()])
    expected = [(a + b) / 2 for a, b in zip(*seen, strict=True)]
    for v, value in zip(model.trainable_variables, seen[1], strict=True):
        v.assign(value)
    with averaged_weights(model):
        for v, value in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(to_numpy(v), value, atol=1e-6)


def test_configuration_and_a_keras_file(tmp_path):
    model = network(groups=["kernel", "bias"], factor=10, every=2)
    model.fit(*samples(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, LayerwiseCurriculum)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for ours, theirs in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be .*Received: 0$"),
        ({"lowest": 0}, "lowest must be .*Received: 0$"),
        ({"lowest": 2}, "lowest must be .*Received: 2$"),
        ({"initial": [0.1, 1, 1]}, r"must not rise .*Received: \[0.1, 1.0, 1.0\]$"),
        ({"initial": [1, 0]}, "initial must be .*Received: 0$"),
        ({"initial": [1, 0.1]}, "for each of the 3 groups .*Received: 2 values$"),
        ({"factor": 1}, "factor must be .*Received: 1$"),
        ({"every": 3}, "need a factor. Received: every=3$"),
        ({"groups": ["stem", "block"]}, r"every variable. .* for \['head/kernel'\]$"),
        ({"groups": ["stem", "block", "body", "."]}, r"find a variable. .*\['body'\]$"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LayerwiseCurriculum("sgd", **{"steps": 10, **options}).build(variables())


def test_an_average_or_accumulation_within_is_refused():
    for option in ({"use_ema": True}, {"gradient_accumulation_steps": 2}):
        with pytest.raises(ValueError, match="are to be given to LayerwiseCurriculum"):
            LayerwiseCurriculum(keras.optimizers.SGD(**option), steps=3)
