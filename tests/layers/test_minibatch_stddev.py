import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import MinibatchStddev, minibatch_stddev


def slow_minibatch_stddev(x, group_size, num_features):
    batch, height, width, channels = x.shape
    group = min(group_size, batch)
    groups = batch // group
    result = np.zeros((batch, height, width, num_features))
    for n in range(batch):
        # The official code reshapes to (G, N / G, ...): members are N / G apart.
        members = x[n % groups :: groups].astype("float64")
        for feature in range(num_features):
            part = np.split(members, num_features, axis=-1)[feature]
            result[n, ..., feature] = np.sqrt(part.var(0) + 1e-8).mean()
    return np.concatenate([x, result], -1)


@pytest.mark.parametrize(
    ("batch", "group", "features"),
    [(1, 4, 1), (3, 4, 1), (4, 4, 2), (8, 4, 1), (12, 4, 3), (6, 2, 6)],
)
def test_equals_the_official_grouping(rng, batch, group, features):
    x = rng.normal(size=(batch, 3, 5, 6)).astype("float32")
    expected = slow_minibatch_stddev(x, group, features)
    for result in (minibatch_stddev(x, group, features), MinibatchStddev(group, features)(x)):
        np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-5)


def test_the_grouping_is_not_that_of_neighbours(rng):
    x = np.repeat(rng.normal(size=(2, 2, 2, 3)), 4, axis=0).astype("float32")
    assert (ops.convert_to_numpy(minibatch_stddev(x))[..., -1] > 0.1).all()
    x = np.concatenate([x[::4]] * 4)
    np.testing.assert_allclose(ops.convert_to_numpy(minibatch_stddev(x))[..., -1], 1e-4, rtol=1e-2)


def test_a_batch_the_groups_do_not_divide_names_both():
    with pytest.raises(ValueError, match="Received: a batch of 6 for groups of 4$"):
        minibatch_stddev(np.zeros((6, 2, 2, 3), "float32"))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"Received: shape \(4, 4, 3\)$"):
        minibatch_stddev(np.zeros((4, 4, 3), "float32"))
    with pytest.raises(ValueError, match="3 channels. Received: 2$"):
        minibatch_stddev(np.zeros((4, 4, 4, 3), "float32"), num_features=2)
    with pytest.raises(ValueError, match="group_size must be an integer >= 1. Received: 0$"):
        MinibatchStddev(0)


def test_a_batch_known_only_at_run_time_works(rng):
    inputs = keras.Input((2, 3, 4))
    model = keras.Model(inputs, MinibatchStddev()(inputs))
    for batch in (8, 2):
        x = rng.normal(size=(batch, 2, 3, 4)).astype("float32")
        np.testing.assert_allclose(
            model.predict(x, batch_size=batch, verbose=0),
            slow_minibatch_stddev(x, 4, 1),
            atol=1e-5,
        )


def test_half_precision_keeps_small_deviations(rng):
    x = ops.convert_to_tensor(rng.normal(scale=1e-3, size=(4, 2, 2, 3)).astype("float16"))
    result = minibatch_stddev(x)
    assert "float16" in str(result.dtype)
    expected = slow_minibatch_stddev(ops.convert_to_numpy(x), 4, 1)
    np.testing.assert_allclose(ops.convert_to_numpy(result)[..., -1], expected[..., -1], rtol=1e-2)


def test_first_and_second_derivatives_are_right(rng, check_derivatives):
    x = rng.normal(size=(4, 2, 3, 2)).astype("float32")
    weights = rng.normal(size=(4, 2, 3, 3)).astype("float32")
    check_derivatives(lambda x: ops.sum(ops.multiply(minibatch_stddev(x), weights)), x)


def test_equal_samples_have_finite_derivatives(penalty_gradient_of):
    x = np.ones((4, 2, 2, 3), "float32")
    _, gradients = penalty_gradient_of(lambda x: ops.sum(minibatch_stddev(x)), x)
    assert np.isfinite(gradients[0]).all()
