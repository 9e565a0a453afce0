"""Checks of arguments: one place, one wording.

Each function returns the value, converted where that loses nothing, or raises a `ValueError` that
names the argument, says what is allowed and ends with what was received.
"""

import difflib
import math
import numbers

SOME = range(1, 2**31)  # of `shape`: any length but 0


def whole(name, value, least=None, most=None):
    """Check a whole number.

    Args:
        name: Name of the argument, for the message.
        value: An integer, of numpy too, or a float such as 3.0; not a bool.
        least: Smallest value allowed, or None.
        most: Largest value allowed, or None.

    Returns:
        int.

    Raises:
        ValueError: `value` is not a whole number or out of range.

    Example:
        >>> whole("levels", 4, least=1)
        4
        >>> whole("levels", 0, least=1)
        Traceback (most recent call last):
            ...
        ValueError: levels must be an integer >= 1. Received: 0
    """
    if not _is_number(value) or value % 1 != 0 or not _is_within(value, least, most):
        raise ValueError(f"{name} must be an integer{_range(least, most)}. Received: {value!r}")
    return int(value)


def number(name, value, least=None, most=None, above=None, below=None):
    """Check a finite number.

    Args:
        name: Name of the argument, for the message.
        value: A number, of numpy too; not a bool.
        least: Smallest value allowed, or None.
        most: Largest value allowed, or None.
        above: The value must be greater than this, or None.
        below: The value must be less than this, or None.

    Returns:
        float.

    Raises:
        ValueError: `value` is not a finite number or out of range.

    Example:
        >>> number("rate", 1, above=0)
        1.0
        >>> number("rate", 0, above=0, most=1)
        Traceback (most recent call last):
            ...
        ValueError: rate must be a number > 0 and <= 1. Received: 0
    """
    if not _is_number(value) or not _is_within(value, least, most, above, below):
        allowed = _range(least, most, above, below)
        raise ValueError(f"{name} must be a number{allowed}. Received: {value!r}")
    return float(value)


def several(name, values, check, **limits):
    """Check each of a sequence of one or more values.

    Args:
        name: Name of the argument, for the message.
        values: A sequence, such as a tuple; an array too.
        check: What checks a value: `whole`, `number` or another function of this file.
        **limits: Its further arguments.

    Returns:
        Tuple of what `check` returns.

    Raises:
        ValueError: `values` is no sequence or empty, or one of them does not pass.

    Example:
        >>> several("weights", [1, 0.5], number, least=0)
        (1.0, 0.5)
        >>> several("weights", 1, number, least=0)
        Traceback (most recent call last):
            ...
        ValueError: weights must be a sequence of one value or more. Received: 1
    """
    try:
        listed = list(values)
    except TypeError:
        listed = []
    if not listed:
        raise ValueError(f"{name} must be a sequence of one value or more. Received: {values!r}")
    return tuple(check(f"each of {name}", value, **limits) for value in listed)


def whole_pair(name, value, least=None, most=None):
    """Check two whole numbers, such as (height, width).

    Args:
        name: Name of the argument, for the message.
        value: A sequence of two integers.
        least: Smallest value allowed of each, or None.
        most: Largest value allowed of each, or None.

    Returns:
        Tuple of two int.

    Raises:
        ValueError: `value` is not two whole numbers in the range.

    Example:
        >>> whole_pair("size", [256, 320], least=8)
        (256, 320)
    """
    return tuple(map(int, _pair(name, value, "two integers", least, most, is_whole=True)))


def interval(name, value, least=None, most=None):
    """Check a range: (low, high) with low <= high, or one number that stands for both.

    Args:
        name: Name of the argument, for the message.
        value: A number or a sequence of two.
        least: Smallest value allowed, or None.
        most: Largest value allowed, or None.

    Returns:
        Tuple of two float.

    Raises:
        ValueError: `value` is neither, `low` exceeds `high`, or one is out of range.

    Example:
        >>> interval("sigma", 0.1), interval("quality", (30, 95), least=1, most=100)
        ((0.1, 0.1), (30.0, 95.0))
    """
    kind = "a number or two, (low, high) with low <= high,"
    low, high = _pair(name, value, kind, least, most, takes_one=True)
    return float(low), float(high)


def whole_interval(name, value, least=None, most=None):
    """Check a range of whole numbers: (fewest, most), or one number that stands for both.

    Args:
        name: Name of the argument, for the message.
        value: An integer or a sequence of two.
        least: Smallest value allowed, or None.
        most: Largest value allowed, or None.

    Returns:
        Tuple of two int.

    Raises:
        ValueError: `value` is neither, the first exceeds the second, or one is out of range.

    Example:
        >>> whole_interval("layers", (2, 8), least=0)
        (2, 8)
    """
    kind = "an integer or two, (low, high) with low <= high,"
    low, high = _pair(name, value, kind, least, most, is_whole=True, takes_one=True)
    return int(low), int(high)


def one_of(name, value, allowed):
    """Check a choice; the message suggests the nearest name to a mistyped one.

    Args:
        name: Name of the argument, for the message.
        value: The choice.
        allowed: The values allowed, a collection.

    Returns:
        `value`.

    Raises:
        ValueError: `value` is not among them.

    Example:
        >>> one_of("mode", "single", ("single", "multiscale"))
        'single'
        >>> one_of("mode", "multi-scale", ("single", "multiscale"))
        Traceback (most recent call last):
            ...
        ValueError: mode must be one of 'single', 'multiscale'. Did you mean 'multiscale'? \
Received: 'multi-scale'
    """
    try:
        known = value in allowed
    except (TypeError, ValueError):  # not hashable, or an array
        known = False
    if not known:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, allowed))}."
            f"{suggestion(value, allowed)} Received: {value!r}"
        )
    return value


def suggestion(value, known):
    """Suggest the nearest of some names.

    Args:
        value: What was given.
        known: Names that exist.

    Returns:
        `" Did you mean 'name'?"`, or an empty string if nothing is near.

    Example:
        >>> suggestion("PWCNet2", ["PWCNet", "StyleGAN"])
        " Did you mean 'PWCNet'?"
    """
    near = difflib.get_close_matches(str(value), [str(name) for name in known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def plain_name(name):
    """Return the letters and digits of a name in small letters: "KITTI-2015" is `kitti2015`."""
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


def shape(name, array, allowed, axes):
    """Check the shape of an array or tensor.

    Args:
        name: Name of the argument, for the message.
        array: Anything with `shape`.
        allowed: How to write the shape in the message, such as `"(B, H, W, 2)"`.
        axes: For each axis its length, a collection of lengths, or None for any. An axis of
            unknown length (None) fits.

    Returns:
        `array`.

    Raises:
        ValueError: The shape is another one.

    Example:
        >>> shape("flow", np.zeros((4, 5)), "(B, H, W, 2)", (None, None, None, 2))
        Traceback (most recent call last):
            ...
        ValueError: flow must have the shape (B, H, W, 2). Received: shape (4, 5)
    """
    found = getattr(array, "shape", None)
    fits = found is not None and len(found) == len(axes)
    if not (fits and all(map(_is_length, found, axes))):
        text = f"shape {tuple(found)}" if found is not None else repr(array)
        raise ValueError(f"{name} must have the shape {allowed}. Received: {text}")
    return array


def same_shape(names, arrays, allowed, axes):
    """Check that two arrays or tensors share a shape; unknown lengths (None) fit any.

    Args:
        names: The two arguments' names, for the message.
        arrays: Two objects with `shape`.
        allowed: How to write the shape in the message, such as `"(B, H, W, C)"`.
        axes: As in `shape`.

    Returns:
        Tuple: their common shape; None where neither is known.

    Raises:
        ValueError: The shapes differ or do not fit `axes`.

    Example:
        >>> same_shape(("a", "b"), (np.zeros((2, 3)), np.ones((2, 3))), "(B, C)", (None, None))
        (2, 3)
    """
    shapes = [tuple(array.shape) for array in arrays]
    fits = all(len(found) == len(axes) and all(map(_is_length, found, axes)) for found in shapes)
    if not (fits and all(a == b or None in (a, b) for a, b in zip(*shapes, strict=True))):
        raise ValueError(
            f"{names[0]} and {names[1]} must both have the shape {allowed}. "
            f"Received: shapes {shapes[0]} and {shapes[1]}"
        )
    return tuple(b if a is None else a for a, b in zip(*shapes, strict=True))


def pixel_weight(weight):
    """Check a mask or weight of pixels, of a loss or metric.

    Args:
        weight: Tensor (B, H, W, 1), (B, H, W), or (B,), one for all pixels of a sample.

    Returns:
        The weight as (B, H, W, 1) or (B, 1, 1, 1).

    Raises:
        ValueError: The shape is another one.

    Example:
        >>> pixel_weight(np.ones((2, 4, 5))).shape, pixel_weight(np.ones(2)).shape
        ((2, 4, 5, 1), (2, 1, 1, 1))
    """
    rank = len(weight.shape)
    if rank not in (1, 3, 4) or (rank == 4 and weight.shape[-1] != 1):
        raise ValueError(
            "sample_weight must have the shape (B, H, W, 1), (B, H, W) or (B,). "
            f"Received: shape {tuple(weight.shape)}"
        )
    return weight[(..., *[None] * (4 - rank))]


def _is_length(found, allowed):
    # JAX traces an unknown length as a symbol, which a range would be searched for without end.
    if allowed is None or not isinstance(found, numbers.Integral):
        return True
    return found in allowed if isinstance(allowed, (tuple, list, set, range)) else found == allowed


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_within(value, least=None, most=None, above=None, below=None):
    return (
        (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _range(least=None, most=None, above=None, below=None):
    bounds = ((">=", least), (">", above), ("<=", most), ("<", below))
    text = " and ".join(f"{sign} {bound}" for sign, bound in bounds if bound is not None)
    return f" {text}" if text else ""


def _pair(name, value, kind, least, most, is_whole=False, takes_one=False):
    """Two numbers in the range; with `takes_one` in order, or one number for both."""
    try:
        values = [value, value] if takes_one and _is_number(value) else list(value)
    except TypeError:
        values = []
    fits = len(values) == 2 and all(
        _is_number(v) and (not is_whole or v % 1 == 0) and _is_within(v, least, most)
        for v in values
    )
    if not fits or (takes_one and values[0] > values[1]):
        raise ValueError(f"{name} must be {kind}{_range(least, most)}. Received: {value!r}")
    return values
