"""Splatting, and the frames between two frames, against loops and motions that are known."""

import numpy as np
import pytest

from c2f_zoo.data.flow.between import frames_between, sample
from c2f_zoo.data.flow.splatting import splat

pytestmark = pytest.mark.backend_free


def slow_splat(values, flow, importance):
    height, width, channels = values.shape
    total, weights = np.zeros((height, width, channels)), np.zeros((height, width, 1))
    for row in range(height):
        for column in range(width):
            x, y = column + flow[row, column, 0], row + flow[row, column, 1]
            if not np.isfinite(x + y):
                continue
            for y_at in range(height):
                for x_at in range(width):
                    weight = max(0, 1 - abs(x - x_at)) * max(0, 1 - abs(y - y_at))
                    weight *= importance[row, column, 0]
                    total[y_at, x_at] += weight * values[row, column]
                    weights[y_at, x_at] += weight
    return np.divide(total, weights, out=np.zeros_like(total), where=weights > 0), weights


def texture(rng, height=48, width=64):
    """A smooth random image (H, W, 3) in [0, 1], which repeats at its edges."""
    noise = np.fft.fft2(rng.normal(size=(height, width, 3)), axes=(0, 1))
    y, x = np.fft.fftfreq(height)[:, None, None], np.fft.fftfreq(width)[None, :, None]
    image = np.fft.ifft2(noise * np.exp(-150 * (x**2 + y**2)), axes=(0, 1)).real
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def constant(motion, height=48, width=64):
    return np.full((height, width, 2), motion, np.float32)


class TestSplat:
    @pytest.mark.parametrize("shape", [(1, 1), (5, 7), (6, 4)])
    def test_it_is_the_loop_over_pixels(self, rng, shape):
        values = rng.normal(size=(*shape, 3))
        flow, importance = 3 * rng.normal(size=(*shape, 2)), rng.random((*shape, 1))
        flow[0, 0] = (np.nan, 0) if shape[0] == 6 else (1e30, -np.inf)
        for moved, expected in zip(
            splat(values, flow, importance), slow_splat(values, flow, importance), strict=True
        ):
            assert moved.dtype == np.float32
            np.testing.assert_allclose(moved, expected, atol=1e-5)

    def test_without_motion_everything_stays(self, rng):
        values = rng.random((4, 5, 2), dtype=np.float32)
        moved, weight = splat(values, np.zeros((4, 5, 2)))
        np.testing.assert_array_equal(moved, values)
        assert (weight == 1).all()

    @pytest.mark.parametrize("number", range(3))
    def test_shapes_that_do_not_fit_are_named(self, number):
        arrays = [np.zeros((4, 5, 3)), np.zeros((4, 5, 2)), np.ones((4, 5, 1))]
        arrays[number] = arrays[number][0]
        with pytest.raises(ValueError, match=r"must have the shape .* Received: shape"):
            splat(*arrays)


def test_a_look_up_between_pixels_is_bilinear_and_stays_inside():
    image = np.arange(4, dtype=np.float32).reshape(1, 4, 1)
    values, inside = sample(image, np.array([[[0.5, 0], [0, 9], [-8, 0], [0.4, 0]]]))
    np.testing.assert_allclose(values.ravel(), [0.5, 1, 0, 3])
    assert inside.ravel().tolist() == [True, False, False, True]


class TestBetween:
    @pytest.mark.parametrize("time", [0.25, 0.5, 0.8])
    def test_a_motion_of_the_whole_frame_goes_a_part_of_its_way(self, rng, time):
        image = texture(rng)
        (frame,) = frames_between(
            image, np.roll(image, (4, -8), (0, 1)), constant((-8, 4)), constant((8, -4)), [time]
        )
        # In Fourier space a shift is exact.
        y, x = np.fft.fftfreq(48)[:, None, None], np.fft.fftfreq(64)[None, :, None]
        shift = np.exp(-2j * np.pi * time * (4 * y - 8 * x))
        expected = np.fft.ifft2(np.fft.fft2(image, axes=(0, 1)) * shift, axes=(0, 1)).real
        np.testing.assert_allclose(frame[4:-4, 8:-8], expected[4:-4, 8:-8], atol=0.02)
        assert frame.dtype == np.float32 and np.isfinite(frame).all()

    def test_the_ends_are_the_frames_themselves(self, rng):
        first, second = rng.random((2, 9, 11, 3), dtype=np.float32)
        flow = rng.normal(size=(2, 9, 11, 2))
        ends = list(frames_between(first, second, *flow, [0, 1.0]))
        np.testing.assert_array_equal(ends, [first, second])

    def test_equal_frames_give_that_frame_whatever_the_flow(self, rng):
        image = texture(rng)
        flow = rng.normal(size=(2, 48, 64, 2))
        for frame in frames_between(image, image, *flow, [0.3, 0.5]):
            np.testing.assert_array_equal(frame, image)

    def test_without_motion_frames_are_mixed(self, rng):
        first = texture(rng)
        second = np.clip(first + 0.05, 0, 1)
        (frame,) = frames_between(first, second, constant(0), constant(0), [0.25])
        np.testing.assert_allclose(frame, 0.75 * first + 0.25 * second, atol=1e-6)

    def test_what_one_frame_hides_comes_from_the_other(self, rng):
        # A bright square moves by 8 pixels over a still ground.
        ground, square = 0.4 * texture(rng), 0.6 + 0.4 * texture(rng, 16, 16)
        first, second, middle = (ground.copy() for _ in range(3))
        forward, backward = np.zeros((2, 48, 64, 2), np.float32)
        for image, left in ((first, 16), (middle, 20), (second, 24)):
            image[16:32, left : left + 16] = square
        forward[16:32, 16:32, 0], backward[16:32, 24:40, 0] = 8, -8
        (frame,) = frames_between(first, second, forward, backward, [0.5])
        error = np.abs(frame - middle)
        assert error.mean() < 0.1 * np.abs((first + second) / 2 - middle).mean()
        # Left of the square its ground is hidden in the first frame, right of it in the second.
        for columns in (slice(17, 19), slice(38, 40)):
            np.testing.assert_allclose(frame[18:30, columns], ground[18:30, columns], atol=0.02)
        np.testing.assert_allclose(frame[18:30, 22:34], square[2:14, 2:14], atol=1e-3)

    @pytest.mark.parametrize("is_confirmed", [False, True])
    def test_across_a_cut_the_nearer_frame_is_repeated(self, rng, is_confirmed):
        first, second = 0.4 * texture(rng), 1 - 0.4 * texture(rng)
        forward, backward = (
            (constant(0), constant(0)) if is_confirmed else 9 * rng.normal(size=(2, 48, 64, 2))
        )
        frames = list(frames_between(first, second, forward, backward, [0.25, 0.5, 0.75]))
        np.testing.assert_array_equal(frames, [first, first, second])

    def test_flow_that_is_not_finite_spoils_no_other_pixel(self, rng):
        image = texture(rng)
        forward, backward = constant((4, 0)), constant((-4, 0))
        moved = np.roll(image, 4, 1)
        (expected,) = frames_between(image, moved, forward, backward, [0.5])
        forward[10, 10], backward[20, 20] = np.nan, np.inf
        (frame,) = frames_between(image, moved, forward, backward, [0.5])
        assert np.isfinite(frame).all()
        assert (np.abs(frame - expected).max(-1) > 0.02).sum() < 20

    def test_what_does_not_fit_is_named(self, rng):
        image, flow = texture(rng), constant(0)
        with pytest.raises(ValueError, match=r"image1 and image2 .* Received: shapes"):
            frames_between(image, image[1:], flow, flow, [0.5])
        with pytest.raises(ValueError, match=r"backward must have the shape \(48, 64, 2\)"):
            frames_between(image, image, flow, flow[1:], [0.5])
        with pytest.raises(ValueError, match=r"a time must .*Received: 1.5"):
            frames_between(image, image, flow, flow, [0.5, 1.5])
