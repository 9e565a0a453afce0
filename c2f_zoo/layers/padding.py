"""Padding images to a network's output stride, and cropping back."""

from keras import ops

from c2f_zoo import checks

# Of the padding of an axis (height, width), whether half goes before the image.
PLACES = {"end": (False, False), "centre": (True, True), "bottom": (False, True)}


def padding_before(padding, axis, place):
    """How much of an axis' padding goes before the image.

    Args:
        padding: Pixels of padding, an integer or an integer tensor of shape ().
        axis: 1 (height) or 2 (width).
        place: As in `pad_to_stride`.

    Returns:
        The smaller half of the padding, or 0.

    Example:
        >>> padding_before(5, 1, "centre"), padding_before(5, 1, "bottom")
        (2, 0)
    """
    return padding // 2 if PLACES[checks.one_of("place", place, PLACES)][axis - 1] else 0


def pad_to_stride(x, stride, mode="replicate", place="end"):
    """Pad height and width up to multiples of `stride`.

    Args:
        x: Tensor (B, H, W, C), H and W at least 1; they may be unknown until run time.
        stride: Positive integer.
        mode: `"replicate"` repeats the outermost row and column, `"zero"` adds zeros.
        place: Where padding goes: `"end"`, to the bottom and right; `"centre"`, half of it to
            each side; `"bottom"`, to the bottom and half to the left and right.

    Returns:
        Tensor (B, H', W', C), H' and W' the next multiples of `stride`.

    Raises:
        ValueError: If the rank, a side, the stride or the mode is not one of the above.

    Example:
        >>> tuple(pad_to_stride(np.ones((1, 5, 9, 3), "float32"), 8).shape)
        (1, 8, 16, 3)
    """
    x = ops.convert_to_tensor(x)
    axes = (None, checks.SOME, checks.SOME, None)
    checks.shape("x", x, "(B, H, W, C), H and W >= 1", axes)
    stride = checks.whole("stride", stride, least=1)
    checks.one_of("mode", mode, ("replicate", "zero"))
    for axis in (1, 2):
        known = x.shape[axis]
        if known is not None and known % stride == 0:
            continue
        size = ops.shape(x)[axis]
        padded = ((size + stride - 1) // stride) * stride
        # An index list serves sizes known only at run time, which a padding width does not.
        index = ops.arange(padded, dtype="int32") - padding_before(padded - size, axis, place)
        replicated = ops.take(x, ops.clip(index, 0, size - 1), axis=axis)
        if mode == "zero":
            keep = ops.cast(ops.logical_and(index >= 0, index < size), x.dtype)
            replicated = replicated * ops.reshape(keep, (-1, 1, 1) if axis == 1 else (-1, 1))
        x = replicated
    return x


def crop_to(x, height, width, place="end"):
    """Undo `pad_to_stride`: keep `height` x `width`, by default at the top left.

    Args:
        x: Tensor (B, H, W, C).
        height: Rows to keep, at most H.
        width: Columns to keep, at most W.
        place: Where `pad_to_stride` put the padding.

    Returns:
        Tensor (B, height, width, C).

    Example:
        >>> tuple(crop_to(np.ones((1, 8, 16, 2), "float32"), 5, 9).shape)
        (1, 5, 9, 2)
    """
    if place == "end":
        return x[:, :height, :width]
    top, left = (
        padding_before(ops.shape(x)[axis] - size, axis, place)
        for axis, size in ((1, height), (2, width))
    )
    return x[:, top : top + height, left : left + width]
