"""Left-right check: which pixels of one image are seen by the other camera too."""

import numpy as np

from c2f_zoo import checks


def left_right_check(left, right, tolerance=1.0):
    """Compare the disparity of each pixel with that of the pixel it corresponds to.

    A pixel (x, y) of disparity d corresponds to (x - d, y) of the right image. It is seen by both
    cameras if that pixel has the same disparity; if it is nearer, it hides what is sought.

    Args:
        left: Array (H, W) or (H, W, 1), disparity of the left image, pixels; 0 or not finite where
            unknown.
        right: Array of the same shape, disparity of the right image, positive as well.
        tolerance: Difference in pixels up to which two disparities agree, at least 0.

    Returns:
        float32 array of the same shape: 1 where both agree, else 0.

    Raises:
        ValueError: If the shapes differ or the tolerance is negative.

    Source: Scharstein and Szeliski, IJCV 2002, section 5.1 (cross-checking).

    Example:
        >>> left = np.array([[2.0, 2.0, 2.0, 2.0]])
        >>> right = np.array([[2.0, 5.0, 0.0, 0.0]])  # the second pixel is hidden by a nearer one
        >>> left_right_check(left, right).tolist()
        [[0.0, 0.0, 1.0, 0.0]]
    """
    tolerance = checks.number("tolerance", tolerance, least=0)
    return (left_right_difference(left, right) <= tolerance).astype(np.float32)


def left_right_difference(left, right, zero_is_known=False):
    """Compute by how much the disparity of a pixel differs from that of its counterpart.

    Args:
        left, right: As for `left_right_check`.
        zero_is_known: Whether 0 is the disparity of what is infinitely far, as of an estimate,
            rather than the mark of an unknown one, as of a data set.

    Returns:
        float32 array of the same shape, pixels, at least 0; infinite where one of the two is
        unknown or the counterpart lies outside of the right image.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> left_right_difference(np.array([[2.0, 1.0, 1.0]]), np.array([[1.5, 2.0, 1.0]])).tolist()
        [[inf, 0.5, 1.0]]
    """
    left, right = np.asarray(left, np.float32), np.asarray(right, np.float32)
    is_flat = left.ndim == 2
    if is_flat:
        left, right = left[..., None], np.atleast_3d(right)
    checks.same_shape(("left", "right"), (left, right), "(H, W, 1)", (None, None, 1))
    least = 0.0 if zero_is_known else np.nextafter(np.float32(0), np.float32(1))
    known = np.isfinite(left) & (left >= least)
    place = np.arange(left.shape[1])[None, :, None] - np.where(known, left, 0)
    inside = known & (place >= 0)
    target = np.rint(np.where(inside, place, 0)).astype(int)
    there = np.take_along_axis(right, target, axis=1)
    is_compared = inside & (there >= least) & np.isfinite(there)
    with np.errstate(invalid="ignore"):
        off = np.where(is_compared, np.abs(there - left), np.inf).astype(np.float32)
    return off[..., 0] if is_flat else off
