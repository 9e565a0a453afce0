"""Noise, and boxes cut out: what denoising and inpainting undo."""

import numpy as np
from keras import ops

from c2f_zoo import checks
from c2f_zoo.data.degradations.base import Degradation, draw_from, draw_seed
from c2f_zoo.data.seeded_noise import normal_noise


class GaussianNoise(Degradation):
    """Add Gaussian noise, independent for every pixel and channel.

    Args:
        sigma: Standard deviation on images in [0, 1] (25 of 255 levels is 25 / 255), or a range
            (low, high) from which each image draws its own, uniformly.
        clip: Clip the result to [0, 1], as saving it would. Defaults to False, as the
            field's protocols for denoising have it.
        seed: Non-negative integer.

    Raises:
        ValueError: If `sigma` is negative or not a range.

    Example:
        >>> images = np.full((2, 64, 64, 3), 0.5)
        >>> noisy = GaussianNoise((0.0, 55 / 255))(images, index=7)
        >>> tuple(noisy.shape), bool(np.asarray(noisy).std() > 0)
        ((2, 64, 64, 3), True)
    """

    def __init__(self, sigma=25 / 255, clip=False, seed=0):
        super().__init__(seed)
        self.sigma, self.clip = checks.interval("sigma", sigma, least=0), bool(clip)

    def draw_sample(self, rng, size):
        return {"seed": draw_seed(rng), "sigma": draw_from(rng, self.sigma)}

    def apply(self, images, numbers):
        noise = normal_noise(numbers["seed"], tuple(images.shape[1:]))
        images = images + noise * numbers["sigma"][:, None, None, None]
        return ops.clip(images, 0.0, 1.0) if self.clip else images


class RandomBoxes(Degradation):
    """Cut random boxes out of images: `A(x) = mask x + (1 - mask) fill`.

    The released code of multiscale training names this corruption and does not hold it; sides and
    number are ours. Boxes lie within the image and may overlap.

    Args:
        boxes: Fewest and most boxes of an image, or one number. Defaults to (1, 4).
        side: Shortest and longest side of a box as shares of the image's height and width.
            Defaults to (0.1, 0.4). A side is at least one pixel.
        fill: What a box holds instead. Defaults to 0.5, the mean of images in [0, 1], which is 0
            to a network that takes its input to [-1, 1].
        seed: Non-negative integer.

    Raises:
        ValueError: If a range is out of bounds or not a range.

    Example:
        >>> images = np.ones((1, 32, 32, 3), "float32")
        >>> degradation = RandomBoxes(boxes=(1, 1), side=(0.25, 0.25), fill=0)
        >>> int(32 * 32 - np.asarray(degradation(images))[..., 0].sum())
        64
        >>> tuple(degradation.mask(1, (32, 32)).shape)
        (1, 32, 32, 1)
    """

    def __init__(self, boxes=(1, 4), side=(0.1, 0.4), fill=0.5, seed=0):
        super().__init__(seed)
        self.boxes = checks.whole_interval("boxes", boxes, least=1)
        self.side, self.fill = checks.interval("side", side, least=0, most=1), float(fill)

    def draw_sample(self, rng, size):
        size = np.array(size)
        shares = rng.uniform(*self.side, (self.boxes[1], 2))
        sides = np.maximum(np.rint(shares * size), 1).astype(int)
        corners = rng.integers(0, size - sides + 1)
        boxes = np.concatenate([corners, corners + sides], axis=1).astype("int32")
        boxes[rng.integers(self.boxes[0], self.boxes[1] + 1) :] = 0  # top = bottom: no box
        return {"boxes": boxes}

    def apply(self, images, numbers):
        mask = box_mask(numbers["boxes"], tuple(images.shape[1:3]))
        return images * mask + self.fill * (1.0 - mask)

    def mask(self, count, size, index=0):
        """Give the masks of a batch, without degrading images.

        Args:
            count: B.
            size: (H, W).
            index: As in the call.

        Returns:
            float32 tensor (B, H, W, 1), 0 within the boxes that the call with this index cuts
            out, 1 elsewhere.
        """
        return box_mask(ops.convert_to_tensor(self.draw(count, size, index)["boxes"]), tuple(size))


def box_mask(boxes, size):
    """Draw boxes as masks.

    Args:
        boxes: Tensor (B, N, 4), int32: first row, first column, and the row and column after the
            last. Empty ones draw nothing.
        size: (H, W).

    Returns:
        float32 tensor (B, H, W, 1), 0 within a box, 1 elsewhere.

    Example:
        >>> mask = box_mask(ops.convert_to_tensor(np.array([[[0, 1, 2, 3]]], "int32")), (2, 4))
        >>> np.asarray(mask)[0, 0, :, 0].tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    rows = ops.arange(size[0], dtype="int32")[None, None, :, None]
    columns = ops.arange(size[1], dtype="int32")[None, None, None, :]
    top, left, bottom, right = (boxes[:, :, i, None, None] for i in range(4))
    is_row = ops.logical_and(rows >= top, rows < bottom)
    is_column = ops.logical_and(columns >= left, columns < right)
    is_cut = ops.any(ops.logical_and(is_row, is_column), axis=1)
    return 1.0 - ops.cast(is_cut, "float32")[..., None]
