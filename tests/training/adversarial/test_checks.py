"""What is refused before a step: batches that groups do not divide, images out of range."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from c2f_zoo.models import ProGAN
from c2f_zoo.training import AdversarialModel, GrowthSchedule, ProgressiveGrowth
from c2f_zoo.training.adversarial.checks import check_arrays, check_growth
from c2f_zoo.training.growth.presets import GROUP_SIZES, PRESETS
from tests.training.adversarial.adversarial_toys import SIZE, dense_pair

BACKEND = keras.backend.backend()


def progan(**options):
    model = ProGAN(8, latent_size=4, num_filters=(4, 4), seed=0, **options)
    model.compile()
    return model


def images(count, size=8):
    return np.zeros((count, size, size, 3), "uint8")


def dense():
    model = AdversarialModel(*dense_pair(), seed=0)
    model.compile()
    return model


@pytest.mark.parametrize("arrays", [images, lambda count: {"images": images(count)}])
def test_a_last_batch_that_the_groups_do_not_divide_is_refused_before_a_step(arrays):
    model = progan()
    received = "a batch of 6 for groups of 4 in 14 images in batches of 8$"
    with pytest.raises(ValueError, match=received):
        model.fit(arrays(14), batch_size=8, verbose=0)
    assert int(model.images_shown) == 0


def test_a_last_batch_smaller_than_a_group_is_one_group():
    model = progan()
    model.fit(images(7), batch_size=4, verbose=0)
    assert int(model.images_shown) == 7


def test_without_minibatch_stddev_any_batch_will_do():
    model = progan(group_size=None)
    model.fit(images(6), batch_size=5, verbose=0)
    assert int(model.images_shown) == 6


def test_a_phase_whose_batch_the_groups_do_not_divide_is_refused_before_a_step():
    schedule = GrowthSchedule.by_images(8, stabilise=8, fade=8, batch_sizes={4: 8, 8: 6})
    model = progan()
    received = "group_size=16.*a batch of 6 for groups of 4 in the fade phase of 8x8$"
    with pytest.raises(ValueError, match=received):
        model.fit(images(8), batch_size=8, verbose=0, callbacks=[ProgressiveGrowth(schedule)])
    assert int(model.images_shown) == 0


@pytest.mark.parametrize("group_size", [None, 4])
def test_batches_that_replicas_do_not_divide_are_refused(group_size):
    model = SimpleNamespace(
        generator=SimpleNamespace(),
        discriminator=SimpleNamespace(group_size=group_size),
        distribute_strategy=SimpleNamespace(num_replicas_in_sync=2),
        micro_batches=1,
    )
    of_seven = "a batch of 7 for 2 replicas in 15 images in batches of 8$"
    with pytest.raises(ValueError, match=of_seven):
        check_arrays(model, images(15), None, 8, None)
    with pytest.raises(ValueError, match="a batch of 5 for 2 replicas in 15 images in batches"):
        check_arrays(model, images(15), None, 5, 3)
    schedule = GrowthSchedule.by_images(8, stabilise=8, fade=8, batch_sizes={4: 8, 8: 9})
    with pytest.raises(ValueError, match="a batch of 9 for 2 replicas in the fade phase of 8x8$"):
        check_growth(model, schedule)
    check_arrays(model, images(16), None, 8, None)


@pytest.mark.parametrize("name", PRESETS)
def test_the_batches_of_a_preset_suit_the_group_size_that_it_states(name):
    for phase in GrowthSchedule.preset(name):
        group = min(GROUP_SIZES[name], phase.batch_size)
        assert phase.batch_size % group == 0
    assert set(GROUP_SIZES) == set(PRESETS)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only there a batch may be unknown")
def test_a_batch_known_only_at_run_time_has_a_clear_error():
    import tensorflow as tf

    from c2f_zoo.layers import minibatch_stddev

    function = tf.function(
        minibatch_stddev, input_signature=[tf.TensorSpec((None, 4, 4, 3), "float32")]
    )
    assert function(tf.zeros((3, 4, 4, 3))).shape == (3, 4, 4, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"groups of 4 a batch of.*\n? ?.*6"):
        function(tf.zeros((6, 4, 4, 3)))


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"validation_split": 0.5}, "validation_split of type float"),
        ({"validation_data": (images(4),)}, "validation_data of type tuple"),
        ({"validation_data": images(4)}, "validation_data of type ndarray"),
    ],
)
def test_validation_is_refused_before_a_step(options, received):
    model = progan()
    with pytest.raises(ValueError, match=f"measure_images.* Received: {received}$"):
        model.fit(images(8), batch_size=4, verbose=0, **options)
    with pytest.raises(ValueError, match="Received: validation_split of type float$"):
        model.fit(images(8), None, 4, 1, 0, None, 0.5)
    assert int(model.images_shown) == 0
    model.fit(images(4), None, 4, 1, 0, None, 0.0, None)
    assert int(model.images_shown) == 4


def test_evaluate_names_what_measures_pictures():
    with pytest.raises(NotImplementedError, match="metrics.measure_images.* Received: evaluate"):
        progan().evaluate(images(4), verbose=0)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"loss": "mse"}, "loss='mse'"),
        ({"loss": "mse", "metrics": ["mae"]}, r"loss='mse', metrics=\['mae'\]"),
        ({"optimizer": "adam"}, "optimizer='adam'"),
    ],
)
def test_options_of_compile_that_would_be_ignored_are_refused(options, received):
    model = AdversarialModel(*dense_pair(), seed=0)
    with pytest.raises(ValueError, match=f"run_eagerly and jit_compile. Received: {received}$"):
        model.compile("progan", **options)
    model.compile("progan", run_eagerly=True, jit_compile=False)
    assert model.run_eagerly


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, float("nan"))])
def test_float_images_out_of_range_are_refused(low, high):
    bad = np.full((4, *SIZE), low, "float32")
    bad[-1, 0, 0] = high
    for batch in (bad, {"images": bad}):
        model = dense()
        with pytest.raises(ValueError, match=r"float in \[0, 1\]\. Received: \S+ to \S+$"):
            model.fit(batch, batch_size=2, verbose=0)
        assert int(model.images_shown) == 0


@pytest.mark.skipif(BACKEND != "torch", reason="compiled steps do not see values")
def test_eager_steps_refuse_float_images_out_of_range():
    with pytest.raises(ValueError, match="Received: -1 to 1$"):
        dense().train_on_batch(np.linspace(-1, 1, 16, dtype="float32").reshape(4, *SIZE))


def test_the_ringing_of_a_filter_is_not_out_of_range():
    model = dense()
    model.fit(np.linspace(-0.009, 1.009, 16).reshape(4, *SIZE), batch_size=4, verbose=0)
    assert int(model.images_shown) == 4
