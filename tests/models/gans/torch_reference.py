"""Forward passes of the generative networks in PyTorch, from their tensors by published name.

Written from the descriptions of the layouts, for the tests of the import.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

TAPS = np.outer((1, 3, 3, 1), (1, 3, 3, 1)) / 64


def random_tensors(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def as_torch(arrays):
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def lrelu(x):
    return F.leaky_relu(x, 0.2)


def pixel_norm(x):
    return x / torch.sqrt((x * x).mean(1, keepdim=True) + 1e-8)


def filtered(x, pads, gain=1.0):
    """Correlate every channel with the low-pass filter; it is symmetric."""
    channels = x.shape[1]
    kernel = torch.tensor(TAPS * gain, dtype=x.dtype).expand(channels, 1, 4, 4)
    return F.conv2d(F.pad(x, (*pads, *pads)), kernel, groups=channels)


def stddev_channel(x, group, correction=0):
    n, channels, height, width = x.shape
    y = x.reshape(group, -1, channels, height, width)
    y = torch.sqrt(y.var(0, correction=correction) + 1e-8).mean((1, 2, 3))
    return torch.cat([x, y.repeat(group).view(n, 1, 1, 1).expand(n, 1, height, width)], 1)


# StyleGAN2, rosinality's layout


def stylegan2_shapes(latent=6, style=5, depth=2, widths=(7, 6, 4), colours=3):
    shapes = {"input.input": (1, widths[0], 4, 4)}

    def modulated(name, channels, filters, size):
        shapes[f"{name}.weight"] = (1, filters, channels, size, size)
        shapes[f"{name}.modulation.weight"] = (channels, style)
        shapes[f"{name}.modulation.bias"] = (channels,)

    def styled(name, channels, filters):
        modulated(f"{name}.conv", channels, filters, 3)
        shapes[f"{name}.noise.weight"] = (1,)
        shapes[f"{name}.activate.bias"] = (filters,)

    for index in range(depth):
        shapes[f"style.{index + 1}.weight"] = (style, style if index else latent)
        shapes[f"style.{index + 1}.bias"] = (style,)
    styled("conv1", widths[0], widths[0])
    modulated("to_rgb1.conv", widths[0], colours, 1)
    shapes["to_rgb1.bias"] = (1, colours, 1, 1)
    for index, (coarse, fine) in enumerate(zip(widths, widths[1:], strict=False)):
        styled(f"convs.{2 * index}", coarse, fine)
        styled(f"convs.{2 * index + 1}", fine, fine)
        modulated(f"to_rgbs.{index}.conv", fine, colours, 1)
        shapes[f"to_rgbs.{index}.bias"] = (1, colours, 1, 1)
    return shapes


def stylegan2_mapping(t, z):
    w, index = pixel_norm(z), 1
    while f"style.{index}.weight" in t:
        weight, bias = t[f"style.{index}.weight"], t[f"style.{index}.bias"]
        w = F.linear(w, weight * 0.01 / math.sqrt(weight.shape[1]), bias * 0.01)
        w, index = lrelu(w) * math.sqrt(2), index + 1
    return w


def stylegan2_synthesis(t, w, noise):
    def modulated(name, x, up=False, demodulate=True):
        weight, style = t[f"{name}.weight"][0], t[f"{name}.modulation.weight"]
        scale = F.linear(w, style / math.sqrt(style.shape[1]), t[f"{name}.modulation.bias"])
        outputs = []
        for sample, s in zip(x, scale, strict=True):
            kernel = weight / math.sqrt(weight[0].numel()) * s[None, :, None, None]
            if demodulate:
                kernel = kernel / torch.sqrt((kernel**2).sum((1, 2, 3), keepdim=True) + 1e-8)
            if up:
                y = F.conv_transpose2d(sample[None], kernel.transpose(0, 1), stride=2)
                outputs.append(filtered(y, (1, 1), 4.0))
            else:
                outputs.append(F.conv2d(sample[None], kernel, padding=kernel.shape[-1] // 2))
        return torch.cat(outputs)

    def styled(name, x, map_, up=False):
        x = modulated(f"{name}.conv", x, up) + t[f"{name}.noise.weight"] * map_
        return lrelu(x + t[f"{name}.activate.bias"].view(1, -1, 1, 1)) * math.sqrt(2)

    x = styled("conv1", t["input.input"].expand(len(w), -1, -1, -1), noise[0])
    image = modulated("to_rgb1.conv", x, demodulate=False) + t["to_rgb1.bias"]
    index = 0
    while f"to_rgbs.{index}.bias" in t:
        x = styled(f"convs.{2 * index}", x, noise[2 * index + 1], up=True)
        x = styled(f"convs.{2 * index + 1}", x, noise[2 * index + 2])
        spread = torch.zeros(*image.shape[:2], *(2 * n for n in image.shape[2:]))
        spread[:, :, ::2, ::2] = image
        image = filtered(spread, (2, 1), 4.0)
        image = image + modulated(f"to_rgbs.{index}.conv", x, demodulate=False)
        image, index = image + t[f"to_rgbs.{index}.bias"], index + 1
    return image


def stylegan2_discriminator_shapes(widths=(7, 6, 4), colours=3):
    shapes = {"convs.0.0.weight": (widths[-1], colours, 1, 1), "convs.0.1.bias": (widths[-1],)}
    for index, (fine, coarse) in enumerate(zip(widths[:0:-1], widths[-2::-1], strict=True), 1):
        name = f"convs.{index}"
        shapes[f"{name}.conv1.0.weight"] = (fine, fine, 3, 3)
        shapes[f"{name}.conv1.1.bias"] = (fine,)
        shapes[f"{name}.conv2.1.weight"] = (coarse, fine, 3, 3)
        shapes[f"{name}.conv2.2.bias"] = (coarse,)
        shapes[f"{name}.skip.1.weight"] = (coarse, fine, 1, 1)
    width = widths[0]
    shapes |= {"final_conv.0.weight": (width, width + 1, 3, 3), "final_conv.1.bias": (width,)}
    shapes |= {"final_linear.0.weight": (width, 16 * width), "final_linear.0.bias": (width,)}
    return {**shapes, "final_linear.1.weight": (1, width), "final_linear.1.bias": (1,)}


def stylegan2_score(t, x):
    def equal(name):
        weight = t[f"{name}.weight"]
        return weight / math.sqrt(weight[0].numel())

    def active(x, name):
        return lrelu(x + t[f"{name}.bias"].view(1, -1, *[1] * (x.ndim - 2))) * math.sqrt(2)

    x, index = active(F.conv2d(x, equal("convs.0.0")), "convs.0.1"), 1
    while f"convs.{index}.skip.1.weight" in t:
        name = f"convs.{index}"
        y = active(F.conv2d(x, equal(f"{name}.conv1.0"), padding=1), f"{name}.conv1.1")
        y = F.conv2d(filtered(y, (2, 2)), equal(f"{name}.conv2.1"), stride=2)
        skip = F.conv2d(filtered(x, (1, 1)), equal(f"{name}.skip.1"), stride=2)
        x, index = (active(y, f"{name}.conv2.2") + skip) / math.sqrt(2), index + 1
    x = F.conv2d(stddev_channel(x, 4), equal("final_conv.0"), padding=1)
    x = active(x, "final_conv.1").flatten(1)
    x = active(F.linear(x, equal("final_linear.0")), "final_linear.0")
    return F.linear(x, equal("final_linear.1"), t["final_linear.1.bias"])


# ProGAN, pytorch_GAN_zoo's layout


def gan_zoo_shapes(latent=6, widths=(7, 6, 4), colours=3, labels=0):
    first, generator, discriminator = widths[0], {}, {}

    def add(shapes, name, *shape):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    add(generator, "formatLayer", 16 * first, latent + labels)
    add(generator, "groupScale0.0", first, first, 3, 3)
    add(discriminator, "groupScaleZero.0", first, first + 1, 3, 3)
    add(discriminator, "groupScaleZero.1", first, 16 * first)
    add(discriminator, "decisionLayer", 1 + labels, first)
    for index, width in enumerate(widths):
        add(generator, f"toRGBLayers.{index}", colours, width, 1, 1)
        add(discriminator, f"fromRGBLayers.{index}", width, colours, 1, 1)
        if index:
            coarse, name = widths[index - 1], f"scaleLayers.{index - 1}"
            add(generator, f"{name}.0", width, coarse, 3, 3)
            add(generator, f"{name}.1", width, width, 3, 3)
            add(discriminator, f"{name}.0", width, width, 3, 3)
            add(discriminator, f"{name}.1", coarse, width, 3, 3)
    return generator, discriminator


def _gan_zoo_layer(t, name, x):
    weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
    y = F.linear(x, weight, bias) if weight.ndim == 2 else None
    y = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2) if y is None else y
    return y * math.sqrt(2 / weight[0].numel())


def gan_zoo_images(t, z):
    def active(name, x):
        return lrelu(_gan_zoo_layer(t, name, x))

    x = pixel_norm(active("formatLayer", pixel_norm(z)).view(len(z), -1, 4, 4))
    x, index = pixel_norm(active("groupScale0.0", x)), 0
    while f"scaleLayers.{index}.0.weight" in t:
        x = F.interpolate(x, scale_factor=2)
        for position in (0, 1):
            x = pixel_norm(active(f"scaleLayers.{index}.{position}", x))
        index += 1
    return _gan_zoo_layer(t, f"toRGBLayers.{index}", x)


def gan_zoo_score(t, x):
    last = 0
    while f"fromRGBLayers.{last + 1}.weight" in t:
        last += 1
    x = lrelu(_gan_zoo_layer(t, f"fromRGBLayers.{last}", x))
    for index in range(last - 1, -1, -1):
        for position in (0, 1):
            x = lrelu(_gan_zoo_layer(t, f"scaleLayers.{index}.{position}", x))
        x = F.avg_pool2d(x, 2)
    x = stddev_channel(x, 4, correction=1)
    x = lrelu(_gan_zoo_layer(t, "groupScaleZero.0", x)).flatten(1)
    return _gan_zoo_layer(t, "decisionLayer", lrelu(_gan_zoo_layer(t, "groupScaleZero.1", x)))


# ProGAN, pro_gan_pytorch's layout


def pro_gan_shapes(latent=6, widths=(7, 6, 4), colours=3):
    first, generator, discriminator = widths[0], {}, {}
    last = len(widths) - 1

    def add(shapes, name, *shape):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    add(generator, "layers.0.conv_1", latent, first, 4, 4)
    generator["layers.0.conv_1.bias"] = (first,)
    add(generator, "layers.0.conv_2", first, first, 3, 3)
    for index, width in enumerate(widths):
        add(generator, f"rgb_converters.{index}", colours, width, 1, 1)
        add(discriminator, f"from_rgb.{last - index}.0", width, colours, 1, 1)
        if index:
            coarse = widths[index - 1]
            add(generator, f"layers.{index}.conv_1", width, coarse, 3, 3)
            add(generator, f"layers.{index}.conv_2", width, width, 3, 3)
            add(discriminator, f"layers.{last - index}.conv_1", width, width, 3, 3)
            add(discriminator, f"layers.{last - index}.conv_2", coarse, width, 3, 3)
    add(discriminator, f"layers.{last}.conv_1", first, first + 1, 3, 3)
    add(discriminator, f"layers.{last}.conv_2", first, first, 4, 4)
    add(discriminator, f"layers.{last}.conv_3", 1, first, 1, 1)
    return generator, discriminator


def _pro_gan_layer(t, name, x, equalized, padding=None):
    weight = t[f"{name}.weight"]
    scale = math.sqrt(2 / weight[0].numel()) if equalized else 1.0
    padding = weight.shape[-1] // 2 if padding is None else padding
    return F.conv2d(x, weight * scale, t[f"{name}.bias"], padding=padding)


def pro_gan_images(t, z, equalized=True):
    def active(name, x):
        return lrelu(_pro_gan_layer(t, name, x, equalized))

    weight = t["layers.0.conv_1.weight"]
    scale = math.sqrt(2 / len(weight)) if equalized else 1.0
    x = F.conv_transpose2d(z[:, :, None, None], weight * scale, t["layers.0.conv_1.bias"])
    x, index = pixel_norm(active("layers.0.conv_2", lrelu(x))), 1
    while f"layers.{index}.conv_1.weight" in t:
        x = F.interpolate(x, scale_factor=2)
        for position in (1, 2):
            x = pixel_norm(active(f"layers.{index}.conv_{position}", x))
        index += 1
    return _pro_gan_layer(t, f"rgb_converters.{index - 1}", x, equalized)


def pro_gan_score(t, x, equalized=True):
    def active(name, x, padding=None):
        return lrelu(_pro_gan_layer(t, name, x, equalized, padding))

    x, index = active("from_rgb.0.0", x), 0
    while f"layers.{index + 1}.conv_1.weight" in t:
        for position in (1, 2):
            x = active(f"layers.{index}.conv_{position}", x)
        x, index = F.avg_pool2d(x, 2), index + 1
    x = active(f"layers.{index}.conv_1", stddev_channel(x, 4))
    x = active(f"layers.{index}.conv_2", x, padding=0)
    return _pro_gan_layer(t, f"layers.{index}.conv_3", x, equalized).flatten(1)
