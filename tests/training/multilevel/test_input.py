"""What a multilevel training takes, and what it refuses, at run time too."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.training import Multilevel, TrainingState

IMAGES = np.random.default_rng(0).random((14, 16, 16, 3), dtype="float32")


def training_of(*layers, loss="mse", **options):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(list(layers) or [keras.layers.Conv2D(3, 3, padding="same")])
    training = Multilevel(network, **{"levels": 2, "batch_size": 1, **options})
    training.compile("sgd", loss)
    return training


def weights_after(training, *arrays):
    training.train_on_batch(*arrays)
    return [to_numpy(weight) for weight in training.model.trainable_variables]


@pytest.mark.parametrize("restriction", ["subsample", "average", "bilinear"])
def test_bytes_train_as_floats_do(restriction):
    images, found = np.round(IMAGES[:7] * 255), []
    for dtype in ("uint8", "float32"):
        layers = (
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(3, 1, kernel_initializer="ones"),
        )
        training = training_of(*layers, restriction=restriction)
        found.append(weights_after(training, images.astype(dtype), images / 255))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_weights_of_pixels_without_a_channel_are_those_with_one():
    valid = (np.random.default_rng(1).random((7, 16, 16)) < 0.5).astype("float32")
    flat = weights_after(training_of(), IMAGES[:7], IMAGES[7:], valid)
    # Keras averages over channels before it weighs: one channel is the same for all of them.
    plain = weights_after(training_of(), IMAGES[:7], IMAGES[7:], np.ones_like(valid))
    again = weights_after(training_of(), IMAGES[:7], IMAGES[7:])
    for a, b, c in zip(flat, plain, again, strict=True):
        assert np.abs(a - b).max() > 1e-4
        np.testing.assert_allclose(b, c, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("restriction", ["subsample", "average"])
def test_label_maps_are_subsampled(restriction):
    labels = np.random.default_rng(1).integers(0, 3, (7, 16, 16))
    training = training_of(
        keras.layers.Conv2D(3, 1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        restriction=restriction,
    )
    before = [to_numpy(w) for w in training.model.trainable_variables]
    after = weights_after(training, IMAGES[:7], labels)
    assert not before and all(np.isfinite(a).all() for a in after)


class PositionMap(keras.layers.Layer):
    def build(self, shape):
        self.map = self.add_weight(shape=(1, 16, 16, 3))

    def call(self, x):
        return x + self.map


@pytest.mark.parametrize(
    "layer, shape",
    [
        (keras.layers.Flatten, (7, 768)),
        (lambda: keras.layers.Reshape((16, 48)), (7, 16, 48)),
        (PositionMap, (7, 16, 16, 3)),
    ],
    ids=["flatten", "reshape", "position map"],
)
def test_models_that_hold_to_one_size_are_refused(layer, shape):
    training = training_of(keras.layers.Conv2D(3, 1), layer())
    targets = IMAGES[:7].reshape(shape)
    with pytest.raises(ValueError, match=r"(?s)must accept images of every size.*Received: seq"):
        training.train_on_batch(IMAGES[:7], targets)


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match="trainable weights. Received: seq"):
        training_of(keras.layers.ReLU()).train_on_batch(IMAGES[:7], IMAGES[:7])


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="keras.Model or layer. Received: 'unet'"):
        Multilevel("unet")


def test_several_steps_in_one_execution_are_refused():
    training = Multilevel(keras.Sequential([keras.layers.Conv2D(3, 1)]))
    with pytest.raises(ValueError, match="Received: steps_per_execution=4"):
        training.compile("sgd", "mse", steps_per_execution=4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite_are_refused_and_the_weights_kept(value, tmp_path):
    training, images = training_of(keras.layers.Conv2D(3, 1)), IMAGES.copy()
    training.fit(images, images, steps_per_epoch=1, verbose=0)
    before = [to_numpy(w) for w in training.model.trainable_variables]
    images[3, 2, 1] = value
    with pytest.raises(ValueError, match="Received: 3 other values in 14 samples"):
        training.fit(images, images, steps_per_epoch=1, verbose=0)
    np.save(tmp_path / "a.npy", images)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    with pytest.raises(Exception, match="Received: 3 other values in 7 samples"):
        training.fit(mapped, steps_per_epoch=4, verbose=0)
    for weight, value in zip(training.model.trainable_variables, before, strict=True):
        assert np.isfinite(to_numpy(weight)).all() and to_numpy(weight).shape == value.shape


def test_a_state_of_other_steps_is_refused_and_a_longer_schedule_taken(tmp_path):
    state = TrainingState(tmp_path / "state.npz")
    training_of().fit(IMAGES, IMAGES, steps_per_epoch=2, verbose=0, callbacks=[state])
    other = training_of(levels=1, batch_size=2)
    other.model.build((None, None, None, 3))
    before = to_numpy(other.model.weights[0])
    with pytest.raises(ValueError, match=r"took these steps.*\[1, 2, 4\].*Received: .*\[2, 4\]"):
        state.restore(other)
    np.testing.assert_array_equal(to_numpy(other.model.weights[0]), before)
    same = training_of()
    same.model.build((None, None, None, 3))
    assert state.restore(same) == 1 and int(same.steps) == 2


# TensorFlow knows some sizes only when a step runs.


@pytest.fixture
def tf():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the other backends know every size")
    return pytest.importorskip("tensorflow")


def test_a_last_batch_that_is_smaller_is_refused_at_run_time(tf):
    data = tf.data.Dataset.from_tensor_slices((IMAGES[:10], IMAGES[:10])).batch(7)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)all terms.*Received:.*\b3\b"):
        training_of().fit(data, verbose=0)


@pytest.mark.parametrize("restriction", ["subsample", "average", "bilinear"])
def test_sizes_that_cannot_be_halved_are_refused_at_run_time(tf, restriction):
    images = IMAGES[:7, :15]
    signature = tf.TensorSpec((None, None, None, 3))
    data = tf.data.Dataset.from_generator(
        lambda: iter([(images, images)]), output_signature=(signature, signature)
    )
    training = training_of(keras.layers.Conv2D(3, 3, padding="same"), restriction=restriction)
    training.model.build((None, None, None, 3))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)divisible.*shape.*15"):
        training.fit(data, verbose=0)
    assert np.isfinite(ops.convert_to_numpy(training.model.weights[0])).all()
