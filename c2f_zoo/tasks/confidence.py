"""What comes with an estimate: a confidence, what the other image hides, expected errors."""

from typing import NamedTuple

import numpy as np

from c2f_zoo.data.flow.consistency import forward_backward_ratio
from c2f_zoo.data.stereo.consistency import left_right_difference

TOLERANCE = 1.0  # pixels up to which two disparities agree


class FlowWithConfidence(NamedTuple):
    """An optical flow, and how far the flow of the opposite direction confirms it.

    Attributes:
        flow: float32 array (H, W, 2), pixels, of image 1 towards image 2.
        confidence: float32 array (H, W, 1), in [0, 1]: 1 where the two flows agree, 0.5 at the
            limit of `forward_backward_check`, near 0 beyond it, 0 where the flow leaves the frame.
        occlusion: float32 array (H, W, 1), 1 where the check fails: the pixel is hidden in image 2
            or the flow is wrong; else 0.
    """

    flow: np.ndarray
    confidence: np.ndarray
    occlusion: np.ndarray


class FlowWithUncertainty(NamedTuple):
    """An optical flow, and the size of the errors that the network itself expects.

    Attributes:
        flow: float32 array (H, W, 2), pixels, of image 1 towards image 2.
        uncertainty: float32 array (H, W, 1), pixels: the expected absolute error of u, and of v.
    """

    flow: np.ndarray
    uncertainty: np.ndarray


class DisparityWithConfidence(NamedTuple):
    """A disparity, and how far the disparity of the right image confirms it.

    Attributes:
        disparity: float32 array (H, W, 1), pixels, of the left image.
        confidence: float32 array (H, W, 1), in [0, 1]: 1 where the two disparities agree, 0.5
            where they differ by a pixel, near 0 beyond it, 0 outside of the right image.
        occlusion: float32 array (H, W, 1), 1 where `left_right_check` fails: the pixel is hidden in
            the right image or the disparity is wrong; else 0.
    """

    disparity: np.ndarray
    confidence: np.ndarray
    occlusion: np.ndarray


def checked_flow(forward, backward):
    """Check a flow by that of the opposite direction.

    Args:
        forward: Array (H, W, 2), the flow from image 1 to image 2, pixels.
        backward: Array (H, W, 2), the flow from image 2 to image 1.

    Returns:
        `FlowWithConfidence`; its confidence is 2^-r, r = |f + b|^2 over the limit of
        `forward_backward_check`, so that what it confirms has more than 0.5.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> forward = np.zeros((1, 4, 2)); forward[..., 0] = 2.0
        >>> checked_flow(forward, -forward).confidence[0, :, 0].tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    ratio = forward_backward_ratio(forward, backward)
    return FlowWithConfidence(forward, _confidence(ratio), (ratio >= 1).astype(np.float32))


def checked_disparity(left, right):
    """Check a disparity by that of the right image.

    Args:
        left: Array (H, W, 1), estimated disparity of the left image, pixels; 0 is that of what is
            infinitely far, unknown is what is negative or not finite.
        right: Array (H, W, 1), estimated disparity of the right image, positive as well.

    Returns:
        `DisparityWithConfidence`; its confidence is 2^-(d^2), d the difference of the two in
        pixels, so that what `left_right_check` confirms has at least 0.5.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> left = np.full((1, 4, 1), 2.0)
        >>> checked_disparity(left, left + 1).confidence[0, :, 0].tolist()
        [0.0, 0.0, 0.5, 0.5]
    """
    off = left_right_difference(left, right, zero_is_known=True) / TOLERANCE
    return DisparityWithConfidence(left, _confidence(np.square(off)), (off > 1).astype(np.float32))


def _confidence(ratio):
    """Turn an inconsistency, as a multiple of what is allowed, into a figure in [0, 1]."""
    return np.exp2(-ratio).astype(np.float32)
