import subprocess
import sys

import numpy as np
import pytest

from c2f_zoo.data.tiles import apply_in_tiles

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (40, 200), (10, 7), (1, 1), (33, 32)])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_function_of_single_pixels_is_as_without_tiles(size, scale, batch_size, rng):
    image = rng.random((*size, 3), dtype="float32")
    seen = set()  # one shape, the number of tiles included: compiled once

    def function(tiles):
        seen.add(tiles.shape)
        return 3 * tiles.repeat(scale, 1).repeat(scale, 2)[..., :2] + 1

    found = apply_in_tiles(function, image, 32, 8, scale, batch_size)
    expected = 3 * image.repeat(scale, 0).repeat(scale, 1)[..., :2] + 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32 and len(seen) == 1
    assert seen.pop()[1:] == (32, 32, 3)


def test_the_result_can_be_some_channels_of_a_larger_array(rng):
    image, larger = rng.random((40, 60, 2), dtype="float32"), np.zeros((40, 60, 3), "float32")
    apply_in_tiles(lambda tiles: tiles, image, 32, 8, out=larger[..., 1:])
    np.testing.assert_allclose(larger[..., 1:], image, rtol=1e-5)
    assert not larger[..., 0].any()
    with pytest.raises(ValueError, match=r"shape \(40, 60, 2\). Received: \(40, 60, 3\)"):
        apply_in_tiles(lambda tiles: tiles, image, 32, 8, out=larger)


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
        (np.zeros((4, 4, 3)), {"tile": 0}, r"tile must be two integers >= 1. Received: \(0, 0\)"),
        (np.zeros((4, 20, 3)), {"tile": 16, "overlap": 9}, "half a tile of 16x16. Received: 9"),
        (np.zeros((4, 20, 3)), {"tile": 20, "align": 8}, "multiple of align, 8. Received: 20x20"),
        (
            np.zeros((4, 20, 3)),
            {"tile": 16, "overlap": 7, "align": 4, "margin": 4},
            "less than half of overlap, 7. Received: 4",
        ),
        (
            np.zeros((40, 20, 3)),
            {"tile": 24, "overlap": 9, "align": 8},
            r"24x24. Received: 9 \(rounded up to 16\)",
        ),
        (np.zeros((4, 4, 3), int), {}, "float, uint8 or uint16. Received: dtype int64"),
        (np.zeros((4, 4, 3)), {"scale": 2}, r"\(1, 512, 512, channels\). Received: shape"),
    ],
)
def test_what_cannot_be_is_refused(image, options, message):
    with pytest.raises(ValueError, match=message):
        apply_in_tiles(lambda tiles: tiles, image, **options)


def coarse(images, stride):
    """Means of squares of pixels, smoothed there and enlarged again: works on a grid."""
    batch, height, width, channels = images.shape
    below, right = -height % stride, -width % stride
    images = np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
    cells = images.reshape(batch, (height + below) // stride, stride, -1, stride, channels)
    means = smoothed(cells.mean((2, 4)), 1).repeat(stride, 1).repeat(stride, 2)
    return means[:, :height, :width]


@pytest.mark.parametrize("size", [(70, 93), (64, 64), (9, 130), (1, 1)])
def test_a_coarser_grid_lies_as_in_the_whole_image(size, rng):
    image = rng.random((*size, 2), dtype="float32")
    found = apply_in_tiles(
        lambda tiles: coarse(tiles, 4), image, tuple(min(40, -(-n // 4) * 4) for n in size), 20,
        align=4, margin=8,
    )  # fmt: skip
    np.testing.assert_allclose(found, coarse(image[None], 4)[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_whole_numbers_reach_the_function_between_0_and_1(kind, rng):
    image = rng.integers(0, np.iinfo(kind).max, (50, 41, 4), kind, endpoint=True)
    found = apply_in_tiles(lambda tiles: tiles[..., :3], image, 32, 8)
    np.testing.assert_allclose(found, image[..., :3] / np.iinfo(kind).max, atol=1e-6)


def test_a_large_photograph_takes_little_more_than_its_result():
    # In a process of its own, whose largest memory is that of nothing else.
    code = """
import resource, sys
import numpy as np
import tqdm
from c2f_zoo.data.tiles import apply_in_tiles

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
image = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), "uint8")
before = peak()
apply_in_tiles(lambda tiles: tiles * 0.5, image, 256, 32, batch_size=2)
print(peak() - before)
"""
    output = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout
    result = 1500 * 2000 * 3 * 4
    # The result (36 MB), one row of tiles (6 MB), and the allocator's share: an eighth of the
    # 2 GB that 24 megapixels may take is 250 MB.
    assert int(output) < 1.7 * result
