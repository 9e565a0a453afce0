"""PSMNet as a PyTorch forward pass on a dictionary of tensors, written from the paper's tables."""

import functools

import numpy as np

COST_GAIN = 4
STAGES = ((1, 3, 32, 1, 1), (2, 16, 64, 2, 1), (3, 3, 128, 1, 1), (4, 3, 128, 1, 2))


def official_shapes(variant):
    """Names and shapes of the tensors of an official checkpoint."""
    shapes = {}

    def add(name, outer, inner, *window, transposed=False):
        shapes[f"{name}.0.weight"] = ((inner, outer) if transposed else (outer, inner)) + window
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.1.{part}"] = (outer,)
        shapes[f"{name}.1.num_batches_tracked"] = ()

    root = "feature_extraction"
    for index in range(3):
        add(f"{root}.firstconv.{2 * index}", 32, 3 if index == 0 else 32, 3, 3)
    channels = 32
    for number, count, width, stride, _ in STAGES:
        for index in range(count):
            name = f"{root}.layer{number}.{index}"
            add(f"{name}.conv1.0", width, channels, 3, 3)
            add(f"{name}.conv2", width, width, 3, 3)
            if index == 0 and (stride > 1 or channels != width):
                add(f"{name}.downsample", width, channels, 1, 1)
            channels = width
    for number in range(1, 5):
        add(f"{root}.branch{number}.1", 32, 128, 1, 1)
    add(f"{root}.lastconv.0", 128, 320, 3, 3)
    shapes[f"{root}.lastconv.2.weight"] = (32, 128, 1, 1)

    def add3d(name, outer, inner, **options):
        add(name, outer, inner, 3, 3, 3, **options)

    add3d("dres0.0", 32, 64)
    for name in ("dres0.2", "dres1.0", "dres1.2"):
        add3d(name, 32, 32)
    heads = ("classify",) if variant == "basic" else ("classif1", "classif2", "classif3")
    for number in (2, 3, 4):
        if variant == "basic":
            add3d(f"dres{number}.0", 32, 32)
            add3d(f"dres{number}.2", 32, 32)
            continue
        add3d(f"dres{number}.conv1.0", 64, 32)
        add3d(f"dres{number}.conv2", 64, 64)
        add3d(f"dres{number}.conv3.0", 64, 64)
        add3d(f"dres{number}.conv4.0", 64, 64)
        add3d(f"dres{number}.conv5", 64, 64, transposed=True)
        add3d(f"dres{number}.conv6", 32, 64, transposed=True)
    for head in heads:
        add3d(f"{head}.0", 32, 32)
        shapes[f"{head}.2.weight"] = (1, 32, 3, 3, 3)
    return shapes


@functools.cache
def random_weights(variant, seed=0):
    """Weights that keep activations alive and give disparities over the whole range."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in official_shapes(variant).items():
        if not shape:
            weights[name] = np.array(7)
        elif len(shape) > 1:
            is_transposed = ".conv5." in name or ".conv6." in name
            fan_in = np.prod(shape[2:]) * shape[0 if is_transposed else 1]
            # Small residuals keep the sums of a deep network bounded; costs spread over a softmax.
            is_residual = ".conv2." in name or name.endswith(".2.0.weight")
            gain = COST_GAIN if shape[0] == 1 else 0.4 if is_residual else np.sqrt(2)
            weights[name] = rng.normal(0, gain / np.sqrt(fan_in), shape).astype("float32")
        elif name.endswith("running_var"):
            weights[name] = rng.uniform(0.5, 2, shape).astype("float32")
        else:
            offset = 1 if name.endswith(".weight") else 0
            weights[name] = (offset + rng.normal(0, 0.1, shape)).astype("float32")
    return weights


def reference_disparities(weights, variant, left, right, max_disparity=192, align_corners=False):
    """Disparities of all outputs for images (B, H, W, 3) in [0, 1], numpy (B, H, W, 1)."""
    import torch

    functional = torch.nn.functional
    weights = {name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()}

    def normalize(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(weights[f"{name}.1.{part}"] for part in parts), eps=1e-5)

    def block2d(x, name, stride=1, dilation=1):
        kernel = weights[f"{name}.0.weight"]
        padding = dilation * (kernel.shape[-1] // 2)
        x = functional.conv2d(x, kernel, None, stride, padding, dilation)
        return normalize(x, name)

    def block3d(x, name, stride=1):
        return normalize(functional.conv3d(x, weights[f"{name}.0.weight"], None, stride, 1), name)

    def enlarge3d(x, name):
        kernel = weights[f"{name}.0.weight"]
        x = functional.conv_transpose3d(x, kernel, None, stride=2, padding=1, output_padding=1)
        return normalize(x, name)

    def features(x):
        root = "feature_extraction"
        for index in range(3):
            x = block2d(x, f"{root}.firstconv.{2 * index}", 2 if index == 0 else 1).relu()
        for number, count, _, stride, dilation in STAGES:
            for index in range(count):
                name = f"{root}.layer{number}.{index}"
                step = stride if index == 0 else 1
                inner = block2d(x, f"{name}.conv1.0", step, dilation).relu()
                inner = block2d(inner, f"{name}.conv2", 1, dilation)
                has_projection = f"{name}.downsample.0.weight" in weights
                x = inner + (block2d(x, f"{name}.downsample", step) if has_projection else x)
            if number == 2:
                raw = x
        branches = []
        for number, window in enumerate((64, 32, 16, 8), start=1):
            # The release has no answer where a window exceeds the map; ours is one window.
            pooled = functional.avg_pool2d(x, [min(window, side) for side in x.shape[2:]])
            pooled = block2d(pooled, f"{root}.branch{number}.1").relu()
            pooled = functional.interpolate(
                pooled, x.shape[2:], mode="bilinear", align_corners=align_corners
            )
            branches.insert(0, pooled)
        x = block2d(torch.cat([raw, x, *branches], 1), f"{root}.lastconv.0").relu()
        return functional.conv2d(x, weights[f"{root}.lastconv.2.weight"])

    def pair3d(x, name):
        return block3d(block3d(x, f"{name}.0").relu(), f"{name}.2")

    def hourglass(x, name, first_pre, last_post):
        pre = block3d(block3d(x, f"{name}.conv1.0", 2).relu(), f"{name}.conv2")
        pre = (pre if last_post is None else pre + last_post).relu()
        inner = block3d(block3d(pre, f"{name}.conv3.0", 2).relu(), f"{name}.conv4.0").relu()
        skip = pre if first_pre is None else first_pre
        post = (enlarge3d(inner, f"{name}.conv5") + skip).relu()
        return enlarge3d(post, f"{name}.conv6"), pre, post

    def head(x, name):
        x = block3d(x, f"{name}.0").relu()
        return functional.conv3d(x, weights[f"{name}.2.weight"], padding=1)

    def regress(cost, size):
        cost = functional.interpolate(
            cost, (max_disparity, *size), mode="trilinear", align_corners=align_corners
        )
        values = torch.arange(float(max_disparity)).reshape(1, -1, 1, 1)
        return (cost[:, 0].softmax(1) * values).sum(1)[..., None].numpy()

    with torch.no_grad():
        images = []
        for image in (left, right):
            image = (image - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
            images.append(features(torch.from_numpy(image.transpose(0, 3, 1, 2).copy())))
        count, (batch, channels, height, width) = max_disparity // 4, images[0].shape
        volume = torch.zeros(batch, 2 * channels, count, height, width)
        for d in range(min(count, width)):
            volume[:, :channels, d, :, d:] = images[0][..., d:]
            volume[:, channels:, d, :, d:] = images[1][..., : width - d]
        x = pair3d(volume, "dres0").relu()
        x = start = x + pair3d(x, "dres1")
        size = left.shape[1:3]
        if variant == "basic":
            for number in (2, 3, 4):
                x = x + pair3d(x, f"dres{number}")
            return [regress(head(x, "classify"), size)]
        first_pre = post = cost = None
        disparities = []
        for number in (1, 2, 3):
            x, pre, post = hourglass(x, f"dres{number + 1}", first_pre, post)
            first_pre = pre if first_pre is None else first_pre
            x = x + start
            new = head(x, f"classif{number}")
            cost = new if cost is None else cost + new
            disparities.append(regress(cost, size))
    return disparities
