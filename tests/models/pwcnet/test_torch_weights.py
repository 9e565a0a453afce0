"""Tests of the import of official weights, against a forward pass written from the paper."""

import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.models.pwcnet import torch_weights as pwcnet_import
from c2f_zoo.models.pwcnet.torch_weights import convert_official_pwcnet
from tests.models.pwcnet.official import random_weights, reference_flow


def image_pair(seed=1):
    rng = np.random.default_rng(seed)
    return rng.random((2, 1, 64, 128, 3), dtype="float32")


def assert_same_flow(model, weights, variant, concatenation):
    pytest.importorskip("torch")
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
