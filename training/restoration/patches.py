"""Patches of photographs, and what they are degraded by: the data of the `.photos` recipes.

The photographs are those of `python training/collect/photographs.py photos/ --lossless`.
"""

import math
from pathlib import Path

import keras
import numpy as np
from keras import ops

# A photograph at several sizes has detail of several kinds; the smaller ones are sharper.
SCALES = (1.0, 0.7, 0.5)


class PhotoPatches:
    """Random square patches of photographs, turned and mirrored: a source of `MultilevelStream`.

    Every photograph, at every one of `SCALES`, is drawn as often as it has pixels.

    Args:
        folder: Folder of images.
        size: Side of a patch.
        length: Patches that count as one pass over the data.
    """

    def __init__(self, folder, size, length=4096):
        self.size, self.length = size, length
        self.images = [image for path in files(folder) for image in sizes_of(path, size)]
        pixels = np.array([image.shape[0] * image.shape[1] for image in self.images], np.float64)
        self.share = pixels / pixels.sum()

    def __len__(self):
        return self.length

    def samples(self, indices, random):
        """Draw a patch for each index; the indices have no effect."""
        chosen = random.choice(len(self.images), len(indices), p=self.share)
        return np.stack([self.patch(self.images[number], random) for number in chosen])

    def patch(self, image, random):
        """Draw a patch (size, size, 3), uint8."""
        top, left = (random.integers(0, side - self.size + 1) for side in image.shape[:2])
        patch = image[top : top + self.size, left : left + self.size]
        patch = np.rot90(patch, random.integers(4))
        return patch[:, ::-1] if random.integers(2) else patch


class NoisePatches:
    """Noise in place of photographs, for a rehearsal."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return 64

    def samples(self, indices, random):
        """Draw patches (B, size, size, 3), uint8."""
        return random.integers(0, 256, (len(indices), self.size, self.size, 3), "uint8")


def files(folder):
    """Names of the images in a folder, in order."""
    found = sorted(path for path in Path(folder).glob("*") if path.suffix in (".png", ".jpg"))
    if not found:
        raise SystemExit(
            f"{folder} holds no photographs; `python training/collect/photographs.py photos/ "
            "--lossless` collects them."
        )
    return found


def sizes_of(path, least):
    """Read a photograph at each of `SCALES` at which it has at least so many pixels a side."""
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    for scale in SCALES:
        size = tuple(round(side * scale) for side in image.size)
        if min(size) >= least:
            yield np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def crops(folder, size, count=2):
    """Fixed crops of the photographs held out, float32 (N, size, size, 3) in [0, 1]."""
    found = []
    for path in files(folder):
        for image in list(sizes_of(path, size))[::2][:count]:
            top, left = ((side - size) // 2 for side in image.shape[:2])
            found.append(image[top : top + size, left : left + size])
    return np.stack(found).astype("float32") / 255


# Each of these takes clean images (B, H, W, 3) in [0, 1] and a seed generator, and returns what
# the network is given and what it is to answer.


def noisy(images, seed, level=(0.0, 55.0)):
    """Add Gaussian noise, of a level in grey values that each image draws."""
    sigma = uniform(images, seed, *level) / 255.0
    return images + sigma * normal(images, seed), images


def blurred(images, seed, sigma=(0.4, 3.0), angle_reach=9.0, noise=(0.0, 4.0), margin=16):
    """Blur by a Gaussian and along a line, add a little noise, and cut the border off.

    The line has a random direction and a length of up to `angle_reach` pixels, with every other
    image none.
    """
    kernels = blur_kernels(images, seed, sigma, angle_reach, margin)
    # What is cut off is where the convolution took from the opposite border.
    worse, images = (
        x[:, margin:-margin, margin:-margin] for x in (convolve_each(images, kernels), images)
    )
    return worse + uniform(images, seed, *noise) / 255.0 * normal(images, seed), images


def masked(images, seed, boxes=4, strokes=4):
    """Leave boxes and strokes out; the mask (B, H, W, 1) is 1 where the image is known."""
    height, width = images.shape[1:3]
    y = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1, 1))
    x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width, 1))
    hole = 0.0
    for number in range(boxes + strokes):
        here = [uniform(images, seed, 0, side) for side in (height, width)]
        if number < boxes:
            half = [uniform(images, seed, 1.5, side / 7) for side in (height, width)]
            inside = ops.maximum(ops.abs(y - here[0]) / half[0], ops.abs(x - here[1]) / half[1]) < 1
        else:
            there = [uniform(images, seed, 0, side) for side in (height, width)]
            thickness = uniform(images, seed, 0.8, 3.5)
            inside = distance_to_line(y, x, here, there) < thickness
        # Half of them only, so that little is missing from some images and much from others.
        used = uniform(images, seed, 0, 1) < (1.0 if number == 0 else 0.5)
        hole = ops.maximum(hole, ops.cast(ops.logical_and(inside, used), "float32"))
    return (images, 1.0 - hole), images


def small(images, seed, factor=2):
    """Shrink as MATLAB's `imresize` does, and round to 8 bits as the field does."""
    from c2f_zoo.data import downsample

    shrunk = ops.clip(downsample(images, factor), 0.0, 1.0)
    return ops.round(shrunk * 255.0) / 255.0, images


def uniform(images, seed, low, high):
    """A number for each image, (B, 1, 1, 1)."""
    shape = (ops.shape(images)[0], 1, 1, 1)
    return keras.random.uniform(shape, low, high, dtype="float32", seed=seed)


def normal(images, seed):
    """Standard normal noise of the images' shape."""
    return keras.random.normal(ops.shape(images), dtype="float32", seed=seed)


def distance_to_line(y, x, here, there):
    """Distance of each pixel from the segment between two points."""
    along = [b - a for a, b in zip(here, there, strict=True)]
    length = along[0] ** 2 + along[1] ** 2 + 1e-3
    share = ((y - here[0]) * along[0] + (x - here[1]) * along[1]) / length
    share = ops.clip(share, 0.0, 1.0)
    away = (y - here[0] - share * along[0]) ** 2 + (x - here[1] - share * along[1]) ** 2
    return ops.sqrt(away)


def blur_kernels(images, seed, sigma, reach, margin):
    """Kernels (B, k, k, 1) that sum to 1, k = 2 `margin` + 1: a Gaussian smeared along a line."""
    sigma, angle = uniform(images, seed, *sigma), uniform(images, seed, 0.0, math.pi)
    length = ops.maximum(uniform(images, seed, -reach, reach), 0.0)
    grid = ops.arange(-margin, margin + 1, dtype="float32")
    y, x = ops.reshape(grid, (1, -1, 1, 1)), ops.reshape(grid, (1, 1, -1, 1))
    kernel = 0.0
    steps = 25  # points on the line, closer than the narrowest Gaussian is wide
    for number in range(steps):
        shift = (number / (steps - 1) - 0.5) * length
        apart = (y - shift * ops.sin(angle)) ** 2 + (x - shift * ops.cos(angle)) ** 2
        kernel = kernel + ops.exp(-apart / (2.0 * sigma**2))
    return kernel / ops.sum(kernel, axis=(1, 2), keepdims=True)


def convolve_each(images, kernels):
    """Convolve each image with its own kernel, periodically, by the Fourier transform.

    The kernels look the same from both ends, so that their spectra are real.
    """
    height, width = images.shape[1:3]
    rows, columns = kernels.shape[1:3]
    kernels = ops.pad(kernels, ((0, 0), (0, height - rows), (0, width - columns), (0, 0)))
    kernels = ops.roll(kernels, (-(rows // 2), -(columns // 2)), axis=(1, 2))
    gain, _ = ops.fft2((kernels[..., 0], ops.zeros_like(kernels[..., 0])))
    images = ops.transpose(images, (0, 3, 1, 2))
    real, imaginary = ops.fft2((images, ops.zeros_like(images)))
    result, _ = ops.ifft2((real * gain[:, None], imaginary * gain[:, None]))
    return ops.transpose(result, (0, 2, 3, 1))
