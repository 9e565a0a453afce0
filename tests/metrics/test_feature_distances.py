import keras
import numpy as np
import pytest
import scipy.linalg

import c2f_zoo.metrics.feature_distances as module
from c2f_zoo.metrics import (
    FeatureDistances,
    frechet_distance,
    kernel_distance,
    precision_recall,
)


def slow_frechet(real, fake):
    covariances = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    trace = np.trace(covariances[0] + covariances[1] - 2 * root.real)
    return np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2) + trace


def slow_kernel(real, fake):
    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(real), len(fake)
    xx = np.mean([kernel(real[i], real[j]) for i in range(n) for j in range(n) if i != j])
    yy = np.mean([kernel(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j])
    return xx + yy - 2 * np.mean([kernel(a, b) for a in real for b in fake])


def slow_coverage(rows, centres, k):
    radii = [np.sort(np.linalg.norm(centres - one, axis=1))[k] for one in centres]
    inside = [(np.linalg.norm(centres - row, axis=1) <= radii).any() for row in rows]
    return np.mean(inside)


@pytest.fixture
def sets(rng):
    mixing = rng.normal(size=(6, 6))
    return rng.normal(size=(80, 6)) @ mixing + 1, 1.3 * rng.normal(size=(60, 6)) @ mixing


def test_the_frechet_distance_is_that_of_the_matrix_root(sets):
    real, fake = sets
    moments = [f(rows) for rows in sets for f in (lambda r: r.mean(0), lambda r: np.cov(r.T))]
    assert frechet_distance(*moments) == pytest.approx(slow_frechet(real, fake), rel=1e-9)


def test_the_frechet_distance_survives_fewer_images_than_features(rng):
    real, fake = rng.normal(size=(10, 40)), rng.normal(size=(12, 40)) + 0.5
    moments = [
        f(rows) for rows in (real, fake) for f in (lambda r: r.mean(0), lambda r: np.cov(r.T))
    ]
    assert frechet_distance(*moments) == pytest.approx(slow_frechet(real, fake), rel=1e-5)
    assert frechet_distance(*moments[:2], *moments[:2]) == pytest.approx(0, abs=1e-5)


def test_the_kernel_distance_of_whole_sets_is_the_unbiased_estimate(sets):
    real, fake = sets[0][:20], sets[1][:20]
    mean, deviation = kernel_distance(real, fake, subsets=3, subset_size=50)
    assert mean == pytest.approx(slow_kernel(real, fake), rel=1e-9)
    assert deviation == pytest.approx(0, abs=1e-9 * mean)


def test_the_kernel_distance_averages_over_random_subsets(sets):
    mean, deviation = kernel_distance(*sets, subsets=200, subset_size=20)
    assert mean == pytest.approx(kernel_distance(*sets, 1)[0], rel=0.3) and deviation > 0
    assert kernel_distance(*sets, subsets=5, seed=1, subset_size=20) != kernel_distance(
        *sets, subsets=5, seed=2, subset_size=20
    )


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("block", [1 << 22, 17 * 17])
def test_precision_and_recall_are_the_definition_written_out(sets, k, block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    real, fake = sets[0], sets[1] + 1
    precision, recall = precision_recall(real, fake, k)
    assert 0.05 < precision < 0.95
    assert precision == pytest.approx(slow_coverage(fake, real, k))
    assert recall == pytest.approx(slow_coverage(real, fake, k))


def test_a_collapsed_generator_keeps_precision_and_loses_recall(rng):
    real = rng.normal(size=(200, 4))
    precision, recall = precision_recall(real, real[0] + 1e-3 * rng.normal(size=(50, 4)))
    assert precision == 1 and recall < 0.02
    assert precision_recall(real, real) == (1, 1)


def features_of(images):
    """A small feature network: the means of quarters of the image, as a backend tensor."""
    blocks = images.reshape(len(images), 2, images.shape[1] // 2, 2, images.shape[2] // 2, 3)
    return keras.ops.convert_to_tensor(blocks.mean(axis=(2, 4)).reshape(len(images), -1), "float32")


def test_batches_of_images_give_the_figures_of_the_whole_sets(rng):
    real = rng.integers(0, 200, (90, 8, 8, 3), dtype=np.uint8)
    fake = rng.integers(40, 256, (70, 8, 8, 3), dtype=np.uint8)
    rows = [keras.ops.convert_to_numpy(features_of(images)) for images in (real, fake)]
    figures = ("fid", "kid", "precision_recall")
    metric = FeatureDistances(features_of, figures, subset_size=30, memory_limit=1000)
    for first in range(0, 90, 13):
        metric.update_real(real[first : first + 13])
        if first < 70:
            metric.update_fake(fake[first : min(first + 13, 70)])
    found = metric.result(progress=True)
    assert list(found) == ["fid", "kid", "kid_std", "precision", "recall"]
    exact = [row.astype(np.float64) for row in rows]
    assert found["fid"] == pytest.approx(slow_frechet(*exact), rel=1e-9)
    assert (found["kid"], found["kid_std"]) == kernel_distance(*rows, subset_size=30)
    assert (found["precision"], found["recall"]) == precision_recall(*rows)
    metric.reset(keep_real=True)
    metric.update_fake(fake)
    assert metric.result()["fid"] == pytest.approx(found["fid"], rel=1e-9)


def test_wrong_features_and_options_are_refused(sets):
    images = np.zeros((4, 8, 8, 3))
    with pytest.raises(ValueError, match=r"kid, precision_recall. Received: \('is',\)$"):
        FeatureDistances(features_of, "is")
    with pytest.raises(ValueError, match=r"\(B, D\) for 4 images. Received: shape \(4, 8, 8, 3\)$"):
        FeatureDistances(lambda images: images).update_real(images)
    with pytest.raises(ValueError, match="finite numbers. Received"):
        FeatureDistances(lambda images: images[:, 0, 0] * np.nan).update_real(images)
    metric = FeatureDistances(features_of)
    metric.update_real(images)
    with pytest.raises(ValueError, match="Received: 4 real, 0 generated$"):
        metric.result()
    with pytest.raises(ValueError, match="neighbours=80$"):
        precision_recall(*sets, neighbours=80)
    with pytest.raises(ValueError, match=r"Received: shapes \(80, 6\) and \(60, 5\)$"):
        kernel_distance(sets[0], sets[1][:, :5])
    with pytest.raises(ValueError, match="subsets must be an integer >= 1. Received: 0$"):
        kernel_distance(*sets, subsets=0)
    with pytest.raises(ValueError, match=r"Received: shapes \(2,\), \(2, 2\), \(3,\), \(3, 3\)$"):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(3))


def test_the_network_never_sees_more_images_than_the_batch_size(rng):
    images, seen = rng.random((11, 4, 4, 3)), []

    def features(batch):
        seen.append(len(batch))
        return batch.mean(axis=(1, 2))

    metric = FeatureDistances(features, batch_size=4)
    metric.update_real(images)
    metric.update_fake(images[:5])
    assert seen == [4, 4, 3, 4, 1]
    assert metric._counts == {"real": 11, "fake": 5}
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1. Received: 0$"):
        FeatureDistances(features, batch_size=0)
