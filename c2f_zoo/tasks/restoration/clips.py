"""Restoring the frames of a clip so that what is still, or moves, does not flicker."""

from c2f_zoo import checks
from c2f_zoo.data.flow.between import Side
from c2f_zoo.tasks.interpolation import flows_of


def restore_stream(model, flow_model, frames, strength=0.8, **options):
    """Restore the frames of a clip lazily, each with the help of the one before.

    Every frame is restored by itself; then the result before it, warped to it by the flow between
    the two, is mixed in with the weight strength * exp(-20 e) * c: e is how far the two differ,
    the mean over channels, and c the confidence of `checked_flow`. What is hidden, or has changed,
    is thereby taken from the new frame alone; so is everything after a cut, as `frames_between`
    tells one. In still places the noise that is left falls to (1 - strength) / (1 + strength) of
    its variance. Two frames are held, whatever the length of the clip.

    Args:
        model: A network that restores images: with the method `restore`.
        flow_model: A network of optical flow, or a function of two float32 images (H, W, 3) in
            [0, 1] that returns the flow (H, W, 2) from the first to the second, pixels. It is
            given restored frames.
        frames: Iterable of images (H, W, 3) as `restore` takes them, all of one size;
            `c2f_zoo.data.read_frames` reads those of a video.
        strength: Largest weight of the result before, in [0, 1); 0 restores frame by frame.
        **options: Of `restore`: `time`, `tile`, `overlap`.

    Yields:
        float32 array (H, W, 3) in [0, 1] for each frame.

    Raises:
        ValueError: `strength` is out of range, or the sizes differ.

    Example:
        >>> from c2f_zoo.models import MultiscaleUNet
        >>> model = MultiscaleUNet(8, (1, 2), groups=4, attention=0, time_embedding=False)
        >>> still = lambda image1, image2: np.zeros((*image1.shape[:2], 2))
        >>> clip = (np.full((8, 8, 3), 100, "uint8") for _ in range(3))
        >>> [frame.shape for frame in restore_stream(model, still, clip)]
        [(8, 8, 3), (8, 8, 3), (8, 8, 3)]
    """
    strength = checks.number("strength", strength, least=0, below=1)
    return _restored_stream(model, flow_model, frames, strength, options)


def _restored_stream(model, flow_model, frames, strength, options):
    before = None
    for frame in frames:
        restored = model.restore(frame, progress=False, **options)
        if before is not None:
            checks.shape("Every frame", restored, str(before.shape), before.shape)
            if strength:
                restored = _steadied(flow_model, restored, before, strength)
        yield restored
        before = restored


def _steadied(flow_model, restored, before, strength):
    onward, back = flows_of(flow_model, before, restored)
    side = Side(restored, before, back, onward)
    if side.is_lost:
        return restored
    return restored + strength * side.importance.clip(0, 1) * (side.found - restored)
