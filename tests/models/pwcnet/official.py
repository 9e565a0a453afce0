"""PWC-Net's forward pass in PyTorch, written from the paper, and the official tensors' shapes."""

import functools

import numpy as np

WIDTHS = (16, 32, 64, 96, 128, 196)
DECODER = (128, 128, 96, 64, 32)
CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))


def pyramid_names(variant, level):
    if variant == "paper":
        return [f"conv{level}a", f"conv{level}b"]
    middle = ("aa", "a", "b") if level == 6 else ("a", "aa", "b")
    return [f"conv{level}{suffix}" for suffix in middle]


def official_shapes(variant):
    """Names and shapes of an official checkpoint, the unused deconv2 included."""
    shapes, channels = {}, 3

    def add(name, *shape, outputs):
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = (outputs,)

    for level, width in enumerate(WIDTHS, start=1):
        for name in pyramid_names(variant, level):
            add(f"{name}.0", width, channels, 3, 3, outputs=width)
            channels = width
    for level in (6, 5, 4, 3, 2):
        channels = 81 if level == 6 else 81 + WIDTHS[level - 1] + 4
        for index, width in enumerate(DECODER):
            add(f"conv{level}_{index}.0", width, channels, 3, 3, outputs=width)
            channels += width
        add(f"predict_flow{level}", 2, channels, 3, 3, outputs=2)
        add(f"deconv{level}", 2, 2, 4, 4, outputs=2)
        if level > 2:
            add(f"upfeat{level}", channels, 2, 4, 4, outputs=2)
    for index, (width, _) in enumerate(CONTEXT, start=1):
        add(f"dc_conv{index}.0", width, channels, 3, 3, outputs=width)
        channels = width
    add("dc_conv7", 2, channels, 3, 3, outputs=2)
    return shapes


@functools.cache
def random_weights(variant, seed=0):
    """Weights that keep activations alive and make flows of several pixels."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in official_shapes(variant).items():
        fan_in = np.prod(shape[1:]) if len(shape) == 4 else 1
        if "upfeat" in name and len(shape) == 4:
            fan_in = shape[0] * 4
        scale = np.sqrt(2 / fan_in) if len(shape) == 4 else 0.05
        weights[name] = rng.normal(0, scale, shape).astype("float32")
    return weights


def reference_flow(weights, variant, image1, image2, concatenation):
    """PWC-Net on BGR images (B, 3, H, W); full-resolution pixels, (B, H, W, 2). All numpy."""
    import torch

    weights = {name: torch.from_numpy(array) for name, array in weights.items()}
    images = torch.from_numpy(image1), torch.from_numpy(image2)
    with torch.no_grad():
        flow = forward(weights, variant, *images, concatenation)
    return flow.numpy().transpose(0, 2, 3, 1)


def forward(weights, variant, image1, image2, concatenation):
    """The same on tensors, from the paper's description; the flow is (B, 2, H, W)."""
    import torch

    functional = torch.nn.functional

    def convolve(x, name, stride=1, dilation=1):
        kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.conv2d(x, kernel, bias, stride, padding=dilation, dilation=dilation)

    def activate(x):
        return functional.leaky_relu(x, 0.1)

    def upsample(x, name):
        kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.conv_transpose2d(x, kernel, bias, stride=2, padding=1)

    def pyramid(x):
        levels = {}
        for level in range(1, 7):
            for index, name in enumerate(pyramid_names(variant, level)):
                x = activate(convolve(x, f"{name}.0", stride=2 if index == 0 else 1))
            levels[level] = x
        return levels

    def correlate(first, second):
        height, width = first.shape[2:]
        padded = functional.pad(second, (4, 4, 4, 4))
        costs = [
            (first * padded[:, :, dy : dy + height, dx : dx + width]).mean(1)
            for dy in range(9)
            for dx in range(9)
        ]
        return activate(torch.stack(costs, 1))

    def warped(x, flow):
        height, width = x.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        position_x = 2 * (columns + flow[:, 0]) / (width - 1) - 1
        position_y = 2 * (rows + flow[:, 1]) / (height - 1) - 1
        grid = torch.stack([position_x, position_y], -1)
        sampled, inside = (
            functional.grid_sample(part, grid, align_corners=True)
            for part in (x, torch.ones_like(x[:, :1]))
        )
        return sampled * (inside >= 0.9999)

    first, second = pyramid(image1), pyramid(image2)
    flow = features = None
    for level in (6, 5, 4, 3, 2):
        if flow is None:
            x = correlate(first[level], second[level])
        else:
            flow = upsample(flow, f"deconv{level + 1}")
            features = upsample(features, f"upfeat{level + 1}")
            key = warped(second[level], flow * (20 / 2**level))
            x = torch.cat([correlate(first[level], key), first[level], flow, features], 1)
        for index in range(5):
            new = activate(convolve(x, f"conv{level}_{index}.0"))
            prepends = concatenation == "prepended" or index == 1
            x = torch.cat([new, x] if prepends else [x, new], 1)
        flow, features = convolve(x, f"predict_flow{level}"), x
    for index, (_, dilation) in enumerate(CONTEXT, start=1):
        x = activate(convolve(x, f"dc_conv{index}.0", dilation=dilation))
    flow = flow + convolve(x, "dc_conv7")
    return 20 * functional.interpolate(flow, scale_factor=4, mode="bilinear")
