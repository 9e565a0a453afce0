import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import (
    Upsampling,
    average_pool,
    crop_to,
    depth_to_space,
    max_pool,
    pad_to_stride,
    space_to_depth,
    upsample_bilinear,
)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (8, 16), (7, 64)])
def test_padding_replicates_the_edge_and_cropping_undoes_it(rng, size):
    image = rng.random((2, *size, 3), dtype="float32")
    padded = ops.convert_to_numpy(pad_to_stride(image, 8))
    target = [-(-n // 8) * 8 for n in size]
    expected = np.pad(
        image, ((0, 0), (0, target[0] - size[0]), (0, target[1] - size[1]), (0, 0)), mode="edge"
    )
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(crop_to(padded, *size)), image)


def test_zero_padding_appends_zeros(rng):
    image = 1 + rng.random((1, 3, 5, 2), dtype="float32")
    padded = ops.convert_to_numpy(pad_to_stride(image, 4, mode="zero"))
    expected = np.pad(image, ((0, 0), (0, 1), (0, 3), (0, 0)))
    np.testing.assert_array_equal(padded, expected)


def test_padding_names_what_is_wrong():
    image = np.zeros((1, 4, 4, 3), "float32")
    with pytest.raises(ValueError, match=r"\(4, 4, 3\)$"):
        pad_to_stride(image[0], 8)
    with pytest.raises(ValueError, match="0$"):
        pad_to_stride(image, 0)
    with pytest.raises(ValueError, match="'reflect'$"):
        pad_to_stride(image, 8, mode="reflect")


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 2)])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_upsampling_equals_torch_interpolate(rng, size, factor):
    torch = pytest.importorskip("torch")
    flow = rng.normal(size=(2, *size, 2)).astype("float32")
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(flow).permute(0, 3, 1, 2),
        scale_factor=factor,
        mode="bilinear",
        align_corners=False,
    )
    expected = expected.permute(0, 2, 3, 1).numpy()
    for up in (upsample_bilinear(flow, factor), Upsampling(factor)(flow)):
        np.testing.assert_allclose(ops.convert_to_numpy(up), expected, atol=1e-5)


def test_upsampling_by_less_than_one_is_refused():
    with pytest.raises(ValueError, match="0$"):
        upsample_bilinear(np.zeros((1, 2, 2, 1), "float32"), 0)


def test_pooling_equals_numpy_over_cells(rng):
    x = rng.random((2, 6, 9, 4), dtype="float32")
    cells = x.reshape(2, 2, 3, 3, 3, 4)
    np.testing.assert_allclose(
        ops.convert_to_numpy(average_pool(x, 3)), cells.mean((2, 4)), atol=1e-6
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(max_pool(x, 3)), cells.max((2, 4)))


def test_squares_of_pixels_become_channels_and_come_back(rng):
    torch = pytest.importorskip("torch")
    x = rng.random((2, 6, 9, 4), dtype="float32")
    folded = ops.convert_to_numpy(space_to_depth(x, 3))
    for row, column in np.ndindex(3, 3):
        first = 4 * (3 * row + column)
        np.testing.assert_array_equal(folded[..., first : first + 4], x[:, row::3, column::3])
    np.testing.assert_array_equal(ops.convert_to_numpy(depth_to_space(folded, 3)), x)
    # PyTorch has the channels first, and slowest, in the order of the folded ones.
    theirs = torch.from_numpy(folded.reshape(2, 2, 3, 9, 4)).permute(0, 4, 3, 1, 2)
    theirs = torch.nn.functional.pixel_shuffle(theirs.reshape(2, 36, 2, 3), 3)
    np.testing.assert_array_equal(theirs.permute(0, 2, 3, 1).numpy(), x)
    assert space_to_depth(x, 1) is x and depth_to_space(x, 1) is x
