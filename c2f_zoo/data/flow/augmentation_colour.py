"""Photometric augmentation of image pairs: drawn on the host, applied on the device."""

import math
from dataclasses import dataclass, field

import numpy as np
from keras import ops

from c2f_zoo.data.degradations.noise import box_mask
from c2f_zoo.data.seeded_noise import normal_halves, random_bits

# Directions of the largest colour variation of natural images (rows; RGB), as FlowNet2 has them.
EIGENVECTORS = np.array(
    [[0.65, 0.56, 0.51], [-0.62, 0.01, 0.79], [0.44, -0.83, 0.35]], dtype="float32"
)
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Spread:
    """Distribution of a number: uniform within `spread` of `mean`, or normal with that deviation.

    With `exponential` it is e to the power of what was drawn.
    """

    spread: float
    mean: float = 0.0
    gaussian: bool = False
    exponential: bool = False

    def draw(self, rng, count=(), strength=1.0, probability=1.0):
        """Draw an array of shape `count`; neutral (0, or 1 if exponential) with 1 - probability."""
        noise = rng.standard_normal(count) if self.gaussian else rng.uniform(-1, 1, count)
        value = self.mean + self.spread * strength * noise
        value = value * (rng.random(count) < probability)
        return np.exp(value) if self.exponential else value


def _factor(spread, mean=0.0, gaussian=False):
    return Spread(spread, mean, gaussian, exponential=True)


# PWC-Net's train.prototxt. The parts: "axis" acts on each colour axis without its mean (the
# first, brightness-like, has its own ranges), "saturation" on the two colour axes together,
# "lightness" on the length of the colour vector.
EIGEN_RANGES = {
    "axis0_power": _factor(0.4, gaussian=True),
    "axis0_add": Spread(0.04, gaussian=True),
    "axis0_factor": _factor(0.4, gaussian=True),
    "axis1_power": _factor(0.4, gaussian=True),
    "axis1_add": Spread(0.02, gaussian=True),
    "axis1_factor": _factor(0.2, gaussian=True),
    "axis2_power": _factor(0.4, gaussian=True),
    "axis2_add": Spread(0.02, gaussian=True),
    "axis2_factor": _factor(0.2, gaussian=True),
    "saturation_power": _factor(0.4),
    "saturation_add": Spread(0.03),
    "saturation_factor": _factor(0.5, mean=-0.3),
    "lightness_power": _factor(0.4, mean=-0.2),
    "lightness_add": Spread(0.03),
    "lightness_factor": _factor(0.4),
    "hue_angle": Spread(1.0),
}
RELATIVE_RANGES = {
    "gamma": _factor(0.02, gaussian=True),
    "brightness": Spread(0.02, gaussian=True),
    "contrast": _factor(0.02, gaussian=True),
    "red": _factor(0.02, gaussian=True),
    "green": _factor(0.02, gaussian=True),
    "blue": _factor(0.02, gaussian=True),
}


@dataclass(frozen=True)
class EigenColour:
    """FlowNet2's and PWC-Net's scheme: strong and equal for the pair, slight for frame 2.

    The pair's colours are changed in the space of natural images' principal colours: power, sum
    and factor of each axis, saturation, hue and lightness. Frame 2 alone then gets slightly
    other gamma, brightness, contrast and colour gains. Unlike in the released code, the statistics
    of frame 1 serve both frames, so that equal colours of the two stay equal.

    Args:
        ranges: `Spread` of each number of the pair's change, by name.
        relative_ranges: `Spread` of each number of frame 2's change.
        probability: Of each of these numbers not being neutral.

    Source: Ilg et al., FlowNet 2.0, CVPR 2017; ranges of PWC-Net's released train.prototxt.
    """

    ranges: dict = field(default_factory=lambda: dict(EIGEN_RANGES))
    relative_ranges: dict = field(default_factory=lambda: dict(RELATIVE_RANGES))
    probability: float = 1.0

    def draw(self, rng, strength=1.0):
        """Draw one pair's numbers; `strength` scales the relative ones."""
        numbers = {
            name: spread.draw(rng, probability=self.probability)
            for name, spread in self.ranges.items()
        }
        for name, spread in self.relative_ranges.items():
            numbers[f"relative_{name}"] = spread.draw(rng, (), strength, self.probability)
        return {name: np.float32(value) for name, value in numbers.items()}

    @staticmethod
    def apply(image1, image2, numbers):
        """Change the colours of images (B, H, W, 3) in [0, 1] by numbers (B,)."""
        numbers = {name: value[:, None, None] for name, value in numbers.items()}
        # Planes, not pixels of three: matrix products and sums over a last axis of 3 are slow.
        planes1, planes2 = (_split(image) for image in (image1, image2))
        mean = [ops.mean(plane, axis=(1, 2), keepdims=True) for plane in planes1]
        extremes = [
            ops.maximum(ops.max(ops.abs(axis), axis=(1, 2), keepdims=True), 1e-2)
            for axis in _to_axes(*planes1)
        ]
        planes1 = _change_eigencolours(planes1, numbers, mean, extremes)
        planes2 = _change_eigencolours(planes2, numbers, mean, extremes)
        planes2 = _change_tone(planes2, numbers)
        return ops.stack(planes1, axis=-1), ops.stack(planes2, axis=-1)


@dataclass(frozen=True)
class JitterColour:
    """RAFT's scheme: brightness, contrast, saturation and hue, mostly equal for both frames.

    The four follow each other in this order, and hue is a rotation in RGB, not a shift in HSV.

    Args:
        brightness, contrast, saturation: Range of the factor around 1 on the colours, on their
            distance from the mean grey, and on that from grey.
        hue: Range of the rotation about the grey axis, in full turns.
        asymmetric: Probability of independent numbers for the two frames.

    Source: Teed and Deng, RAFT, ECCV 2020, released code.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.5 / math.pi
    asymmetric: float = 0.2

    def draw(self, rng, strength=1.0):
        """Draw one pair's numbers, each of shape (2,): one per frame."""
        del strength  # RAFT has no ramp
        frames = rng.uniform(-1, 1, (2, 4))
        if rng.random() >= self.asymmetric:
            frames[1] = frames[0]
        return {
            "brightness": (1 + self.brightness * frames[:, 0]).astype("float32"),
            "contrast": (1 + self.contrast * frames[:, 1]).astype("float32"),
            "saturation": (1 + self.saturation * frames[:, 2]).astype("float32"),
            "hue": (2 * math.pi * self.hue * frames[:, 3]).astype("float32"),
        }

    @staticmethod
    def apply(image1, image2, numbers):
        """Change the colours of a batch; as `EigenColour.apply`, with numbers (B, 2)."""
        return tuple(
            _jitter(image, {name: value[:, i, None, None] for name, value in numbers.items()})
            for i, image in enumerate((image1, image2))
        )


def add_noise(image1, image2, sigma, seed):
    """Add independent noise of deviation `sigma` (B,) to images (B, H, W, 3), and clip to [0, 1].

    It is a function of `seed` (B,), int32, and the position, computed by integer hashing, so that
    it is the same on every backend and device.
    """
    shape = ops.shape(image1)
    noise = normal_halves(random_bits(seed, shape[1] * shape[2] * shape[3]))
    return tuple(
        ops.clip(image + ops.reshape(part * sigma[:, None], shape), 0.0, 1.0)
        for image, part in zip((image1, image2), noise, strict=True)
    )


@dataclass(frozen=True)
class Eraser:
    """Paint boxes of frame 2 in its mean colour: occlusions without a motion of their own.

    Args:
        probability: Of erasing at all.
        boxes, side: Fewest and most boxes; shortest and longest side in pixels.

    Source: Teed and Deng, RAFT, ECCV 2020, released code.
    """

    probability: float = 0.5
    boxes: tuple = (1, 2)
    side: tuple = (50, 100)

    def draw(self, rng, size):
        """Draw boxes (N, 4): top, left, bottom, right; empty ones are all 0."""
        corner = rng.integers(0, size, (self.boxes[1], 2))
        side = rng.integers(self.side[0], self.side[1] + 1, corner.shape)
        count = rng.integers(self.boxes[0], self.boxes[1] + 1) * (rng.random() < self.probability)
        boxes = np.concatenate([corner, corner + side], axis=1).astype("float32")
        boxes[count:] = 0
        return boxes

    @staticmethod
    def apply(image, boxes):
        """Erase boxes (B, N, 4) of images (B, H, W, 3)."""
        mask = box_mask(ops.cast(boxes, "int32"), ops.shape(image)[1:3])
        return ops.where(mask > 0, image, ops.mean(image, axis=(1, 2), keepdims=True))


def _to_axes(red, green, blue):
    """Coordinates of a colour along the principal axes."""
    return [float(r) * red + float(g) * green + float(b) * blue for r, g, b in EIGENVECTORS]


def _power(value, exponent):
    """Sign-keeping power; several times faster on a CPU than `ops.power`, which is scalar there."""
    return ops.sign(value) * ops.exp(exponent * ops.log(ops.maximum(ops.abs(value), 1e-12)))


def _split(image):
    return [image[..., channel] for channel in range(3)]


def _length(*coordinates):
    return ops.sqrt(sum(coordinate * coordinate for coordinate in coordinates))


def _change_eigencolours(planes, numbers, mean, extremes):
    """FlowNet2's "chromatic eigen" change of planes (B, H, W), given the pair's statistics."""
    centred = _to_axes(*(plane - average for plane, average in zip(planes, mean, strict=True)))
    axes = []
    for i, (axis, average) in enumerate(zip(centred, _to_axes(*mean), strict=True)):
        axis = _power(axis / extremes[i], numbers[f"axis{i}_power"]) + numbers[f"axis{i}_add"]
        axes.append(axis * numbers[f"axis{i}_factor"] + average / extremes[i])
    a, b, c = axes
    old = _length(b, c)
    new = _power(old, numbers["saturation_power"]) + numbers["saturation_add"]
    new = ops.maximum(new, 0.0) * numbers["saturation_factor"]
    saturation = ops.where(old > 1e-2, new / ops.maximum(old, 1e-2), 1.0)
    cosine, sine = ops.cos(numbers["hue_angle"]), ops.sin(numbers["hue_angle"])
    b, c = cosine * b - sine * c, sine * b + cosine * c

    a, b, c = a * extremes[0], b * extremes[1], c * extremes[2]
    longest = _length(*extremes)
    lightness = _power(_length(a, b, c) / longest, numbers["lightness_power"])
    lightness = ops.maximum(lightness + numbers["lightness_add"], 0.0)
    lightness = lightness * numbers["lightness_factor"] * longest
    b, c = b * saturation, c * saturation
    length = _length(a, b, c)
    scale = ops.where(length > 1e-2, lightness / ops.maximum(length, 1e-2), 1.0)
    axes = [ops.minimum(v * scale, most) for v, most in zip((a, b, c), extremes, strict=True)]
    return [
        ops.clip(sum(float(e) * axis for e, axis in zip(column, axes, strict=True)), 0.0, 1.0)
        for column in EIGENVECTORS.T
    ]


def _change_tone(planes, numbers):
    """Gains that keep the brightness, gamma, brightness, contrast of planes (B, H, W)."""
    gains = [numbers[f"relative_{name}"] for name in ("red", "green", "blue")]
    changed = [plane * gain for plane, gain in zip(planes, gains, strict=True)]
    compensation = sum(planes) / (sum(changed) + 0.01)
    result = []
    for plane in changed:
        plane = _power(ops.clip(plane * compensation, 0.0, 1.0), numbers["relative_gamma"])
        plane = plane + numbers["relative_brightness"]
        plane = 0.5 + (plane - 0.5) * numbers["relative_contrast"]
        result.append(ops.clip(plane, 0.0, 1.0))
    return result


def _jitter(image, numbers):
    """Brightness, contrast, saturation, hue of (B, H, W, 3); numbers (B, 1, 1)."""

    def scaled(planes, pivot, factor):
        return [ops.clip(pivot + (plane - pivot) * factor, 0.0, 1.0) for plane in planes]

    def grey(planes):
        return sum(weight * plane for weight, plane in zip(GREY, planes, strict=True))

    planes = scaled(_split(image), 0.0, numbers["brightness"])
    mean = ops.mean(grey(planes), axis=(1, 2), keepdims=True)
    planes = scaled(planes, mean, numbers["contrast"])
    red, green, blue = scaled(planes, grey(planes), numbers["saturation"])
    # Rodrigues' formula about the axis (1, 1, 1) / sqrt(3).
    cosine, sine = ops.cos(numbers["hue"]), ops.sin(numbers["hue"]) / math.sqrt(3)
    rest = (1 - cosine) / 3 * (red + green + blue)
    turned = [
        cosine * plane + sine * (before - after) + rest
        for plane, before, after in ((red, blue, green), (green, red, blue), (blue, green, red))
    ]
    return ops.stack([ops.clip(plane, 0.0, 1.0) for plane in turned], axis=-1)
