"""Batches that a thread makes ahead are those that are asked for, and threads do not mix orders."""

import concurrent.futures
import pickle

import numpy as np
import pytest

from c2f_zoo.training import MultilevelSchedule, MultilevelStream

SCHEDULE = MultilevelSchedule.multiscale(levels=1, batch_size=1)
IMAGES = np.arange(7, dtype="float32")[:, None, None, None]


def batches(steps=12, **options):
    stream = MultilevelStream(IMAGES, SCHEDULE, seed=4, **options)
    return [stream[step] for step in range(steps)]


def test_batches_made_ahead_are_those_asked_for():
    np.testing.assert_array_equal(batches(prefetch=3), batches())
    stream = MultilevelStream(IMAGES, SCHEDULE, seed=4, prefetch=2)
    for step in (5, 0, 0, 9, 2):  # in any order, again and again
        np.testing.assert_array_equal(stream[step], batches()[step])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream))[3], batches()[3])


def test_threads_that_share_a_stream_get_its_batches():
    stream = MultilevelStream(IMAGES, SCHEDULE, seed=4)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(stream.__getitem__, [*range(12)] * 20))
    np.testing.assert_array_equal(found, batches() * 20)


def test_what_a_source_raises_reaches_who_asked():
    class Broken:
        def __len__(self):
            return 3

        def samples(self, indices, random):
            raise ValueError("The file is broken. Received: a.png")

    with pytest.raises(ValueError, match="Received: a.png"):
        MultilevelStream(Broken(), SCHEDULE, prefetch=1)[0]
    with pytest.raises(ValueError, match="prefetch must be an integer >= 0.*Received: -1"):
        MultilevelStream(IMAGES, SCHEDULE, prefetch=-1)
