import numpy as np
import pytest
from keras import ops

from c2f_zoo.layers import resize_bilinear, upsample_bilinear


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (8, 5), (20, 28), (7, 31)])
def test_equals_pytorchs_interpolation(rng, size, align_corners):
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(x.transpose(0, 3, 1, 2)),
        size,
        mode="bilinear",
        align_corners=align_corners,
    )
    found = ops.convert_to_numpy(resize_bilinear(x, *size, align_corners))
    np.testing.assert_allclose(found, expected.numpy().transpose(0, 2, 3, 1), atol=1e-5)


def test_equals_the_enlargement_by_a_whole_factor(rng):
    x = rng.normal(size=(1, 5, 7, 3)).astype("float32")
    whole = ops.convert_to_numpy(upsample_bilinear(x, 4))
    np.testing.assert_allclose(ops.convert_to_numpy(resize_bilinear(x, 20, 28)), whole, atol=1e-5)


def test_a_single_pixel_fills_any_size():
    x = np.full((1, 1, 1, 2), 3.0, "float32")
    for align_corners in (False, True):
        found = ops.convert_to_numpy(resize_bilinear(x, 4, 6, align_corners))
        assert found.shape == (1, 4, 6, 2) and (found == 3).all()


def test_another_rank_is_named():
    with pytest.raises(ValueError, match=r"x must.*Received: shape \(4, 6, 2\)$"):
        resize_bilinear(np.zeros((4, 6, 2), "float32"), 8, 8)
