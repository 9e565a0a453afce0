import numpy as np
import pytest

from c2f_zoo.data import StereoSample, StereoStream


@pytest.fixture(scope="module")
def samples():
    """Pairs whose disparity tells where a pixel comes from."""
    rng = np.random.default_rng(0)
    made = []
    for number, (height, width) in enumerate([(70, 90), (64, 80), (80, 72), (70, 90)]):
        left, right = rng.uniform(0.2, 0.8, (2, height, width, 3)).astype("float32")
        place = 1 + np.arange(height * width, dtype="float32").reshape(height, width, 1)
        made.append(StereoSample(left, right, place, place % 2, name=f"pair{number}"))
    return made


def test_images_disparity_and_mask_are_cut_out_at_the_same_place(samples):
    stream = StereoStream(samples, 2, crop_size=(32, 48))
    assert len(stream) == 2
    seen = set()
    for index in range(2):
        (left, right), disparity, valid = stream[index]
        assert left.shape == right.shape == (2, 32, 48, 3)
        assert disparity.shape == valid.shape == (2, 32, 48, 1)
        for k in range(2):
            first = int(disparity[k, 0, 0, 0]) - 1
            [(number, top, column)] = [
                (n, *divmod(first, sample.left.shape[1]))
                for n, sample in enumerate(samples)
                if np.isin(left[k, 0, 0], sample.left).all()
            ]
            seen.add(number)
            place = np.s_[top : top + 32, column : column + 48]
            for got, whole in zip(
                (left[k], right[k], disparity[k], valid[k]), samples[number][:4], strict=True
            ):
                np.testing.assert_array_equal(got, whole[place])
    assert seen == {0, 1, 2, 3}


def test_a_batch_follows_from_seed_epoch_and_position(samples):
    options = {"crop_size": (32, 48), "colour": 0.2, "erase": 0.5}
    one, two = (StereoStream(samples, 2, **options, seed=3) for _ in "ab")
    np.testing.assert_array_equal(one.batch(4, 1)[0], two.batch(4, 1)[0])
    assert not np.array_equal(one.batch(4, 1)[0], one.batch(5, 1)[0])
    other = StereoStream(samples, 2, **options, seed=4)
    assert not np.array_equal(one.batch(4, 1)[0], other.batch(4, 1)[0])


def test_colours_change_in_each_image_by_itself_and_the_disparity_does_not(samples):
    plain, coloured = (
        StereoStream(samples, 4, (32, 48), shuffle=False, colour=c)[0] for c in (0, 0.3)
    )
    np.testing.assert_array_equal(plain[1], coloured[1])
    ratios = [
        np.log(c.mean((1, 2)) / p.mean((1, 2))) for p, c in zip(plain[0], coloured[0], strict=True)
    ]
    assert np.abs(ratios).max() < 0.9 and np.abs(ratios[0] - ratios[1]).max() > 0.05
    assert all(0 <= image.min() and image.max() <= 1 for image in coloured[0])


def test_boxes_of_the_right_image_alone_are_erased(samples):
    options = {"crop_size": (60, 72), "shuffle": False}
    plain, erased = (StereoStream(samples, 4, **options, erase=p)[0] for p in (0.0, 1.0))
    np.testing.assert_array_equal(plain[0][0], erased[0][0])
    np.testing.assert_array_equal(plain[1], erased[1])
    for before, after in zip(plain[0][1], erased[0][1], strict=True):
        changed = (before != after).any(-1)
        assert changed.any()
        np.testing.assert_allclose(
            after[changed], np.broadcast_to(before.mean((0, 1)), after[changed].shape), atol=1e-5
        )


def test_bad_options_and_samples_are_refused(samples):
    with pytest.raises(ValueError, match="erase .*Received: 2"):
        StereoStream(samples, 2, erase=2)
    with pytest.raises(ValueError, match="colour .*Received: -1"):
        StereoStream(samples, 2, colour=-1)
    with pytest.raises(ValueError, match="does not fill one batch of 5. Received: 4 samples"):
        StereoStream(samples, 5)
    with pytest.raises(ValueError, match=r"at least as large .*Received: .* for sample \d \(pair"):
        StereoStream(samples, 2)[0]
    without = [sample._replace(disparity=None) for sample in samples]
    with pytest.raises(ValueError, match=r"need a disparity. Received: none for sample \d \(pair"):
        StereoStream(without, 2, (8, 8))[0]


def test_tensorflow_reads_the_same_batches(samples):
    pytest.importorskip("tensorflow")
    stream = StereoStream(samples, 2, crop_size=(32, 48))
    expected = [stream[index] for index in range(2)]
    for ((left, _), disparity, valid), want in zip(stream.as_tf_dataset(), expected, strict=True):
        np.testing.assert_array_equal(left, want[0][0])
        np.testing.assert_array_equal(disparity, want[1])
        assert valid.shape == (2, 32, 48, 1)
