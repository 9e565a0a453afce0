import importlib.util
import sys

import keras
import numpy as np
import pytest

from c2f_zoo.data import FlowSample, FlowStream, FlyingChairs, FollowEpoch


class Places:
    """Samples in which every pixel of every array says where it is."""

    def __init__(self, count=6, sizes=((12, 16),)):
        self.count, self.sizes = count, sizes

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        height, width = self.sizes[index % len(self.sizes)]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        image = np.stack([x / 100, y / 100, np.full_like(x, index / 100)], -1)
        flow = np.stack([x, y], -1)
        return FlowSample(image, image / 2, flow, (x % 2)[..., None], name=f"place_{index}")


def order(stream, epoch=None):
    epoch = stream.epoch if epoch is None else epoch
    batches = [stream.batch(epoch, index)[0][0] for index in range(len(stream))]
    return [round(float(image[0, 0, 2]) * 100) for batch in batches for image in batch]


def assert_same(first, second):
    for a, b in zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_holds_images_flow_and_mask():
    (image1, image2), flow, valid = FlowStream(Places(), batch_size=2)[0]
    assert image1.shape == image2.shape == (2, 12, 16, 3)
    assert flow.shape == (2, 12, 16, 2)
    assert valid.shape == (2, 12, 16, 1)
    assert {array.dtype.name for array in (image1, image2, flow, valid)} == {"float32"}


def test_a_crop_cuts_all_arrays_at_the_same_place():
    stream = FlowStream(Places(), batch_size=6, crop_size=(5, 7))
    (image1, image2), flow, valid = stream[0]
    assert image1.shape == (6, 5, 7, 3)
    np.testing.assert_allclose(100 * image1[..., :2], flow, rtol=1e-6)
    np.testing.assert_allclose(2 * image2, image1)
    np.testing.assert_array_equal(valid, flow[..., :1] % 2)
    corners = flow[:, 0, 0]
    assert len(np.unique(corners, axis=0)) > 1
    assert (corners <= (16 - 7, 12 - 5)).all()


def test_crops_reach_every_place():
    stream = FlowStream(Places(), batch_size=6, crop_size=(11, 16))
    tops = {float(top) for epoch in range(5) for top in stream.batch(epoch, 0)[1][:, 0, 0, 1]}
    assert tops == {0, 1}


@pytest.mark.parametrize(
    ("option", "axis", "component"), [("horizontal_flip", 2, 0), ("vertical_flip", 1, 1)]
)
def test_a_mirrored_sample_has_a_mirrored_flow(option, axis, component):
    plain = FlowStream(Places(), batch_size=6, shuffle=False)[0]
    flipped = FlowStream(Places(), batch_size=6, shuffle=False, **{option: 1.0})[0]
    for before, after in zip(plain[0], flipped[0], strict=True):
        np.testing.assert_array_equal(np.flip(before, axis), after)
    sign = np.where(np.arange(2) == component, -1, 1)
    np.testing.assert_array_equal(np.flip(plain[1], axis) * sign, flipped[1])
    np.testing.assert_array_equal(np.flip(plain[2], axis), flipped[2])


def test_some_samples_are_mirrored_and_others_not():
    stream = FlowStream(Places(40), batch_size=40, horizontal_flip=0.5)
    mirrored = (stream[0][1][:, 0, :, 0] <= 0).all(axis=-1)
    assert 10 < mirrored.sum() < 30


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own():
    stream = FlowStream(Places(12), batch_size=4)
    orders = [order(stream, epoch) for epoch in range(3)]
    assert all(sorted(one) == list(range(12)) for one in orders)
    assert len({tuple(one) for one in orders}) == 3
    assert order(FlowStream(Places(12), batch_size=4, shuffle=False)) == list(range(12))


def test_everything_follows_from_seed_epoch_and_position():
    options = {"batch_size": 2, "crop_size": (5, 7), "horizontal_flip": 0.5}
    first, second = FlowStream(Places(), **options), FlowStream(Places(), **options)
    resumed = FlowStream(Places(), initial_epoch=2, **options)
    for _ in range(2):
        list(first)
        first.on_epoch_end()
    for index in (2, 0, 1):
        assert_same(first[index], second.batch(2, index))
        assert_same(first[index], resumed[index])
    other = FlowStream(Places(), seed=1, initial_epoch=2, **options)
    assert any((other[i][1] != first[i][1]).any() for i in range(3))


def test_the_last_batch_is_dropped_or_kept():
    assert len(FlowStream(Places(7), batch_size=3)) == 2
    stream = FlowStream(Places(7), batch_size=3, drop_remainder=False)
    assert len(stream) == 3
    assert stream[2][1].shape[0] == 1
    with pytest.raises(IndexError, match="Received: 3"):
        stream[3]


def test_a_data_set_that_fills_no_batch_is_refused():
    with pytest.raises(ValueError, match="does not fill one batch of 8. Received: 6 samples"):
        FlowStream(Places(6))
    with pytest.raises(ValueError, match="Received: 0 samples"):
        FlowStream(Places(0), drop_remainder=False)


def test_a_frame_smaller_than_the_crop_is_named():
    stream = FlowStream(Places(), batch_size=1, crop_size=(13, 8), shuffle=False)
    with pytest.raises(ValueError, match=r"8x13.*Received: 16x12 for sample 2 \(place_2\)"):
        stream[2]


def test_mixed_sizes_need_a_crop_or_single_samples():
    dataset = Places(sizes=((12, 16), (14, 10)))
    with pytest.raises(ValueError, match=r"set crop_size.*Received.*: 16x12, 10x14"):
        FlowStream(dataset, batch_size=2, shuffle=False)[0]
    assert FlowStream(dataset, batch_size=2, crop_size=(8, 8))[0][1].shape == (2, 8, 8, 2)
    assert FlowStream(dataset, batch_size=1, shuffle=False)[1][1].shape == (1, 14, 10, 2)


def test_a_sample_without_flow_is_named():
    image = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(ValueError, match=r"none for sample 0 \(secret\)"):
        FlowStream([FlowSample(image, image, name="secret")], batch_size=1)[0]


def test_a_sample_without_mask_is_valid_everywhere():
    image, flow = np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 2), np.float32)
    assert FlowStream([FlowSample(image, image, flow)], batch_size=1)[0][2].all()


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"batch_size": 0}, "batch_size .*Received: 0"),
        ({"batch_size": 2.5}, "batch_size .*Received: 2.5"),
        ({"crop_size": 8}, "crop_size must be .*Received: 8"),
        ({"crop_size": (8, 0)}, r"crop_size .*Received: \(8, 0\)"),
        ({"horizontal_flip": 2}, "horizontal_flip .*Received: 2"),
        ({"vertical_flip": -0.1}, "vertical_flip .*Received: -0.1"),
        ({"seed": -1}, "seed .*Received: -1"),
        ({"initial_epoch": -1}, "initial_epoch .*Received: -1"),
    ],
)
def test_options_out_of_range_are_refused(options, received):
    with pytest.raises(ValueError, match=received):
        FlowStream(Places(8), **options)


def test_workers_pass_through():
    stream = FlowStream(Places(), batch_size=1, workers=3, max_queue_size=5)
    assert (stream.workers, stream.use_multiprocessing, stream.max_queue_size) == (3, False, 5)


def small_model(weights=None):
    first, second = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    flow = keras.layers.Dense(2, kernel_initializer="zeros")(second - first)
    model = keras.Model((first, second), flow)
    if weights is not None:
        model.set_weights(weights)
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.1))
    return model


def trained(stream, epochs, initial_epoch=0, weights=None, through=lambda stream: stream):
    model = small_model(weights)
    model.fit(
        through(stream),
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=False,
        verbose=0,
        callbacks=[FollowEpoch(stream)],
    )
    return model.get_weights()


def test_a_resumed_run_learns_what_one_never_stopped_does():
    options = {"batch_size": 2, "crop_size": (8, 8), "horizontal_flip": 0.5}
    whole = trained(FlowStream(Places(), **options), epochs=3)
    first = trained(FlowStream(Places(), **options), epochs=1)
    second = trained(FlowStream(Places(), **options), 3, initial_epoch=1, weights=first)
    again = trained(FlowStream(Places(), **options), 3, initial_epoch=0, weights=first)
    for one, two, three in zip(whole, second, again, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)
        assert np.abs(one - three).max() > 1e-4


@pytest.mark.parametrize("workers", [1, 2])
def test_fit_alone_gives_every_epoch_a_number_of_its_own(workers):
    stream = FlowStream(Places(), batch_size=2, crop_size=(8, 8), workers=workers)
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: seen.append(stream.epoch))
    model = small_model()
    model.fit(stream, epochs=2, verbose=0, callbacks=[note])
    model.fit(stream, epochs=2, verbose=0, callbacks=[note])
    assert seen == sorted(set(seen))


def test_evaluate_sees_every_sample():
    stream = FlowStream(Places(7), batch_size=3, shuffle=False, drop_remainder=False)
    model = small_model()
    assert np.isfinite(model.evaluate(stream, verbose=0))


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
class TestTensorFlowDataset:
    def test_it_serves_the_same_batches_epoch_after_epoch(self):
        options = {"batch_size": 2, "crop_size": (5, 7), "horizontal_flip": 0.5}
        reference = FlowStream(Places(), **options)
        stream = FlowStream(Places(), workers=3, **options)
        dataset = stream.as_tf_dataset()
        assert len(dataset) == 3
        for epoch in range(2):
            for index, batch in enumerate(dataset.as_numpy_iterator()):
                assert_same(batch, reference.batch(epoch, index))
        assert stream.epoch == 2

    def test_its_shapes_are_static_where_they_are_known(self):
        options = {"drop_remainder": False, "batch_size": 4}
        (image1, _), flow, valid = FlowStream(Places(), **options).as_tf_dataset().element_spec
        assert image1.shape.as_list() == [None, None, None, 3]
        stream = FlowStream(Places(), batch_size=2, crop_size=(5, 7))
        (image1, _), flow, valid = stream.as_tf_dataset().element_spec
        assert image1.shape.as_list() == [2, 5, 7, 3]
        assert flow.shape.as_list() == [2, 5, 7, 2]
        assert valid.shape.as_list() == [2, 5, 7, 1]

    def test_its_errors_name_the_sample(self):
        stream = FlowStream(Places(), batch_size=1, crop_size=(13, 8), shuffle=False)
        with pytest.raises(Exception, match=r"sample 0 \(place_0\)"):
            list(stream.as_tf_dataset())

    def test_fit_on_it_learns_what_fit_on_the_stream_does(self):
        options = {"batch_size": 2, "crop_size": (8, 8), "horizontal_flip": 0.5}
        expected = trained(FlowStream(Places(), **options), epochs=3)
        stream = FlowStream(Places(), workers=2, **options)
        found = trained(stream, epochs=3, through=FlowStream.as_tf_dataset)
        for one, two in zip(expected, found, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5)


def test_without_tensorflow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"c2f_zoo\[tensorflow\]"):
        FlowStream(Places(), batch_size=1).as_tf_dataset()


def test_real_chairs_stream_in_crops(shared_data):
    dataset = FlyingChairs(shared_data / "flow/FlyingChairs_release")
    stream = FlowStream(dataset, batch_size=4, crop_size=(320, 448))
    (image1, _), flow, valid = stream[1]
    assert image1.shape == (4, 320, 448, 3)
    assert flow.shape == (4, 320, 448, 2)
    assert valid.all()
