"""Frames between two frames, from the flows of both directions."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.flow.consistency import forward_backward_ratio, interpolated
from c2f_zoo.data.flow.splatting import splat

SHARPNESS = 20.0  # how fast a pixel loses importance with its brightness error
CUT_ERROR = 0.2  # brightness error from which a pixel counts as not found in the other frame
CUT_SHARE = 0.5  # share of pixels, not found or not confirmed, that makes a cut

_LEAST_IMPORTANCE = 0.01  # of pixels that the check refuses: hidden ones move too
_LEAST_WEIGHT = 1e-14  # below this nothing has landed


def frames_between(image1, image2, forward, backward, times):
    """Compute the frames at some times between two frames.

    The flows of both frames are splatted to the time asked for; a pixel counts by
    exp(-20 e) (c + 0.01), with e its brightness error, the mean over channels of
    |I1(x) - I2(x + f)|, and c its confidence, 2^-r with r as of `forward_backward_ratio`. Both
    frames are then warped back along the motion found there and mixed by the distance in time. A
    frame does not count where its pixel is hidden in the other one and the other one's is seen, or
    outside. Where no motion lands, that of the two frames at the same place is taken.

    Across a cut nothing is mixed: if, in either direction, at least half of the pixels are not
    confirmed by `forward_backward_check` or have a brightness error above 0.2, the nearer frame is
    repeated, the first at time 0.5.

    Args:
        image1: Array (H, W, C), in [0, 1], the frame at time 0.
        image2: Array (H, W, C), the frame at time 1.
        forward: Array (H, W, 2), the flow from image 1 to image 2, pixels.
        backward: Array (H, W, 2), the flow from image 2 to image 1.
        times: Iterable of numbers in [0, 1].

    Yields:
        float32 array (H, W, C) for each time; at 0 and 1 the frames themselves.

    Raises:
        ValueError: If the shapes do not fit or a time is out of range.

    Source: the splatting and its importance are those of Niklaus and Liu, "Softmax Splatting for
    Video Frame Interpolation", CVPR 2020; the mixing by visibility is that of Jiang et al., "Super
    SloMo", CVPR 2018, equation 5.

    Example:
        >>> image1 = np.zeros((4, 8, 1)); image1[:, 2] = 1.0
        >>> flow = np.zeros((4, 8, 2)); flow[..., 0] = 2.0
        >>> (middle,) = frames_between(image1, np.roll(image1, 2, 1), flow, -flow, [0.5])
        >>> middle[0, :, 0].tolist()
        [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    images = [np.asarray(image, np.float32) for image in (image1, image2)]
    axes = (None, None, None)
    shape = checks.same_shape(("image1", "image2"), images, "(H, W, C)", axes)
    size = (*shape[:2], 2)
    flows = [
        checks.shape(name, np.asarray(flow, np.float32), str(size), size)
        for name, flow in (("forward", forward), ("backward", backward))
    ]
    times = [checks.number("a time", time, least=0, most=1) for time in times]
    return _frames_between(*images, *flows, times)


def _frames_between(image1, image2, forward, backward, times):
    if np.array_equal(image1, image2):
        yield from (image1.copy() for _ in times)
        return
    first = Side(image1, image2, forward, backward)
    second = Side(image2, image1, backward, forward)
    is_cut = first.is_lost or second.is_lost
    for time in times:
        if time in (0, 1) or is_cut:
            yield (image1 if time <= 0.5 else image2).copy()
        else:
            yield _frame_at(first, second, time)


class Side:
    """A frame, its flow to the other frame, and how far each of its pixels is to be trusted.

    Attributes:
        flow: Array (H, W, 2), 0 where it was not finite.
        found: Array (H, W, C), the other frame warped back by the flow.
        layers: Array (H, W, C + 1), the frame and its confidence.
        importance: Array (H, W, 1), as in `frames_between`.
        is_lost: Whether most pixels are not found in the other frame.
    """

    def __init__(self, image, other, flow, back):
        ratio = forward_backward_ratio(flow, back)
        is_known = np.isfinite(flow).all(-1, keepdims=True)
        confidence = np.exp2(-ratio)
        self.flow, self.layers = (
            np.where(is_known, flow, 0),
            np.concatenate([image, confidence], -1),
        )
        self.found, _ = sample(other, self.flow)
        error = np.abs(image - self.found).mean(-1, keepdims=True)
        trust = is_known * (confidence + _LEAST_IMPORTANCE)
        self.importance = np.exp(-SHARPNESS * error) * trust
        self.is_lost = np.mean((ratio >= 1) | ~(error <= CUT_ERROR)) >= CUT_SHARE


def _frame_at(first, second, time):
    motion = _motion_at(first, second, time)
    before, inside1 = sample(first.layers, -time * motion)
    after, inside2 = sample(second.layers, (1 - time) * motion)
    # What is seen in one frame alone is taken from it: the other's pixel shows something else.
    weight1 = (1 - time) * (after[..., -1:] + 1e-3) * (inside1 + 1e-6)
    weight2 = time * (before[..., -1:] + 1e-3) * (inside2 + 1e-6)
    mixed = weight1 * before[..., :-1] + weight2 * after[..., :-1]
    return (mixed / (weight1 + weight2)).astype(np.float32)


def _motion_at(first, second, time):
    """The motion (H, W, 2) from frame 1 to frame 2 of what is seen at a time between them."""
    motion1, weight1 = splat(first.flow, time * first.flow, first.importance)
    motion2, weight2 = splat(-second.flow, (1 - time) * second.flow, second.importance)
    weight1, weight2 = (1 - time) * weight1, time * weight2
    weight = weight1 + weight2
    motion = (weight1 * motion1 + weight2 * motion2) / np.maximum(weight, _LEAST_WEIGHT)
    in_place = (1 - time) * first.flow - time * second.flow
    return np.where(weight > _LEAST_WEIGHT, motion, in_place)


def sample(image, flow):
    """Look up an image at x + flow(x), bilinearly, beyond its edge the nearest pixel.

    Args:
        image: Array (H, W, C).
        flow: Array (H, W, 2), finite, pixels.

    Returns:
        float32 array (H, W, C), and a Boolean array (H, W, 1): where x + flow(x) is inside.
    """
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    values = interpolated(image, np.clip(x, 0, width - 1), np.clip(y, 0, height - 1))
    return values.astype(np.float32, copy=False), inside[..., None]
