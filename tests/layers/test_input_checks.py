"""Layers take empty batches or refuse them clearly, and name wrong ranks and settings."""

import numpy as np
import pytest

from c2f_zoo import layers

FUNCTIONS = {
    "blur": (lambda x: layers.blur(x, (1, 2, 1)), (4, 6, 2)),
    "upsample_nearest": (layers.upsample_nearest, (8, 12, 2)),
    "upsample_fir": (layers.upsample_fir, (8, 12, 2)),
    "downsample_fir": (layers.downsample_fir, (2, 3, 2)),
    "upsample_bilinear": (lambda x: layers.upsample_bilinear(x, 2), (8, 12, 2)),
    "space_to_depth": (lambda x: layers.space_to_depth(x, 2), (2, 3, 8)),
    "depth_to_space": (lambda x: layers.depth_to_space(x, 1), (4, 6, 2)),
    "pad_to_stride": (lambda x: layers.pad_to_stride(x, 4), (4, 8, 2)),
    "restrict": (lambda x: layers.restrict(x, 2, "bilinear"), (2, 3, 2)),
    "image_norm": (layers.image_norm, (4, 6, 2)),
    "instance_norm": (layers.instance_norm, (4, 6, 2)),
    "local_correlation": (lambda x: layers.local_correlation(x, x, 1), (4, 6, 9)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_empty_batch_gives_an_empty_batch(name):
    function, shape = FUNCTIONS[name]
    assert tuple(function(np.zeros((0, 4, 6, 2), "float32")).shape) == (0, *shape)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_another_rank_is_named(name):
    with pytest.raises(ValueError, match=r"must .*Received: shapes? \(4, 6, 2\)"):
        FUNCTIONS[name][0](np.zeros((4, 6, 2), "float32"))


def test_empty_batches_are_refused_by_warp_and_minibatch_stddev():
    empty = np.zeros((0, 4, 4, 2), "float32")
    with pytest.raises(ValueError, match=r"N >= 1. Received: shape \(0, 4, 4, 2\)$"):
        layers.minibatch_stddev(empty)
    with pytest.raises(ValueError, match=r"not empty. Received: shape \(0, 4, 4, 2\)$"):
        layers.warp(empty, empty)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: layers.sinusoid(np.zeros(2, "float32"), 3), "3"),
        (lambda: layers.sinusoid(np.zeros((2, 1), "float32"), 4), r"shape \(2, 1\)"),
        (lambda: layers.TimeFeatures(6), "6"),
        (lambda: layers.PixelNorm(0), "0"),
        (lambda: layers.AdaIN(-1), "-1"),
        (lambda: layers.Upsampling(1.5), "1.5"),
        (lambda: layers.luma(np.zeros((), "float32")), r"shape \(\)"),
        (lambda: layers.depth_to_space(np.zeros((1, 2, 2, 6)), 2), r"shape \(1, 2, 2, 6\)"),
        (lambda: layers.structural_similarity(*[np.zeros((1, n, 12, 3)) for n in (12, 13)]), ".*"),
    ],
)
def test_wrong_settings_are_named(make, received):
    with pytest.raises(ValueError, match=f"Received: {received}$"):
        make()
