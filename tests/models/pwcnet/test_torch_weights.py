"""Tests of the import of official weights, against a forward pass written from the paper."""

import functools

import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.models.pwcnet import torch_weights as pwcnet_import
from c2f_zoo.models.pwcnet.torch_weights import convert_official_pwcnet

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
    """PWC-Net on BGR images (B, 3, H, W), from the paper's description; full-resolution pixels."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    weights = {name: torch.from_numpy(array) for name, array in weights.items()}

    def convolve(x, name, stride=1, dilation=1):
        kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.conv2d(x, kernel, bias, stride, padding=dilation, dilation=dilation)

    def activate(x):
        return torch.where(x > 0, x, 0.1 * x)

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
            for part in (x, torch.ones_like(x))
        )
        return sampled * (inside >= 0.9999)

    with torch.no_grad():
        first, second = pyramid(torch.from_numpy(image1)), pyramid(torch.from_numpy(image2))
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
        flow = 20 * functional.interpolate(flow, scale_factor=4, mode="bilinear")
    return flow.numpy().transpose(0, 2, 3, 1)


def image_pair(seed=1):
    rng = np.random.default_rng(seed)
    return rng.random((2, 1, 64, 128, 3), dtype="float32")


def assert_same_flow(model, weights, variant, concatenation):
    image1, image2 = image_pair()
    bgr = [np.ascontiguousarray(x[..., ::-1].transpose(0, 3, 1, 2)) for x in (image1, image2)]
    expected = reference_flow(weights, variant, *bgr, concatenation)
    flow = to_numpy(model((image1, image2)))
    assert flow.shape == expected.shape == (1, 64, 128, 2)
    assert 3 < np.abs(expected).max() < 100 and expected.std() > 1
    assert np.abs(flow - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("variant", "is_zip"), [("released", True), ("paper", False)], ids=["zip", "legacy"]
)
def test_imported_weights_give_the_flow_of_an_independent_forward_pass(variant, is_zip, tmp_path):
    torch = pytest.importorskip("torch")
    weights = random_weights(variant)
    content = {name: torch.from_numpy(array) for name, array in weights.items()}
    if is_zip:  # as saved from DataParallel in a training script
        content = {"state_dict": {f"module.{name}": t for name, t in content.items()}, "epoch": 3}
    path = tmp_path / "pwc_net.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    model = convert_official_pwcnet(path)
    assert model.variant == variant
    assert model.count_params() == {"released": 9_374_274, "paper": 8_749_214}[variant]
    order = "prepended" if variant == "released" else "appended"
    assert_same_flow(model, weights, variant, order)


@pytest.fixture
def checkpoint(monkeypatch):
    """A function that makes the reader return given tensors, without a file."""

    def give(tensors):
        monkeypatch.setattr(pwcnet_import, "read_torch_checkpoint", lambda path: tensors)
        return "weights.pth"

    return give


def test_two_convolutions_in_the_order_of_the_newer_class_can_be_asked_for(checkpoint):
    pytest.importorskip("torch")
    weights = random_weights("paper")
    model = convert_official_pwcnet(checkpoint(weights), concatenation="prepended")
    assert_same_flow(model, weights, "paper", "prepended")


def test_half_precision_checkpoints_are_read(checkpoint):
    weights = random_weights("paper")
    half = {name: array.astype("float16") for name, array in weights.items()}
    model = convert_official_pwcnet(checkpoint(half))
    bias = to_numpy(model.context[0].bias)
    assert np.array_equal(bias, half["dc_conv1.0.bias"].astype("float32"))


def test_the_unused_upsampling_may_be_missing(checkpoint):
    weights = {k: v for k, v in random_weights("paper").items() if "deconv2" not in k}
    assert convert_official_pwcnet(checkpoint(weights)).variant == "paper"


def test_tensors_that_do_not_fit_are_listed(checkpoint):
    weights = dict(random_weights("released"))
    del weights["conv3b.0.bias"]
    weights["conv6_5.0.weight"] = np.zeros((1, 2, 3, 3))
    weights["upfeat4.weight"] = weights["upfeat4.weight"].transpose(1, 0, 2, 3)
    with pytest.raises(ValueError) as raised:
        convert_official_pwcnet(checkpoint(weights))
    message = str(raised.value)
    assert "with 3 convolutions per level" in message
    assert "missing: conv3b.0.bias;" in message
    assert "not of this network: conv6_5.0.weight;" in message
    assert "upfeat4.weight (2, 629, 4, 4) instead of (629, 2, 4, 4)" in message
    assert message.endswith(f"Received: weights.pth, with {len(weights)} tensors")


def test_weights_of_another_network_are_refused(checkpoint):
    weights = {f"layer{i}.weight": np.zeros((1, 1, 3, 3)) for i in range(100)}
    with pytest.raises(ValueError, match="missing: conv1a.0.weight, .* and 106 more"):
        convert_official_pwcnet(checkpoint(weights))
    with pytest.raises(ValueError, match="Received: 'sideways'"):
        convert_official_pwcnet("weights.pth", concatenation="sideways")
