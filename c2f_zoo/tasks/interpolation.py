"""Frame interpolation: what is seen between two frames, by the optical flow between them."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.flow.between import frames_between


def interpolate(model, image1, image2, times=0.5):
    """Compute the frame at a time between two frames, or the frames at several.

    The synthesis, and what it does where something is hidden or the scene changes, is that of
    `c2f_zoo.data.frames_between`.

    Args:
        model: A network of optical flow, or a function of two float32 images (H, W, 3) in [0, 1]
            that returns the flow (H, W, 2) from the first to the second, pixels.
        image1: The frame at time 0: path, PIL image or array (H, W), (H, W, 1 to 4), uint8 or
            float in [0, 1], of any size.
        image2: The frame at time 1, of the same size.
        times: A number in [0, 1], or an iterable of them.

    Returns:
        float32 array (H, W, 3), RGB in [0, 1]; for several times a list of them. At time 0 and 1
        the frames themselves, and between two equal frames that frame.

    Raises:
        ValueError: A time is out of range, an image cannot be read, the sizes differ, or the
            function returns another shape.

    Example:
        >>> still = lambda image1, image2: np.zeros((*image1.shape[:2], 2))
        >>> dark, light = np.full((2, 8, 8, 3), 0.5, "float32") * [[[[0.5]]], [[[0.6]]]]
        >>> [round(float(frame.mean()), 4) for frame in interpolate(still, dark, light, [0.2, 1])]
        [0.26, 0.3]
    """
    from c2f_zoo.data.files.images import check_same_size, load_image

    is_one = np.ndim(times) == 0 and not hasattr(times, "__iter__")
    first, second = load_image(image1), load_image(image2)
    check_same_size(first, second, ("image1", "image2"))
    times = [
        checks.number("times", time, least=0, most=1) for time in ([times] if is_one else times)
    ]
    frames = list(_between(model, first, second, times))
    return frames[0] if is_one else frames


def interpolate_stream(model, frames, factor=2):
    """Give an iterable of frames `factor` times the rate, lazily; two frames are held.

    Args:
        model: As for `interpolate`.
        frames: Iterable of at least two images as `interpolate` takes them, all of one size;
            `c2f_zoo.data.read_frames` reads those of a video.
        factor: Whole number, at least 2: `factor` - 1 new frames between any two.

    Yields:
        float32 array (H, W, 3): N frames give (N - 1) * factor + 1; each frame given is among them
        unchanged.

    Raises:
        ValueError: `factor` is out of range, there are fewer than two frames, or their sizes
            differ.

    Example:
        >>> still = lambda image1, image2: np.zeros((*image1.shape[:2], 2))
        >>> video = (np.full((8, 8, 3), level) for level in (0.1, 0.2))
        >>> [round(float(frame.mean()), 4) for frame in interpolate_stream(still, video, 4)]
        [0.1, 0.125, 0.15, 0.175, 0.2]
    """
    factor = checks.whole("factor", factor, least=2)
    return _interpolated_stream(model, frames, [i / factor for i in range(1, factor)])


def _interpolated_stream(model, frames, times):
    from c2f_zoo.data.files.images import load_image

    before, count = None, 0
    for frame in frames:
        count += 1
        frame = load_image(frame)
        if before is not None:
            if frame.shape != before.shape:
                sizes = " and then ".join(f"{w}x{h}" for h, w, _ in (before.shape, frame.shape))
                raise ValueError(
                    f"All frames must have one size. Received: {sizes} (width x height)"
                )
            yield from _between(model, before, frame, times)
        yield frame
        before = frame
    if count < 2:
        raise ValueError(f"interpolation needs at least two frames. Received: {count}")


def _between(model, first, second, times):
    # Clips of a raised rate repeat frames: there is nothing to estimate.
    if np.array_equal(first, second) or all(time in (0, 1) for time in times):
        forward = backward = np.zeros((*first.shape[:2], 2), np.float32)
    else:
        forward, backward = flows_of(model, first, second)
    return frames_between(first, second, forward, backward, times)


def flows_of(model, first, second):
    """Flows (H, W, 2) of both directions between two float32 images, by a network or function."""
    if hasattr(model, "flow_stream"):
        return tuple(model.flow_stream([first, second, first], batch_size=2))
    return model(first, second), model(second, first)
