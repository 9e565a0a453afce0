"""What light, air, shutter and sensor do to a scene; each effect has a probability per scene.

The ground truth does not change by any of them: they are what a flow network must see through.
"""

import dataclasses

import numpy as np
from keras import ops

from c2f_zoo.data.scenes.motion import sometimes

BLUR_TAPS = 7
NOISE_SPARE = 1 << 16


@dataclasses.dataclass(frozen=True)
class Effects:
    """Probabilities, each in [0, 1], and strengths of the effects of `Scenes`.

    Args:
        shading: Probability, per layer, of a linear gradient of light fixed to the layer.
        shading_strength: Largest change of light across half an image side, relative.
        shadow: Probability that layers cast soft shadows onto what is behind them.
        shadow_strength: Largest part of the light a shadow takes.
        fog: Probability of fog, a blend towards one colour that grows with depth.
        fog_strength: Largest weight of the fog's colour at the background.
        blur: Probability of motion blur along the flow.
        blur_extent: Longest exposure as a part of the time between the frames.
        blur_limit: Longest streak of motion blur, pixels.
        photometric: Probability that gain, contrast, tone curve and colour differ between the
            frames.
        photometric_strength: Scale of that difference; 0.1 is about ten percent.
        noise: Probability of additive normal noise.
        noise_strength: Largest standard deviation of the noise, of the range [0, 1].

    Example:
        >>> Effects(fog=0.0).fog
        0.0
        >>> Effects.off().shadow
        0.0
    """

    shading: float = 0.5
    shading_strength: float = 0.3
    shadow: float = 0.5
    shadow_strength: float = 0.6
    fog: float = 0.15
    fog_strength: float = 0.6
    blur: float = 0.2
    blur_extent: float = 0.5
    blur_limit: float = 14.0
    photometric: float = 0.6
    photometric_strength: float = 0.08
    noise: float = 0.5
    noise_strength: float = 0.04

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            most = 1.0 if field.name in PROBABILITIES else np.inf
            if not 0 <= value <= most:
                allowed = f"{field.name} must lie between 0 and {most}"
                raise ValueError(f"Effects: {allowed}. Received: {value}")

    @classmethod
    def off(cls):
        """Effects that never happen: frames keep the colours of their textures.

        Returns:
            `Effects` whose probabilities are all 0.
        """
        return cls(**dict.fromkeys(PROBABILITIES, 0.0))


PROBABILITIES = ("shading", "shadow", "fog", "blur", "photometric", "noise")


def draw_effects(random, effects: Effects, size, nearness, thickness):
    """Draw the effects of a batch of scenes.

    `nearness` (B, L) is the layers' inverse depth, `thickness` (B, L) about half of what each
    measures across, in pixels. Returns a dict of float32 arrays: `light` (B, L, 3), light at
    frame-2 pixel (x, y) as light[0] + light[1] * x + light[2] * y; `shadow` (B, L, 4): strength,
    softness in pixels, shift along x and y; `fog` (B, L, 4): weight and colour; `blur` (B,):
    exposure; `tone` (B, 2, 7) per frame: gain and bias of the colours, curve; `noise` (B,):
    standard deviation; and `noise_start` (B, 2) int32.
    """
    batch, layers = nearness.shape
    height, width = size
    shape = (batch, layers)

    slope = random.uniform(-1, 1, (*shape, 2)) * effects.shading_strength / (max(size) / 2)
    slope *= sometimes(random, effects.shading, (*shape, 1))
    level = 1 - (slope * np.array([width / 2, height / 2])).sum(-1)
    light = np.concatenate([level[..., None], slope], -1)

    strength = random.uniform(0.3, 1, (batch, 1)) * effects.shadow_strength
    strength = strength * sometimes(random, effects.shadow, (batch, 1)) * np.ones(shape)
    softness = np.exp(random.uniform(np.log(1.5), np.log(0.08 * min(size) + 2), shape))
    sun = random.uniform(0, 2 * np.pi, (batch, 1))
    # Thin things cast faint, narrow shadows.
    softness = np.minimum(softness, 1 + 2 * thickness)
    strength = strength * np.minimum(1, 0.3 + thickness / softness)
    far = np.minimum(random.uniform(0.2, 1.2, shape) * softness, thickness)
    shadow = np.stack([strength, softness, far * np.cos(sun), far * np.sin(sun)], -1)
    shadow[:, 0, 0] = 0

    density = random.random((batch, 1)) * effects.fog_strength
    density = density * sometimes(random, effects.fog, (batch, 1))
    weight = 1 - (1 - density) ** (1 / nearness)
    color = random.uniform(0.4, 1.0, (batch, 1, 1)) + random.uniform(-0.1, 0.1, (batch, 1, 3))
    fog = np.concatenate([weight[..., None], np.broadcast_to(color, (*shape, 3))], -1)

    blur = random.random(batch) * effects.blur_extent * sometimes(random, effects.blur, batch)

    change = sometimes(random, effects.photometric, (batch, 1)) * effects.photometric_strength
    change = change * np.abs(random.standard_normal((batch, 1)))
    contrast = random.uniform(-1, 1, (batch, 2)) * change
    gain = 1 + contrast[..., None] + random.uniform(-1, 1, (batch, 2, 3)) * change[..., None]
    bias = random.uniform(-0.5, 0.5, (batch, 2)) * change - 0.5 * contrast
    curve = np.clip(random.uniform(-2, 2, (batch, 2)) * change, -0.8, 0.8)
    tone = np.concatenate([gain, bias[..., None].repeat(3, -1), curve[..., None]], -1)

    noise = random.random(batch) ** 2 * effects.noise_strength
    noise = noise * sometimes(random, effects.noise, batch)
    drawn = {"light": light, "shadow": shadow, "fog": fog, "blur": blur, "tone": tone,
             "noise": noise}  # fmt: skip
    drawn = {name: value.astype("float32") for name, value in drawn.items()}
    drawn["noise_start"] = random.integers(0, NOISE_SPARE, (batch, 2)).astype("int32")
    return drawn


def noise_tile(size, seed=0) -> np.ndarray:
    """Normal noise (H * W * 3 + NOISE_SPARE,), float32, of which frames take random stretches."""
    random = np.random.default_rng([seed, 3])
    return random.standard_normal(size[0] * size[1] * 3 + NOISE_SPARE, "float32")


def pack_frame(image):
    """Pack three arrays (B, H, W) in [0, 1] into integers, ten bits a channel, (B * H * W,)."""
    red, green, blue = [
        ops.cast(ops.clip(channel, 0, 1) * 1023 + 0.5, "int32") for channel in image
    ]
    return ops.reshape(red + green * 1024 + blue * 1048576, (-1,))


def streaks(packed, flow, exposure, limit):
    """Fetch `BLUR_TAPS` nearest pixels (B, H, W) on a short streak along the flow, in pixels.

    They come as packed by `pack_frame`: one integer to fetch a tap, not three numbers. `exposure`
    (B,) is the part of the flow that the streak covers, `limit` its greatest length in pixels.
    """
    batch, height, width = flow[0].shape
    u, v = flow[0] * exposure[:, None, None], flow[1] * exposure[:, None, None]
    shrink = ops.minimum(1.0, limit * ops.rsqrt(u * u + v * v + 1e-6))
    u, v = u * shrink, v * shrink
    x = ops.arange(width, dtype="float32")[None, None, :]
    y = ops.arange(height, dtype="float32")[None, :, None]
    first = ops.arange(batch, dtype="int32")[:, None, None] * (height * width)
    taps = []
    for tap in range(BLUR_TAPS):
        time = tap / (BLUR_TAPS - 1) - 0.5
        column = ops.cast(ops.clip(x + time * u + 0.5, 0, width - 1), "int32")
        row = ops.cast(ops.clip(y + time * v + 0.5, 0, height - 1), "int32")
        taps.append(ops.take(packed, first + row * width + column))
    return taps


def mean_of_taps(image, taps, exposure):
    """Motion blur: the mean of what `streaks` fetched, where the exposure (B,) is not zero."""
    exposed = exposure[:, None, None] > 0
    result = []
    for channel in range(3):
        total = 0.0
        for tap in taps:
            level = ops.bitwise_and(ops.right_shift(tap, 10 * channel), 1023)
            total = total + ops.cast(level, "float32")
        result.append(ops.where(exposed, total * (1 / (1023 * len(taps))), image[channel]))
    return result


def develop(image, tone, with_tone=True):
    """Make an image (B, H, W, 3) in [0, 1] of three channels (B, H, W).

    `tone` (B, 7), gain and bias of the channels, then the curve, is applied `with_tone`.
    """
    if with_tone:
        image = list(image)
        curve = tone[:, 6, None, None]
        for channel in range(3):
            gain, bias = tone[:, channel, None, None], tone[:, 3 + channel, None, None]
            value = ops.clip(image[channel] * gain + bias, 0, 1)
            # x + c x (1 - x) bends like a gamma curve and costs no power per pixel.
            image[channel] = value + curve * value * (1 - value)
    return ops.clip(ops.stack(image, -1), 0, 1)


def add_noise(image, tile, deviation, start):
    """Add noise of a `deviation` (B,), from `start` (B,) on in the tile, to images in [0, 1]."""
    _, height, width, _ = image.shape
    count = height * width * 3
    noise = ops.take(tile, start[:, None] + ops.arange(count, dtype="int32"))
    return ops.clip(image + ops.reshape(noise, image.shape) * deviation[:, None, None, None], 0, 1)
