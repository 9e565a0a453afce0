import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.data import ImageCache, ImageStream
from c2f_zoo.training import (
    AdversarialModel,
    AdversarialTraining,
    GrowthSchedule,
    ImageProgress,
    ProgressiveGrowth,
    SampleGrids,
    StopOnNaN,
    TrainingState,
)
from tests.training.adversarial.adversarial_toys import GrowingDiscriminator, GrowingGenerator

# Each stage is trained for 8 images and faded in over 16, in batches of 4.
SCHEDULE = GrowthSchedule.by_images(
    8, base_shape=(2, 2), stabilise=8, fade=16, batch_sizes=4, learning_rates={2: 1e-3, 4: 2e-3}
)
IMAGES = np.random.default_rng(0).random((16, 8, 8, 3), dtype="float32")


def compiled(training="progan"):
    keras.utils.set_random_seed(0)
    model = AdversarialModel(GrowingGenerator(), GrowingDiscriminator(), seed=5)
    model.compile(training)
    return model


def fit(model, epochs, first=0, callbacks=()):
    return model.fit(
        IMAGES,
        batch_size=4,
        shuffle=False,
        verbose=0,
        initial_epoch=first,
        epochs=epochs,
        callbacks=list(callbacks),
    ).history


def arrays(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


class Watch(keras.callbacks.Callback):
    """Notes what holds in each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        model = self.model
        alphas = {float(n.alpha) for n in (model.generator, model.discriminator)}
        assert alphas == {float(model.ema_generator.alpha)}
        rate = float(model.optimizer.generator.learning_rate)
        steps = int(model.optimizer.generator.iterations)
        self.seen.append((model.generator.stage, *alphas, round(rate, 6), steps))


@pytest.mark.filterwarnings("error:Batches are not:UserWarning")
def test_stage_alpha_rates_and_resets_follow_the_schedule():
    watch = Watch()
    model = compiled()
    fit(model, 99, callbacks=[ProgressiveGrowth(SCHEDULE), watch])
    stable, fade = [(1.0, 0), (1.0, 1)], [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)]
    expected = [(0, alpha, 1e-3, steps) for alpha, steps in stable]
    for stage in (1, 2):
        expected += [(stage, alpha, 2e-3, steps) for alpha, steps in fade + stable]
    assert watch.seen == expected
    assert int(model.images_shown) == SCHEDULE.total
    assert model.stop_training


def test_batches_of_other_sizes_than_the_schedules_are_warned_of_once_per_fit():
    model, growth = compiled(), ProgressiveGrowth(SCHEDULE)
    for shown in (0, 16):
        with pytest.warns(UserWarning) as caught:
            model.fit(IMAGES, batch_size=8, shuffle=False, verbose=0, callbacks=[growth])
        messages = [str(warning.message) for warning in caught]
        ours = [message for message in messages if "ImageStream" in message]
        assert len(ours) == 1
        assert ours[0].endswith(f"Received: a batch of 8, not 4, after {shown} images")


def fitted_to(data):
    model, steps = compiled(), SCHEDULE.total // 4
    model.fit(data, steps_per_epoch=steps, verbose=0, callbacks=[ProgressiveGrowth(SCHEDULE)])
    return model


@pytest.fixture
def stream(tmp_path):
    cache = ImageCache.from_arrays(IMAGES, base_shape=(2, 2), cache=tmp_path, progress=False)
    return ImageStream(cache, SCHEDULE)


@pytest.mark.filterwarnings("error:`shuffle:UserWarning")
def test_a_stream_that_grows_goes_into_fit_as_it_is(stream):
    served, heights = stream.batch, []

    def batch(images):
        heights.append(served(images).shape[1])
        return served(images)

    stream.batch = batch
    model = fitted_to(stream)
    assert int(model.images_shown) == SCHEDULE.total and model.generator.stage == 2
    assert set(heights) == {2, 4, 8}


@pytest.mark.parametrize("grows", [True, False])
def test_a_second_fit_goes_on_with_new_images(stream, grows):
    if not grows:
        stream = ImageStream(stream.cache, batch_size=4)
    served, shown = stream.batch, []

    def batch(images):
        shown.append(images)
        return served(images)

    stream.batch = batch
    model, callbacks = compiled(), [ProgressiveGrowth(SCHEDULE)] if grows else []
    for begun in (0, 12):
        shown.clear()
        model.fit(stream, steps_per_epoch=3, verbose=0, callbacks=callbacks)
        assert min(shown) == begun and int(model.images_shown) == begun + 12


def test_callbacks_touch_the_model_only_where_something_changes(monkeypatch, tmp_path):
    get, touched = keras.callbacks.Callback.model.fget, []

    def model_of(callback):  # which on JAX copies the whole state into the model
        touched.append(type(callback).__name__)
        return get(callback)

    monkeypatch.setattr(keras.callbacks.Callback, "model", property(model_of))
    # The first stage, trained for long, or fading in for long.
    stable = dataclasses.replace(SCHEDULE, stabilise=(1000, 8, 8))
    fading = dataclasses.replace(SCHEDULE, stabilise=(0, 8, 8), fade=(0, 1000, 16))
    counts = []
    for schedule, steps in ((stable, 1), (stable, 4), (fading, 4)):
        touched.clear()
        callbacks = [
            ProgressiveGrowth(schedule),
            ImageProgress(schedule),
            SampleGrids(tmp_path, every=1000, n=1),
            StopOnNaN(),
        ]
        model = compiled()
        model.fit(IMAGES[: 4 * steps], batch_size=4, verbose=0, callbacks=callbacks)
        assert int(model.images_shown) == 4 * steps
        counts.append(len(touched))
    assert len(set(counts)) == 1


def test_a_stream_of_the_final_size_is_reduced_to_the_stage(stream):
    model = compiled()
    of_one_size = ImageStream(stream.cache, batch_size=4)
    history = model.fit(of_one_size, steps_per_epoch=2, verbose=0).history
    assert model.generator.stage == 0 and np.isfinite(history["loss"]).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for fit on TensorFlow")
def test_a_stream_and_its_data_set_train_to_the_same_weights(stream):
    pair = [fitted_to(data).weights for data in (stream, stream.as_tf_dataset())]
    for ours, theirs in zip(*map(arrays, pair), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_schedule_without_learning_rates_leaves_those_compiled():
    model, watch = compiled(AdversarialTraining(generator_learning_rate=5e-3)), Watch()
    schedule = GrowthSchedule.by_images(8, base_shape=(2, 2), stabilise=4, fade=4, batch_sizes=4)
    fit(model, 99, callbacks=[ProgressiveGrowth(schedule), watch])
    assert {rate for _, _, rate, _ in watch.seen} == {5e-3} and len(watch.seen) == 5


def test_logs_say_how_far_it_has_grown():
    history = fit(compiled(), 2, callbacks=[ProgressiveGrowth(SCHEDULE)])
    assert history["images"] == [16, 32]
    assert history["resolution"] == [4, 4]
    assert history["alpha"] == [SCHEDULE.at(12).alpha, SCHEDULE.at(28).alpha]


def test_a_step_is_compiled_once_per_stage():
    model = compiled()
    fit(model, 99, callbacks=[ProgressiveGrowth(SCHEDULE)])
    stages = list(dict.fromkeys(model.generator.traces[-999:]))
    assert stages[-3:] == [0, 1, 2]
    if keras.backend.backend() == "torch":
        return  # not compiled
    calls = model.generator.traces
    traced = len(calls)
    model.set_alpha(0.5)
    fit(model, 1)
    assert len(calls) == traced
    model.set_stage(1)
    fit(model, 1)
    assert len(calls) > traced and calls[-1] == 1


def test_alpha_blends_without_a_new_trace_and_predictions_follow_the_stage():
    model = compiled()
    latents = np.ones((2, 3), "float32")
    shapes = []
    for stage in (0, 2, 1):
        model.set_stage(stage)
        shapes.append(model.predict_on_batch(latents).shape)
    assert [shape[1] for shape in shapes] == [2, 8, 4]
    pictures = []
    for alpha in (0.0, 0.5, 1.0):
        model.set_alpha(alpha)
        pictures.append(np.asarray(ops.convert_to_numpy(model.predict_on_batch(latents))))
    middle = (pictures[0] + pictures[2]) / 2
    is_inside = (middle > 0.01) & (middle < 0.99)
    np.testing.assert_allclose(pictures[1][is_inside], middle[is_inside], atol=0.3)
    np.testing.assert_allclose(pictures[0][:, ::2, ::2], pictures[0][:, 1::2, 1::2], atol=1e-6)


def test_real_images_are_faded_in_like_the_generated_ones():
    seen = []

    class Spy(GrowingDiscriminator):
        def call(self, images):
            seen.append(images)
            return super().call(images)

    model = AdversarialModel(GrowingGenerator(), Spy(), seed=0)
    model.compile(AdversarialTraining(loss="logistic"), run_eagerly=True)
    model.set_stage(2)
    model.set_alpha(0.25)
    seen.clear()
    if keras.backend.backend() == "jax":
        pytest.skip("JAX hands out tracers even where nothing is compiled")
    model.train_on_batch(IMAGES[:4])
    blocks = IMAGES[:4].reshape(4, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    old = blocks.repeat(2, axis=1).repeat(2, axis=2)
    expected = (0.75 * old + 0.25 * IMAGES[:4]) * 2 - 1
    real = seen[0].detach() if hasattr(seen[0], "detach") else seen[0]
    np.testing.assert_allclose(ops.convert_to_numpy(real), expected, atol=1e-5)


def test_a_run_stopped_in_a_fade_continues_to_the_same_weights(tmp_path):
    plain = AdversarialTraining(loss="logistic")
    assert SCHEDULE.at(16).alpha == 0.5
    unbroken = compiled(plain)
    fit(unbroken, 2, callbacks=[ProgressiveGrowth(SCHEDULE)])
    path = tmp_path / "state.npz"
    fit(compiled(plain), 1, callbacks=[ProgressiveGrowth(SCHEDULE), TrainingState(path)])
    resumed, state = compiled(plain), TrainingState(path)
    epoch = state.restore(resumed)
    fit(resumed, 2, epoch, [ProgressiveGrowth(SCHEDULE), state])
    assert resumed.generator.stage == unbroken.generator.stage > 0
    for ours, theirs in zip(arrays(resumed.variables), arrays(unbroken.variables), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_a_run_stopped_just_before_a_reset_still_resets(tmp_path):
    schedule = dataclasses.replace(SCHEDULE, stabilise=(16, 8, 8))
    assert schedule.resets_between(12, 16)
    path = tmp_path / "state.npz"
    fit(compiled(), 1, callbacks=[ProgressiveGrowth(schedule), TrainingState(path)])
    resumed, watch = compiled(), Watch()
    epoch = TrainingState(path).restore(resumed)
    assert int(resumed.optimizer.generator.iterations) == 4
    fit(resumed, 2, epoch, [ProgressiveGrowth(schedule), watch])
    assert [steps for *_, steps in watch.seen] == [0, 1, 2, 3]


def test_another_model_is_refused():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(TypeError, match="AdversarialModel.*Sequential"):
        model.fit(np.ones((4, 1)), np.ones(4), callbacks=[ProgressiveGrowth(SCHEDULE)], verbose=0)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"base_shape": (2, 4)}, "2x4, 4x8, 8x16"),
        ({"base_shape": (4, 4)}, "4x4, 8x8"),
        ({"resolution": 16}, "2x2, 4x4, 8x8, 16x16"),
    ],
)
def test_a_schedule_of_other_resolutions_is_refused_before_a_step(options, received):
    schedule = GrowthSchedule.by_images(**{"resolution": 8, "base_shape": (2, 2), **options})
    model = compiled()
    with pytest.raises(ValueError, match=rf"2x2, 4x4, 8x8\. Received: a schedule of {received}$"):
        fit(model, 1, callbacks=[ProgressiveGrowth(schedule)])
    assert int(model.images_shown) == 0


def test_a_schedule_may_end_before_the_final_resolution():
    schedule = GrowthSchedule.by_images(4, base_shape=(2, 2), stabilise=8, fade=8, batch_sizes=4)
    model = compiled()
    fit(model, 9, callbacks=[ProgressiveGrowth(schedule)])
    assert int(model.images_shown) == 24 and model.generator.stage == 1


def test_a_schedule_that_ends_in_a_fade_leaves_a_model_that_is_fully_in():
    schedule = GrowthSchedule.by_images(
        4, base_shape=(2, 2), stabilise={2: 4, 4: 0}, fade=8, batch_sizes=4
    )
    assert schedule.phases[-1].kind == "fade"
    model, watch = compiled(), Watch()
    fit(model, 9, callbacks=[ProgressiveGrowth(schedule), watch])
    assert [alpha for _, alpha, _, _ in watch.seen] == [1.0, 0.0, 0.5]
    for network in (model.generator, model.discriminator, model.ema_generator):
        assert (network.stage, float(network.alpha)) == (1, 1.0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data's unknown shapes")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_images_of_a_size_known_only_at_run_time_are_not_taken_for_another(jit_compile):
    import tensorflow as tf

    def batches(*shape):
        signature = tf.TensorSpec((None, None, None, 3), "float32")
        return tf.data.Dataset.from_generator(
            lambda: iter([np.zeros(shape, "float32")]), output_signature=signature
        )

    model = compiled()
    model.compile(jit_compile=jit_compile)
    model.set_stage(2)
    model.fit(batches(4, 8, 8, 3), verbose=0)
    # As many pixels as 8x8, in another order.
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[4,16,4,3\].*\[\?,8,8,3\]"):
        model.fit(batches(4, 16, 4, 3), verbose=0)
