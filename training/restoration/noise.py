"""Noise as photographs have it: the data of `unet_denoise.real`, made on the host.

Besides white Gaussian noise a photograph has noise that is the same in all channels (a grey
picture), that is mixed of luma and chroma (a camera's colour matrix), or that is coarser than a
pixel (demosaicing, sensors read at half the resolution); and it was clipped, rounded to 8 bits and
often kept as a JPEG file.
"""

import io

import numpy as np

BORDER = 32  # pixels that a patch given is larger than the one made of it
PLAIN = 0.4  # share of samples with white noise, neither clipped nor rounded
NEARLY_CLEAN = 0.08  # share of samples with little noise
# Shares among the other samples: of the noise, and of what happened to the file.
GRAINS = {"white": 0.3, "grey": 0.25, "mixed": 0.2, "coarse": 0.25}
FINISHES = {"none": 0.25, "bytes": 0.3, "jpeg": 0.45}
GREY_PHOTOGRAPHS = 0.8  # share of the samples with grey noise
KERNELS = ("box", "linear", "cubic", "gaussian")


class NoisyPhotos:
    """Noisy patches and the clean ones: a source of `MultilevelStream`.

    Args:
        source: Source of clean patches (B, size + `BORDER`, size + `BORDER`, 3), uint8.
        size: Side of a patch that is given.
        level, little: Lowest and highest standard deviation of the noise, in levels of 255, and
            those of the samples that are nearly clean.
    """

    def __init__(self, source, size, level=(0.0, 55.0), little=(0.0, 5.0)):
        self.source, self.size, self.level, self.little = source, size, level, little

    def __len__(self):
        return len(self.source)

    def samples(self, indices, random):
        """Draw noisy patches, float32 with 1 for 255, and the clean ones, uint8."""
        pairs = [self.pair(patch, random) for patch in self.source.samples(indices, random)]
        return tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True))

    def pair(self, patch, random):
        """Make a noisy patch and its clean one from a larger patch."""
        sigma = random.uniform(*(self.little if random.random() < NEARLY_CLEAN else self.level))
        grain, finish = "white", "none"
        if random.random() >= PLAIN:
            grain, finish = drawn(GRAINS, random), drawn(FINISHES, random)
        if grain == "grey" and random.random() < GREY_PHOTOGRAPHS:
            patch = grey(patch)
        noisy = patch + sigma * noise(grain, patch.shape[:2], random)
        if finish == "bytes":
            noisy = to_bytes(noisy)
        elif finish == "jpeg":
            subsampling = "4:4:4" if random.random() < 0.3 else "4:2:0"
            noisy = through_jpeg(noisy, int(random.integers(70, 99)), subsampling)
        # The patch is cut out last, so that JPEG's blocks begin anywhere in it.
        top, left = random.integers(0, BORDER + 1, 2)
        window = slice(top, top + self.size), slice(left, left + self.size)
        return np.float32(noisy[window]) / np.float32(255), patch[window]


def drawn(shares, random):
    """Draw a key of a dictionary by its shares."""
    return str(random.choice(list(shares), p=list(shares.values())))


def noise(grain, shape, random):
    """Draw noise (H, W, 3) of standard deviation 1, as one of `GRAINS`."""
    if grain == "grey":
        return np.repeat(random.standard_normal((*shape, 1)), 3, axis=2)
    if grain == "mixed":
        return mixed(random.standard_normal((*shape, 3)), random.uniform(0, np.pi / 2))
    if grain == "coarse":
        found = coarse(shape, str(random.choice(KERNELS)), random.uniform(1.2, 3.0), random)
        return mixed(found, random.uniform(0, np.pi / 2)) if random.random() < 0.5 else found
    return random.standard_normal((*shape, 3))


def mixed(noise, angle):
    """Rotate between the channel mean (cos) and the deviation from it (sin).

    White noise keeps its standard deviation, on average over the channels: its mean has a third
    of the variance, the differences two thirds.
    """
    luma = noise.mean(axis=2, keepdims=True)
    a, b = np.cos(angle), np.sin(angle)
    return (a * luma + b * (noise - luma)) / np.sqrt((a**2 + 2 * b**2) / 3)


def coarse(shape, kernel, factor, random):
    """Draw noise (H, W, 3) of a lower resolution and interpolate it, or blur it by a Gaussian.

    `factor` is the number of pixels to one that is drawn, of a Gaussian two standard deviations. A
    box repeats pixels: like the Gaussian it keeps the resolution where `factor` is 1.
    """
    rows, columns = (interpolation(side, kernel, factor, random.random()) for side in shape)
    # Over the pixels, the mean variance of what is interpolated from white noise.
    variance = (rows**2).sum(axis=1).mean() * (columns**2).sum(axis=1).mean()
    drawn = random.standard_normal((3, rows.shape[1], columns.shape[1]))
    return (rows @ drawn @ columns.T).transpose(1, 2, 0) / np.sqrt(variance)


def interpolation(size, kernel, factor, offset):
    """Matrix (size, n) that interpolates n samples, `factor` pixels apart, to `size` pixels."""
    step = 1.0 if kernel == "gaussian" else factor
    margin = 5  # samples beyond the border, more than any kernel reaches
    count = int(np.ceil(size / step)) + 2 * margin + 1
    t = np.arange(size)[:, None] / step + offset + margin - np.arange(count)
    if kernel == "box":
        return np.float64((t >= -0.5) & (t < 0.5))
    if kernel == "linear":
        return np.maximum(1 - np.abs(t), 0)
    if kernel == "gaussian":
        return np.exp(-2 * (t / factor) ** 2)
    t = np.abs(t)  # Keys' cubic, a = -1/2
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def grey(patch):
    """Make an image grey (BT.601), with three channels and as bytes."""
    luma = to_bytes(patch @ np.array([0.299, 0.587, 0.114]))
    return np.repeat(luma[..., None], 3, axis=-1)


def to_bytes(image):
    """Clip and round to uint8."""
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def through_jpeg(image, quality, subsampling):
    """Write an image as a JPEG file and read it, uint8 (H, W, 3)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(to_bytes(image)).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


def validation_sets(clean, seed):
    """Degrade clean images (N, H, W, 3), uint8, in each of the ways that a run is measured by.

    Returns a dictionary from a column's name to (given, clean), float32 arrays in which 1 is 255.
    """
    greys = np.stack([grey(image) for image in clean])

    def with_noise(images, sigma, make=lambda shape, random: noise("white", shape, random)):
        random = np.random.default_rng((seed, 987_654))
        return np.stack([image + sigma * make(image.shape[:2], random) for image in images])

    white = with_noise(clean, 25)
    half = with_noise(clean, 25, lambda shape, random: coarse(shape, "linear", 2.0, random))
    sets = {
        "white": (white, clean),
        "bytes": (to_bytes(white), clean),
        "grey": (with_noise(greys, 25, lambda *drawn: noise("grey", *drawn)), greys),
        "coarse": (half, clean),
        "jpeg": (np.stack([through_jpeg(image, 92, "4:2:0") for image in white]), clean),
        "clean": (to_bytes(with_noise(clean, 2)), clean),
    }
    return {
        name: tuple(np.float32(images) / np.float32(255) for images in pair)
        for name, pair in sets.items()
    }
