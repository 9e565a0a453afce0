"""Frames between frames at the image level: networks and functions, pairs and streams."""

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.models import RAFT, PWCNetLite
from c2f_zoo.tasks import interpolate, interpolate_stream


def still(image1, image2):
    return np.zeros((*image1.shape[:2], 2), np.float32)


def refuse(image1, image2):
    raise AssertionError("a flow was estimated where none is needed")


class TestInterpolate:
    def test_kinds_of_images_are_those_of_the_house(self, tmp_path):
        grey = np.full((20, 30), 100, np.uint8)
        Image.fromarray(grey).save(tmp_path / "a.png")
        frame = interpolate(still, tmp_path / "a.png", Image.fromarray(grey + 10))
        assert frame.shape == (20, 30, 3) and frame.dtype == np.float32
        np.testing.assert_allclose(frame, 105 / 255, atol=1e-6)

    def test_several_times_give_a_list(self):
        dark, light = np.full((8, 8, 3), 0.2), np.full((8, 8, 3), 0.3)
        frames = interpolate(still, dark, light, (i / 4 for i in range(5)))
        levels = [frame.mean() for frame in frames]
        np.testing.assert_allclose(levels, np.linspace(0.2, 0.3, 5), atol=1e-6)
        assert interpolate(still, dark, light, []) == []

    def test_nothing_is_estimated_at_the_ends_or_between_equal_frames(self, rng):
        first, second = rng.random((2, 8, 8, 3), dtype=np.float32)
        np.testing.assert_array_equal(interpolate(refuse, first, second, [1, 0]), [second, first])
        np.testing.assert_array_equal(interpolate(refuse, first, first), first)

    def test_both_directions_are_those_of_the_network(self, rng):
        model = PWCNetLite()
        first, second = rng.random((2, 21, 35, 3), dtype=np.float32)
        found = []

        def flow(image1, image2):
            found.append(model.flow(image1, image2))
            return found[-1]

        by_function = interpolate(flow, first, second, [0.5])[0]
        assert len(found) == 2
        np.testing.assert_allclose(interpolate(model, first, second), by_function, atol=1e-4)

    def test_a_refining_network_serves_as_well(self, rng):
        frames = rng.random((2, 32, 40, 3), dtype=np.float32)
        middle = interpolate(RAFT("small", iterations=1), *frames)
        assert middle.shape == (32, 40, 3) and np.isfinite(middle).all()

    @pytest.mark.parametrize("times", [1.5, [0.5, -0.1], np.nan, "late"])
    def test_a_time_outside_is_an_error(self, times):
        image = np.zeros((8, 8, 3))
        with pytest.raises(ValueError, match="times must .*Received: "):
            interpolate(still, image, image, times)

    def test_what_does_not_fit_is_named(self):
        image = np.zeros((8, 8, 3))
        with pytest.raises(ValueError, match=r"same size\. Received .*image1 8x8 and image2 9x8"):
            interpolate(still, image, np.zeros((8, 9, 3)))
        with pytest.raises(ValueError, match=r"forward must have the shape .*shape \(8, 8\)"):
            interpolate(lambda *images: np.zeros((8, 8)), image, image + 0.1)


class TestStream:
    def test_the_given_frames_are_among_the_result(self, rng):
        given = rng.random((3, 8, 9, 3), dtype=np.float32)
        frames = list(interpolate_stream(still, iter(given), 3))
        assert len(frames) == 7
        np.testing.assert_array_equal(frames[::3], given)

    def test_frames_are_read_as_they_are_needed(self):
        read = []

        def clip():
            for number in range(10**6):
                read.append(number)
                yield np.full((8, 8, 3), (number % 2) / 10)

        stream = interpolate_stream(still, clip(), 4)
        for _ in range(6):
            next(stream)
        assert len(read) == 3

    @pytest.mark.parametrize("count", [0, 1])
    def test_fewer_than_two_frames_are_an_error(self, count):
        with pytest.raises(ValueError, match=f"at least two frames. Received: {count}"):
            list(interpolate_stream(still, [np.zeros((8, 8, 3))] * count))

    def test_frames_that_change_size_are_an_error(self):
        frames = [np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), np.zeros((8, 9, 3))]
        with pytest.raises(ValueError, match=r"one size\. Received: 8x8 and then 9x8"):
            list(interpolate_stream(still, frames))

    @pytest.mark.parametrize("factor", [1, 0, 2.5, "4"])
    def test_a_factor_below_two_is_an_error(self, factor):
        with pytest.raises(ValueError, match="factor must .*Received: "):
            interpolate_stream(still, [], factor)
