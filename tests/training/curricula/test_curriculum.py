"""Training at growing resolution: what each step is served, and that it equals training by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import (
    ResolutionCurriculum,
    ResolutionSchedule,
    ResolutionStream,
    TrainingState,
    resize_batch,
)


def classifier(optimizer=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.01, momentum=0.9), loss)
    return model


def data(count=24, size=12):
    random = np.random.default_rng(0)
    x = random.random((count, size, size, 3), dtype="float32")
    return x, random.integers(0, 3, count)


def weights(model):
    return [np.array(to_numpy(weight)) for weight in model.weights]


def fitted(curriculum, source, model=None, callbacks=(), **options):
    model = model or classifier()
    stream = curriculum.stream(source)
    options = {"epochs": curriculum.epochs, "verbose": 0, **options}
    history = model.fit(stream, callbacks=[curriculum, *callbacks], **options).history
    return model, history


def small(**options):
    """Two stages of 48 and 24 images, in batches of 8 and 4."""
    schedule = ResolutionSchedule.listed(
        [8, 12], 72, shares=(2, 1), batch_size=4, equal_memory=True, divisible_by=4, **options
    )
    return ResolutionCurriculum(schedule, epochs=3)


def test_every_step_is_that_of_train_on_batch_with_resized_samples():
    x, y = data()
    curriculum = small(learning_rate=0.01, bump=0.5, cosine=True)
    model, history = fitted(curriculum, (x, y), validation_data=(x, y))
    schedule, reference, images = curriculum.schedule, classifier(), 0
    assert schedule.batch_sizes == (8, 4) and schedule.steps() == 12
    orders = [np.random.default_rng((0, 0, epoch)).permutation(24) for epoch in range(3)]
    order = np.concatenate(orders)
    seen = []
    while images < 72:
        state = schedule.at(images)
        taken = order[images : images + state.batch_size]
        reference.optimizer.learning_rate = state.learning_rate
        reference.train_on_batch(*resize_batch((x[taken], y[taken]), state.resolution))
        images += len(taken)
        seen.append((state.resolution[0], len(taken)))
    assert seen == [(8, 8)] * 6 + [(12, 4)] * 6
    for a, b in zip(weights(model), weights(reference), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    # Four steps an epoch; validation is of whole images throughout.
    assert history["images"] == [32, 56, 72] and history["resolution"] == [8, 12, 12]
    assert history["val_loss"][-1] == pytest.approx(reference.evaluate(x, y, verbose=0), abs=1e-5)


def test_a_run_that_was_interrupted_within_a_stage_ends_as_an_unbroken_one(tmp_path):
    whole, _ = fitted(small(learning_rate=0.01, cosine=True), data())
    for epochs in (1, 2, 3):
        parts, state = classifier(), TrainingState(tmp_path / "state.npz")
        begin = state.restore(parts)
        assert begin == epochs - 1
        curriculum = small(learning_rate=0.01, cosine=True)
        options = {"initial_epoch": begin, "epochs": epochs, "callbacks": [state]}
        if epochs < 3:
            with pytest.warns(UserWarning, match=f"epochs=3.*Received: epochs={epochs}"):
                fitted(curriculum, data(), parts, **options)
        else:
            fitted(curriculum, data(), parts, **options)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_training_ends_with_the_schedule():
    curriculum = ResolutionCurriculum(ResolutionSchedule.listed([8, 12], 40, batch_size=8))
    model, history = fitted(curriculum, data(), epochs=9)
    # 24 images are not 40: the second epoch is the last, with five steps in two epochs of three.
    assert curriculum.epochs == 2 and history["images"] == [24, 40]
    assert int(to_numpy(model.optimizer.iterations)) == 5


def test_a_schedule_by_its_name_is_of_the_data_set_s_images():
    curriculum = ResolutionCurriculum("composer", size=12, epochs=10, batch_size=4)
    curriculum.stream(data())
    expected = ResolutionSchedule.preset("composer", 12, 240, batch_size=4)
    assert curriculum.schedule == expected and curriculum.epochs == 10
    stretched = ResolutionCurriculum(ResolutionSchedule.listed([8, 12], 2), epochs=4)
    stretched.stream(data())
    assert stretched.schedule.images == (48, 48)


class Counting(keras.utils.PyDataset):
    """Batches of two, each full of its epoch and index."""

    def __init__(self, count=3):
        super().__init__()
        self.count, self.passes = count, 0

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        value = 10 * self.passes + index
        return np.full((2, 8, 8, 3), value, "float32"), np.full(2, value)

    def on_epoch_end(self):
        self.passes += 1


class WithEpoch(Counting):
    """The same, as the streams of the zoo: its epoch can be set."""

    @property
    def epoch(self):
        return self.passes

    @epoch.setter
    def epoch(self, epoch):
        self.passes = epoch


@pytest.mark.parametrize("kind", [Counting, WithEpoch])
def test_a_dataset_of_batches_is_gone_through_epoch_by_epoch(kind):
    schedule = ResolutionSchedule.listed([4, 8], 18, shares=(2, 1), batch_size=2, equal_memory=True)
    assert schedule.batch_sizes == (8, 2)
    stream = ResolutionStream(kind(), schedule, epochs=1)
    found = [to_numpy(stream.batch(step)[1]).tolist() for step in range(3)]
    assert found == [
        [0, 0, 1, 1, 2, 2, 10, 10],
        [11, 11, 12, 12, 20, 20, 21, 21],
        [22, 22],
    ]
    assert [tuple(stream.batch(step)[0].shape) for step in (1, 2)] == [(8, 4, 4, 3), (2, 8, 8, 3)]


def test_a_dataset_with_an_epoch_resumes_anywhere():
    schedule = ResolutionSchedule.listed([4, 8], 60, batch_size=2)
    once, again = (ResolutionStream(WithEpoch(), schedule, epochs=3) for _ in range(2))
    expected = [to_numpy(once.batch(step)[1]).tolist() for step in range(20)]
    for step in (19, 4, 11):
        assert to_numpy(again.batch(step)[1]).tolist() == expected[step]


def test_an_endless_dataset_is_divided_into_epochs():
    schedule = ResolutionSchedule.listed([4, 8], 20, batch_size=2)
    curriculum = ResolutionCurriculum(schedule, epochs=2)
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    _, history = fitted(curriculum, Counting(None), model)
    assert history["images"] == [10, 20] and history["resolution"] == [4, 8]


def test_augmentation_is_given_the_strength_of_its_stage():
    seen = []

    def augment(batch, state, random):
        seen.append((state.resolution[0], state.settings["mixup"], random.random()))
        x, y = batch
        return x * 0.0, y

    schedule = ResolutionSchedule.listed([8, 12], 4, batch_size=2, settings={"mixup": (0, 0.5)})
    for _ in range(2):
        stream = ResolutionStream(data(), schedule, 1, augment=augment)
        batches = [stream.batch(step)[0] for step in (1, 0)]
    assert [s[:2] for s in seen] == [(12, 0.5), (8, 0.0)] * 2
    assert seen[:2] == seen[2:] and seen[0][2] != seen[1][2]
    assert float(ops.max(batches[0])) == 0


def test_a_flow_network_learns_at_growing_resolution(rng):
    layers = [keras.Input((None, None, 3)) for _ in range(2)]
    flow = keras.layers.Conv2D(2, 3, padding="same")(keras.layers.Concatenate()(layers))
    model = keras.Model(layers, flow)
    model.compile("sgd", "mse")
    images = rng.random((2, 4, 8, 12, 3), dtype="float32")
    truth = rng.normal(size=(4, 8, 12, 2)).astype("float32")
    schedule = ResolutionSchedule.listed([(4, 6), (8, 12)], 8, batch_size=2)
    curriculum = ResolutionCurriculum(schedule, epochs=2)
    # Arrays in any structure that `fit` takes.
    stream = curriculum.stream((tuple(images), truth), resize="flow")
    logs = model.fit(stream, epochs=2, callbacks=[curriculum], verbose=0).history
    assert logs["resolution"] == [4, 8] and np.isfinite(logs["loss"]).all()


def test_statistics_are_estimated_anew_at_the_final_resolution():
    curriculum = small()
    curriculum.statistics_batches = 2
    model, _ = fitted(curriculum, data())
    # By hand, in float64, of the last two batches.
    x, _ = data()
    order = np.random.default_rng((0, 0, 2)).permutation(24)[16:]
    kernel, bias = (to_numpy(w).astype("float64") for w in model.get_layer("conv").weights)
    found = []
    for batch in (x[order[:4]], x[order[4:]]):
        patches = np.lib.stride_tricks.sliding_window_view(batch, (3, 3), (1, 2))[:, ::2, ::2]
        features = np.maximum(np.einsum("bhwcij,ijco->bhwo", patches, kernel) + bias, 0)
        found.append((features.mean((0, 1, 2)), features.var((0, 1, 2))))
    norm = model.get_layer("norm")
    for value, expected in zip(
        (norm.moving_mean, norm.moving_variance), np.mean(found, 0), strict=True
    ):
        np.testing.assert_allclose(to_numpy(value), expected, rtol=1e-4, atol=1e-6)


def test_a_resolution_that_the_model_cannot_take_is_refused_before_training():
    layers = [keras.layers.Flatten(), keras.layers.Dense(1)]
    fixed = keras.Sequential([keras.Input((12, 12, 3)), *layers])
    fixed.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"images of 8x8: .*fixed shape .*Received: "):
        fitted(small(), data(), fixed)
    layers = [keras.layers.Conv2D(2, 9), keras.layers.GlobalAveragePooling2D()]
    deep = keras.Sequential([keras.Input((None, None, 3)), *layers, keras.layers.Dense(1)])
    deep.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"cannot take images of 8x8: .*Received: the resol"):
        fitted(small(), data(), deep)


def test_fit_must_be_given_the_stream_and_a_rate_that_can_be_set():
    curriculum = small()
    x, y = data()
    with pytest.raises(ValueError, match="must be given the curriculum's stream"):
        classifier().fit(x, y, callbacks=[curriculum], verbose=0)
    with pytest.raises(ValueError, match="own 4 steps. Received: 2 steps"):
        fitted(curriculum, (x, y), steps_per_epoch=2)
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(ValueError, match="must have a number. Received: "):
        fitted(small(learning_rate=0.1), (x, y), classifier(keras.optimizers.SGD(decay)))


SCHEDULE = ResolutionSchedule.listed([8, 12], 10, batch_size=4)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ResolutionCurriculum("composer", size=8), ValueError, "needs size and epochs"),
        (lambda: ResolutionCurriculum("compose", size=8, epochs=2), ValueError, "Did you mean"),
        (lambda: ResolutionCurriculum([8, 12]), TypeError, "Received: list$"),
        (lambda: ResolutionCurriculum(SCHEDULE, size=8), ValueError, "Received: size=8$"),
        (lambda: ResolutionCurriculum(SCHEDULE, bump=2), ValueError, r"Received: \['bump'\]$"),
        (lambda: ResolutionCurriculum(SCHEDULE, epochs=0), ValueError, "Received: 0$"),
        (lambda: ResolutionCurriculum(SCHEDULE).stream(3), TypeError, "Received: int$"),
        (lambda: ResolutionCurriculum(SCHEDULE).stream(iter([])), TypeError, "must be arrays"),
        (
            lambda: ResolutionCurriculum(SCHEDULE).stream(Counting(None)),
            ValueError,
            "endless data set needs .*Received: .*epochs=None$",
        ),
        (
            lambda: ResolutionCurriculum(SCHEDULE).stream((np.zeros((0, 8, 8, 3)),)),
            ValueError,
            "at least one sample. Received: 0$",
        ),
        (
            lambda: ResolutionCurriculum(SCHEDULE).stream(data(), resize="flows"),
            ValueError,
            "Did you mean 'flow'",
        ),
        (
            lambda: ResolutionCurriculum(ResolutionSchedule.listed([8], 9, batch_size=3)).stream(
                Counting()
            ),
            ValueError,
            "made of whole ones .* 2: .*Received: a batch of 3$",
        ),
        (
            lambda: ResolutionCurriculum(SCHEDULE).stream((np.full((4, 8, 8, 3), np.nan),)),
            ValueError,
            "must be finite",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
