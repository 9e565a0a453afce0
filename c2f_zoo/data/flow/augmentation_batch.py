"""A batch of training pairs as arrays of one size."""

import numpy as np
from keras import ops


def standardize(images, flow, valid):
    """Convert a batch, or lists of samples, to tensors of one size, and give the own sizes."""
    if not isinstance(images, (list, tuple)) or len(images) != 2:
        raise ValueError(f"images must be a pair (image1, image2). Received: {type(images)}")
    image1, image2 = images
    if isinstance(flow, (list, tuple)):
        sizes = [tuple(np.shape(sample)[:2]) for sample in flow]
        given = [np.ones((*size, 1), "float32") for size in sizes] if valid is None else valid
        valid = [np.reshape(sample, (*np.shape(sample)[:2], 1)) for sample in given]
        # Multiples of 64 keep the number of shapes, and so of compilations, small.
        padded = tuple(-(-max(extents) // 64) * 64 for extents in zip(*sizes, strict=True))
        image1, image2, flow, valid = (
            np.stack([_pad(np.asarray(sample), padded) for sample in part])
            for part in (image1, image2, flow, valid)
        )
    else:
        sizes = [tuple(int(extent) for extent in flow.shape[1:3])] * int(flow.shape[0])
        valid = np.ones((*flow.shape[:3], 1), "float32") if valid is None else valid
    image1, image2 = ops.convert_to_tensor(image1), ops.convert_to_tensor(image2)
    flow = ops.cast(ops.convert_to_tensor(flow), "float32")
    valid = ops.cast(ops.convert_to_tensor(valid), "float32")
    valid = valid[..., None] if len(valid.shape) == 3 else valid
    _check_shapes(image1, image2, flow, valid, sizes)
    return image1, image2, flow, valid, sizes


def _pad(sample, size):
    missing = [extent - have for extent, have in zip(size, sample.shape[:2], strict=True)]
    return np.pad(sample, [(0, missing[0]), (0, missing[1]), (0, 0)])


def _check_shapes(image1, image2, flow, valid, sizes):
    shapes = [tuple(array.shape) for array in (image1, image2, flow, valid)]
    grid = shapes[2][:3]
    if len(grid) != 3 or shapes != [(*grid, 3), (*grid, 3), (*grid, 2), (*grid, 1)]:
        raise ValueError(
            "image1, image2, flow and valid must be (B, H, W, 3), (B, H, W, 3), (B, H, W, 2) and "
            f"(B, H, W, 1) or (B, H, W). Received: shapes {', '.join(map(str, shapes))}"
        )
    if min(min(size) for size in sizes) < 2:
        raise ValueError(f"A source must be at least 2x2 pixels. Received: sizes {sizes}")
