"""Padding images to a network's output stride, and cropping back."""

from keras import ops

from c2f_zoo import checks


def pad_to_stride(x, stride, mode="replicate"):
    """Pad height and width at the bottom and right up to multiples of `stride`.

    Args:
        x: Tensor (B, H, W, C), H and W at least 1; they may be unknown until run time.
        stride: Positive integer.
        mode: `"replicate"` repeats the last row and column, `"zero"` appends zeros.

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
        index = ops.arange(padded, dtype="int32")
        replicated = ops.take(x, ops.minimum(index, size - 1), axis=axis)
        if mode == "zero":
            keep = ops.cast(index < size, x.dtype)
            replicated = replicated * ops.reshape(keep, (-1, 1, 1) if axis == 1 else (-1, 1))
        x = replicated
    return x


def crop_to(x, height, width):
    """Undo `pad_to_stride`: keep the top left `height` x `width`.

    Args:
        x: Tensor (B, H, W, C).
        height: Rows to keep, at most H.
        width: Columns to keep, at most W.

    Returns:
        Tensor (B, height, width, C).

    Example:
        >>> tuple(crop_to(np.ones((1, 8, 16, 2), "float32"), 5, 9).shape)
        (1, 5, 9, 2)
    """
    return x[:, :height, :width]
