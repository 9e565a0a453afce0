import itertools

import keras
import numpy as np
import pytest

from c2f_zoo.metrics import Moments, PairwiseMSSSIM, RowStore, SlicedWasserstein, measure_images
from c2f_zoo.metrics.streaming import as_uint8


def test_moments_of_batches_are_those_of_the_whole(rng):
    rows = rng.normal(size=(100, 5)) * [1, 2, 3, 4, 1e-3] + [0, 1, 2, 3, 1e4]
    moments = Moments(5)
    for first in range(0, 100, 9):
        moments.update(rows[first : first + 9])
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T), rtol=1e-6, atol=1e-11)
    with pytest.raises(ValueError, match="at least 2 rows. Received: 0$"):
        Moments(5).covariance  # noqa: B018


@pytest.mark.parametrize("limit", [0, 500, 1 << 20])
def test_rows_are_kept_in_order_in_memory_or_in_a_file(limit, rng):
    rows = rng.random((50, 7), np.float32)
    store = RowStore(7, memory_limit=limit)
    assert store.rows().shape == (0, 7)
    for first in range(0, 50, 8):
        store.append(rows[first : first + 8])
        np.testing.assert_array_equal(store.rows(), rows[: first + 8])
    assert isinstance(store.rows(), np.memmap) == (limit < rows.nbytes)


def test_the_file_of_rows_goes_with_the_store(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = RowStore(3, memory_limit=0)
    store.append(np.ones((2, 3)))
    assert len(list(tmp_path.iterdir())) == 1
    del store
    assert list(tmp_path.iterdir()) == []


def test_arrays_and_iterables_of_batches_are_measured_alike(rng, capsys):
    real, fake = rng.random((2, 70, 16, 16, 3))
    metrics = [SlicedWasserstein(repeats=1), PairwiseMSSSIM()]
    found = measure_images(metrics, real, fake)
    assert list(found) == ["swd_16", "swd", "ms_ssim"]
    bars = capsys.readouterr().err
    assert "real images: 100%" in bars and "fake images: 100%" in bars and "swd: 100%" in bars
    for metric in metrics:
        metric.reset()
    tensors = (keras.ops.convert_to_tensor(fake[i : i + 64], "float32") for i in (0, 64))
    assert measure_images(metrics, [real[:64], real[64:]], tensors, progress=False) == found
    assert capsys.readouterr().err == ""


def test_an_endless_iterable_is_cut_where_asked(rng):
    batch = rng.random((8, 16, 16, 3))
    metric = PairwiseMSSSIM()
    measure_images(metric, None, itertools.repeat(batch), num_images=20, progress=False)
    assert metric._counts == {"real": 0, "fake": 20}


def test_fewer_images_than_asked_for_are_an_error(rng):
    images = rng.random((8, 16, 16, 3))
    with pytest.raises(ValueError, match="at least num_images=9 fake images. Received: 8$"):
        measure_images(PairwiseMSSSIM(), None, images, num_images=9, progress=False)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3)), r"Received: shape \(8, 8, 3\)$"),
        (np.zeros((0, 8, 8, 3)), r"Received: shape \(0, 8, 8, 3\)$"),
        (np.zeros((1, 8, 8, 3), np.int32), "Received: dtype int32$"),
        (np.full((1, 8, 8, 3), -1.0), "Received: values from -1 to -1$"),
        (np.full((1, 8, 8, 3), np.nan), "Received: values from nan to nan$"),
        (np.full((1, 8, 8, 3), 255.0), "Received: values from 255 to 255$"),
    ],
)
def test_images_of_another_range_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        as_uint8(images)
