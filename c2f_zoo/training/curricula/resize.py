"""Batches of images, and of targets that are pictures too, at another resolution."""

import keras
from keras import ops

from c2f_zoo import backend, checks

# By how much a target's values change with the width and the height: a factor for each channel.
_FACTORS = {
    "flow": lambda height, width: [width, height],
    "disparity": lambda height, width: [width],
    "depth": lambda height, width: [1.0],
}
TARGETS = ("labels", "images", "masks", *_FACTORS)


def resize_batch(batch, size, targets="labels"):
    """Resize the images of a batch, and its targets by what they are.

    Smaller images are smoothed first (antialiasing), by a triangle filter as wide as the new
    pixels: `PIL.Image.resize` with `BILINEAR`. Integers are rounded and keep their dtype.

    Args:
        batch: `x`, `(x, y)` or `(x, y, sample_weight)`, each any structure of arrays. In `x`
            those of shape (B, h, w, C) are images; others stay as they are.
        size: (height, width).
        targets: What `y` is. `"labels"`: of no resolution. `"images"`: resized as those of `x`.
            `"masks"`: class numbers of pixels, (B, h, w, C) or (B, h, w), of which the nearest is
            taken. `"flow"` (B, h, w, 2) and `"disparity"` (B, h, w, 1), in pixels: scaled by the
            ratio of the sizes too. `"depth"` (B, h, w, 1): not scaled. Of the last three,
            where a `sample_weight` (B, h, w, 1) is 0, no value enters the mean; the weights are
            resized as images.

    Returns:
        The same structure, of tensors (B, height, width, C) where there were images, or the
        batch itself where all have the size already.

    Raises:
        ValueError: If `y` has a resolution and `targets` is `"labels"`, or is not of the shape
            that `targets` asks for.

    Example:
        >>> images, flow = np.ones((1, 8, 8, 3), "float32"), np.full((1, 8, 8, 2), 4.0, "float32")
        >>> small, halved = resize_batch((images, flow), (4, 4), targets="flow")
        >>> tuple(small.shape), round(float(halved[0, 0, 0, 0]), 4)
        ((1, 4, 4, 3), 2.0)
    """
    checks.one_of("targets", targets, TARGETS)
    size = checks.whole_pair("size", size, least=1)
    if isinstance(batch, list):
        batch = tuple(batch)
    if not isinstance(batch, tuple):
        return keras.tree.map_structure(lambda x: _resized(x, size), batch)
    x, *rest = batch
    old = _check_targets(x, rest, targets)
    x = keras.tree.map_structure(lambda image: _resized(image, size), x)
    if not rest or targets == "labels":
        return (x, *rest)
    y, weights = rest[0], rest[1] if len(rest) > 1 else None
    if targets == "images":
        y = keras.tree.map_structure(lambda image: _resized(image, size), y)
    elif targets == "masks":
        y = keras.tree.map_structure(lambda mask: _nearest(mask, size), y)
    elif size != old:
        y = _field(y, weights, size, _FACTORS[targets](size[0] / old[0], size[1] / old[1]))
    return (x, y) if weights is None else (x, y, _weights(weights, size))


def _check_targets(x, rest, targets):
    """Refuse targets of another kind; return the height and width of the images."""
    sizes = {tuple(leaf.shape[1:3]) for leaf in keras.tree.flatten(x) if len(leaf.shape) == 4}
    old = sizes.pop() if len(sizes) == 1 else (None, None)
    found = keras.tree.flatten(rest[:1])
    shapes = [tuple(leaf.shape) for leaf in found]
    if targets == "labels" and any(shape[1:3] in (old, *sizes) for shape in shapes):
        raise ValueError(
            "The targets have the resolution of the images. Say what they are: "
            f"targets={', '.join(map(repr, TARGETS[1:]))}, or pass a function resize(batch, size). "
            f"Received: targets of shape {shapes}"
        )
    if targets in _FACTORS:
        channels = 2 if targets == "flow" else 1
        if len(found) != 1 or None in old:
            raise ValueError(
                f"targets={targets!r} needs one array of targets and images of one size. "
                f"Received: {len(found)} targets and images of {sorted(sizes)}"
            )
        checks.shape("y", found[0], f"(B, {old[0]}, {old[1]}, {channels})", (None, *old, channels))
    return old


def _resized(image, size):
    """An array (B, h, w, C) resized with antialiasing; any other as it is."""
    if len(image.shape) != 4 or tuple(image.shape[1:3]) == size:
        return image
    image = ops.convert_to_tensor(image)
    dtype = keras.backend.standardize_dtype(image.dtype)
    is_float = keras.backend.is_float_dtype(dtype)
    options = {"interpolation": "bilinear", "antialias": True, "data_format": "channels_last"}
    smaller = ops.image.resize(backend.at_least_float32(image), size, **options)
    return ops.cast(smaller if is_float else ops.round(smaller), dtype)


def _nearest(mask, size):
    """A mask (B, h, w, ...) of the pixels whose centres are nearest to the new ones."""
    mask = ops.convert_to_tensor(mask)
    for axis, length in zip((1, 2), size, strict=True):
        old = mask.shape[axis]
        if old != length:
            mask = ops.take(mask, (2 * ops.arange(length) + 1) * old // (2 * length), axis=axis)
    return mask


def _field(field, weights, size, factors):
    """A field (B, h, w, C) resized as the mean of what is known, its channels scaled."""
    field = ops.convert_to_tensor(field)
    if weights is not None and len(weights.shape) > 1:
        known = ops.cast(_as_pixels(weights), field.dtype)
        # Zero times NaN, which some data sets have where nothing is known, would be NaN.
        field = _resized(ops.where(known > 0, field * known, 0), size)
        field = field / ops.maximum(_resized(known, size), 1e-12)
    else:
        field = _resized(field, size)
    return field * ops.convert_to_tensor(factors, dtype=field.dtype)


def _weights(weights, size):
    """Weights of pixels resized, in their own shape; those of samples as they are."""
    if len(weights.shape) == 1:
        return weights
    small = _resized(_as_pixels(weights), size)
    return small if len(weights.shape) == 4 else small[..., 0]


def _as_pixels(weights):
    return checks.pixel_weight(ops.convert_to_tensor(weights))
