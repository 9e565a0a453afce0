import numpy as np
import pytest

from c2f_zoo.data.tiles import apply_in_tiles


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (40, 200), (10, 7), (1, 1), (33, 32)])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_function_of_single_pixels_is_as_without_tiles(size, scale, batch_size, rng):
    image = rng.random((*size, 3), dtype="float32")
    seen = set()

    def function(tiles):
        seen.add(tiles.shape[1:])
        return 3 * tiles.repeat(scale, 1).repeat(scale, 2)[..., :2] + 1

    found = apply_in_tiles(function, image, 32, 8, scale, batch_size)
    expected = 3 * image.repeat(scale, 0).repeat(scale, 1)[..., :2] + 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32 and seen == {(32, 32, 3)}


def smoothed(images, radius):
    """Mean over a window, zeros beyond the edge: wrong near a tile's edge, as networks are."""
    size = 2 * radius + 1
    padded = np.pad(images, ((0, 0), (radius, radius), (radius, radius), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return windows.mean((-1, -2))


def test_an_overlap_leaves_no_seam(rng):
    image = rng.random((128, 128, 1), dtype="float32")
    whole = smoothed(image[None], 2)[0]
    errors = []
    for overlap in (0, 8, 32):  # the window reaches 2 pixels: a quarter of 8
        found = apply_in_tiles(lambda tiles: smoothed(tiles, 2), image, 64, overlap)
        errors.append(np.abs(found - whole).max())
    assert errors[0] > 0.1 and max(errors[1:]) < 1e-6


def test_far_from_the_overlaps_nothing_differs(rng):
    image = rng.random((60, 60, 1), dtype="float32")
    found = apply_in_tiles(lambda tiles: smoothed(tiles, 1), image, 40, 20)
    np.testing.assert_allclose(found[:20, :20], smoothed(image[None], 1)[0, :20, :20], rtol=1e-5)


@pytest.mark.parametrize(
    "image, options, message",
    [
        (np.zeros((4, 4)), {}, r"\(H, W, C\).*Received: shape \(4, 4\)"),
        (np.zeros((0, 4, 3)), {}, r"not empty\. Received: shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 3)), {"tile": 0}, "tile is a whole number of at least 1. Received: 0"),
        (np.zeros((4, 4, 3)), {"tile": 16, "overlap": 9}, "half a tile of 16x16. Received: 9"),
        (np.zeros((4, 4, 3)), {"scale": 2}, r"\(1, 512, 512, channels\). Received: shape"),
    ],
)
def test_what_cannot_be_is_refused(image, options, message):
    with pytest.raises(ValueError, match=message):
        apply_in_tiles(lambda tiles: tiles, image, **options)
