"""Clips are restored without flicker, with stand-ins for the networks."""

import numpy as np
import pytest

from c2f_zoo.tasks import restore_stream

pytestmark = pytest.mark.backend_free


class Untouched:
    """Restores nothing: what is left of the noise is all of it."""

    def restore(self, image, progress=None, **options):
        self.options = options
        return np.asarray(image, np.float32)


def moving(u):
    """A function that finds a motion of u pixels to the right on the way on, and back."""

    def flow(image1, image2):
        flow.sign = -flow.sign  # asked for the way on, then for the way back
        return np.full((*image1.shape[:2], 2), (flow.sign * u, 0), np.float32)

    flow.sign = -1
    return flow


def clip(rng, count, step=0, noise=0.02):
    """Noisy frames (32, 48, 3) of a texture that moves by `step` pixels, and the clean ones."""
    ground = np.cumsum(rng.normal(0, 0.01, (32, 48, 3)), axis=1).astype(np.float32) % 0.5 + 0.25
    clean = [np.roll(ground, step * number, axis=1) for number in range(count)]
    return [frame + noise * rng.normal(size=frame.shape) for frame in clean], clean


@pytest.mark.parametrize("step", [0, 3])
def test_noise_that_is_left_is_averaged_along_the_motion(rng, step):
    noisy, clean = clip(rng, 12, step)
    frames = list(restore_stream(Untouched(), moving(step), noisy))
    # Away from the border, where pixels come into view and begin with all of their noise.
    inside = np.s_[:, 36:] if step else np.s_[:, :]
    before = np.std((noisy[-1] - clean[-1])[inside])
    after = np.std((frames[-1] - clean[-1])[inside])
    assert after < 0.6 * before
    assert len(frames) == 12 and frames[-1].dtype == np.float32


def test_what_has_changed_is_not_mixed(rng):
    noisy, _ = clip(rng, 2, noise=0)
    second = noisy[1].copy()
    second[8:16, 8:16] += 0.4
    frame = list(restore_stream(Untouched(), moving(0), [noisy[0], second]))[1]
    np.testing.assert_allclose(frame, second, atol=1e-3)


def test_nothing_is_mixed_across_a_cut(rng):
    first, second = np.full((16, 16, 3), 0.1, np.float32), np.full((16, 16, 3), 0.7, np.float32)
    frames = list(restore_stream(Untouched(), moving(0), [first, second]))
    np.testing.assert_array_equal(frames, [first, second])


def test_without_strength_frames_are_restored_one_by_one(rng):
    noisy, _ = clip(rng, 3)
    model = Untouched()
    frames = list(restore_stream(model, None, noisy, strength=0, time=0.2))
    np.testing.assert_array_equal(frames, np.asarray(noisy, np.float32))
    assert model.options == {"time": 0.2}


def test_frames_are_read_as_they_are_needed():
    stream = restore_stream(Untouched(), moving(0), (np.zeros((8, 8, 3)) for _ in range(10**9)))
    assert [next(stream).shape for _ in range(3)] == [(8, 8, 3)] * 3


def test_bad_input_is_named(rng):
    with pytest.raises(ValueError, match="strength must .*Received: 1"):
        restore_stream(Untouched(), moving(0), [], strength=1)
    frames = [np.zeros((8, 8, 3)), np.zeros((8, 9, 3))]
    with pytest.raises(ValueError, match=r"Every frame must have .*Received: shape \(8, 9, 3\)"):
        list(restore_stream(Untouched(), moving(0), frames))
