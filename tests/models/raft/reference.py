"""RAFT's forward pass in PyTorch, written from the paper, and the official tensors' shapes."""

import numpy as np

SIZES = {
    "large": {"widths": (64, 96, 128), "out": (256, 256), "hidden": 128, "radius": 4},
    "small": {"widths": (32, 64, 96), "out": (128, 160), "hidden": 96, "radius": 3},
}


def official_shapes(variant):
    """Names and shapes of an official checkpoint, second names and counters included."""
    shapes, large = {}, variant == "large"

    def conv(name, out, channels, height, width=None):
        shapes[f"{name}.weight"] = (out, channels, height, width or height)
        shapes[f"{name}.bias"] = (out,)

    def norm(name, channels):
        for kind in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{kind}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    widths, hidden = SIZES[variant]["widths"], SIZES[variant]["hidden"]
    for root, out in zip(("fnet", "cnet"), SIZES[variant]["out"], strict=True):
        has_norm = large and root == "cnet"
        channels = widths[0]
        conv(f"{root}.conv1", channels, 3, 7)
        if has_norm:
            norm(f"{root}.norm1", channels)
        for stage, width in enumerate(widths, 1):
            for index in range(2):
                name = f"{root}.layer{stage}.{index}"
                strided = stage > 1 and index == 0
                inner = width if large else width // 4
                plan = ((inner, 3), (width, 3)) if large else ((inner, 1), (inner, 3), (width, 1))
                inside = channels
                for number, (filters, size) in enumerate(plan, 1):
                    conv(f"{name}.conv{number}", filters, inside, size)
                    if has_norm:
                        norm(f"{name}.norm{number}", filters)
                    inside = filters
                if strided:
                    conv(f"{name}.downsample.0", width, channels, 1)
                    if has_norm:
                        norm(f"{name}.norm3", width)
                        norm(f"{name}.downsample.1", width)
                channels = width
        conv(f"{root}.conv2", out, channels, 1)

    encoder = "update_block.encoder"
    taps = 4 * (2 * SIZES[variant]["radius"] + 1) ** 2
    if large:
        conv(f"{encoder}.convc1", 256, taps, 1)
        conv(f"{encoder}.convc2", 192, 256, 3)
        conv(f"{encoder}.convf1", 128, 2, 7)
        conv(f"{encoder}.convf2", 64, 128, 3)
        conv(f"{encoder}.conv", 126, 256, 3)
        for gate in "zrq":
            conv(f"update_block.gru.conv{gate}1", hidden, 384, 1, 5)
            conv(f"update_block.gru.conv{gate}2", hidden, 384, 5, 1)
        conv("update_block.flow_head.conv1", 256, hidden, 3)
        conv("update_block.flow_head.conv2", 2, 256, 3)
        conv("update_block.mask.0", 256, hidden, 3)
        conv("update_block.mask.2", 576, 256, 1)
    else:
        conv(f"{encoder}.convc1", 96, taps, 1)
        conv(f"{encoder}.convf1", 64, 2, 7)
        conv(f"{encoder}.convf2", 32, 64, 3)
        conv(f"{encoder}.conv", 80, 128, 3)
        for gate in "zrq":
            conv(f"update_block.gru.conv{gate}", hidden, 242, 3)
        conv("update_block.flow_head.conv1", 128, hidden, 3)
        conv("update_block.flow_head.conv2", 2, 128, 3)
    return shapes


def random_weights(variant, seed=0):
    """Weights that keep activations alive and make flows of several pixels."""
    rng, weights = np.random.default_rng(seed), {}
    for name, shape in official_shapes(variant).items():
        if name.endswith("num_batches_tracked"):
            weights[name] = np.array(7)
        elif name.endswith("running_var"):
            weights[name] = rng.uniform(0.5, 2.0, shape).astype("float32")
        else:
            scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.1
            offset = 1.0 if ".norm" in name and name.endswith("weight") else 0.0
            weights[name] = (offset + rng.normal(0, scale, shape)).astype("float32")
    for name in [name for name in weights if "downsample.1" in name]:
        weights[name.replace("downsample.1", "norm3")] = weights[name]
    return weights


class Reference:
    """The network on images (B, 3, H, W) in [0, 1], H and W multiples of 8."""

    def __init__(self, weights, variant):
        import torch

        self.torch, self.functional = torch, torch.nn.functional
        self.variant, self.sizes = variant, SIZES[variant]
        self.weights = {
            name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()
        }

    def conv(self, x, name, stride=1):
        kernel, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        padding = tuple(size // 2 for size in kernel.shape[2:])
        return self.functional.conv2d(x, kernel, bias, stride, padding)

    def norm(self, x, name):
        if name.startswith("fnet"):
            return self.functional.instance_norm(x, eps=1e-5)
        if self.variant == "small":
            return x
        kinds = ("running_mean", "running_var", "weight", "bias")
        parts = (self.weights[f"{name}.{kind}"] for kind in kinds)
        return self.functional.batch_norm(x, *parts, eps=1e-5)

    def encode(self, image, root):
        x = (self.norm(self.conv(2 * image - 1, f"{root}.conv1", 2), f"{root}.norm1")).relu()
        for stage in (1, 2, 3):
            for index in (0, 1):
                name = f"{root}.layer{stage}.{index}"
                stride = 2 if stage > 1 and index == 0 else 1
                strides = (stride, 1) if self.variant == "large" else (1, stride, 1)
                y = x
                for number, step in enumerate(strides, 1):
                    y = self.conv(y, f"{name}.conv{number}", step)
                    y = self.norm(y, f"{name}.norm{number}").relu()
                if stride == 2:
                    x = self.conv(x, f"{name}.downsample.0", 2)
                    x = self.norm(x, f"{name}.downsample.1")
                x = (x + y).relu()
        return self.conv(x, f"{root}.conv2")

    def lookup(self, volumes, coordinates):
        torch, radius = self.torch, self.sizes["radius"]
        steps = torch.arange(-radius, radius + 1.0)
        offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        batch, height, width, _ = coordinates.shape
        parts = []
        for level, volume in enumerate(volumes):
            centre = coordinates.reshape(-1, 1, 1, 2) / 2**level
            size = torch.tensor([volume.shape[3], volume.shape[2]])
            grid = 2 * (centre + offsets) / (size - 1) - 1
            part = self.functional.grid_sample(volume, grid, align_corners=True)
            parts.append(part.reshape(batch, height, width, -1))
        return torch.cat(parts, -1).permute(0, 3, 1, 2)

    def motion(self, correlation, flow):
        name = "update_block.encoder"
        seen = self.conv(correlation, f"{name}.convc1").relu()
        if self.variant == "large":
            seen = self.conv(seen, f"{name}.convc2").relu()
        moved = self.conv(self.conv(flow, f"{name}.convf1").relu(), f"{name}.convf2").relu()
        both = self.conv(self.torch.cat([seen, moved], 1), f"{name}.conv").relu()
        return self.torch.cat([both, flow], 1)

    def gru(self, hidden, x):
        cat = self.torch.cat
        for suffix in ("1", "2") if self.variant == "large" else ("",):
            z, r = (
                self.conv(cat([hidden, x], 1), f"update_block.gru.conv{gate}{suffix}").sigmoid()
                for gate in "zr"
            )
            q = self.conv(cat([r * hidden, x], 1), f"update_block.gru.convq{suffix}").tanh()
            hidden = (1 - z) * hidden + z * q
        return hidden

    def enlarge(self, flow, hidden):
        if self.variant == "small":
            size = [8 * side for side in flow.shape[2:]]
            return 8 * self.functional.interpolate(flow, size, mode="bilinear", align_corners=True)
        batch, _, height, width = flow.shape
        mask = self.conv(self.conv(hidden, "update_block.mask.0").relu(), "update_block.mask.2")
        mask = (0.25 * mask).view(batch, 1, 9, 8, 8, height, width).softmax(2)
        near = self.functional.unfold(8 * flow, 3, padding=1)
        fine = (mask * near.view(batch, 2, 9, 1, 1, height, width)).sum(2)
        return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, 8 * height, 8 * width)

    def __call__(self, image1, image2, iterations, initial_flow=None, keep_all=True):
        """Flow of every iteration or of the last one, (B, 2, H, W) each."""
        torch = self.torch
        query, key = self.encode(image1, "fnet"), self.encode(image2, "fnet")
        context = self.encode(image1, "cnet")
        hidden, context = context.split(
            [self.sizes["hidden"], context.shape[1] - self.sizes["hidden"]], 1
        )
        hidden, context = hidden.tanh(), context.relu()
        batch, channels, height, width = query.shape
        volume = torch.einsum("bcij,bckl->bijkl", query, key) / channels**0.5
        volumes = [volume.reshape(-1, 1, height, width)]
        for _ in range(3):
            volumes.append(self.functional.avg_pool2d(volumes[-1], 2, 2))
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack([x, y], 0)[None].float()
        flow = torch.zeros(batch, 2, height, width) if initial_flow is None else initial_flow
        flows = []
        for index in range(iterations):
            flow = flow.detach()
            correlation = self.lookup(volumes, (grid + flow).permute(0, 2, 3, 1))
            motion = self.motion(correlation, flow)
            hidden = self.gru(hidden, torch.cat([context, motion], 1))
            change = self.conv(hidden, "update_block.flow_head.conv1").relu()
            flow = flow + self.conv(change, "update_block.flow_head.conv2")
            if keep_all or index == iterations - 1:
                flows.append(self.enlarge(flow, hidden))
        return flows
